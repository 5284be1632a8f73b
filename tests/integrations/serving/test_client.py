"""Answers carry joules: measured where the server is here, predicted from token counts elsewhere; streams, failures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import wattmark as wm
from wattmark.errors import ConfigError
from wattmark.integrations.serving.client import with_energy
from wattmark.tracker.process import this_process

USAGE = {"prompt_tokens": 100, "completion_tokens": 50}


@pytest.fixture(autouse=True)
def watts(fake_machine: object) -> Iterator[None]:
    """One package at a constant 50 W."""
    yield
    this_process().end()


class Answer(SimpleNamespace):
    def model_dump(self) -> dict[str, Any]:
        return dict(vars(self))


class Stream:
    """As OpenAI's: iterated, closed, left by ``with``."""

    def __init__(self) -> None:
        self._parts = iter([Answer(usage=None, model="m"), Answer(usage=USAGE, model="gpt-4o-mini")])
        self.closed = False

    def __iter__(self) -> Iterator[Any]:
        return self._parts

    def __next__(self) -> Any:
        time.sleep(0.1)
        return next(self._parts)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True


class Completions:
    def create(self, *, stream: bool = False, fail: bool = False, **_: Any) -> Any:
        time.sleep(0.2)
        if fail:
            raise TimeoutError
        return Stream() if stream else Answer(usage=USAGE, model="gpt-4o-mini")


class Client:
    """The shape of OpenAI's."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.chat = SimpleNamespace(completions=Completions())


def test_a_server_here_is_measured() -> None:
    client = with_energy(Client("http://localhost:8000/v1"), name="asked")
    figures = client.chat.completions.create().wattmark
    assert figures["method"] == "measured"
    assert figures["energy_j"] == pytest.approx(0.2 * 50, rel=0.25)
    assert figures["energy_low_j"] <= figures["energy_j"] <= figures["energy_high_j"]
    (run,) = wm.runs()
    assert run.name == "asked"


def test_a_server_elsewhere_is_predicted_and_nothing_is_measured() -> None:
    client = with_energy(Client("https://192.0.2.1/v1"))
    figures = client.chat.completions.create().wattmark
    assert figures["method"] == "predicted"
    assert 0 <= figures["energy_low_j"] < figures["energy_j"] < figures["energy_high_j"] / 2
    assert not wm.runs()


@pytest.mark.parametrize("url", ["http://localhost:1/v1", "https://192.0.2.1/v1"])
def test_a_stream_has_joules_when_it_has_ended(url: str) -> None:
    client = with_energy(Client(url))
    stream = client.chat.completions.create(stream=True)
    assert stream.wattmark is None
    assert len(list(stream)) == 2
    assert stream.wattmark["energy_j"] > 0
    with client.chat.completions.create(stream=True) as left:
        next(left)
    assert left.closed


def test_what_a_call_raises_is_raised_and_shares_nothing_further() -> None:
    client = with_energy(Client("http://127.0.0.1:8000"))
    with pytest.raises(TimeoutError):
        client.chat.completions.create(fail=True)
    assert client.chat.completions.create().wattmark["energy_j"] == pytest.approx(0.2 * 50, rel=0.25)


def test_functions_and_what_they_are_told() -> None:
    def completion(model: str, *, api_base: str | None = None) -> dict[str, Any]:
        time.sleep(0.1)
        return {"model": model, "usage": USAGE}

    ask = with_energy(completion)
    assert ask("gpt-4o").get("wattmark", {})["method"] == "predicted"
    assert ask("ollama/llama3", api_base="http://127.0.0.1:11434")["wattmark"]["method"] == "measured"


def test_async_calls_and_streams_share() -> None:
    async def ask(*, stream: bool = False) -> Any:
        await asyncio.sleep(0.2)

        async def parts() -> AsyncIterator[Any]:
            yield Answer(usage=USAGE, model="m")

        return AsyncParts(parts()) if stream else Answer(usage=USAGE)

    class AsyncParts:
        def __init__(self, parts: AsyncIterator[Any]) -> None:
            self._parts = parts

        def __aiter__(self) -> AsyncIterator[Any]:
            return self._parts

        async def close(self) -> None: ...

    measured = with_energy(ask, here=True)

    async def both() -> list[Any]:
        stream = await measured(stream=True)
        assert [part async for part in stream]
        assert stream.wattmark["energy_j"] > 0
        return list(await asyncio.gather(measured(), measured()))

    one, other = asyncio.run(both())
    total = one.wattmark["energy_j"] + other.wattmark["energy_j"]
    assert total == pytest.approx(0.2 * 50, rel=0.3)


def test_answers_without_counts_or_room_are_given_as_they_are() -> None:
    assert with_energy(lambda: {"model": "m"})() == {"model": "m"}
    with pytest.warns(match="cannot carry joules"):
        assert with_energy(lambda: ("text",), here=True)() == ("text",)
    with pytest.raises(ConfigError, match="none of the calls"):
        with_energy(SimpleNamespace())

"""The function that ``wattmark llm bench`` mirrors takes the same words."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from wattmark.errors import ConfigError
from wattmark.serving.benchmark import benchmark, benchmark_loads
from wattmark.testing.scripted_server import Script, ScriptedServer
from wattmark.workspace.library import list_runs


@contextmanager
def serving(script: Script, slots: int | None = None) -> Iterator[ScriptedServer]:
    """A server in a thread of its own, since the function blocks."""
    loop, ready, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    held: list[ScriptedServer] = []

    async def serve() -> None:
        async with ScriptedServer(script, slots=slots) as made:
            held.append(made)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(30)
    try:
        yield held[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(Script(ttft_s=0.001)) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("WATTMARK_SOURCES", "none")


def test_data_and_warm_up(server: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"prompt": "one", "max_tokens": 3}) + "\n")
    result = benchmark(server.url, data=str(file), requests=4, concurrency=2, warm_up=3, baseline_s=0)
    assert result.load.counts == {"ok": 4}
    assert {record.output_tokens for record in result.load.records} == {3}
    assert sum(entry.body["max_tokens"] == 3 for entry in server.log) == 4
    assert sum(entry.body["max_tokens"] == 32 for entry in server.log) == 3


def test_other_endpoints_and_stages(server: ScriptedServer) -> None:
    result = benchmark(
        server.url, endpoint="embeddings", batch=2, input=5, stages="rate:50@0.2", baseline_s=0
    )
    assert set(result.load.counts) == {"ok"}
    assert {len(entry.body["input"]) for entry in server.log[-3:]} == {2}
    assert "open loop" in result.load.arrivals


def test_loads_exclude_each_other(server: ScriptedServer) -> None:
    with pytest.raises(ConfigError, match="exclude each other"):
        benchmark(server.url, rate=2, stages="rate:1@1")


def test_the_largest_load_within_limits_is_searched_and_each_load_kept() -> None:
    """Two slots of 0.2 s: a third request at a time waits for a whole answer."""
    steps: list[str] = []
    with serving(Script(ttft_s=0.2, tokens=2, gap_s=0.0), slots=2) as slow:
        found = benchmark_loads(
            slow.url,
            "concurrency:1-8",
            search=True,
            ttft_s=0.3,
            attain=0.9,
            requests=12,
            output=2,
            baseline_s=0,
            tags={"of": "search"},
            on_step=steps.append,
        )
    assert found.best is not None
    assert found.best.largest is not None
    assert found.best.largest[0] == 2
    assert found.beyond == 3
    assert found.loads[:2] == (1.0, 2.0)
    assert any("within the limits" in step for step in steps)
    kept = list_runs(tag="of=search")
    assert {run.tags["concurrency"] for run in kept} == {f"{load:g}" for load in found.loads}
    assert found.as_dict()["best"]["largest"] == 2


def test_a_sweep_runs_the_loads_that_were_named(server: ScriptedServer) -> None:
    found = benchmark_loads(server.url, "rate:40,20", requests=4, output=1, baseline_s=0, price="0.2-0.3")
    assert found.loads == (20.0, 40.0)
    assert all(result.load.counts == {"ok": 4} for result in found.results)
    assert found.best is None
    assert found.results[0].place.price_per_kwh == "0.2-0.3"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"search": True}, "needs limits"),
        ({"loads": "users:3"}, "cannot be"),
        ({"stages": "rate:1@1"}, "by themselves"),
        ({"price": "cheap"}, "price"),
    ],
)
def test_loads_that_cannot_be_are_told_before_a_request_is_sent(
    server: ScriptedServer, words: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        benchmark_loads(server.url, **words)
    assert not server.log

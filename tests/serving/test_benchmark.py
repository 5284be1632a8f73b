"""The function that ``wattmark llm bench`` mirrors takes the same words."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wattmark.errors import ConfigError
from wattmark.serving.benchmark import benchmark
from wattmark.testing.scripted_server import Script, ScriptedServer


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """A server in a thread of its own, since the function blocks."""
    loop, ready, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    held: list[ScriptedServer] = []

    async def serve() -> None:
        async with ScriptedServer(Script(ttft_s=0.001)) as made:
            held.append(made)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(30)
    yield held[0]
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


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

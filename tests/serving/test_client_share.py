"""The load client's own energy is taken out of the server's: a client that burns a known CPU time, on a known power."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from wattmark.serving.bench import Bench, BenchResult, Plan
from wattmark.serving.energy import measured as bench_energy
from wattmark.serving.energy.measured import Idle
from wattmark.serving.load.arrivals import ClosedLoop
from wattmark.serving.load.client import ServerProfile, Target
from wattmark.serving.load.limits import Limits
from wattmark.serving.load.wire.dialects import named
from wattmark.serving.prompts.base import Conversation, Fixed, Turn
from wattmark.serving.prompts.synthetic import Filler
from wattmark.serving.server.local import RunningServer
from wattmark.testing.scripted_server import Script, ScriptedServer

POWER_W, IDLE_W = 50.0, 10.0
BURNED_S = 0.25


@dataclass(frozen=True)
class Laborious:
    """A workload whose prompts take the client so much CPU time to make."""

    seconds: float

    def conversations(self, part: int = 0, parts: int = 1) -> Iterator[Conversation]:
        turns = (Turn("one two three", input_tokens=3, output_tokens=4),)
        for conversation in Fixed(tuple(Conversation(n, turns) for n in range(10))).conversations(
            part, parts
        ):
            ends = time.process_time() + self.seconds / 10
            while time.process_time() < ends:
                pass
            yield conversation

    def describe(self) -> str:
        return "laborious"


@contextmanager
def serving() -> Generator[str]:
    """The address of a scripted server in a thread of its own."""
    ready, done = threading.Event(), threading.Event()
    url: list[str] = []

    async def serve() -> None:
        async with ScriptedServer(Script(ttft_s=0.01, gap_s=0.005)) as server:
            url.append(server.url)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    try:
        yield url[0]
    finally:
        done.set()
        thread.join()


def bench_result(seconds: float) -> BenchResult:
    with serving() as url:
        bench = Bench(
            RunningServer(url, "server"), Target(url, model="m"), ServerProfile(named("vllm"), "m"), Filler(),
            idle=Idle({"cpu": IDLE_W}, 0.0, "given"),
        )  # fmt: skip
        return bench.run(
            Plan(ClosedLoop.of(2), workload=Laborious(seconds), limits=Limits(requests=10, scrape_s=None)),
            spans=False,
        )


@pytest.mark.parametrize("clients_share", [0.5, 0.25])
def test_what_the_client_used_is_not_the_servers(
    clients_share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = tmp_path / "wave.csv"
    wave.write_text(f"t_s,cpu0/package:power_w\n0,{POWER_W}\n600,{POWER_W}\n", encoding="utf-8")
    monkeypatch.setenv("WATTMARK_REPLAY", str(wave))
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "data"))
    # The machine's busy time is that of this process and, beside it, of a server that uses so much more.
    monkeypatch.setattr(bench_energy, "host_busy_s", lambda: time.process_time() / clients_share)
    result = bench_result(BURNED_S)
    assert result.load.client_cpu_s >= BURNED_S
    assert result.energy is not None
    assert result.energy.client_j is not None
    assert result.serving is not None
    (cpu,) = result.serving.components
    above_idle = (POWER_W - IDLE_W) * result.serving.duration_s
    # The process does some work of its own before and after the load, hence the tolerance.
    assert result.energy.client_j.value == pytest.approx(clients_share * above_idle, rel=0.2)
    assert cpu.idle is not None
    assert cpu.idle.value == pytest.approx(IDLE_W * result.serving.duration_s, rel=0.01)
    assert cpu.measured.value + result.energy.client_j.value == pytest.approx(
        POWER_W * result.serving.duration_s, rel=0.01
    )

"""The work of ``wattmark llm bench``: one load or a sweep of loads on one server, each kept as a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wattmark import settings
from wattmark.cli.llm.progress import SAID_EVERY_S, LoadLine, WritingBar
from wattmark.cli.terminal.output import say
from wattmark.errors import ConfigError, WattmarkError
from wattmark.impact import carbon, resolve_zone
from wattmark.quantity import Quantity
from wattmark.serving.bench import FORMAT, SCRAPE_S, Bench, BenchResult, Plan, journal_hint, open_bench, save
from wattmark.serving.figures.latency import Goal
from wattmark.serving.figures.steady import requests_for
from wattmark.serving.figures.sweep import Climb, doubling
from wattmark.serving.load.arrivals import Arrivals, ClosedLoop, OpenLoop, Replay
from wattmark.serving.load.limits import Limits
from wattmark.serving.prompts.base import Lengths, Workload
from wattmark.serving.prompts.files import read_jsonl, read_sharegpt
from wattmark.serving.prompts.traces import read_trace
from wattmark.serving.server.local import ServerOptions

MOST_SLOTS = 16
DEFAULT_REQUESTS = 100
DRAIN_S, LEAST_DRAIN_S = 60.0, 5.0
"""Answers are awaited so long after the last request; of a load of given seconds no longer than it lasted itself."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What the user asked for. kind: ``concurrency`` or ``rate`` (requests/s); loads: one, or those of a sweep."""

    kind: str
    loads: tuple[float, ...]
    arrivals: str = "poisson"
    requests: int | None = None
    seconds: float | None = None
    input: str = "64"
    output: str = "32"
    prompts: str | None = None
    data: str | None = None
    speed: float = 1.0
    turns: int = 1
    prefix: int = 0
    processes: int = 1
    e2e_s: float | None = None
    keep_text: bool = False
    ttft_s: float | None = None
    tpot_s: float | None = None
    baseline_s: float = 2.0
    seed: int = 0
    zone: str | None = None
    price: float | None = None

    @property
    def slots(self) -> int:
        """How many requests a local server should work on at once."""
        return min(MOST_SLOTS, int(max(self.loads))) if self.kind == "concurrency" else 8

    def swept(self, text: str) -> BenchOptions:
        """With the loads of ``concurrency:1-32`` or ``rate:0.5,1,2``. Raises ConfigError."""
        kind, _, loads = text.partition(":")
        try:
            if kind in ("concurrency", "rate") and loads:
                first, dash, last = loads.partition("-")
                given = doubling(float(first), float(last)) if dash else tuple(map(float, loads.split(",")))
                if kind == "rate" or all(load == int(load) for load in given):
                    return replace(self, kind=kind, loads=tuple(sorted(set(given))))
        except ValueError:
            pass
        raise ConfigError(f"--sweep cannot be {text!r}", hint="write concurrency:1-32, or rate:0.5,1,2")

    def plan(self, load: float) -> Plan:
        """The plan of one load. Raises ConfigError for what cannot be sent."""
        enough = requests_for(int(load)) if self.kind == "concurrency" else DEFAULT_REQUESTS
        requests = self.requests if self.requests or self.seconds else enough
        limited = self.ttft_s or self.tpot_s or self.e2e_s
        goal = Goal(ttft_s=self.ttft_s, tpot_s=self.tpot_s, e2e_s=self.e2e_s) if limited else None
        workload: Workload | None = None
        arrivals = self._arrivals(load)
        if self.data is not None:
            workload, replay = self._dataset(self.data)
            arrivals = replay or arrivals
            requests = self.requests if replay else requests
        if self.prompts is not None:
            workload = read_jsonl(self.prompts, output=Lengths.parse(self.output), once=False)
        return Plan(
            arrivals,
            Lengths.parse(self.input),
            Lengths.parse(self.output),
            workload,
            Limits(
                requests=requests,
                duration_s=self.seconds,
                scrape_s=SCRAPE_S,
                processes=self.processes,
                keep_text=self.keep_text,
                drain_s=DRAIN_S if self.seconds is None else max(LEAST_DRAIN_S, self.seconds),
            ),
            self.baseline_s,
            goal,
            self.seed,
            _grams(self.zone),
            self.price,
            turns=self.turns,
            prefix_tokens=self.prefix,
        )

    def _dataset(self, text: str) -> tuple[Workload, Replay | None]:
        """``sharegpt:PATH``, ``trace:PATH`` (with its arrivals) or ``jsonl:PATH``. Raises ConfigError."""
        kind, _, path = text.partition(":")
        if kind == "sharegpt" and path:
            return read_sharegpt(path, turns=self.turns if self.turns > 1 else None, once=False), None
        if kind == "trace" and path:
            trace = read_trace(path, most_rows=self.requests)
            return trace.workload(seed=self.seed), trace.arrivals(self.speed)
        if kind == "jsonl" and path:
            return read_jsonl(path, output=Lengths.parse(self.output), once=False), None
        raise ConfigError(f"--data cannot be {text!r}", hint="write sharegpt:PATH, trace:PATH or jsonl:PATH")

    def _arrivals(self, load: float) -> Arrivals:
        if self.kind == "concurrency":
            return ClosedLoop.of(int(load), seed=self.seed)
        process, _, shape = self.arrivals.partition(":")
        try:
            burstiness = float(shape) if shape else 1.0
        except ValueError:
            raise ConfigError(f"--arrivals cannot be {self.arrivals!r}", hint="write gamma:0.5") from None
        return OpenLoop.at(load, process, burstiness=burstiness, seed=self.seed)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] it is checked there


@dataclass(frozen=True, slots=True)
class BenchOutcome:
    """What came of it: a result per load. knee: where more load buys waiting; None without a sweep or a bend."""

    ask: BenchOptions
    results: tuple[BenchResult, ...]
    knee: float | None
    saturated: bool

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return any(result.load.interrupted for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """The object of ``--json``: that of one load, or of a sweep with one object per load."""
        if len(self.ask.loads) == 1:
            return self.results[0].as_dict()
        points = [
            {"at": load, **result.as_dict()}
            for load, result in zip(self.ask.loads, self.results, strict=False)
        ]
        return {
            "format": FORMAT,
            "sweep": self.ask.kind,
            "knee": self.knee,
            "saturated": self.saturated,
            "points": points,
        }


def run_bench(
    where: str,
    ask: BenchOptions,
    options: ServerOptions,
    target: Mapping[str, Any],
    *,
    name: str,
    tags: Mapping[str, str],
    live: bool,
    server_pids: Sequence[int] = (),
) -> BenchOutcome:
    """Open the server, run every load, keep every run. A sweep ends at Ctrl-C, or once two loads brought no more work."""
    plans = [
        (load, ask.plan(load)) for load in ask.loads
    ]  # what cannot be sent is told before a server starts
    results: list[BenchResult] = []
    climb = Climb()
    with (
        WritingBar() as bar,
        open_bench(
            where,
            options=options,
            on_writing=bar.show if live else None,
            server_pids=server_pids,
            on_wait=_Loading(),
            **target,
        ) as bench,
    ):
        bar.clear()
        for load, plan in plans:
            run_tags = {**tags, ask.kind: f"{load:g}"}
            result = _one(bench, plan, name, run_tags, live)
            results.append(result)
            _keep(result)
            if climb.add(load, result.metrics) or result.load.interrupted:
                break
    sweep = climb.sweep()
    return BenchOutcome(ask, tuple(results), None if sweep.knee is None else sweep.knee.load, sweep.saturated)


class _Loading:
    """Says now and then that the server is still loading."""

    def __init__(self) -> None:
        self._said_s = -SAID_EVERY_S

    def __call__(self, waited_s: float) -> None:
        if waited_s - self._said_s >= SAID_EVERY_S:
            self._said_s = waited_s
            say(f"the server is still loading its model ({waited_s:.0f} s so far); it is waited for")


def _one(bench: Bench, plan: Plan, name: str, tags: Mapping[str, str], live: bool) -> BenchResult:
    line = LoadLine(plan.limits.requests) if live and sys.stderr.isatty() else None
    if line is not None and bench.here and bench.idle is None and plan.baseline_s > 0:
        line.write(f"the idle machine is measured first, {plan.baseline_s:g} s")
    try:
        return bench.run(plan, name=name, tags=tags, on_progress=line.draw if line else None)
    finally:
        if line is not None:
            line.clear()


def _keep(result: BenchResult) -> None:
    try:
        save(result)
    except WattmarkError as error:  # the figures stand, wherever they are kept
        say(f"the run is not in the store ({error}); {journal_hint()}")


def _grams(asked: str | None) -> Callable[[Quantity], Quantity | None] | None:
    """CO2e of an energy where this machine's zone is known."""
    configured = settings.load()
    zone = resolve_zone(asked, os.environ, configured=configured.get("zone"))
    if zone is None:
        return None
    pue = configured.get("pue") or 1.0

    def grams(energy: Quantity) -> Quantity | None:
        return carbon(energy, zone, pue=pue).grams

    return grams

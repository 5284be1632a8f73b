"""Several loads on one server: a list of them (a sweep), or the search of the largest within limits.

What is asked becomes one :class:`~wattmark.serving.bench.Plan` a load; what comes of it, the knee, or the best load.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from wattmark import settings
from wattmark.errors import ConfigError
from wattmark.impact import resolve_zone
from wattmark.serving.asked import Asked
from wattmark.serving.bench import BASELINE_S, FORMAT, SCRAPE_S, BenchResult, Place, Plan
from wattmark.serving.figures.latency import Goal
from wattmark.serving.figures.search import ATTAIN, Best, LoadSearch, best_within, judge
from wattmark.serving.figures.steady import requests_for
from wattmark.serving.figures.sweep import Climb, Sweep, doubling
from wattmark.serving.load.limits import Limits
from wattmark.serving.prompts.dataset import Dataset
from wattmark.units import format_energy

MOST_SLOTS = 16
DEFAULT_REQUESTS = 100
DRAIN_S, LEAST_DRAIN_S = 600.0, 5.0
"""Answers are awaited so long after the last request; of a load of given seconds no longer than it lasted itself."""

SEARCHED = (1.0, 256.0)
"""Concurrencies between which a search looks unless a sweep says otherwise."""
SEARCH_LOAD_S, SEARCH_S = 60.0, 900.0
"""Of a search: one load sends for no longer than this, and none begins after so long."""


@dataclass(frozen=True, slots=True)
class LoadSeries:
    """What the user asked for. kind: ``concurrency`` or ``rate`` (requests/s); loads: one, or those of a sweep, or the ends
    between which the largest load within the limits is searched. attain: the share of requests that must meet them."""

    kind: str
    loads: tuple[float, ...]
    asked: Asked = field(default_factory=Asked)
    requests: int | None = None
    seconds: float | None = None
    processes: int = 1
    e2e_s: float | None = None
    keep_text: bool = False
    ttft_s: float | None = None
    tpot_s: float | None = None
    baseline_s: float = BASELINE_S
    zone: str | None = None
    price: float | str | None = None
    in_flight: int | None = None
    timeout_s: float | None = None
    drain_s: float | None = None
    warm_up: int = 0
    search: bool = False
    search_s: float = SEARCH_S
    attain: float = ATTAIN

    @property
    def limited(self) -> bool:
        """Whether answers have limits to meet."""
        return any((self.ttft_s, self.tpot_s, self.e2e_s))

    @property
    def slots(self) -> int:
        """How many requests a local server should work on at once."""
        return min(MOST_SLOTS, int(max(self.loads))) if self.kind == "concurrency" else 8

    def searched(self) -> LoadSeries:
        """To search the largest load within the limits, each load bounded in time. Raises ConfigError without limits."""
        if not self.limited:
            raise ConfigError(
                "--search needs limits", hint="say which: --ttft 0.5 --tpot 0.05 (seconds), or --e2e 5"
            )
        ends = (self.loads[0], self.loads[-1]) if len(self.loads) > 1 else SEARCHED
        return replace(self, search=True, loads=ends, seconds=self.seconds or SEARCH_LOAD_S)

    def swept(self, text: str) -> LoadSeries:
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

    def plan(self, load: float, data: Dataset | None = None) -> Plan:
        """The plan of one load. data: those that were named, if any. Raises ConfigError for what cannot be sent."""
        enough = requests_for(int(load)) if self.kind == "concurrency" else DEFAULT_REQUESTS
        requests = self.requests if self.requests or (self.seconds and not self.search) else enough
        goal = Goal(ttft_s=self.ttft_s, tpot_s=self.tpot_s, e2e_s=self.e2e_s) if self.limited else None
        place = place_here(self.zone, self.price)
        asked = self.asked
        found = asked.load(self.kind, load, data)
        seconds = self.seconds or found.lasts_s
        if found.ends or found.lasts_s is not None:
            requests = self.requests
        given, made = asked.lengths
        return Plan(
            found.arrivals,
            given,
            made,
            found.workload,
            Limits(
                requests=requests,
                duration_s=seconds,
                scrape_s=SCRAPE_S,
                processes=self.processes,
                keep_text=self.keep_text,
                drain_s=self._drain_s(seconds),
                total_s=self.timeout_s,
                in_flight=self.in_flight,
            ),
            self.baseline_s,
            goal,
            asked.seed,
            turns=asked.turns or 1,
            prefix_tokens=asked.prefix,
            place=place,
            warm_up=self.warm_up,
        )

    def _drain_s(self, seconds: float | None) -> float:
        if self.drain_s is not None:
            return self.drain_s
        return DRAIN_S if seconds is None else max(LEAST_DRAIN_S, seconds)


@dataclass(frozen=True, slots=True)
class LoadResults:
    """What came of it: a result per load. knee: where more load buys waiting; None without a sweep or a bend. loads: those
    that were run, in their order. beyond: of a search, the smallest load that was not within the limits; ended: why it ended
    before it was as fine as it gets."""

    ask: LoadSeries
    results: tuple[BenchResult, ...]
    knee: float | None
    saturated: bool
    loads: tuple[float, ...]
    beyond: float | None = None
    ended: str = ""

    @property
    def points(self) -> list[tuple[float, BenchResult]]:
        """The loads with their results, the smallest first."""
        return sorted(zip(self.loads, self.results, strict=True), key=lambda point: point[0])

    @property
    def many(self) -> bool:
        """Whether it was a sweep or a search."""
        return self.ask.search or len(self.ask.loads) > 1

    @property
    def best(self) -> Best[BenchResult] | None:
        """Of several loads with limits, the largest and the cheapest within them."""
        if not self.ask.limited or not self.many:
            return None
        return best_within(self.points, attain=self.ask.attain, rates=self.ask.kind == "rate")

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return any(result.load.interrupted for result in self.results)

    def as_dict(self) -> dict[str, Any]:
        """The object of ``--json``: that of one load, or of a sweep with one object per load."""
        if not self.many:
            return self.results[0].as_dict()
        return {
            "format": FORMAT,
            "sweep": self.ask.kind,
            "knee": self.knee,
            "saturated": self.saturated,
            "points": [{"at": load, **result.as_dict()} for load, result in self.points],
            "best": None if self.best is None else self._best(self.best),
        }

    def _best(self, best: Best[BenchResult]) -> dict[str, Any]:
        cost = None if best.cheapest is None else best.cheapest[1].j_per_token
        return {
            "attain": self.ask.attain,
            "searched": self.ask.search,
            "largest": None if best.largest is None else best.largest[0],
            "beyond": self.beyond,
            "cheapest": None if best.cheapest is None else best.cheapest[0],
            "j_per_output_token": None if cost is None else cost.as_dict(),
            "alike": list(best.alike),
            "ended": self.ended or None,
        }


def run_series(
    series: LoadSeries,
    data: Dataset | None,
    run: Callable[[Plan, float], BenchResult],
    said: Callable[[str], object] | None = None,
) -> LoadResults:
    """Run the loads one after the other until the sweep or the search has ended, or Ctrl-C ended a load.

    run: does one plan, and keeps what comes of it; it gets the load, too. said: is told the steps of a search.
    """
    loads = _Search(series, said) if series.search else _Sweep(series)
    done: list[tuple[float, BenchResult]] = []
    while (load := loads.next()) is not None:
        result = run(series.plan(load, data), load)
        done.append((load, result))
        loads.add(load, result)
        if result.load.interrupted:
            break
    sweep = loads.sweep()
    return LoadResults(
        series,
        tuple(result for _, result in done),
        None if sweep.knee is None else sweep.knee.load,
        sweep.saturated,
        tuple(load for load, _ in done),
        loads.beyond,
        loads.ended,
    )


class _Sweep:
    """Loads as they were listed, until two in a row brought no more work."""

    beyond: float | None = None
    ended = ""

    def __init__(self, ask: LoadSeries) -> None:
        self._loads = list(ask.loads)
        self._climb = Climb()

    def next(self) -> float | None:
        return self._loads.pop(0) if self._loads else None

    def add(self, load: float, result: BenchResult) -> None:
        if self._climb.add(load, result.metrics):
            self._loads.clear()

    def sweep(self) -> Sweep:
        return self._climb.sweep()


class _Search:
    """The largest load within the limits, told step by step; no load begins once the time is up."""

    def __init__(self, ask: LoadSeries, said: Callable[[str], object] | None) -> None:
        self._ask, self._said = ask, said
        self._search = LoadSearch(ask.loads[0], ask.loads[-1], whole=ask.kind == "concurrency")
        self._until_s = time.monotonic() + ask.search_s
        self.ended = ""

    @property
    def beyond(self) -> float | None:
        return self._search.beyond

    def next(self) -> float | None:
        load = self._search.next()
        if load is not None and time.monotonic() > self._until_s:
            self.ended = f"the {self._ask.search_s:g} s of the search are over ({self._search.progress})"
            return None
        if load is not None and self._said is not None:
            self._said(f"search: {self._search.progress}; next {self._ask.kind} {load:.3g}")
        return load

    def add(self, load: float, result: BenchResult) -> None:
        rate = load if self._ask.kind == "rate" else None
        verdict = judge(result.metrics, attain=self._ask.attain, rate=rate)
        self._search.add(load, verdict.within)
        if self._said is not None:
            cost = result.j_per_token
            joules = "" if cost is None else f", {format_energy(cost.value)}/token"
            self._said(
                f"{self._ask.kind} {load:.3g}: {'within' if verdict.within else 'beyond'} the limits ({verdict.why}){joules}"
            )

    def sweep(self) -> Sweep:
        return Sweep((), None, saturated=False)


def place_here(asked: str | None, price: float | str | None) -> Place:
    """Where the power comes from and what it costs: as told, or as set. Raises ConfigError."""
    configured = settings.load()
    zone = resolve_zone(asked, os.environ, configured=configured.get("zone"))
    return Place(None if zone is None else zone.zone.id, configured.get("pue"), price)

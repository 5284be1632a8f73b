"""Sweeping the load until the server is saturated, and finding the knee: where more load buys waiting, not work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wattmark.errors import ConfigError
from wattmark.serving.figures.latency import Metrics

SATURATED_GAIN = 0.05
"""A step that brings less than this share more throughput than the best so far is past saturation; two such steps
in a row end the sweep."""
FLAT = 0.05
"""A curve that stays this near to its chord has no knee."""


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One load (concurrency, or requests/s) and what came of it."""

    load: float
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Sweep:
    """All points by load, the knee (None: the curve never bends), and whether saturation was reached."""

    points: tuple[SweepPoint, ...]
    knee: SweepPoint | None
    saturated: bool


class Climb:
    """Rising loads as they come: whether the server is saturated, and the sweep so far."""

    def __init__(self) -> None:
        self._points: list[SweepPoint] = []
        self._flat, self._best = 0, 0.0

    def add(self, load: float, metrics: Metrics) -> bool:
        """Take in one more load; whether two in a row brought no more work."""
        rate = work_rate(metrics) or 0.0
        stalled = bool(self._points) and rate < self._best * (1 + SATURATED_GAIN)
        self._points.append(SweepPoint(load, metrics))
        self._flat = self._flat + 1 if stalled else 0
        self._best = max(self._best, rate)
        return self._flat >= 2

    def sweep(self) -> Sweep:
        """All loads so far."""
        return Sweep(tuple(self._points), find_knee(self._points), self._flat >= 2)


def work_rate(metrics: Metrics) -> float | None:
    """Throughput: output tokens/s where they are counted, else answers/s."""
    return metrics.output_tokens_per_s if metrics.output_tokens_per_s is not None else metrics.requests_per_s


def find_knee(points: Sequence[SweepPoint]) -> SweepPoint | None:
    """The point farthest above the chord of throughput over load, both scaled to 0..1 (Kneedle; Satopää et al.,
    "Finding a 'Kneedle' in a Haystack", ICDCS workshops 2011). None below three points or without a bend."""
    known = [(point, rate) for point in points if (rate := work_rate(point.metrics)) is not None]
    if len(known) < 3:
        return None
    loads, rates = [point.load for point, _ in known], [rate for _, rate in known]
    width, height = loads[-1] - loads[0], max(rates) - rates[0]
    if width <= 0 or height <= 0:
        return None
    above = [
        (rate - rates[0]) / height - (load - loads[0]) / width
        for load, rate in zip(loads, rates, strict=True)
    ]
    best = max(range(len(above)), key=above.__getitem__)
    return known[best][0] if above[best] > FLAT else None


def doubling(first: float, last: float) -> tuple[float, ...]:
    """1, 2, 4, 8, ... up to and with ``last``."""
    if not 0 < first <= last:
        raise ConfigError("a sweep needs 0 < first load <= last load")
    loads = [first]
    while loads[-1] * 2 < last:
        loads.append(loads[-1] * 2)
    return tuple(dict.fromkeys((*loads, last)))

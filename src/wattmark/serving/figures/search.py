"""The largest load within limits, by doubling and bisection; and of loads that were measured, the cheapest within limits.

A load is within the limits if enough of its requests meet them all: failed ones count against it, those that cannot be
judged (no first token without streaming) on neither side. A verdict of few requests may be chance; it is of the
requests that were measured, and says how many those are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.serving.figures.latency import Metrics

ATTAIN = 0.95
"""This share of the requests must meet the limits, unless told otherwise: their 95th percentile is within them."""
FINENESS = 0.05
"""A search ends where the load within and the one beyond are no further apart than this share."""
MOST_LOADS = 16
SUSTAINED = 0.9
"""A rate is sustained where at least this share of it comes back as answers; a queue that only grows is no service."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a load is within the limits, and why not. share: of the judged requests that met them, failed ones counted
    against; None where nothing could be judged."""

    within: bool
    share: float | None
    why: str


def judge(metrics: Metrics, *, attain: float = ATTAIN, rate: float | None = None) -> Verdict:
    """The verdict on a load whose metrics have a goal. rate: requests/s that were asked for, of an open loop."""
    judged = metrics.judged or 0
    if not judged:
        return Verdict(False, None, "no answer could be judged")
    share = (metrics.good or 0) / judged
    if share < attain:
        failed = f", {metrics.failed} failed" if metrics.failed else ""
        return Verdict(False, share, f"{share:.0%} of {judged} met the limits{failed}")
    if rate is not None and metrics.requests_per_s is not None and metrics.requests_per_s < SUSTAINED * rate:
        return Verdict(False, share, f"{metrics.requests_per_s:.3g} of {rate:g} requests/s came back")
    return Verdict(True, share, f"{share:.0%} of {judged} met the limits")


class LoadSearch:
    """Which load to run next: doubled from ``low`` until one is beyond the limits, then halved between the largest within
    and the smallest beyond. whole: loads are whole numbers (concurrency).

    >>> search = LoadSearch(1, 64, whole=True)
    >>> while (load := search.next()) is not None:
    ...     search.add(load, within=load <= 11)
    >>> search.within, search.beyond
    (11.0, 12.0)
    """

    def __init__(self, low: float, high: float, *, whole: bool, most_loads: int = MOST_LOADS) -> None:
        if not 0 < low <= high:
            raise ConfigError("a search needs 0 < first load <= last load")
        self._low, self._high, self._whole, self._left = low, high, whole, most_loads
        self.within: float | None = None
        self.beyond: float | None = None

    def next(self) -> float | None:
        """The load to run next; None when the search has ended."""
        if self._left <= 0:
            return None
        if self.within is None:
            return self._low if self.beyond is None else None
        if self.beyond is None:
            return None if self.within >= self._high else min(self._high, self.within * 2)
        if self._whole:
            middle = float(math.floor((self.within + self.beyond) / 2))
            near = self.beyond - self.within <= max(1.0, FINENESS * self.within)
        else:
            middle = math.sqrt(self.within * self.beyond)
            near = self.beyond <= self.within * (1 + FINENESS)
        return None if near else middle

    def add(self, load: float, within: bool) -> None:
        """What came of a load."""
        self._left -= 1
        if within:
            self.within = load if self.within is None else max(self.within, load)
        else:
            self.beyond = load if self.beyond is None else min(self.beyond, load)

    @property
    def progress(self) -> str:
        """What is known so far, in words."""
        if self.within is None:
            return "none within the limits so far"
        beyond = "" if self.beyond is None else f", {self.beyond:.3g} beyond"
        return f"{self.within:.3g} within the limits{beyond}"


class Measured(Protocol):
    """What the cheapest load is chosen by."""

    @property
    def metrics(self) -> Metrics:
        """Its latencies."""
        ...

    @property
    def j_per_token(self) -> Quantity | None:
        """J per output token, idle included."""
        ...


M = TypeVar("M", bound=Measured)


@dataclass(frozen=True, slots=True)
class Best(Generic[M]):
    """The best of the loads that were measured: the largest within the limits, and the cheapest of those within.

    alike: loads within the limits whose J/token cannot be told from the cheapest's (the 95 % interval of the ratio holds 1).
    """

    largest: tuple[float, M] | None
    cheapest: tuple[float, M] | None
    alike: tuple[float, ...]


def best_within(points: Sequence[tuple[float, M]], *, attain: float = ATTAIN, rates: bool = False) -> Best[M]:
    """The best of loads whose metrics have a goal; rates: the loads are requests/s. A load that was run twice must hold
    twice."""
    verdicts: dict[float, bool] = {}
    for load, result in points:
        within = judge(result.metrics, attain=attain, rate=load if rates else None).within
        verdicts[load] = verdicts.get(load, True) and within
    fitting = [point for point in points if verdicts[point[0]]]
    largest = max(fitting, key=lambda point: point[0], default=None)
    priced = [(cost, point) for point in fitting if (cost := point[1].j_per_token) is not None]
    if not priced:
        return Best(largest, None, ())
    least, cheapest = min(priced, key=lambda pair: pair[0].value)
    alike = sorted(
        {point[0] for cost, point in priced if point[0] != cheapest[0] and not _dearer(cost, least)}
    )
    return Best(largest, cheapest, tuple(alike))


def _dearer(cost: Quantity, least: Quantity) -> bool:
    """Whether one figure is above another beyond their errors; what they have in common cancels."""
    return least.value > 0 and (cost / least).low > 1

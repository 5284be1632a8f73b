"""Clocks of several hosts: what moment on one is what moment on another, and how sure that is.

Each host has a monotonic clock of its own, tied to its wall clock by anchors (every ten seconds), so drift between the two
is known and taken out. What two wall clocks are apart is bounded by
- what the kernel was told by NTP of its error (adjtimex(2)), else an assumption that is stated;
- what both said of a third clock, the store's (Cristian, "Probabilistic clock synchronization", 1989);
- meetings: no rank leaves a barrier, or an all-reduce, before all have come, so each host's time there overlaps
  the others'.

Every bound says where one clock was against the other at one moment. The straight lines (an offset and a drift) that go
through all of them are a polygon; its middle is the estimate, its width the uncertainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from wattmark.runs.record import Anchor, Float64, Int64

ASSUMED_S = 0.05
"""How far a wall clock is taken to be off, either way, where its kernel has not been told."""
MOST_RATE = 5e-4
"""Clocks that are kept right run at most so much faster or slower: Linux slews by no more (adjtime(3))."""
STEP_S = 0.1
"""A wall clock that moved by more against the host's boot time from one anchor to the next was set."""
_BINS = 24


class Bound(NamedTuple):
    """At a moment of the reference's wall clock, the other clock is ahead of it by between ``low_s`` and ``high_s``."""

    at_s: float
    low_s: float
    high_s: float


@dataclass(frozen=True, slots=True)
class Ahead:
    """By how much a clock is ahead of the reference: ``offset_s + drift * (t - origin_s)``, wrong by at most half_width_s.

    consistent: whether one straight line fits all that is known.
    """

    offset_s: float
    drift: float
    half_width_s: float
    origin_s: float = 0.0
    consistent: bool = True

    def at(self, t_s: Float64) -> Float64:
        """Seconds ahead at wall times of the reference."""
        return self.offset_s + self.drift * (t_s - self.origin_s)


def ahead_of(bounds: Sequence[Bound], start_s: float, end_s: float) -> Ahead:
    """The line through all bounds for the time [start, end], and how far off it may be anywhere there.

    Where none fits, a clock was set or ran unevenly: the range of what each allows. Raises ValueError without a bound.
    """
    if not bounds:
        raise ValueError("nothing is known of the other clock")
    origin = (start_s + end_s) / 2
    t, low, high = (np.array(column) for column in zip(*_tightest(bounds), strict=True))
    t = t - origin
    # every line o + r t that is an edge of a constraint; the corners are where two of them cross
    slopes = np.concatenate((t, t))
    values = np.concatenate((low, high))
    i, j = np.triu_indices(len(slopes), 1)
    apart = slopes[i] != slopes[j]
    i, j = i[apart], j[apart]
    rates = (values[i] - values[j]) / (slopes[i] - slopes[j])
    corners = [np.column_stack((values[i] - rates * slopes[i], rates))]
    corners += [
        np.column_stack((values - rate * slopes, np.full(len(values), rate)))
        for rate in (-MOST_RATE, MOST_RATE)
    ]
    points = np.concatenate(corners)
    lines = points[:, :1] + points[:, 1:] * t
    slack = 1e-9 + 1e-12 * float(np.abs(values).max())
    fits = np.all((lines >= low - slack) & (lines <= high + slack), axis=1) & (
        np.abs(points[:, 1]) <= MOST_RATE * (1 + 1e-9)
    )
    points = points[fits]
    if not len(points):
        middles = (low + high) / 2
        half = float(middles.max() - middles.min()) / 2 + float((high - low).min()) / 2
        return Ahead(float(middles.max() + middles.min()) / 2, 0.0, half, origin, consistent=False)
    edges = np.array([start_s - origin, end_s - origin])
    ends = points[:, :1] + points[:, 1:] * edges
    # the middle at both ends: the line whose greatest error there is least
    middle = (ends.min(axis=0) + ends.max(axis=0)) / 2
    half = float((ends.max(axis=0) - ends.min(axis=0)).max()) / 2
    length = edges[1] - edges[0]
    drift = float(middle[1] - middle[0]) / length if length > 0 else 0.0
    return Ahead(float(middle.mean()), drift, half, origin)


def _tightest(bounds: Sequence[Bound]) -> list[Bound]:
    """Of many bounds, in each stretch of time the one that says most from below and the one that does from above."""
    if len(bounds) <= 2 * _BINS:
        return list(bounds)
    first, last = min(b.at_s for b in bounds), max(b.at_s for b in bounds)
    width = max((last - first) / _BINS, 1e-9)
    chosen: dict[tuple[int, str], Bound] = {}
    for bound in bounds:
        place = int((bound.at_s - first) / width)
        lower, upper = chosen.get((place, "low")), chosen.get((place, "high"))
        if lower is None or bound.low_s > lower.low_s:
            chosen[place, "low"] = bound
        if upper is None or bound.high_s < upper.high_s:
            chosen[place, "high"] = bound
    return list(dict.fromkeys(chosen.values()))


@dataclass(frozen=True, slots=True)
class HostClock:
    """A host's monotonic clock against its wall clock: points of both in ns, (n,) int64, rising. stepped_s: by how much the
    wall clock was set meanwhile; what it said after that counts for all of the time."""

    monotonic_ns: Int64
    wall_ns: Int64
    stepped_s: float = 0.0

    def wall(self, t_ns: Int64) -> Int64:
        """Wall times of moments of the monotonic clock."""
        return _mapped(t_ns, self.monotonic_ns, self.wall_ns)

    def monotonic(self, wall_ns: Int64) -> Int64:
        """The inverse."""
        return _mapped(wall_ns, self.wall_ns, self.monotonic_ns)


def host_clock(anchors: Sequence[Anchor], start_ns: int, started_wall_ns: int) -> HostClock:
    """The clock of a run by its anchors, or, where it has none, by its beginning alone."""
    rows = sorted({anchor.monotonic_ns: anchor for anchor in anchors}.values(), key=lambda a: a.monotonic_ns)
    rows = rows or [Anchor(start_ns, start_ns, started_wall_ns)]
    mono = np.array([a.monotonic_ns for a in rows], np.int64)
    wall = np.array([a.wall_ns for a in rows], np.int64)
    boot = np.array([a.boottime_ns for a in rows], np.int64)
    moved = np.diff(wall - boot)
    steps = np.where(np.abs(moved) > STEP_S * 1e9, moved, 0)
    wall = wall + np.concatenate((np.cumsum(steps[::-1])[::-1], [0]))
    rising = np.concatenate(([True], np.diff(np.maximum.accumulate(wall)) > 0))
    return HostClock(mono[rising], wall[rising], float(steps.sum()) / 1e9)


def shifted(clock: HostClock, ahead: Ahead, base_ns: int) -> HostClock:
    """The same clock by the reference's wall time. base_ns: the wall time from which ``ahead`` counts seconds."""
    wall_s = (clock.wall_ns - base_ns) / 1e9
    theirs_s = (wall_s - ahead.offset_s + ahead.drift * ahead.origin_s) / (1 + ahead.drift)
    by_ns = np.round(ahead.at(theirs_s) * 1e9).astype(np.int64)
    return replace(clock, wall_ns=clock.wall_ns - by_ns)


def _mapped(t_ns: Int64, here: Int64, there: Int64) -> Int64:
    """Linear between points, and beyond them at the rate of the whole; exact to the nanosecond, for days."""
    if len(here) < 2:
        return t_ns - here[0] + there[0]
    place = np.clip(np.searchsorted(here, t_ns, side="right") - 1, 0, len(here) - 2)
    before, after = t_ns < here[0], t_ns > here[-1]
    rise, run = there[place + 1] - there[place], here[place + 1] - here[place]
    rate = (rise - run) / run
    whole = float((there[-1] - there[0]) - (here[-1] - here[0])) / float(here[-1] - here[0])
    base = np.where(after, len(here) - 1, place)
    since = t_ns - here[base]
    rate = np.where(before | after, whole, rate)
    return there[base] + since + np.round(rate * since).astype(np.int64)

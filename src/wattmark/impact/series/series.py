"""A grid's carbon intensity over time: steps of constant value, with holes where nothing was published."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

from wattmark.errors import ConfigError

Signal = Literal["average", "marginal"]
"""What a kWh is charged with: the mean of all that is generated, or what the next kWh causes. Two things, never mixed."""
LONGEST_GAP = 1.5
"""A step of a series without ends lasts until the next, but no longer than this many usual steps."""


class Piece(NamedTuple):
    """A stretch of Unix time [start, end) and its g CO2e/kWh; None where the series says nothing. unsettled: an estimate
    or a forecast."""

    start_s: float
    end_s: float
    g_per_kwh: float | None
    unsettled: bool = False


@dataclass(frozen=True, slots=True)
class IntensitySeries:
    """starts, ends: (n,) Unix seconds, each step [start, end), in order, without overlap. values: (n,) g CO2e/kWh, which may
    be negative (a marginal kWh can displace more than it causes). estimated: how many of them the publisher estimated.
    notes: what was odd in the file. unsettled: (n,) which of them are estimates or forecasts, where that is known of each.
    factor: within which the values are right as a whole, None for what independent sources differ by."""

    starts: tuple[float, ...]
    ends: tuple[float, ...]
    values: tuple[float, ...]
    zone: str = ""
    signal: Signal = "average"
    source: str = ""
    estimated: int = 0
    notes: tuple[str, ...] = field(default=())
    unsettled: tuple[bool, ...] = ()
    factor: float | None = None

    @classmethod
    def of(
        cls,
        points: Iterable[tuple[float, float | None, float | None]],
        *,
        zone: str = "",
        signal: Signal = "average",
        source: str = "",
        estimated: int = 0,
        notes: Iterable[str] = (),
        unsettled: Iterable[float] = (),
        factor: float | None = None,
    ) -> IntensitySeries:
        """From (start, end or None, value or None) in any order. Of two values of one start the last counts; a start without
        a value is a hole; a step without an end lasts until the next one, and no longer than a usual step if that is late.
        unsettled: starts of estimates and forecasts.

        Raises ConfigError without a single value.
        """
        last: dict[float, tuple[float | None, float | None]] = {}
        twice = 0
        for start, end, value in points:
            twice += start in last
            last[start] = (end, value)
        order = sorted(last)
        usual = median(after - before for before, after in pairwise(order)) if len(order) > 1 else 3600.0
        starts: list[float] = []
        ends: list[float] = []
        values: list[float] = []
        empty = 0
        for place, start in enumerate(order):
            end, value = last[start]
            after = order[place + 1] if place + 1 < len(order) else math.inf
            until = min(after, end) if end is not None and end > start else after
            if end is None and until - start > LONGEST_GAP * usual:
                until = start + usual
            if value is None or not math.isfinite(value):
                empty += 1
                continue
            starts.append(start)
            ends.append(until)
            values.append(value)
        if not starts:
            raise ConfigError(f"{source or 'the series'} has no value of intensity")
        said = [*notes]
        if twice:
            said.append(f"{twice} moments are there twice: the last value of each counts")
        holes = sum(end < after for end, after in zip(ends, starts[1:], strict=False))
        if empty or holes:
            said.append(f"{max(holes, empty)} gaps: the series says nothing of them")
        open_ones = set(unsettled)
        return cls(
            tuple(starts),
            tuple(ends),
            tuple(values),
            zone,
            signal,
            source,
            estimated,
            tuple(said),
            tuple(start in open_ones for start in starts) if open_ones else (),
            factor,
        )

    @classmethod
    def nothing(cls, zone: str, signal: Signal, source: str, *notes: str) -> IntensitySeries:
        """A series that tells nothing, for the notes that say why."""
        return cls((), (), (), zone, signal, source, 0, notes)

    @property
    def start_s(self) -> float:
        """Unix time of the first step's beginning."""
        return self.starts[0]

    @property
    def end_s(self) -> float:
        """Unix time of the last step's end."""
        return self.ends[-1]

    @property
    def step_s(self) -> float:
        """The usual length of a step, in seconds."""
        return median(end - start for start, end in zip(self.starts, self.ends, strict=True))

    def pieces(self, start_s: float, end_s: float) -> list[Piece]:
        """What lies in [start, end), as pieces that tile it exactly; outside of the series are holes, too."""
        found: list[Piece] = []
        at = start_s
        row = max(0, bisect_right(self.starts, start_s) - 1)
        while at < end_s and row < len(self.starts):
            begin, end = max(self.starts[row], start_s), min(self.ends[row], end_s)
            if begin >= end_s:
                break
            if end > begin:
                if begin > at:
                    found.append(Piece(at, begin, None))
                found.append(
                    Piece(begin, end, self.values[row], bool(self.unsettled) and self.unsettled[row])
                )
                at = end
            row += 1
        if at < end_s:
            found.append(Piece(at, end_s, None))
        return found

    def mean(self, start_s: float, end_s: float) -> float | None:
        """The mean over the part of [start, end) that the series tells, in g/kWh; None where it tells nothing."""
        told = [piece for piece in self.pieces(start_s, end_s) if piece.g_per_kwh is not None]
        seconds = sum(piece.end_s - piece.start_s for piece in told)
        if seconds <= 0:
            return None
        return sum((piece.g_per_kwh or 0.0) * (piece.end_s - piece.start_s) for piece in told) / seconds

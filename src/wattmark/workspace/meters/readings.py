"""What a meter said, as one curve of energy over time, with what was odd about it in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError
from wattmark.runs.record import Float64, Int64
from wattmark.units import format_duration, significant

Kind = Literal["power", "energy"]
_GAP_PERIODS = 3.0
"""Two readings further apart than this many usual steps leave a gap between them."""
_HELD_S = 300.0
"""A log that writes a line only where something changes says for at most so long that nothing did."""
_UNEVEN, _MOSTLY = 0.5, 0.7
FEWEST = 8


@dataclass(frozen=True, slots=True)
class Readings:
    """A meter's readings: t_ns (n,) since the Unix epoch, rising; energy_j (n,) so far; covered (n - 1,), whether the
    time between two readings is known. kind: what the meter gave. step_j: what its counter counts in, 0 if it is not
    known. notes: what was odd."""

    meter: str
    kind: Kind
    t_ns: Int64
    energy_j: Float64
    covered: Sequence[bool]
    step_j: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def usual_s(self) -> float:
        """The usual time between two readings."""
        return float(np.median(np.diff(self.t_ns))) / 1e9

    def power_w(self, edges_ns: Int64) -> Float64:
        """Mean power between consecutive edges, (k - 1,); NaN where a part of it is not known."""
        t = (self.t_ns - self.t_ns[0]) / 1e9
        edges = (edges_ns - self.t_ns[0]) / 1e9
        energy = np.asarray(np.interp(edges, t, self.energy_j, np.nan, np.nan), np.float64)
        known: Float64 = np.concatenate(([0.0], np.cumsum(np.diff(t) * np.asarray(self.covered))))
        seen = np.diff(np.asarray(np.interp(edges, t, known), np.float64))
        length = np.diff(edges)
        return np.where(seen >= 0.999 * length, np.diff(energy) / length, np.nan)

    def shifted(self, seconds: float) -> Readings:
        """The same with their clock put forward."""
        return replace(self, t_ns=self.t_ns + round(seconds * 1e9))


def of_power(meter: str, t_ns: Int64, watts: Float64, notes: Sequence[str] = ()) -> Readings:
    """Readings of power, (n,) each. An even log holds means or samples: joined by lines; an uneven one is written where
    something changes: a value holds. Raises ConfigError for what cannot be a meter's log."""
    words = list(notes)
    if len(watts) and np.nanmax(watts) <= 0 and np.nanmin(watts) < 0:
        watts = -watts
        words.append(
            "all readings are negative, as of a meter that was put in the other way round: their sign was turned"
        )
    t_ns, watts = _in_order(meter, t_ns, watts, words)
    if float(np.ptp(watts)) == 0:
        raise ConfigError(
            f"{meter} always says {significant(float(watts[0]))} W: it is stuck, or nothing behind it changed",
            hint="look at the meter while the machine works, and take readings across idle and full load",
        )
    steps = np.diff(t_ns) / 1e9
    usual = float(np.median(steps))
    even = float((np.abs(steps - usual) <= _UNEVEN * usual).mean()) > _MOSTLY
    longest = _GAP_PERIODS * usual if even else max(_HELD_S, 10 * usual)
    level = (watts[:-1] + watts[1:]) / 2 if even else watts[:-1]
    covered = steps <= longest
    _tell_gaps(steps, covered, words)
    energy = np.concatenate(([0.0], np.cumsum(level * steps)))
    return Readings(meter, "power", t_ns, energy, covered.tolist(), 0.0, tuple(words))


def of_energy(meter: str, t_ns: Int64, joules: Float64, notes: Sequence[str] = ()) -> Readings:
    """Readings of a counter of energy, (n,) each. Where it falls it was set to zero, and the time between is not known."""
    words = list(notes)
    t_ns, joules = _in_order(meter, t_ns, joules, words)
    rises = np.diff(joules)
    steps = np.diff(t_ns) / 1e9
    if (rises < 0).sum() > max(2, 0.1 * len(rises)):
        raise ConfigError(
            f"{meter}: the energy falls {int((rises < 0).sum())} times of {len(rises)}: it is no counter",
            hint="if these are watts, name the column so (W), or say --meter-unit W",
        )
    if not (rises > 0).any():
        raise ConfigError(
            f"{meter}: the counter always says the same: it is stuck, or counts in steps too coarse for this time",
            hint="take readings for longer, or of the power",
        )
    if (rises < 0).any():
        words.append(f"the counter was set back {int((rises < 0).sum())} times; the time between is left out")
    usual = float(np.median(steps))
    covered = (steps <= max(_GAP_PERIODS * usual, 1.0)) & (rises >= 0)
    _tell_gaps(steps, covered | (rises < 0), words)
    step = float(np.min(rises[rises > 0]))
    # A counter of coarse steps stands still between them: only where it moved is its time known.
    moved = np.flatnonzero(np.concatenate(([True], rises != 0)))
    if len(moved) < len(joules) * 0.9:
        inner = np.array([covered[a:b].all() for a, b in pairwise(moved.tolist())], bool)
        t_ns, joules, covered = t_ns[moved], joules[moved], inner
        rises = np.diff(joules)
        words.append(
            f"the counter moves in steps of {significant(step)} J, every "
            f"{format_duration(float(np.median(np.diff(t_ns))) / 1e9)}"
        )
        if len(joules) < FEWEST:
            raise ConfigError(
                f"{meter}: the counter moved {len(joules) - 1} times only, in steps of {significant(step)} J",
                hint="take readings for longer, or of the power",
            )
    energy = np.concatenate(([0.0], np.cumsum(np.maximum(rises, 0.0))))
    return Readings(meter, "energy", t_ns, energy, covered.tolist(), step, tuple(words))


def _in_order(meter: str, t_ns: Int64, values: Float64, words: list[str]) -> tuple[Int64, Float64]:
    known = np.isfinite(values)
    if not known.all():
        words.append(f"{int((~known).sum())} readings are empty or no numbers and were left out")
        t_ns, values = t_ns[known], values[known]
    steps = np.diff(t_ns)
    if len(steps) and (steps <= 0).all() and (steps < 0).any():
        words.append("the readings are in reversed order, the newest first: they were turned round")
        t_ns, values = t_ns[::-1], values[::-1]
    elif (steps < 0).any():
        words.append(
            f"the readings are out of order at {int((steps < 0).sum())} places: they were sorted by time"
        )
    order = np.argsort(t_ns, kind="stable")
    t_ns, values = t_ns[order], values[order]
    first = np.concatenate(([True], np.diff(t_ns) > 0))
    if not first.all():
        words.append(f"{int((~first).sum())} readings have the time of another one and were left out")
    t_ns, values = t_ns[first], values[first]
    if len(t_ns) < FEWEST:
        raise ConfigError(
            f"{meter}: {len(t_ns)} readings are too few",
            hint=f"at least {FEWEST}, better one a second, across idle and full load",
        )
    return t_ns, values


def _tell_gaps(steps: Float64, covered: NDArray[np.bool_], words: list[str]) -> None:
    if not covered.all():
        gaps = steps[~covered]
        words.append(
            f"{len(gaps)} gaps, {format_duration(float(gaps.sum()))} in all: what happened in them is not used"
        )

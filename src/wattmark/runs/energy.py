"""The energy of intervals on curves: one operation, ``E(b) - E(a)``, for one interval or a million.

For a channel with samples (t_i, E_i) and an interval [a, b] the value is the difference of the linearly interpolated
curve. Its errors, each a named term (:mod:`wattmark.quantity`, names in :mod:`wattmark.runs.error_names`):

- the sensor: its scale, its part's curve, the character of the work, and an offset in watts over the covered time, all
  from the channel's :class:`~wattmark.sources.base.Accuracy`;
- activity: where a model did not know how busy its device was, anything from idle to full load;
- edges: what the curve does inside the sampling interval in which an edge lies. The power there is taken to stay within
  ``[0.8 p_min, 1.25 p_max]`` of the slopes seen on this curve, which bounds the energy of any part of the sampling
  interval from both sides; the counter may be older than its reading by one update period, and is a multiple of its
  resolution.

Time that lies in a hole, or further from the samples than two usual sampling intervals, is not covered: it adds no
energy, and :attr:`Energies.covered_s` says how much time was covered.

Of a run over several hosts each curve is one host's, on the clock of the run. An interval is cut to the time that the host
took part. Where the host's clock may be off by d, both edges may lie anywhere within d, shifted alike: the energies of the
shifted intervals bound the error. Edges of the host's own time do not move: they are its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from wattmark.quantity import EDGES, OFFSET, Quantity, kind_of, spread
from wattmark.runs.error_names import ErrorNames
from wattmark.runs.record import Curve, Float64, Int64

_SLACK_LOW, _SLACK_HIGH = 0.8, 1.25
_STEP = 1 - 0.05**0.5
"""95 % of the differences of two errors that are uniform over one step are within this share of the step."""
_SHIFTS = 9
"""Places that are tried within the uncertainty of a clock: its ends, the middle, and three on either side."""
EDGE_PERIODS = 2.0
"""Beyond the outermost samples the curve is continued for at most this many usual sampling intervals."""

Terms = Mapping[str, tuple[Float64, Float64]]


class Energies:
    """Energies of k intervals in joules.

    value_j, covered_s: (k,) float64, seconds covered. terms: error name -> its shifts at the lower and the upper end,
    (k,) float64 each. An edge's error belongs to its interval alone. low_j, high_j: (k,) float64, derived.
    start_ns, end_ns: the intervals, (k,) int64.
    """

    def __init__(
        self, value_j: Float64, covered_s: Float64, terms: Terms, start_ns: Int64, end_ns: Int64
    ) -> None:
        self.value_j = value_j
        self.covered_s = covered_s
        self.terms = terms
        self.start_ns = start_ns
        self.end_ns = end_ns

    @classmethod
    def zeros(cls, start_ns: Int64, end_ns: Int64) -> Energies:
        """No energy at all, to add to."""
        return cls(np.zeros(len(start_ns)), np.zeros(len(start_ns)), {}, start_ns, end_ns)

    def __len__(self) -> int:
        return len(self.value_j)

    def __add__(self, other: Energies) -> Energies:
        terms = dict(self.terms)
        for name, (down, up) in other.terms.items():
            mine = terms.get(name)
            terms[name] = (down, up) if mine is None else (mine[0] + down, mine[1] + up)
        return Energies(
            self.value_j + other.value_j, self.covered_s + other.covered_s, terms, self.start_ns, self.end_ns
        )

    @cached_property
    def _ends(self) -> tuple[Float64, Float64]:
        if not self.terms:
            return self.value_j, self.value_j
        below, above = spread(self.terms.values())
        return np.maximum(self.value_j - below, 0.0), self.value_j + above

    @property
    def low_j(self) -> Float64:
        """Lower ends of the 95 % intervals."""
        return self._ends[0]

    @property
    def high_j(self) -> Float64:
        """Upper ends of the 95 % intervals."""
        return self._ends[1]

    def quantity(self, row: int, source: str = "") -> Quantity:
        """One of them."""
        place = f"/{int(self.start_ns[row])}-{int(self.end_ns[row])}"
        terms = {
            name + place if kind_of(name) == EDGES else name: (float(down[row]), float(up[row]))
            for name, (down, up) in self.terms.items()
        }
        return Quantity(float(self.value_j[row]), source=source, terms=terms, at_least=0.0)

    def weighted(self, weights: Float64, source: str = "") -> Quantity:
        """The sum of all rows, each times its weight (k,); what is common to them adds, their edges are independent."""
        place = f"/{int(self.start_ns.min(initial=0))}-{int(self.end_ns.max(initial=0))}*"
        terms: dict[str, tuple[float, float]] = {}
        for name, (down, up) in self.terms.items():
            if kind_of(name) == EDGES:
                below, above = (float(np.sqrt(((side * weights) ** 2).sum())) for side in (down, up))
                terms[name + place] = (-below, above)
            else:
                terms[name] = (float((down * weights).sum()), float((up * weights).sum()))
        return Quantity(float((self.value_j * weights).sum()), source=source, terms=terms, at_least=0.0)


@dataclass(frozen=True, slots=True)
class CurveFacts:
    """What a whole curve says about every interval on it: the usual time between two samples, and the range in which
    the power is taken to stay, in watts."""

    usual_gap_s: float
    power_low_w: float
    power_high_w: float


class CurveEnergy:
    """A curve made ready for questions: O(log n) for one interval, vectorised for many.

    facts: those of the whole curve, where ``curve`` holds only the samples around the edges that are asked about.
    names: what the errors of this curve have in common with others.
    """

    def __init__(
        self, curve: Curve, facts: CurveFacts | None = None, names: ErrorNames | None = None
    ) -> None:
        self.curve = curve
        self._names = (names or ErrorNames()).of(curve.channel)
        self.origin_ns = int(curve.t_ns[0]) if len(curve.t_ns) else 0
        t = (curve.t_ns - self.origin_ns).astype(np.float64) / 1e9
        energy = (curve.energy_uj - (curve.energy_uj[0] if len(t) else 0)).astype(np.float64) / 1e6
        self.usual_gap_s = float(np.median(np.diff(t))) if len(t) > 1 else 0.0
        if facts is not None:
            self.usual_gap_s = facts.usual_gap_s
        self._t, self._energy = _extended(t, energy, EDGE_PERIODS * self.usual_gap_s)
        steps = np.diff(self._t)
        self._power = np.divide(np.diff(self._energy), steps, out=np.zeros_like(steps), where=steps > 0)
        self._covered_t, self._covered = _coverage(self._t, curve.holes, self.origin_ns)
        self._vague_t, self._vague = _within_covered(
            self._covered_t, self._covered, curve.vague, self.origin_ns
        )
        self._power_low, self._power_high = (
            self._power_range(steps) if facts is None else (facts.power_low_w, facts.power_high_w)
        )

    @property
    def facts(self) -> CurveFacts:
        """What a part of the curve needs to know of the whole."""
        return CurveFacts(self.usual_gap_s, self._power_low, self._power_high)

    def __bool__(self) -> bool:
        return len(self._t) > 1

    @property
    def span_s(self) -> tuple[float, float]:
        """First and last second (from ``origin_ns``) that the curve speaks of."""
        return (float(self._t[0]), float(self._t[-1])) if self else (0.0, 0.0)

    def between(self, start_ns: Int64, end_ns: Int64) -> Energies:
        """Energies of the intervals [start, end); start_ns, end_ns: (k,) int64, start <= end."""
        if not self:
            return Energies.zeros(start_ns, end_ns)
        whole_ns = start_ns, end_ns
        start_ns, end_ns = self._of_part(start_ns), self._of_part(end_ns)
        a = self._edge((start_ns - self.origin_ns) / 1e9)
        b = self._edge((end_ns - self.origin_ns) / 1e9)
        value = b.energy - a.energy
        covered = np.interp(b.t, self._covered_t, self._covered) - np.interp(
            a.t, self._covered_t, self._covered
        )
        together = a.row == b.row
        below, above = self._within(b.t - a.t, a.row)
        # Bounds, not distributions, and one wave may take both edges to them: they are added.
        below = np.where(together, value - below, (b.energy - b.low) + (a.high - a.energy))
        above = np.where(together, above - value, (b.high - b.energy) + (a.energy - a.low))
        step = _STEP * self._step_j((a.power + b.power) / 2)
        nothing = (b.t <= a.t) | (covered <= 0)
        below, above = (np.where(nothing, 0.0, np.hypot(side, step)) for side in (below, above))
        terms = self._sensor_terms(value, covered) | self._activity_terms(a.t, b.t)
        terms[self._names.edges] = (-below, above)
        if self.curve.part is not None and self.curve.part.clock_s > 0:
            shifts = self._shifted(*whole_ns) - value
            terms[self._clock_name] = (
                np.minimum(0.0, shifts.min(axis=0)),
                np.maximum(0.0, shifts.max(axis=0)),
            )
        return Energies(value, covered, terms, *whole_ns)

    @property
    def _clock_name(self) -> str:
        """The error of the host's clock: all of its channels share it in an interval."""
        run = self._names.edges.rpartition(self.curve.channel.id)[0]
        return f"{run}clock/{self.curve.channel.id.partition('/')[0]}"

    def _of_part(self, t_ns: Int64) -> Int64:
        """Moments cut to the time that the curve's host took part."""
        part = self.curve.part
        return t_ns if part is None else np.clip(t_ns, part.start_ns, part.end_ns)

    def _shifted(self, start_ns: Int64, end_ns: Int64) -> Float64:
        """The energies of intervals if the host's clock is off, (s, k), the right one among them."""
        part = self.curve.part
        assert part is not None
        shifts_ns = np.round(np.linspace(-1.0, 1.0, _SHIFTS) * part.clock_s * 1e9).astype(np.int64)[:, None]
        edges = [
            np.where(
                (t_ns <= part.start_ns) | (t_ns >= part.end_ns),
                self._of_part(t_ns),
                self._of_part(t_ns + shifts_ns),
            )
            for t_ns in (start_ns, end_ns)
        ]
        first, last = (np.interp((edge - self.origin_ns) / 1e9, self._t, self._energy) for edge in edges)
        return np.maximum(0.0, last - first)

    def union(self, start_ns: Int64, end_ns: Int64) -> Energies:
        """The energy of all the intervals together, one row. Edges of neighbours cancel: only the part of a sampling
        interval that is not wholly inside or outside is uncertain. Such parts are taken to err alike, since a group of
        spans may well sit at the same phase of every sampling interval. Where intervals overlap, each counts."""
        first, last = np.atleast_1d(start_ns.min(initial=0)), np.atleast_1d(end_ns.max(initial=0))
        each = self.between(start_ns, end_ns)
        whole_ns = start_ns, end_ns
        start_ns, end_ns = self._of_part(start_ns), self._of_part(end_ns)
        value, covered = np.atleast_1d(each.value_j.sum()), np.atleast_1d(each.covered_s.sum())
        if not self or not len(start_ns):
            return Energies.zeros(first, last)
        a, b = (self._edge((edge - self.origin_ns) / 1e9) for edge in (start_ns, end_ns))
        together = a.row == b.row
        parts = np.zeros(len(self._t) - 1)
        np.add.at(parts, a.row, np.where(together, b.t - a.t, self._t[a.row + 1] - a.t))
        np.add.at(parts, b.row, np.where(together, 0.0, b.t - self._t[b.row]))
        whole = np.diff(self._t)
        rows = np.flatnonzero((parts > 0) & (np.abs(parts - whole) > 1e-9))
        inside = np.minimum(parts[rows], whole[rows])
        low, high = self._within(inside, rows)
        middle = self._power[rows] * inside
        again = np.divide(parts[rows], inside, out=np.ones(len(rows)), where=inside > 0)
        steps = _STEP * np.sqrt((self._step_j(self._power[rows]) ** 2).sum())
        below, above = (np.hypot((side * again).sum(), steps) for side in (middle - low, high - middle))
        terms = self._sensor_terms(value, covered)
        for name, (down, up) in self._activity_terms(a.t, b.t).items():
            terms[name] = (np.atleast_1d(down.sum()), np.atleast_1d(up.sum()))
        terms[self._names.edges] = (np.atleast_1d(-below), np.atleast_1d(above))
        if self.curve.part is not None and self.curve.part.clock_s > 0:
            shifts = self._shifted(*whole_ns).sum(axis=1) - value
            down, up = min(0.0, float(shifts.min())), max(0.0, float(shifts.max()))
            terms[self._clock_name] = (np.array([down]), np.array([up]))
        return Energies(value, covered, terms, first, last)

    def _sensor_terms(self, value: Float64, covered: Float64) -> dict[str, tuple[Float64, Float64]]:
        """What the sensor may be wrong by: shares of the value, and watts over the covered time."""
        terms: dict[str, tuple[Float64, Float64]] = {}
        for name, low, high in self._names.shares:
            terms[name] = (-low * value, high * value)
        if self._names.offset is not None:
            name, watts = self._names.offset
            terms[name] = (-watts * covered, watts * covered)
        return terms

    def _activity_terms(self, start: Float64, end: Float64) -> dict[str, tuple[Float64, Float64]]:
        """What a model may be wrong by where it did not know how busy its device was; start, end: (k,) seconds."""
        curve_w = self.curve.channel.curve_w
        if not len(self._vague_t) or len(curve_w) < 2:
            return {}
        seconds = np.interp(end, self._vague_t, self._vague) - np.interp(start, self._vague_t, self._vague)
        half = (curve_w[-1] - curve_w[0]) / 2 * seconds
        return {f"{self._names.edges.replace(EDGES, OFFSET, 1)}/activity": (-half, half)}

    def _within(self, length_s: Float64, row: Int64) -> tuple[Float64, Float64]:
        """Least and most energy of a part of a sampling interval, wherever in it the part lies: (k,) float64 each."""
        energy, whole = self._energy[row + 1] - self._energy[row], self._t[row + 1] - self._t[row]
        power = self._power[row]
        p_low, p_high = np.minimum(self._power_low, power), np.maximum(self._power_high, power)
        rest = np.maximum(0.0, whole - length_s)
        even = power * length_s
        low = np.maximum(p_low * length_s, energy - p_high * rest)
        high = np.minimum(p_high * length_s, energy - p_low * rest)
        return np.minimum(low, even), np.maximum(high, even)

    def _step_j(self, power_w: Float64) -> Float64:
        """What one edge may be wrong by because the counter is updated at times and in steps."""
        channel = self.curve.channel
        return np.hypot(power_w * channel.update_period_s, 1e-6 * channel.resolution_uj)

    def mean_power_w(self, edges_ns: Int64) -> Float64:
        """Mean power in the bins between consecutive edges, (k-1,) float64; NaN where nothing is covered."""
        got = self.between(edges_ns[:-1], edges_ns[1:])
        return np.divide(
            got.value_j, got.covered_s, out=np.full(len(got.value_j), np.nan), where=got.covered_s > 0
        )

    def peak_power_w(self, start_ns: int, end_ns: int, at_least_s: float = 0.0) -> float | None:
        """The highest mean power between neighbouring samples that are not closer than ``at_least_s``."""
        if not self:
            return None
        start, end = (start_ns - self.origin_ns) / 1e9, (end_ns - self.origin_ns) / 1e9
        wide = (self._t[1:] > start) & (self._t[:-1] < end) & (np.diff(self._t) >= at_least_s)
        return float(self._power[wide].max()) if wide.any() else None

    def _edge(self, t: Float64) -> _Edge:
        inside = np.clip(t, self._t[0], self._t[-1])
        row = np.clip(np.searchsorted(self._t, inside, side="right") - 1, 0, len(self._t) - 2)
        energy = self._energy[row] + self._power[row] * (inside - self._t[row])
        low, high = self._within(inside - self._t[row], row)
        return _Edge(inside, row, energy, self._energy[row] + low, self._energy[row] + high, self._power[row])

    def _power_range(self, steps: Float64) -> tuple[float, float]:
        """Slopes seen on this curve, with slack; very short steps (forced readings) are too noisy to count."""
        usable = steps >= 0.5 * self.usual_gap_s
        power = self._power[usable]
        if not len(power):
            return 0.0, 0.0
        return _SLACK_LOW * float(power.min()), _SLACK_HIGH * float(power.max())


@dataclass(frozen=True, slots=True)
class _Edge:
    t: Float64
    row: Int64
    energy: Float64
    low: Float64
    high: Float64
    power: Float64


def _extended(t: Float64, energy: Float64, reach_s: float) -> tuple[Float64, Float64]:
    """The curve continued at both ends with its outer slopes for ``reach_s``."""
    if len(t) < 2:
        return t, energy
    near = min(len(t) - 1, int(np.searchsorted(t, float(t[0]) + reach_s)) or 1)
    far = max(0, min(len(t) - 2, int(np.searchsorted(t, float(t[-1]) - reach_s)) - 1))
    first = (energy[near] - energy[0]) / (t[near] - t[0])
    last = (energy[-1] - energy[far]) / (t[-1] - t[far])
    return (
        np.concatenate(([t[0] - reach_s], t, [t[-1] + reach_s])),
        np.concatenate(([energy[0] - first * reach_s], energy, [energy[-1] + last * reach_s])),
    )


def _coverage(t: Float64, holes: Int64, origin_ns: int) -> tuple[Float64, Float64]:
    """Breakpoints of the cumulative covered time: slope 1 where the curve is known, 0 in its holes."""
    if len(t) < 2:
        return np.array([0.0, 1.0]), np.zeros(2)
    bounds = np.clip((holes - origin_ns) / 1e9, t[0], t[-1]).ravel()
    points = np.concatenate(([t[0]], bounds, [t[-1]]))
    covered = np.ones(len(points) - 1)
    covered[1::2] = 0.0
    return points, np.concatenate(([0.0], np.cumsum(np.diff(points) * covered)))


def _within_covered(
    covered_t: Float64, covered: Float64, intervals: Int64, origin_ns: int
) -> tuple[Float64, Float64]:
    """Breakpoints of the cumulative covered time inside disjoint intervals (m, 2); both empty without any."""
    if not len(intervals):
        return np.empty(0), np.empty(0)
    bounds = np.clip((intervals - origin_ns) / 1e9, covered_t[0], covered_t[-1])
    points = np.union1d(covered_t, bounds.ravel())
    steps = np.diff(np.interp(points, covered_t, covered))
    at = np.searchsorted(bounds[:, 0], points[:-1], side="right") - 1
    steps[(at < 0) | (points[:-1] >= bounds[at, 1])] = 0.0
    return points, np.concatenate(([0.0], np.cumsum(steps)))


def edges_ns(start_ns: int, end_ns: int, bins: int) -> Int64:
    """``bins + 1`` edges that divide a time evenly."""
    return np.linspace(start_ns, end_ns, bins + 1).astype(np.int64)


def overlaps(intervals: NDArray[np.int64], start_ns: int, end_ns: int) -> Int64:
    """The parts of disjoint sorted intervals (m, 2) inside [start, end)."""
    cut = np.clip(intervals, start_ns, end_ns)
    return cut[cut[:, 1] > cut[:, 0]]

"""The energy of intervals on curves: one operation, ``E(b) - E(a)``, for one interval or a million.

For a channel with samples (t_i, E_i) and an interval [a, b] the value is the difference of the linearly interpolated
curve. Its interval has four parts, added up because they are not independent:

- accuracy: ``relative * E + absolute_w * (b - a)``, from the channel;
- interpolation: inside a sampling interval of length D and energy dE the power is taken to stay within
  ``[0.8 p_min, 1.25 p_max]`` of the slopes seen on this curve, which bounds ``E(a)`` from both sides
  (the curve is monotone and passes through both samples);
- lag: the counter may be older than its reading by one update period: ``p * update_period_s`` at each edge;
- resolution: one step at each edge.

Time that lies in a hole, or further from the samples than two usual sampling intervals, is not covered: it adds no
energy, and :meth:`CurveEnergy.covered_s` says how much time was covered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattmark.quantity import Quantity
from wattmark.runs.record import Curve, Float64, Int64

_SLACK_LOW, _SLACK_HIGH = 0.8, 1.25
EDGE_PERIODS = 2.0
"""Beyond the outermost samples the curve is continued for at most this many usual sampling intervals."""


@dataclass(frozen=True, slots=True)
class Energies:
    """Energies of k intervals in joules, each (k,) float64: values with their bounds, and seconds covered."""

    value_j: Float64
    low_j: Float64
    high_j: Float64
    covered_s: Float64

    @classmethod
    def zeros(cls, count: int) -> Energies:
        """No energy at all, to add to."""
        return cls(*(np.zeros(count) for _ in range(4)))

    def __add__(self, other: Energies) -> Energies:
        return Energies(
            self.value_j + other.value_j,
            self.low_j + other.low_j,
            self.high_j + other.high_j,
            self.covered_s + other.covered_s,
        )

    def quantity(self, row: int, source: str = "") -> Quantity:
        """One of them."""
        return Quantity(
            float(self.value_j[row]), float(self.low_j[row]), float(self.high_j[row]), "J", source
        )


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
    """

    def __init__(self, curve: Curve, facts: CurveFacts | None = None) -> None:
        self.curve = curve
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
            count = len(start_ns)
            return Energies.zeros(count)
        a = self._edge((start_ns - self.origin_ns) / 1e9)
        b = self._edge((end_ns - self.origin_ns) / 1e9)
        channel = self.curve.channel
        value = b.energy - a.energy
        length = b.t - a.t
        covered = np.interp(b.t, self._covered_t, self._covered) - np.interp(
            a.t, self._covered_t, self._covered
        )
        lag_s = channel.update_period_s
        edge = (a.power + b.power) * lag_s + 2e-6 * channel.resolution_uj
        floor = np.maximum(0.0, self._power_low * covered) * (value > 0)
        low = np.maximum(value - (b.energy - b.low) - (a.high - a.energy), np.minimum(floor, value)) - edge
        high = value + (b.high - b.energy) + (a.energy - a.low) + edge
        accuracy = channel.accuracy
        low = low * (1 - accuracy.relative_low) - accuracy.absolute_w * covered
        high = high * (1 + accuracy.relative_high) + accuracy.absolute_w * covered
        nothing = (length <= 0) | (covered <= 0)
        low = np.where(nothing, 0.0, np.clip(low, 0.0, value))
        high = np.where(nothing, value, np.maximum(high, value))
        return Energies(value, low, high, covered)

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
        left, right = self._t[row], self._t[row + 1]
        e_left, e_right = self._energy[row], self._energy[row + 1]
        power = self._power[row]
        from_left, to_right = inside - left, right - inside
        energy = e_left + power * from_left
        p_low = np.minimum(self._power_low, power)
        p_high = np.maximum(self._power_high, power)
        low = np.maximum(e_left + p_low * from_left, e_right - p_high * to_right)
        high = np.minimum(e_left + p_high * from_left, e_right - p_low * to_right)
        return _Edge(inside, energy, np.minimum(low, energy), np.maximum(high, energy), power)

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
    known = np.ones(len(points) - 1)
    known[1::2] = 0.0
    return points, np.concatenate(([0.0], np.cumsum(np.diff(points) * known)))


def edges_ns(start_ns: int, end_ns: int, bins: int) -> Int64:
    """``bins + 1`` edges that divide a time evenly."""
    return np.linspace(start_ns, end_ns, bins + 1).astype(np.int64)


def overlaps(intervals: NDArray[np.int64], start_ns: int, end_ns: int) -> Int64:
    """The parts of disjoint sorted intervals (m, 2) inside [start, end)."""
    cut = np.clip(intervals, start_ns, end_ns)
    return cut[cut[:, 1] > cut[:, 0]]

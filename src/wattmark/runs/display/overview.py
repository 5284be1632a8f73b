"""Curves as something to draw: power between points, with the lowest and highest seen there.

``Steps`` has the samples themselves, or, for a long curve, bins of many samples. Drawing never makes energies: those come
from :class:`~wattmark.runs.energy.CurveEnergy`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from wattmark.runs.energy import EDGE_PERIODS, CurveEnergy
from wattmark.runs.record import Curve, Float32, Float64, Int64

BIN = 256
"""Samples of a bin."""
OVERVIEW_FROM = 131_072
"""Curves of at least so many samples have an overview in the store."""


@dataclass(frozen=True, slots=True)
class Steps:
    """t_ns, energy_uj: (n + 1,) int64, where steps begin and end. low_w, high_w: (n,) float32, NaN in holes."""

    t_ns: Int64
    energy_uj: Int64
    low_w: Float32
    high_w: Float32


@dataclass(frozen=True, slots=True)
class Columns:
    """Power in k columns of a chart, each (k,) float64 in watts, NaN where nothing is known."""

    mean_w: Float64
    low_w: Float64
    high_w: Float64


def overview_of(curve: Curve, whole: CurveEnergy) -> Steps:
    """The curve in bins of :data:`BIN` samples."""
    fine = steps_of(curve, whole.usual_gap_s)
    starts: Int64 = np.arange(0, len(fine.low_w), BIN, dtype=np.int64)
    points = np.concatenate((starts, np.array([len(fine.low_w)], np.int64)))
    return Steps(
        fine.t_ns[points],
        fine.energy_uj[points],
        _reduce("fmin", fine.low_w, starts),
        _reduce("fmax", fine.high_w, starts),
    )


def steps_of(curve: Curve, usual_gap_s: float) -> Steps:
    """Every step of a curve of at least two samples. The power of very short ones (forced readings) is too noisy to be
    called an extreme, so it is left out of ``low_w`` and ``high_w``."""
    seconds = np.diff(curve.t_ns) / 1e9
    power = (np.diff(curve.energy_uj) / 1e6 / seconds).astype(np.float32)
    power[seconds < 0.5 * usual_gap_s] = np.nan
    holes: list[list[int]] = curve.holes.tolist()
    for start, end in holes:
        first = int(np.searchsorted(curve.t_ns, start, side="right")) - 1
        last = int(np.searchsorted(curve.t_ns, end, side="left"))
        power[max(0, first) : last] = np.nan
    return Steps(curve.t_ns, curve.energy_uj, power, power)


def columns_of(steps: Steps, holes: Int64, edges_ns: Int64, usual_gap_s: float) -> Columns:
    """Power between consecutive edges (k + 1,). Time in holes, or far from the samples, is not covered."""
    count = len(edges_ns) - 1
    if len(steps.t_ns) < 2:
        return Columns(*(np.full(count, np.nan) for _ in range(3)))
    # the curve goes on at its outer slopes for a moment, as its energies do
    reach_ns = EDGE_PERIODS * usual_gap_s * 1e9
    origin = int(steps.t_ns[0])
    t = (steps.t_ns - origin).astype(np.float64)
    energy = (steps.energy_uj - steps.energy_uj[0]).astype(np.float64)
    first, last = (energy[1] - energy[0]) / (t[1] - t[0]), (energy[-1] - energy[-2]) / (t[-1] - t[-2])
    t = np.concatenate(([-reach_ns], t, [t[-1] + reach_ns]))
    energy = np.concatenate(([-first * reach_ns], energy, [energy[-1] + last * reach_ns]))
    edges = (edges_ns - origin).astype(np.float64)
    inside = np.clip(edges, t[0], t[-1])
    covered = np.diff(inside) - _in_holes(holes - origin, inside)
    has_data = covered > 1e-3 * np.diff(edges)
    mean = np.full(count, np.nan)
    np.divide(np.diff(np.interp(inside, t, energy)) * 1e3, covered, out=mean, where=has_data)
    # the first and the last step are those of their neighbours
    begins = np.clip(np.searchsorted(steps.t_ns, edges_ns[:-1], side="right") - 1, 0, len(steps.low_w) - 1)
    ends = np.clip(np.searchsorted(steps.t_ns, edges_ns[1:], side="left"), begins + 1, len(steps.low_w))
    low, high = (
        _between(name, values, begins, ends)
        for name, values in (("fmin", steps.low_w), ("fmax", steps.high_w))
    )
    return Columns(
        mean,
        np.where(has_data, np.fmin(low, mean), np.nan),
        np.where(has_data, np.fmax(high, mean), np.nan),
    )


def _in_holes(holes: Int64, edges: Float64) -> Float64:
    """Nanoseconds of each column that lie in holes, (k,) float64."""
    if not len(holes):
        return np.zeros(len(edges) - 1)
    bounds = holes.ravel().astype(np.float64)
    lengths = np.diff(bounds, prepend=bounds[0])
    lengths[0::2] = 0.0
    return np.diff(np.interp(edges, bounds, np.cumsum(lengths)))


def _reduce(name: str, values: Float32, starts: NDArray[np.int64]) -> Float32:
    return cast(Float32, getattr(np, name).reduceat(values, starts)) if len(values) else values


def _between(name: str, values: Float32, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> Float64:
    """``fmin`` or ``fmax`` over ``values[begin:end]`` of each pair, where all begin < end."""
    padded = np.append(values, np.float32(np.nan))
    pairs = np.column_stack((begins, ends)).ravel()
    return getattr(np, name).reduceat(padded, pairs)[::2].astype(np.float64)

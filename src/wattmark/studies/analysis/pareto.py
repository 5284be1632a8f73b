"""Energy against quality: the cells that no other cell beats in both, and what the last points of quality cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from wattmark.quantity import SCATTER, Quantity, kind_of
from wattmark.statistics import Float64, Int64, central, jointly_drawn
from wattmark.studies.analysis.data.cells import Cells
from wattmark.studies.analysis.data.quality import ACCURACY, Quality

_RESAMPLES = 1000
Bools = NDArray[np.bool_]
Step = tuple[float | None, float | None, float | None]


@dataclass(frozen=True, slots=True)
class ParetoPoint:
    """One cell: mean energy in J and mean quality of its trials (accuracy as 0..1, or another metric in its own unit).

    on_front_share: how often the cell is on the front when all cells are drawn anew from what they may be: the scatter
    of their repeats, and the errors of the sensors, of which those that all have move all alike; None where nothing is
    known of either. joules_per_point: on the front, the energy that each further step of quality (a percentage point of
    a share, else one) costs over the next cheaper cell of the front, with its 95 % interval (the sensors' whole error
    in it) where there are repeats.
    """

    cell: str
    trials: int
    energy_j: float
    quality: float
    on_front: bool
    on_front_share: float | None = None
    joules_per_point: float | None = None
    joules_per_point_low: float | None = None
    joules_per_point_high: float | None = None

    @property
    def accuracy(self) -> float:
        """The quality, where it is an accuracy."""
        return self.quality


def front(energy: Float64, gain: Float64) -> Float64:
    """1.0 where no other point has at most the energy and at least the gain (and one of them better), else 0.0.

    energy, gain: (..., n) float64, more of a gain is better; leading axes are separate problems.
    """
    order = np.lexsort((-gain, energy), axis=-1)
    ordered = np.take_along_axis(gain, order, -1)
    best = np.maximum.accumulate(ordered, axis=-1)
    first = np.ones_like(best, dtype=bool)
    first[..., 1:] = ordered[..., 1:] > best[..., :-1]
    result = np.zeros_like(energy)
    np.put_along_axis(result, order, first.astype(np.float64), -1)
    return result


def pareto(
    energy_j: Float64,
    quality: Float64,
    cells: Cells,
    *,
    of: Quality = ACCURACY,
    measured: Callable[[Sequence[int]], Quantity | None] | None = None,
    seed: int = 0,
) -> list[ParetoPoint]:
    """All cells that have both numbers, cheapest first. energy_j, quality: (trials,) with NaN. of: what the quality is.
    measured: gives the mean energy of some trials, by their places, with the errors that it has; without it there is only
    scatter."""
    known = np.isfinite(energy_j) & np.isfinite(quality)
    present: list[int] = np.unique(cells.code[known]).tolist()
    if not present:
        return []
    rows = [known & (cells.code == k) for k in present]
    n = np.array([int(row.sum()) for row in rows], np.int64)
    gain = of.sign * quality / of.step
    e, a = (np.array([values[row].mean() for row in rows]) for values in (energy_j, gain))
    on_front = front(e, a) > 0
    energies = [measured(np.flatnonzero(row).tolist()) for row in rows] if measured else []
    budget = [one for one in energies if one is not None]
    if len(budget) == len(rows):
        freedoms = {
            name: max(1, count - 1)
            for one, count in zip(budget, n.tolist(), strict=True)
            for name in one.terms
            if kind_of(name) == SCATTER
        }
        drawn_e = jointly_drawn(budget, _RESAMPLES, freedoms=freedoms, seed=seed)
    else:
        drawn_e, budget = _drawn(energy_j, rows, seed), []
    drawn_a = _drawn(gain, rows, seed + 1)
    if of.share:
        ends = sorted((0.0, of.sign / of.step))
        drawn_a = np.clip(drawn_a, ends[0], ends[1])
    known_at_all = (n > 1).any() or any(one.terms for one in budget)
    share = front(drawn_e, drawn_a).mean(axis=0) if known_at_all else None
    steps = _steps(e, a, on_front, drawn_e, drawn_a, n)
    points = [
        ParetoPoint(
            cells.labels[k],
            int(n[i]),
            float(e[i]),
            float(quality[rows[i]].mean()),
            bool(on_front[i]),
            None if share is None else float(share[i]),
            *steps.get(i, (None, None, None)),
        )
        for i, k in enumerate(present)
    ]
    return sorted(points, key=lambda point: point.energy_j)


def _drawn(values: Float64, rows: list[Bools], seed: int) -> Float64:
    """Means drawn from Student's t around each cell's mean, (resamples, cells); a single trial stays as it is."""
    rng = np.random.default_rng(seed)
    columns: list[Float64] = []
    for row in rows:
        own = values[row]
        noise = rng.standard_t(max(1, len(own) - 1), _RESAMPLES)
        error = own.std(ddof=1) / np.sqrt(len(own)) if len(own) > 1 else 0.0
        columns.append(own.mean() + error * noise)
    return np.stack(columns, axis=1)


def _steps(
    e: Float64, a: Float64, on_front: Bools, drawn_e: Float64, drawn_a: Float64, n: Int64
) -> dict[int, Step]:
    """Marginal joules per step of quality between neighbours on the front, by the dearer one's place. a: in steps."""
    members: list[int] = np.flatnonzero(on_front).tolist()
    members.sort(key=lambda i: e[i])
    found: dict[int, Step] = {}
    for cheap, dear in pairwise(members):
        value = float((e[dear] - e[cheap]) / (a[dear] - a[cheap]))
        low = high = None
        gain = drawn_a[:, dear] - drawn_a[:, cheap]
        # Where the gain itself may be nothing, a cost per point has no interval.
        if n[cheap] > 1 and n[dear] > 1 and central(gain)[0] > 0:
            low, high = central((drawn_e[:, dear] - drawn_e[:, cheap]) / gain)
        found[dear] = (value, low, high)
    return found

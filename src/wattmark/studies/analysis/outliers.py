"""Trials that do not look like their repeats: flagged, never dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wattmark.statistics import Float64
from wattmark.studies.analysis.data.cells import Cells
from wattmark.studies.analysis.data.columns import Columns
from wattmark.studies.results import TrialResult

CUTOFF = 3.5
"""Modified z-score from which a trial is flagged (Iglewicz and Hoaglin, How to Detect and Handle Outliers, ASQC 1993)."""
OUTLIER_METRICS = ("total_energy", "training_energy_j", "epoch_duration")
_MAD_TO_SIGMA = 0.6745
_OWN_SPREAD_FROM = 5
_SMALLEST_SPREAD = 1e-3


@dataclass(frozen=True, slots=True)
class Flag:
    """score: distance from the cell's median in robust standard deviations, on logarithms, with its sign."""

    trial_id: str
    metric: str
    cell: str
    value: float
    cell_median: float
    score: float


def outliers(trials: Sequence[TrialResult], metrics: Columns, cells: Cells) -> list[Flag]:
    """The flags of all trials, worst first.

    The spread is the median absolute deviation within the cell. Cells of fewer than five trials have none worth the name and
    borrow the one pooled over all cells; nothing is judged in cells of fewer than three. Below 0.1 % no spread is believed.
    """
    flags: list[Flag] = []
    for name in OUTLIER_METRICS:
        y = np.where(metrics[name] > 0, metrics[name], np.nan)
        median, score = _scores(np.log(y), cells)
        for index in np.flatnonzero(np.abs(score) > CUTOFF).tolist():
            label = cells.labels[int(cells.code[index])]
            value, centre = float(y[index]), float(np.exp(median[index]))
            flags.append(Flag(trials[index].trial_id, name, label, value, centre, float(score[index])))
    return sorted(flags, key=lambda flag: -abs(flag.score))


def _scores(y: Float64, cells: Cells) -> tuple[Float64, Float64]:
    median, spread, size = (np.full(len(y), np.nan) for _ in range(3))
    for k in range(len(cells)):
        rows = np.flatnonzero((cells.code == k) & np.isfinite(y))
        if len(rows):
            median[rows] = np.median(y[rows])
            spread[rows] = np.median(np.abs(y[rows] - median[rows]))
            size[rows] = len(rows)
    judged = size >= 3
    away = np.abs(y - median)
    # The middle trial of an odd cell is no distance from its own median: that says nothing about spread.
    apart = away[judged & (away > 0)]
    pooled = float(np.median(apart)) if len(apart) else 0.0
    scale = np.where(size >= _OWN_SPREAD_FROM, spread, np.fmax(spread, pooled))
    score = _MAD_TO_SIGMA * (y - median) / np.maximum(scale, _SMALLEST_SPREAD * _MAD_TO_SIGMA)
    return median, np.where(judged, score, np.nan)

"""Where a trial's energy goes: stages of the pipeline, and components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wattmark.statistics import Float64
from wattmark.studies.analysis.data.cells import Cells
from wattmark.studies.results import TrialResult

UNSTAGED = "outside stages"


@dataclass(frozen=True, slots=True)
class CellShares:
    """Means over a cell's trials. stages_j: joules by outermost stage, and what lies outside them. components_j: joules by
    component with bounds (value, low, high). ratio: data : training : inference as shares of their sum; None where one of
    the three was not measured. samples_to_match_training: how many inferences use as much energy as the training did."""

    cell: str
    trials: int
    total_j: float | None
    stages_j: dict[str, float]
    components_j: dict[str, tuple[float, float, float]]
    methods: dict[str, str]
    ratio: tuple[float, float, float] | None
    samples_to_match_training: float | None


def shares(trials: Sequence[TrialResult], cells: Cells, columns: dict[str, Float64]) -> list[CellShares]:
    """One entry per cell. columns: the trials' columns (``training_j``, ``inference_j``, ``data_j``, ...)."""
    return [_cell(trials, cells, k, columns) for k in range(len(cells))]


def _cell(trials: Sequence[TrialResult], cells: Cells, k: int, columns: dict[str, Float64]) -> CellShares:
    rows: list[int] = np.flatnonzero(cells.code == k).tolist()
    own = [trials[row] for row in rows]
    totals = [trial.total_j for trial in own if trial.total_j is not None]
    means = {n: _mean(columns[n][rows]) for n in ("data_j", "training_j", "inference_j", "inference_samples")}
    three = [means[name] for name in ("data_j", "training_j", "inference_j")]
    known = [value for value in three if value is not None]
    ratio = None
    if len(known) == 3 and sum(known) > 0:
        data, training, inference = (value / sum(known) for value in known)
        ratio = (data, training, inference)
    training_j, inference_j, samples = (means[n] for n in ("training_j", "inference_j", "inference_samples"))
    match = None
    if training_j is not None and inference_j and samples:
        match = training_j / (inference_j / samples)
    return CellShares(
        cells.labels[k],
        len(own),
        sum(totals) / len(totals) if totals else None,
        _stages(own),
        _components(own),
        {name: method for trial in own for name, method in trial.methods.items()},
        ratio,
        match,
    )


def _stages(own: Sequence[TrialResult]) -> dict[str, float]:
    """Mean joules by outermost stage over the trials in which every such stage was measured."""
    sums: dict[str, float] = {}
    used = 0
    for trial in own:
        outer = [stage for stage in trial.stages if "/" not in stage.path]
        total = trial.total_j
        if total is None or not outer or any(stage.energy_j is None for stage in outer):
            continue
        used += 1
        inside = 0.0
        for stage in outer:
            value = (stage.energy_j or {})["value"]
            sums[stage.name] = sums.get(stage.name, 0.0) + value
            inside += value
        # Stages meet at their edges; interpolation can make them overlap the total by a trifle.
        sums[UNSTAGED] = sums.get(UNSTAGED, 0.0) + max(0.0, total - inside)
    return {name: value / used for name, value in sums.items()}


def _components(own: Sequence[TrialResult]) -> dict[str, tuple[float, float, float]]:
    found: dict[str, list[tuple[float, float, float]]] = {}
    for trial in own:
        for name, part in (trial.energy_j or {}).items():
            if name != "total":
                found.setdefault(name, []).append((part["value"], part["low"], part["high"]))
    return {
        name: (
            sum(v for v, _, _ in parts) / len(parts),
            sum(low for _, low, _ in parts) / len(parts),
            sum(high for _, _, high in parts) / len(parts),
        )
        for name, parts in found.items()
    }


def _mean(values: Float64) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None

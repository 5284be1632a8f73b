"""Where a trial's energy goes: stages of the pipeline, and components, each with its interval.

Shares of one energy know nothing of the scale of its sensor: what all of its parts err by alike cancels in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from wattmark.quantity import EDGES, Quantity, total
from wattmark.runs.differences import mean_with_scatter
from wattmark.statistics import Float64, mean_interval
from wattmark.studies.analysis.data.cells import Cells
from wattmark.studies.analysis.data.errors import energy_of, with_errors_of
from wattmark.studies.results import TrialResult

UNSTAGED = "outside stages"


@dataclass(frozen=True, slots=True)
class CellShares:
    """Means over a cell's trials. stages_j: joules by outermost stage, and what lies outside them. stages_of: the same as
    shares of the whole, 0..1. components_j: joules by component. ratio: data : training : inference as shares of their sum;
    None where one of the three was not measured. samples_to_match_training: how many inferences use as much energy as the
    training did."""

    cell: str
    trials: int
    total_j: float | None
    stages_j: Mapping[str, Quantity]
    stages_of: Mapping[str, Quantity]
    components_j: Mapping[str, Quantity]
    methods: Mapping[str, str]
    ratio: tuple[Quantity, Quantity, Quantity] | None
    samples_to_match_training: float | None


def shares(trials: Sequence[TrialResult], cells: Cells, columns: Mapping[str, Float64]) -> list[CellShares]:
    """One entry per cell. columns: the trials' columns (``training_j``, ``inference_j``, ``data_j``, ...)."""
    return [_cell(trials, cells, k, columns) for k in range(len(cells))]


def _cell(trials: Sequence[TrialResult], cells: Cells, k: int, columns: Mapping[str, Float64]) -> CellShares:
    rows: list[int] = np.flatnonzero(cells.code == k).tolist()
    own = [trials[row] for row in rows]
    totals = [trial.total_j for trial in own if trial.total_j is not None]
    means = {n: _mean(columns[n][rows]) for n in ("data_j", "training_j", "inference_j", "inference_samples")}
    training_j, inference_j, samples = (means[n] for n in ("training_j", "inference_j", "inference_samples"))
    match = None
    if training_j is not None and inference_j and samples:
        match = training_j / (inference_j / samples)
    stages = [parts for trial in own if (parts := _stages(trial)) is not None]
    names = dict.fromkeys(name for parts in stages for name in parts)
    nothing = Quantity.exact(0.0)
    by_stage = {name: [parts.get(name, nothing) for parts in stages] for name in names}
    wholes = [energy for parts in stages if (energy := total(parts.values())) is not None]
    return CellShares(
        cells.labels[k],
        len(own),
        sum(totals) / len(totals) if totals else None,
        {name: mean_with_scatter(parts).bounded(0.0) for name, parts in by_stage.items()},
        {name: _share_of(parts, wholes) for name, parts in by_stage.items()},
        _components(own),
        {name: method for trial in own for name, method in trial.methods.items()},
        _ratio([columns[name][rows] for name in ("data_j", "training_j", "inference_j")]),
        match,
    )


def _stages(trial: TrialResult) -> dict[str, Quantity] | None:
    """Joules by outermost stage; None where one of them was not measured."""
    outer = [stage for stage in trial.stages if "/" not in stage.path]
    whole = energy_of(trial)
    if whole is None or not outer or any(stage.energy_j is None for stage in outer):
        return None
    found: dict[str, Quantity] = {}
    for stage in outer:
        energy = stage.energy_j or {}
        part = with_errors_of(
            whole, energy["value"], "J", ends=(energy["low"], energy["high"]),
            own=f"{EDGES}/{trial.trial_id}/{stage.path}/{stage.start_s}",
        )  # fmt: skip
        found[stage.name] = found[stage.name] + part if stage.name in found else part
    # Stages meet at their edges; interpolation can make them overlap the total by a trifle.
    outside = max(0.0, whole.value - sum(part.value for part in found.values()))
    return {**found, UNSTAGED: with_errors_of(whole, outside, "J")}


def _share_of(parts: Sequence[Quantity], wholes: Sequence[Quantity]) -> Quantity:
    each = [
        (part / whole).with_unit("") if whole.value > 0 else Quantity.exact(0.0, "")
        for part, whole in zip(parts, wholes, strict=True)
    ]
    return mean_with_scatter(each).bounded(0.0, 1.0)


def _components(own: Sequence[TrialResult]) -> dict[str, Quantity]:
    names = dict.fromkeys(name for trial in own for name in trial.energy_j or {} if name != "total")
    return {
        name: mean_with_scatter([e for trial in own if (e := energy_of(trial, name)) is not None]).bounded(
            0.0
        )
        for name in names
    }


def _ratio(parts: Sequence[Float64]) -> tuple[Quantity, Quantity, Quantity] | None:
    """The three as shares of their sum: of the means, with the scatter of the trials' own shares."""
    means = [_mean(part) for part in parts]
    known = [mean for mean in means if mean is not None]
    if len(known) < 3 or sum(known) <= 0:
        return None
    whole = np.sum(parts, axis=0)
    found: list[Quantity] = []
    for part, mean in zip(parts, known, strict=True):
        each = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
        scatter = mean_interval(each)
        value = Quantity(mean / sum(known), unit="", terms={} if scatter is None else scatter.terms)
        found.append(value.bounded(0.0, 1.0))
    data, training, inference = found
    return data, training, inference


def _mean(values: Float64) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None

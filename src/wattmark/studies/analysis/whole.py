"""The whole analysis of a study in one call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from wattmark.documents import mapping
from wattmark.quantity import Quantity
from wattmark.statistics import Float64
from wattmark.studies.analysis.correlate import CorrelationMap, Predictor, correlate, predictors
from wattmark.studies.analysis.data.cells import Cells, architecture_factor, group, label
from wattmark.studies.analysis.data.columns import Columns, Frame, frame
from wattmark.studies.analysis.data.metrics import Table, gpu_only, metric_columns, table_of
from wattmark.studies.analysis.data.quality import Quality, quality_of
from wattmark.studies.analysis.data.study_data import OF_ENERGY, StudyData
from wattmark.studies.analysis.data.summaries import CellSummary, cell_summaries
from wattmark.studies.analysis.effects import DIFFERENCES, EFFECT_METRICS, Effect, effects
from wattmark.studies.analysis.guidelines.serving import serving_guidelines
from wattmark.studies.analysis.guidelines.training import Guideline, guidelines
from wattmark.studies.analysis.outliers import Flag, outliers
from wattmark.studies.analysis.pareto import ParetoPoint, pareto
from wattmark.studies.analysis.serving import serving_cells
from wattmark.studies.analysis.shares import CellShares, shares
from wattmark.studies.results import StudyResults, TrialResult


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that a report needs, as plain data. Tables are columns by name (see ``metrics.table``).

    factors: those that vary. statuses: trials by how they ended. methods: component -> the methods by which its joules were
    got. pareto_metric: the energy on the Pareto axis (``training_energy_j``, or ``total_energy`` without a training).
    quality: the metric on its other axis, None where no outcome was reported.
    frame: the completed trials as columns, which a report need not read again.
    """

    name: str
    title: str
    factors: tuple[str, ...]
    architecture_factor: str | None
    statuses: Mapping[str, int]
    methods: Mapping[str, tuple[str, ...]]
    trials: Table
    epochs: Table
    cells: tuple[CellSummary, ...]
    effects: tuple[Effect, ...]
    correlations: tuple[CorrelationMap, ...]
    predictors: tuple[Predictor, ...]
    pareto: tuple[ParetoPoint, ...]
    pareto_metric: str
    quality: Quality | None
    shares: tuple[CellShares, ...]
    outliers: tuple[Flag, ...]
    guidelines: tuple[Guideline, ...]
    frame: Frame = field(repr=False)


def analyse(results: StudyResults, *, seed: int = 0) -> Analysis:
    """Analyse the completed trials; the others are only counted. Equal results and seed give an equal analysis.

    Raises MissingExtra without scipy.
    """
    trials = results.completed
    factors = [name for name in results.factors if len({str(t.factors.get(name)) for t in trials}) > 1]
    cells = group(trials, factors)
    data = frame(trials)
    metrics = metric_columns(data.columns)
    architecture = architecture_factor(factors)
    quality = quality_of(results.design, lambda name: _reported(trials, metrics, name))
    names, told_apart, gained = EFFECT_METRICS, DIFFERENCES, np.full(len(trials), np.nan)
    if quality is not None:
        gained = _reported(trials, metrics, quality.name)
        names = tuple(dict.fromkeys((*names, quality.name)))
        told_apart = tuple(dict.fromkeys((*told_apart, quality.name)))
        metrics = {**metrics, quality.name: gained}
    arranged = StudyData(results, data)
    found = effects(
        trials, metrics, factors, names=names, differences=told_apart, measured=arranged.measured, seed=seed
    )
    predicted = _predictors(trials, metrics, factors, architecture, seed)
    axis = "training_energy_j" if np.isfinite(metrics["training_energy_j"]).any() else "total_energy"

    def energy(rows: Sequence[int]) -> Quantity | None:
        return arranged.expected(arranged.group({}, rows), axis)

    front = (
        []
        if quality is None
        else pareto(metrics[axis], gained, cells, of=quality, measured=energy, seed=seed)
    )
    return Analysis(
        name=results.name,
        title=results.title,
        factors=tuple(factors),
        architecture_factor=architecture,
        statuses=Counter(trial.status for trial in results.trials),
        methods=_methods(trials),
        trials=table_of(data, factors, "trial"),
        epochs=table_of(data, factors, "epoch"),
        cells=cell_summaries(results, arranged),
        effects=tuple(found),
        correlations=tuple(_correlations(data, cells, arranged, seed)),
        predictors=tuple(predicted),
        pareto=tuple(front),
        pareto_metric=axis,
        quality=quality,
        shares=tuple(shares(trials, cells, data.columns)),
        outliers=tuple(outliers(trials, metrics, cells)),
        guidelines=tuple(
            serving_guidelines(results)
            if serving_cells(results)
            else guidelines(
                trials,
                found,
                predicted,
                front,
                quality,
                tree=results.scope == "tree",
                reference=mapping(results.design.get("reference")),
            )
        ),
        frame=data,
    )


def _reported(trials: Sequence[TrialResult], metrics: Columns, name: str) -> Float64:
    """A metric of the analysis, or one that the workload reported; NaN where it is missing."""
    if name in metrics:
        return metrics[name]
    given = (trial.metrics.get(name) for trial in trials)
    return np.array([np.nan if value is None else float(value) for value in given], np.float64)


def _correlations(data: Frame, cells: Cells, arranged: StudyData, seed: int) -> list[CorrelationMap]:
    """Total and GPU-only, per model (cell means of trials) and per epoch."""
    measured = _measured(cells, arranged)
    maps: list[CorrelationMap] = []
    by_epoch = cells.code[data.owner]
    for scope in ("total", "gpu"):
        trials, epochs = data.columns, data.epochs
        if scope == "gpu":
            trials, epochs = gpu_only(trials), gpu_only(epochs)
        maps += correlate(
            metric_columns(trials),
            cells.code,
            per="model",
            scope=scope,
            measured=measured if scope == "total" else None,
            seed=seed,
        )
        maps += correlate(
            metric_columns(epochs, per_epoch=True), by_epoch, per="epoch", scope=scope, seed=seed
        )
    return maps


def _measured(cells: Cells, arranged: StudyData) -> dict[str, list[Quantity]]:
    """Metrics that are made of joules: what the mean of each cell may be, where all cells know it."""
    groups = [
        arranged.group(cells.settings[k], np.flatnonzero(cells.code == k).tolist()) for k in range(len(cells))
    ]
    found: dict[str, list[Quantity]] = {}
    for name in OF_ENERGY:
        means = [mean for group in groups if (mean := arranged.expected(group, name)) is not None]
        if len(means) == len(groups):
            found[name] = means
    return found


def _predictors(
    trials: Sequence[TrialResult],
    metrics: Columns,
    factors: Sequence[str],
    architecture: str | None,
    seed: int,
) -> list[Predictor]:
    if architecture is None:
        return []
    others = [name for name in factors if name != architecture]
    names = [trial.factors.get(architecture) for trial in trials]
    settings = [label({name: trial.factors.get(name) for name in others}) for trial in trials]
    return predictors(metrics, names, settings, seed=seed)


def _methods(trials: Sequence[TrialResult]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for trial in trials:
        for component, method in trial.methods.items():
            known = found.setdefault(component, [])
            if method not in known:
                known.append(method)
    return {component: tuple(sorted(methods)) for component, methods in found.items()}

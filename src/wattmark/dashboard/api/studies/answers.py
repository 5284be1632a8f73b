"""What the page shows of a study, worked out by the same functions as the report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from wattmark.errors import RunNotFound
from wattmark.quantity import Quantity
from wattmark.studies.designs.plan import further_trials, plan
from wattmark.studies.execution.state import DESIGN, LOCK, TRIALS, StudyFolder, studies_dir
from wattmark.studies.results import StudyResults, TrialResult

if TYPE_CHECKING:
    from wattmark.studies.analysis.data.study_data import StudyData
    from wattmark.studies.analysis.data.summaries import CellSummary

LOG_BYTES = 20_000
MOST_TRIALS = 5_000


class Q(BaseModel):
    """A value with its interval and unit."""

    value: float
    low: float
    high: float
    unit: str = ""


class MetricOut(BaseModel):
    """Something that every completed trial has a number for, or some have."""

    name: str
    unit: str
    meaning: str


class CellOut(BaseModel):
    """One combination of levels: means over its completed trials. modelled: share of the joules that a model gave."""

    label: str
    factors: dict[str, Any]
    trials: list[str]
    completed: int
    metrics: dict[str, Q]
    modelled: float | None
    command: str


class TrialOut(BaseModel):
    """One trial as it ended. run_id: the run to look at, if it is kept."""

    trial_id: str
    repeat: int
    factors: dict[str, Any]
    status: str
    run_id: str | None
    started_at: str
    duration_s: float
    energy_j: Q | None
    methods: dict[str, str]
    coverage: float | None
    contention: float | None
    outlier: bool
    error: str | None


def folders(root: Path | None) -> list[StudyFolder]:
    """All studies under a folder (None: the user's data folder)."""
    return [StudyFolder(path.parent) for path in sorted((root or studies_dir()).glob(f"*/{DESIGN}"))]


def folder(root: Path | None, name: str) -> StudyFolder:
    """The study of that name. Raises NoStudy."""
    found = {one.path.name: one for one in folders(root)}
    if name not in found:
        known = ", ".join(list(found)[:8]) or "none yet: wattmark study run vision-quick"
        raise NoStudy(f"there is no study {name!r}", hint=f"there are: {known}")
    return found[name]


class NoStudy(RunNotFound):
    """No study, or no trial, has the name that was asked for."""


def progress(study: StudyFolder) -> dict[str, Any]:
    """The fields of :class:`wattmark.dashboard.api.studies.routes.Progress`."""
    trials = _trials(study)
    design, merged = study.design(), study.is_merged()
    known = {trial.trial_id for trial in trials}
    left = (
        0
        if merged
        else sum(one.id not in known for one in plan(design)) or len(further_trials(design, list(trials)))
    )
    running = not merged and _is_locked(study.path / LOCK)
    mean_s = sum(trial.duration_s for trial in trials) / len(trials) if trials else None
    started = [trial.started_at for trial in trials if trial.started_at]
    methods = {method for trial in trials for method in trial.methods.values()}
    return {
        "name": study.path.name,
        "title": design.title or design.name,
        "workload": design.workload or "command",
        "serving": any("j_per_token" in trial.metrics for trial in trials) or design.workload == "llm",
        "running": running,
        "planned": len(trials) + left,
        "done": len(trials),
        "failed": sum(trial.status != "completed" for trial in trials),
        "energy_j": sum(trial.total_j or 0.0 for trial in trials),
        "modelled": "modelled" in methods if methods else None,
        "duration_s": sum(trial.duration_s for trial in trials),
        "left_s": mean_s * left if running and mean_s is not None else None,
        "started_at": min(started, default=None),
        "last_at": max(started, default=None),
    }


def arranged(study: StudyFolder) -> dict[str, Any]:
    """The fields of :class:`wattmark.dashboard.api.studies.routes.Study` beside the progress."""
    from wattmark.studies.analysis.data.study_data import StudyData
    from wattmark.studies.analysis.data.summaries import cell_summaries

    results = _results(study)
    data = StudyData(results)
    metrics = _metrics(data)
    design = study.path / DESIGN
    return {
        "factors": {
            name: list({str(t.factors.get(name)): t.factors.get(name) for t in results.trials}.values())
            for name in results.factors
        },
        "subject": data.subject,
        "quality": data.quality,
        "metrics": metrics,
        "cells": [
            _cell(cell, metrics, design, results.name)
            for cell in cell_summaries(results, data)
            if cell.trials
        ],
        "trials": [_trial(trial) for trial in results.trials[-MOST_TRIALS:]],
        "environment": {host: dict(facts) for host, facts in results.environment.items()},
    }


def findings(study: StudyFolder) -> dict[str, Any]:
    """The fields of :class:`wattmark.dashboard.api.studies.routes.Findings`."""
    return _findings(str(study.path), _stamp(study))


def epochs(study: StudyFolder) -> dict[str, list[dict[str, Any]]]:
    """By the label of the cell: one row for each epoch, the means over its trials."""
    from wattmark.studies.analysis.data.study_data import StudyData

    data = StudyData(_results(study))
    return {cell.label: _epochs([data.trials[int(row)] for row in cell.rows]) for cell in data.cells}


def log_tail(study: StudyFolder, trial_id: str) -> str:
    """The end of a trial's log. Raises NoStudy for a trial that the study does not have."""
    if trial_id not in {trial.trial_id for trial in _trials(study)}:
        raise NoStudy(f"there is no trial {trial_id!r}", hint="see wattmark study status")
    trial = next(trial for trial in _trials(study) if trial.trial_id == trial_id)
    logs = (study.path / "logs").resolve()
    path = (logs / f"{trial_id}.log").resolve()
    if path.parent != logs:  # an imported study may call its trials anything
        return trial.log or ""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_BYTES))
            return file.read().decode("utf-8", "replace")
    except (FileNotFoundError, ValueError):
        return trial.log or ""


def _epochs(trials: Sequence[TrialResult]) -> list[dict[str, Any]]:
    by_number: dict[int, list[dict[str, float | None]]] = {}
    for trial in trials:
        for number, stage in enumerate(trial.stages_named("epoch")):
            joules = None if stage.energy_j is None else stage.energy_j["value"]
            by_number.setdefault(number, []).append(
                {
                    "energy_j": joules,
                    "power_w": joules / stage.duration_s if joules is not None and stage.duration_s else None,
                    "loss": _number(stage.attrs.get("loss")),
                    "accuracy": _number(stage.attrs.get("accuracy")),
                }
            )
    return [
        {
            "epoch": number + 1,
            "trials": len(rows),
            **{
                name: _mean(row[name] for row in rows) for name in ("energy_j", "power_w", "loss", "accuracy")
            },
        }
        for number, rows in sorted(by_number.items())
    ]


def _metrics(data: StudyData) -> list[MetricOut]:
    from wattmark.studies.analysis.data.metrics import METRICS
    from wattmark.studies.analysis.data.study_data import DURATION

    found: list[MetricOut] = []
    for name in data.metric_names:
        if name == DURATION:
            found.append(MetricOut(name="duration_s", unit="s", meaning="the whole trial"))
            continue
        metric = METRICS.get(name)
        unit, meaning = (
            (metric.unit, metric.formula) if metric else (_unit(name), "as the workload reports it")
        )
        found.append(MetricOut(name=name, unit="" if unit == "1" else unit, meaning=meaning))
    return found


def _cell(cell: CellSummary, metrics: Sequence[MetricOut], design: Path, name: str) -> CellOut:
    means = dict(cell.means)
    if cell.duration_s is not None:
        means["duration_s"] = cell.duration_s
    return CellOut(
        label=cell.label,
        factors=dict(cell.levels),
        trials=list(cell.trials),
        completed=len(cell.trials),
        metrics={
            metric.name: _q(means[metric.name], metric.unit) for metric in metrics if metric.name in means
        },
        modelled=cell.modelled,
        command=_command(design, name, cell.levels),
    )


def _command(design: Path, name: str, levels: Any) -> str:
    """A command line that measures this cell again, under a name of its own."""
    words = ["wattmark", "study", "run", str(design), "--name", f"{name}-again"]
    for factor, level in levels.items():
        if level is not None:
            shown = str(level).lower() if isinstance(level, bool) else str(level)
            words += ["--set", f"{factor}={shown}"]
    return shlex.join(words)


def _trial(trial: TrialResult) -> TrialOut:
    total = (trial.energy_j or {}).get("total")
    return TrialOut(
        trial_id=trial.trial_id,
        repeat=trial.repeat,
        factors=dict(trial.factors),
        status=trial.status,
        run_id=trial.run_id,
        started_at=trial.started_at,
        duration_s=trial.duration_s,
        energy_j=Q(value=total["value"], low=total["low"], high=total["high"], unit="J") if total else None,
        methods=dict(trial.methods),
        coverage=trial.coverage,
        contention=trial.contention,
        outlier=trial.outlier,
        error=trial.error,
    )


@lru_cache(maxsize=8)
def _findings(path: str, stamp: tuple[int, int]) -> dict[str, Any]:
    """Kept until the study grows: ``stamp`` is of the file of its trials."""
    from wattmark.studies.analysis import analyse

    found = analyse(_results(StudyFolder(Path(path))))
    return {
        "pareto_metric": found.pareto_metric,
        "pareto": [
            {
                "cell": one.cell,
                "energy_j": one.energy_j,
                "quality": one.accuracy,
                "on_front": one.on_front,
                "on_front_share": one.on_front_share,
                "joules_per_point": _ends(
                    one.joules_per_point, one.joules_per_point_low, one.joules_per_point_high
                ),
            }
            for one in found.pareto
        ],
        "correlations": [
            {
                "kind": one.kind,
                "per": one.per,
                "scope": one.scope,
                "names": list(one.names),
                "r": _rows(one.r),
                "p": _rows(one.p_corrected),
            }
            for one in found.correlations
        ],
        "shares": [
            {
                "cell": one.cell,
                "stages_j": one.stages_j,
                "components_j": {
                    name: Q(value=v, low=low, high=high, unit="J")
                    for name, (v, low, high) in one.components_j.items()
                    if all(math.isfinite(x) for x in (v, low, high))
                },
                "methods": one.methods,
            }
            for one in found.shares
        ],
        "guidelines": [{"text": one.text, "strength": one.strength} for one in found.guidelines],
        "outliers": sorted({flag.trial_id for flag in found.outliers}),
    }


def _results(study: StudyFolder) -> StudyResults:
    return _cached_results(str(study.path), _stamp(study))


@lru_cache(maxsize=8)
def _cached_results(path: str, stamp: tuple[int, int]) -> StudyResults:
    return StudyFolder(Path(path)).results()


def _trials(study: StudyFolder) -> Sequence[TrialResult]:
    return _results(study).trials


def _stamp(study: StudyFolder) -> tuple[int, int]:
    """Changes whenever a trial is added or dropped."""
    try:
        found = (study.path / TRIALS).stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _is_locked(path: Path) -> bool:
    """Whether a runner holds the lock. Only looks: to try the lock would refuse a runner that starts just then."""
    try:
        inode = path.stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return False
    return any(
        fields[1] == "FLOCK" and fields[5].rsplit(":", 1)[-1] == str(inode)
        for fields in map(str.split, locks.splitlines())
        if len(fields) > 5
    )


def _unit(name: str) -> str:
    """The unit that a workload's metric has by its name."""
    if name.endswith("_s") and not name.endswith("per_s"):
        return "s"
    return (
        "J"
        if name.startswith(("j_per", "request_j")) or name.endswith("_j")
        else "W"
        if name.endswith("_w")
        else ""
    )


def _q(quantity: Quantity, unit: str) -> Q:
    return Q(value=quantity.value, low=quantity.low, high=quantity.high, unit=quantity.unit or unit)


def _ends(value: float | None, low: float | None, high: float | None) -> Q | None:
    if value is None:
        return None
    return Q(value=value, low=value if low is None else low, high=value if high is None else high, unit="J")


def _rows(matrix: Any) -> list[list[float | None]]:
    return [[float(x) if math.isfinite(x) else None for x in row] for row in matrix]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None

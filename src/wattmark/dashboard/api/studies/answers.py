"""What the page shows of a study, worked out by the same functions as the report."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattmark.dashboard.api.studies.schemas import (
    Cell,
    CellShares,
    Cheapest,
    CorrelationMap,
    Epoch,
    Findings,
    Guideline,
    ParetoCell,
    Progress,
    Rival,
    StarLabel,
    Study,
    StudyMetric,
    Trial,
)
from wattmark.dashboard.study_cache import NoStudy
from wattmark.documents import number
from wattmark.quantity import Quantity
from wattmark.runs.differences import apart
from wattmark.statistics import mean_of
from wattmark.studies.designs.plan import further_trials, plan
from wattmark.studies.execution.state import DESIGN, LOCK, StudyFolder
from wattmark.studies.results import StudyResults, TrialResult

if TYPE_CHECKING:
    from wattmark.studies.analysis import Analysis
    from wattmark.studies.analysis.choice import Choice
    from wattmark.studies.analysis.data.study_data import StudyData
    from wattmark.studies.analysis.data.summaries import CellSummary

LOG_BYTES = 20_000
MOST_TRIALS = 5_000


def progress(study: StudyFolder, results: StudyResults) -> Progress:
    """How far a study is."""
    trials = results.trials
    design, merged = study.design(), study.is_merged()
    done = {trial.trial_id for trial in trials}
    left = (
        0
        if merged
        else sum(planned.id not in done for planned in plan(design))
        or len(further_trials(design, list(trials)))
    )
    running = not merged and _is_locked(study.path / LOCK)
    mean_s = sum(trial.duration_s for trial in trials) / len(trials) if trials else None
    started = [trial.started_at for trial in trials if trial.started_at]
    methods = {method for trial in trials for method in trial.methods.values()}
    return Progress(
        name=study.path.name,
        title=design.title or design.name,
        workload=design.workload or "command",
        serving=any("j_per_token" in trial.metrics for trial in trials) or design.workload == "llm",
        running=running,
        planned=len(trials) + left,
        done=len(trials),
        failed=sum(trial.status != "completed" for trial in trials),
        energy_j=sum(trial.total_j or 0.0 for trial in trials),
        modelled="modelled" in methods if methods else None,
        duration_s=sum(trial.duration_s for trial in trials),
        left_s=mean_s * left if running and mean_s is not None else None,
        started_at=min(started, default=None),
        last_at=max(started, default=None),
    )


def study(folder: StudyFolder, results: StudyResults) -> Study:
    """A study's factors, metrics, cells and trials."""
    from wattmark.studies.analysis.data.study_data import StudyData
    from wattmark.studies.analysis.data.summaries import cell_summaries

    data = StudyData(results)
    metrics = _metrics(data)
    design = folder.path / DESIGN
    cells, common = told_apart(
        [_cell(cell, metrics, design, results.name) for cell in cell_summaries(results, data) if cell.trials]
    )
    return Study(
        progress=progress(folder, results),
        factors={
            name: tuple({str(t.factors.get(name)): t.factors.get(name) for t in results.trials}.values())
            for name in results.factors
        },
        subject=data.subject,
        quality=data.quality,
        metrics=metrics,
        cells=cells,
        trials=tuple(_trial(trial) for trial in results.trials[-MOST_TRIALS:]),
        environment={host: dict(facts) for host, facts in results.environment.items()},
        common=common,
        labels=star_labels(data),
    )


def star_labels(data: StudyData) -> tuple[StarLabel, ...]:
    """The stars of every cell of a study of tasks; none of another study."""
    from wattmark.studies.analysis.tasks import rated, task_costs

    found: list[StarLabel] = []
    for cost, stars in rated(task_costs(data)):
        shown = cost.energy if cost.gpu is None else cost.gpu
        if shown is not None:
            found.append(
                StarLabel(
                    cost.label,
                    cost.task,
                    cost.model,
                    cost.batch_asked,
                    stars,
                    shown,
                    cost.gpu is not None,
                    cost.random,
                )
            )
    return tuple(found)


def label_of(data: StudyData, cell: str) -> str:
    """The label of a cell as SVG. Raises NoStudy for a cell that has none."""
    from wattmark.report.drawing.label import label_svg
    from wattmark.studies.analysis.tasks import rated, task_costs

    for cost, stars in rated(task_costs(data)):
        if cost.label == cell:
            return label_svg(
                cost, stars, ", ".join(sorted({trial.host for trial in data.trials if trial.host}))
            )
    raise NoStudy(
        f"there is no label of {cell!r}", hint="a study of tasks has one for each of its cells with energy"
    )


def told_apart(cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], dict[str, str]]:
    """The cells with what is each one's own, and by metric what they all err by alike, in words."""
    own: list[dict[str, Quantity]] = [{} for _ in cells]
    common: dict[str, str] = {}
    for name in dict.fromkeys(name for cell in cells for name in cell.metrics):
        told = apart([cell.metrics.get(name) for cell in cells])
        if told.common is None:
            continue
        common[name] = told.words
        for place, quantity in enumerate(told.own):
            if quantity is not None:
                own[place][name] = quantity
    return tuple(replace(cell, own=mine) for cell, mine in zip(cells, own, strict=True)), common


def findings(analysis: Analysis) -> Findings:
    """What the analysis of the completed trials says."""
    return Findings(
        pareto_metric=analysis.pareto_metric,
        pareto=tuple(
            ParetoCell(
                cell=point.cell,
                energy_j=point.energy_j,
                quality=point.quality,
                on_front=point.on_front,
                on_front_share=point.on_front_share,
                joules_per_point=quantity(
                    point.joules_per_point, point.joules_per_point_low, point.joules_per_point_high, "J"
                ),
            )
            for point in analysis.pareto
        ),
        correlations=tuple(
            CorrelationMap(
                kind=correlation.kind,
                per=correlation.per,
                scope=correlation.scope,
                names=tuple(correlation.names),
                r=_rows(correlation.r),
                p=_rows(correlation.p_corrected),
            )
            for correlation in analysis.correlations
        ),
        shares=tuple(
            CellShares(
                cell=share.cell,
                stages_j=dict(share.stages_j),
                stages_of=dict(share.stages_of),
                components_j={
                    name: energy for name, energy in share.components_j.items() if math.isfinite(energy.high)
                },
                methods=dict(share.methods),
            )
            for share in analysis.shares
        ),
        guidelines=tuple(Guideline(advice.text, advice.strength) for advice in analysis.guidelines),
        outliers=tuple(sorted({flag.trial_id for flag in analysis.outliers})),
    )


def cheapest_of(choice: Choice | None) -> Cheapest:
    """A choice as the page has it."""
    if choice is None:
        return Cheapest(None, None, (), 0, "No setting is within these limits. Loosen one of them.")
    rivals = tuple(
        Rival(one.label, one.cost, one.difference and one.difference.ratio, one.verdict)
        for one in choice.rivals
    )
    return Cheapest(choice.label, choice.cost, rivals, len(choice.others) - len(rivals), choice.sentence)


def epochs(results: StudyResults) -> dict[str, list[Epoch]]:
    """By the label of the cell: one row for each epoch, the means over its trials."""
    from wattmark.studies.analysis.data.study_data import StudyData

    data = StudyData(results)
    return {cell.label: _epochs([data.trials[int(row)] for row in cell.rows]) for cell in data.cells}


def log_tail(study: StudyFolder, results: StudyResults, trial_id: str) -> str:
    """The end of a trial's log. Raises NoStudy for a trial that the study does not have."""
    trial = next((trial for trial in results.trials if trial.trial_id == trial_id), None)
    if trial is None:
        raise NoStudy(f"there is no trial {trial_id!r}", hint="see wattmark study status")
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


def quantity(value: float | None, low: float | None, high: float | None, unit: str) -> Quantity | None:
    """A number with its ends; an end that is not known is left at the value."""
    if value is None:
        return None
    return Quantity(value, value if low is None else low, value if high is None else high, unit)


def _epochs(trials: Sequence[TrialResult]) -> list[Epoch]:
    by_number: dict[int, list[dict[str, float | None]]] = {}
    for trial in trials:
        for epoch, stage in enumerate(trial.stages_named("epoch")):
            joules = None if stage.energy_j is None else stage.energy_j["value"]
            by_number.setdefault(epoch, []).append(
                {
                    "energy_j": joules,
                    "power_w": joules / stage.duration_s if joules is not None and stage.duration_s else None,
                    "loss": number(stage.attrs.get("loss")),
                    "accuracy": number(stage.attrs.get("accuracy")),
                }
            )
    return [
        Epoch(
            epoch=epoch + 1,
            trials=len(rows),
            energy_j=mean_of(row["energy_j"] for row in rows),
            power_w=mean_of(row["power_w"] for row in rows),
            loss=mean_of(row["loss"] for row in rows),
            accuracy=mean_of(row["accuracy"] for row in rows),
        )
        for epoch, rows in sorted(by_number.items())
    ]


def _metrics(data: StudyData) -> tuple[StudyMetric, ...]:
    from wattmark.studies.analysis.data.metrics import METRICS
    from wattmark.studies.analysis.data.study_data import DURATION, unit_of

    metrics: list[StudyMetric] = []
    for name in data.metric_names:
        if name == DURATION:
            metrics.append(StudyMetric("duration_s", "s", "the whole trial"))
            continue
        metric = METRICS.get(name)
        unit, meaning = (
            (metric.unit, metric.formula) if metric else (unit_of(name), "as the workload reports it")
        )
        metrics.append(StudyMetric(name, "" if unit == "1" else unit, meaning))
    return tuple(metrics)


def _cell(cell: CellSummary, metrics: Sequence[StudyMetric], design: Path, name: str) -> Cell:
    means = dict(cell.means)
    if cell.duration_s is not None:
        means["duration_s"] = cell.duration_s
    return Cell(
        label=cell.label,
        factors=dict(cell.levels),
        trials=tuple(cell.trials),
        completed=len(cell.trials),
        metrics={
            metric.name: mean if mean.unit else mean.with_unit(metric.unit)
            for metric in metrics
            if (mean := means.get(metric.name)) is not None
        },
        modelled=cell.modelled,
        command=_command(design, name, cell.levels),
        verdict=cell.verdict,
        own={},
    )


def _command(design: Path, name: str, levels: Any) -> str:
    """A command line that measures this cell again, under a name of its own."""
    words = ["wattmark", "study", "run", str(design), "--name", f"{name}-again"]
    for factor, level in levels.items():
        if level is not None:
            shown = str(level).lower() if isinstance(level, bool) else str(level)
            words += ["--set", f"{factor}={shown}"]
    return shlex.join(words)


def _trial(trial: TrialResult) -> Trial:
    total = (trial.energy_j or {}).get("total")
    return Trial(
        trial_id=trial.trial_id,
        repeat=trial.repeat,
        factors=dict(trial.factors),
        status=trial.status,
        run_id=trial.run_id,
        started_at=trial.started_at,
        duration_s=trial.duration_s,
        energy_j=Quantity.from_dict(total) if total else None,
        methods=dict(trial.methods),
        coverage=trial.coverage,
        contention=trial.contention,
        outlier=trial.outlier,
        error=trial.error,
    )


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


def _rows(matrix: Iterable[Iterable[float]]) -> tuple[tuple[float | None, ...], ...]:
    return tuple(tuple(float(x) if math.isfinite(x) else None for x in row) for row in matrix)

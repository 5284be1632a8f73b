"""Studies for the page: the list with its progress, one study's cells and trials, and what the analysis says of it."""

from __future__ import annotations

import tempfile
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel

from wattmark.dashboard.api.studies import answers as data
from wattmark.dashboard.api.studies.answers import CellOut, MetricOut, Q, TrialOut
from wattmark.dashboard.context import Here
from wattmark.errors import ConfigError

router = APIRouter(prefix="/studies", tags=["studies"])

StudyName = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Progress(BaseModel):
    """How far a study is. energy_j: of the trials so far; left_s: None where it cannot be told yet."""

    name: str
    title: str
    workload: str
    serving: bool
    running: bool
    planned: int
    done: int
    failed: int
    energy_j: float
    modelled: bool | None
    duration_s: float
    left_s: float | None
    started_at: str | None
    last_at: str | None


class Study(BaseModel):
    """One study: what was varied and what came out, ready to be drawn."""

    progress: Progress
    factors: dict[str, list[Any]]
    subject: str | None
    quality: str | None
    metrics: list[MetricOut]
    cells: list[CellOut]
    trials: list[TrialOut]
    environment: dict[str, dict[str, Any]]


class ParetoOut(BaseModel):
    """A cell on or off the front; joules_per_point: what a further percentage point of quality costs there."""

    cell: str
    energy_j: float
    quality: float
    on_front: bool
    on_front_share: float | None
    joules_per_point: Q | None


class CorrelationOut(BaseModel):
    """One map: r and the corrected p by pair, row by row; None where there is too little."""

    kind: str
    per: str
    scope: str
    names: list[str]
    r: list[list[float | None]]
    p: list[list[float | None]]


class SharesOut(BaseModel):
    """Where a cell's joules went: by stage, and by component with how they were got."""

    cell: str
    stages_j: dict[str, float]
    components_j: dict[str, Q]
    methods: dict[str, str]


class GuidelineOut(BaseModel):
    """A sentence that the data carry, and how strongly."""

    text: str
    strength: str


class Findings(BaseModel):
    """What the analysis of the completed trials says; the same as in the report."""

    pareto_metric: str
    pareto: list[ParetoOut]
    correlations: list[CorrelationOut]
    shares: list[SharesOut]
    guidelines: list[GuidelineOut]
    outliers: list[str]


class EpochOut(BaseModel):
    """One epoch, averaged over a cell's repeats."""

    epoch: int
    trials: int
    energy_j: float | None
    power_w: float | None
    loss: float | None
    accuracy: float | None


@router.get("")
def studies(here: Here) -> list[Progress]:
    """All studies that are kept, the one that was last at work first."""
    found = [Progress(**data.progress(folder)) for folder in data.folders(here.options.studies)]
    return sorted(found, key=lambda one: (one.running, one.last_at or ""), reverse=True)


@router.get("/{name}")
def study(here: Here, name: StudyName) -> Study:
    """A study's factors, metrics, cells (means with intervals) and trials."""
    folder = data.folder(here.options.studies, name)
    return Study(progress=Progress(**data.progress(folder)), **data.arranged(folder))


@router.get("/{name}/progress")
def study_progress(here: Here, name: StudyName) -> Progress:
    """How far the study is; cheap enough to be asked each second."""
    return Progress(**data.progress(data.folder(here.options.studies, name)))


@router.get("/{name}/findings")
def study_findings(here: Here, name: StudyName) -> Findings:
    """The analysis: Pareto front, correlations, shares, guidelines. Needs the extra ``study``."""
    return Findings(**data.findings(data.folder(here.options.studies, name)))


@router.get("/{name}/epochs")
def study_epochs(here: Here, name: StudyName) -> dict[str, list[EpochOut]]:
    """Energy, power, loss and accuracy by epoch, by the label of the cell."""
    found = data.epochs(data.folder(here.options.studies, name))
    return {label: [EpochOut(**row) for row in rows] for label, rows in found.items()}


@router.get("/{name}/log")
def study_log(here: Here, name: StudyName, trial: Annotated[str, Query(max_length=300)]) -> dict[str, str]:
    """The end of one trial's log."""
    return {"log": data.log_tail(data.folder(here.options.studies, name), trial)}


@router.get("/{name}/report", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def study_report(here: Here, name: StudyName) -> Response:
    """The report as one HTML file. Needs the extra ``study``."""
    from wattmark.report.study import write_report

    results = data.folder(here.options.studies, name).results()
    if not results.trials:
        raise ConfigError(f"the study {name} has no trials yet", hint=f"wattmark study run {name}")
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(results, FilePath(folder) / "report.html").read_bytes()
    headers = {"Content-Disposition": f'attachment; filename="{name}.html"'}
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)

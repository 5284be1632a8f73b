"""Studies for the page: the list with its progress, one study's cells and trials, and what the analysis says of it."""

from __future__ import annotations

import tempfile
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from wattmark.dashboard.api.studies import answers
from wattmark.dashboard.api.studies.schemas import Cheapest, Epoch, Findings, Progress, Study
from wattmark.dashboard.context import Here
from wattmark.errors import ConfigError

router = APIRouter(prefix="/studies", tags=["studies"])

Metric = Annotated[str, Query(max_length=100, pattern=r"^[\w.-]+$")]
Limits = Annotated[
    str, Query(max_length=500, pattern=r"^[^\x00]*$", description="Such as ttft_p95_s<0.5;accuracy>0.9")
]
StudyName = Annotated[str, Path(max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


@router.get("")
def studies(here: Here) -> list[Progress]:
    """All studies that are kept, the one that was last at work first."""
    listed = [answers.progress(folder, here.studies.results(folder)) for folder in here.studies.folders()]
    return sorted(listed, key=lambda study: (study.running, study.last_at or ""), reverse=True)


@router.get("/{name}")
def study(here: Here, name: StudyName) -> Study:
    """A study's factors, metrics, cells (means with intervals) and trials."""
    folder = here.studies.folder(name)
    return answers.study(folder, here.studies.results(folder))


@router.get("/{name}/progress")
def study_progress(here: Here, name: StudyName) -> Progress:
    """How far the study is; cheap enough to be asked each second."""
    folder = here.studies.folder(name)
    return answers.progress(folder, here.studies.results(folder))


@router.get("/{name}/findings")
def study_findings(here: Here, name: StudyName) -> Findings:
    """Pareto front, correlations, shares and guidelines. Needs the extra ``study``."""
    return answers.findings(here.studies.findings(here.studies.folder(name)))


@router.get("/{name}/cheapest")
def study_cheapest(here: Here, name: StudyName, cost: Metric, limits: Limits = "") -> Cheapest:
    """The cell that costs least within limits, and those that may cost as little."""
    from wattmark.studies.analysis.choice import cheapest_cell, parse_limits
    from wattmark.studies.analysis.data.study_data import StudyData

    data = StudyData(here.studies.results(here.studies.folder(name)))
    return answers.cheapest_of(cheapest_cell(data, cost, parse_limits(limits)))


@router.get("/{name}/label", response_class=Response, responses={200: {"content": {"image/svg+xml": {}}}})
def study_label(here: Here, name: StudyName, cell: Annotated[str, Query(max_length=300)]) -> Response:
    """The label of one cell of a study of tasks, its stars among the models of its task, as a picture (SVG)."""
    from wattmark.studies.analysis.data.study_data import StudyData

    svg = answers.label_of(StudyData(here.studies.results(here.studies.folder(name))), cell)
    return Response(svg, media_type="image/svg+xml")


@router.get("/{name}/epochs")
def study_epochs(here: Here, name: StudyName) -> dict[str, list[Epoch]]:
    """Energy, power, loss and accuracy by epoch, by the label of the cell."""
    return answers.epochs(here.studies.results(here.studies.folder(name)))


@router.get("/{name}/log")
def study_log(here: Here, name: StudyName, trial: Annotated[str, Query(max_length=300)]) -> dict[str, str]:
    """The end of one trial's log."""
    folder = here.studies.folder(name)
    return {"log": answers.log_tail(folder, here.studies.results(folder), trial)}


@router.get("/{name}/report", response_class=Response, responses={200: {"content": {"text/html": {}}}})
def study_report(here: Here, name: StudyName) -> Response:
    """The report as one HTML file. Needs the extra ``study``."""
    from wattmark.report.study import write_report

    results = here.studies.results(here.studies.folder(name))
    if not results.trials:
        raise ConfigError(f"the study {name} has no trials yet", hint=f"wattmark study run {name}")
    with tempfile.TemporaryDirectory() as folder:
        page = write_report(results, FilePath(folder) / "report.html").read_bytes()
    headers = {"Content-Disposition": f'attachment; filename="{name}.html"'}
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)

"""What if: runs to ask about, scenarios and their outcomes, and profiles of EnergyVis as runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from wattmark.dashboard.api.whatif import profiles
from wattmark.dashboard.api.whatif.answers import estimate_out, run_head
from wattmark.dashboard.api.whatif.runs import choices
from wattmark.dashboard.api.whatif.schemas import AlternativeAnswer, RunChoice, WhatIfAnswer, WhatIfRequest
from wattmark.dashboard.context import Context, Here
from wattmark.predict import Scenario, evaluate
from wattmark.predict.whatif.difference import differences
from wattmark.predict.whatif.question import accounting_of, with_hardware
from wattmark.runs.view import RunView
from wattmark.studies.results import StudyResults

router = APIRouter(tags=["what if"])
router.include_router(profiles.router)


@router.post("/whatif")
def what_if(question: WhatIfRequest, here: Here) -> WhatIfAnswer:
    """A run as it was, and as it would be in each scenario."""
    said = question.original
    view = with_hardware(here.runs.view(question.run), said.hardware or ())
    study = _study_of(here, view, question.study)
    home = accounting_of(view, said)
    first = evaluate(view, Scenario(), study, original=home.scenario)
    price = Scenario(price_per_kwh=said.price_per_kwh, currency=said.currency)
    alternatives: list[AlternativeAnswer] = []
    for alternative in question.alternatives:
        run, group, accounting = view, study, home
        if alternative.run is not None and alternative.run != question.run:
            run = here.runs.view(alternative.run)
            group = _study_of(here, run)
            accounting = accounting_of(run, price)
        outcome = evaluate(run, alternative.scenario, group, original=accounting.scenario)
        alternatives.append(
            AlternativeAnswer(
                run=run_head(run, outcome, accounting, group),
                estimate=estimate_out(outcome.alternative, outcome.notes),
                difference=differences(first, outcome),
            )
        )
    return WhatIfAnswer(
        run=run_head(view, first, home, study),
        original=estimate_out(first.original, first.notes),
        alternatives=tuple(alternatives),
    )


@router.get("/whatif/runs")
def runs_to_choose(
    here: Here,
    q: Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")] = "",
    study: Annotated[str, Query(max_length=64, pattern=r"^[^\x00]*$")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 30,
) -> list[RunChoice]:
    """Runs whose name or id holds ``q`` (any case), those that still run first, then the newest; of one study if asked."""
    live = [
        RunView(record) for record in here.live.records()
    ]  # first, so that one that ends now is in one of both
    stored = here.store.summaries(tag=f"study={study}" if study else None)
    stored_ids = {run.run_id for run in stored}
    return choices([view for view in live if view.id not in stored_ids], stored, q, study, limit)


def _study_of(here: Context, view: RunView, name: str | None = None) -> StudyResults | None:
    """The results of the study of this name, else of the one that the run's tag names; None where it is not kept."""
    wanted = name or view.record.tags.get("study")
    return here.studies.find(wanted) if wanted else None

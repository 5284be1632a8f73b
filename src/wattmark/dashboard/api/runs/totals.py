"""Sums over runs, and over time (:mod:`wattmark.runs.totals`)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints

from wattmark.dashboard.api.runs.table import RunId, stored
from wattmark.dashboard.context import Here
from wattmark.runs.totals import Period, Totals
from wattmark.workspace import totals as workspace_totals

router = APIRouter(tags=["runs"])


class TotalsRequest(BaseModel):
    """Which runs (all by default), and by what.

    by: ``project`` (the tag of that name), ``host``, ``name``, ``day`` (of the start) or ``tag:KEY``. period: sums over
    time as well. timezone: where days begin.
    """

    ids: Annotated[list[RunId], Field(max_length=100_000)] | None = None
    by: Annotated[str, StringConstraints(pattern=r"^(project|host|name|day|tag:[^\x00]{1,200})$")] = "project"
    period: Period | None = None
    timezone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")] = "UTC"


@router.post("/runs/totals")
def totals(here: Here, wanted: TotalsRequest) -> Totals:
    """Sums of energy and carbon by project, tag, machine, name or day, and over time."""
    runs = stored(here)
    if wanted.ids is not None:
        ids = set(wanted.ids)
        runs = [run for run in runs if run.run_id in ids]
    return workspace_totals.totals(runs, wanted.by, wanted.period, wanted.timezone)

"""Removing runs, and thinking better of it: for half an hour a removed run can be brought back as it was."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from wattmark.dashboard.api.runs.table import RunId
from wattmark.dashboard.context import Here
from wattmark.store.trash import UNDO
from wattmark.workspace.runs import find_ended

router = APIRouter(tags=["runs"])


class Chosen(BaseModel):
    """Runs by their ids."""

    ids: Annotated[list[RunId], Field(min_length=1, max_length=10_000)]


class Removed(BaseModel):
    """A run that was removed and can be brought back for ``left_s`` seconds more, at least."""

    id: str
    name: str
    removed_at: str
    left_s: float


class Done(BaseModel):
    """The runs that were removed or brought back."""

    ids: list[str]


@router.post("/runs/remove")
def remove(here: Here, chosen: Chosen) -> Done:
    """Take runs out of the store; all of them, or none if one is not there."""
    return Done(ids=here.store.discard(find_ended(here.store, chosen.ids)))


@router.post("/runs/restore")
def restore(here: Here, chosen: Chosen) -> Done:
    """Bring removed runs back; all of them, or none if one is gone for good."""
    here.store.restore(list(dict.fromkeys(chosen.ids)))
    return Done(ids=chosen.ids)


@router.get("/runs/removed")
def removed(here: Here) -> list[Removed]:
    """What can be brought back, the last first. What was removed longer ago goes for good now."""
    if not here.options.read_only:
        here.store.purge()
    now = datetime.now(timezone.utc)
    return [
        Removed(
            id=run.run_id,
            name=run.name,
            removed_at=when.isoformat(),
            left_s=max(0.0, (UNDO - (now - when)).total_seconds()),
        )
        for run, when in here.store.discarded()
    ]

"""The runs as a table: lean columns sent once and filtered in the browser; tags and notes changed in place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, StringConstraints

from wattmark import settings
from wattmark.dashboard.api.runs.columns import RunTable
from wattmark.dashboard.context import Context, Here
from wattmark.errors import ConfigError
from wattmark.runs.totals import without_parts
from wattmark.store import RunSummary, Store
from wattmark.workspace.runs import find_ended, running, summary_of
from wattmark.workspace.totals import Places

router = APIRouter(tags=["runs"])

ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
RunId = Annotated[str, StringConstraints(pattern=ID)]
Key = Annotated[str, StringConstraints(pattern=r"^[^\x00=]+$", max_length=200)]
Word = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=2_000)]


class Running(BaseModel):
    """The runs that go on, and a stamp that changes when runs of the store come or go."""

    stamp: str
    runs: RunTable


class Edit(BaseModel):
    """What to change of a run; what is absent stays. Tags are removed before others are set."""

    note: Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=20_000)] | None = None
    tags: dict[Key, Word] = Field(default_factory=dict[Key, Word], max_length=100)
    remove_tags: list[Key] = Field(default_factory=list[Key], max_length=100)


class Edited(BaseModel):
    """What the run has now."""

    tags: dict[str, str]
    note: str


@router.get("/runs", response_model=RunTable)
def runs(here: Here) -> Response:
    """Every run in columns; the browser filters, sorts and groups them."""
    # Running ones first: a run that ends meanwhile is then in the store's list, and is in one of the two in any case.
    live = live_runs(here.store)
    stamp = here.store.stamp()
    table_of_all = here.tables.get(
        "runs", (stamp, repr(settings.load())), lambda: _table(stamp, without_parts(stored(here)))
    )
    ended = set(table_of_all.id)
    table = _table(stamp, (run for run in live if run.run_id not in ended))
    return Response(table.before(table_of_all).model_dump_json(), media_type="application/json")


def stored(here: Context) -> list[RunSummary]:
    """The runs of the store, the newest first, read again only when something was written."""
    return here.lists.get("runs", here.store.stamp(), here.store.summaries)


@router.get("/runs/running")
def runs_running(here: Here) -> Running:
    """The runs that go on now, cheap enough to ask every second."""
    live = live_runs(here.store)
    stamp = here.store.stamp()
    return Running(stamp=stamp, runs=_table(stamp, live))


def _table(stamp: str, runs: Iterable[RunSummary]) -> RunTable:
    table, places = RunTable(stamp=stamp), Places()
    for run in runs:
        table.add(run, places)
    return table


@router.patch("/runs/{run_id}")
def edit_run(here: Here, run_id: Annotated[str, Path(pattern=ID)], change: Edit) -> Edited:
    """Change a run's note and tags."""
    clash = change.tags.keys() & set(change.remove_tags)
    if clash:
        raise ConfigError(
            f"the tag {sorted(clash)[0]!r} cannot be both set and removed", hint="do one of the two"
        )
    (ended_id,) = find_ended(here.store, [run_id])
    if change.tags or change.remove_tags:
        here.store.tag(ended_id, change.tags, change.remove_tags)
    if change.note is not None:
        here.store.note(ended_id, change.note)
    tags, note = here.store.marks(ended_id)
    return Edited(tags=tags, note=note)


def live_runs(store: Store) -> list[RunSummary]:
    """The runs that go on, in the shape of those that are stored."""
    return [summary_of(view) for view in running(store)]

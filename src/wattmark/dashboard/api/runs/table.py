"""The runs as a table: lean columns sent once and filtered in the browser; tags and notes changed in place."""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, StringConstraints

from wattmark import settings
from wattmark.dashboard.context import Here
from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.store import RunSummary, Store
from wattmark.workspace.runs import find_ended, running, summary_of
from wattmark.workspace.totals import MEASURED, Places, energy_of, part_of

router = APIRouter(tags=["runs"])

ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
RunId = Annotated[str, StringConstraints(pattern=ID)]
Key = Annotated[str, StringConstraints(pattern=r"^[^\x00=]+$", max_length=200)]
Word = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=2_000)]

Numbers = list[float | None]


class Ends(BaseModel):
    """Quantities in columns: values with their bounds, null where nothing is known."""

    value: Numbers = Field(default_factory=list[float | None])
    low: Numbers = Field(default_factory=list[float | None])
    high: Numbers = Field(default_factory=list[float | None])

    def add(self, quantity: Quantity | None) -> None:
        """One more row."""
        ends = (None, None, None) if quantity is None else (quantity.value, quantity.low, quantity.high)
        for column, end in zip((self.value, self.low, self.high), ends, strict=True):
            column.append(lean(end))

    def before(self, others: Ends) -> Ends:
        """These rows with others after them."""
        return Ends.model_construct(
            value=self.value + others.value, low=self.low + others.low, high=self.high + others.high
        )


class RunTable(BaseModel):
    """All runs, the newest first, those that go on before the others: one list for each column.

    Energies in J, times in s, carbon in g. ``measured`` and ``modelled`` are the parts of ``energy`` that were read from
    hardware and worked out by a model. ``methods``: how the counted joules were got. ``stamp`` changes with the list.
    """

    stamp: str
    id: list[str] = Field(default_factory=list[str])
    name: list[str] = Field(default_factory=list[str])
    status: list[str] = Field(default_factory=list[str])
    exit_code: list[int | None] = Field(default_factory=list[int | None])
    host: list[str] = Field(default_factory=list[str])
    parent: list[str | None] = Field(default_factory=list[str | None])
    started_ms: list[int] = Field(default_factory=list[int])
    duration_s: Numbers = Field(default_factory=list[float | None])
    coverage: Numbers = Field(default_factory=list[float | None])
    energy: Ends = Field(default_factory=Ends)
    measured: Ends = Field(default_factory=Ends)
    modelled: Ends = Field(default_factory=Ends)
    carbon: Ends = Field(default_factory=Ends)
    zone: list[str | None] = Field(default_factory=list[str | None])
    methods: list[list[str]] = Field(default_factory=list[list[str]])
    tags: list[dict[str, str]] = Field(default_factory=list[dict[str, str]])
    note: list[str] = Field(default_factory=list[str])

    def add(self, run: RunSummary, places: Places) -> None:
        """One more row."""
        zone, grams = places.carbon(run)
        self.id.append(run.run_id)
        self.name.append(run.name)
        self.status.append(run.status)
        self.exit_code.append(run.exit_code)
        self.host.append(run.host)
        self.parent.append(run.parent_id)
        self.started_ms.append(round(run.started_at.timestamp() * 1000))
        self.duration_s.append(lean(run.duration_s))
        self.coverage.append(lean(run.coverage))
        self.energy.add(energy_of(run))
        self.measured.add(part_of(run, MEASURED))
        self.modelled.add(part_of(run, ("modelled",)))
        self.carbon.add(grams)
        self.zone.append(zone)
        self.methods.append(list(run.energy_by_method))
        self.tags.append(dict(run.tags))
        self.note.append(run.note)

    def before(self, others: RunTable) -> RunTable:
        """These rows with others after them."""
        joined: dict[str, Any] = {"stamp": self.stamp}
        for name in RunTable.model_fields.keys() - {"stamp"}:
            mine, theirs = getattr(self, name), getattr(others, name)
            joined[name] = mine.before(theirs) if isinstance(mine, Ends) else mine + theirs
        return RunTable.model_construct(**joined)


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
    stamp = here.store.stamp()
    table = RunTable(stamp=stamp)
    live, places = live_runs(here.store), Places()
    for run in live:
        table.add(run, places)
    return Response(
        table.before(_columns(here.store, stamp, repr(settings.load()))).model_dump_json(),
        media_type="application/json",
    )


def stored(store: Store) -> list[RunSummary]:
    """The runs of the store, the newest first, read again only when something was written."""
    return _summaries(store, store.stamp())


@lru_cache(maxsize=2)
def _summaries(store: Store, stamp: str) -> list[RunSummary]:
    return store.summaries()


@lru_cache(maxsize=2)
def _columns(store: Store, stamp: str, configured: str) -> RunTable:
    """``configured``: the settings, on which the carbon depends."""
    table, places = RunTable(stamp=stamp), Places()
    for run in _summaries(store, stamp):
        table.add(run, places)
    return table


@router.get("/runs/going-on")
def runs_going_on(here: Here) -> Running:
    """The runs that go on now, cheap enough to ask every second."""
    stamp = here.store.stamp()
    table = RunTable(stamp=stamp)
    places = Places()
    for run in live_runs(here.store):
        table.add(run, places)
    return Running(stamp=stamp, runs=table)


@router.patch("/runs/{run_id}")
def edit_run(here: Here, run_id: Annotated[str, Path(pattern=ID)], change: Edit) -> Edited:
    """Change a run's note and tags."""
    clash = change.tags.keys() & set(change.remove_tags)
    if clash:
        raise ConfigError(
            f"the tag {sorted(clash)[0]!r} cannot be both set and removed", hint="do one of the two"
        )
    (found,) = find_ended(here.store, [run_id])
    if change.tags or change.remove_tags:
        here.store.tag(found, change.tags, change.remove_tags)
    if change.note is not None:
        here.store.note(found, change.note)
    tags, note = here.store.marks(found)
    return Edited(tags=tags, note=note)


def live_runs(store: Store) -> list[RunSummary]:
    """The runs that go on, in the shape of those that are stored."""
    return [summary_of(view) for view in running(store)]


def lean(value: float | None) -> float | None:
    """Six significant digits, so that ten thousand rows stay small."""
    return None if value is None else float(f"{value:.6g}")

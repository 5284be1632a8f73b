"""Runs for the surfaces: the store with all left-overs in it, runs that still go on, and the object of ``--json``."""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from wattmark import settings
from wattmark.errors import RunNotFound, StoreError
from wattmark.impact.emissions import Carbon, PueLike, carbon
from wattmark.impact.locate import FoundZone, resolve_zone
from wattmark.paths import journals_dir
from wattmark.runs.record import RunRecord
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store import Store, open_store
from wattmark.store.ingest import ingest_leftovers, open_runs


@contextmanager
def store_here(*, ingest: bool = True) -> Generator[Store]:
    """The store that the settings name, with what runs left behind read into it."""
    with open_store(settings.load().get("store")) as store:
        if ingest:
            ingest_leftovers(store, journals_dir())
            store.purge()
        yield store


def going_on(store: Store) -> list[RunView]:
    """Runs that are not in the store yet, because something of them still lives; the newest first."""
    known = {run.run_id for run in store.summaries(limit=1_000)}
    return [RunView(record) for record in reversed(open_runs(journals_dir())) if record.run_id not in known]


def find_run(store: Store, ref: str) -> RunView:
    """The run that ``ref`` means: an id, the beginning of one, a name, ``last`` or ``@-1``; one that goes on as well.

    Raises RunNotFound.
    """
    try:
        return RunView(store.get(ref))
    except RunNotFound:
        for view in going_on(store):
            if ref and (view.id.startswith(ref) or view.name == ref):
                return view
        raise


def place_of(
    record: RunRecord, zone: str | None = None, pue: float | None = None
) -> tuple[FoundZone | None, PueLike]:
    """Zone and PUE of a run: those given here, else those given to the run, else what this machine is set to.

    Raises ConfigError for a zone that does not exist.
    """
    return place_for(record.host, record.extra.get("settings") or {}, zone, pue)


def place_for(
    host: str, chosen: Mapping[str, Any], zone: str | None = None, pue: float | None = None
) -> tuple[FoundZone | None, PueLike]:
    """The same for what ran on ``host`` under the settings ``chosen``. Raises ConfigError."""
    configured = settings.load()
    here = host in ("", os.uname().nodename)
    environ = (
        os.environ if here else {key: os.environ[key] for key in ("WATTMARK_ZONE",) if key in os.environ}
    )
    found = resolve_zone(
        zone or chosen.get("zone"), environ, "/" if here else os.devnull, configured=configured.get("zone")
    )
    return found, pue or chosen.get("pue") or configured.get("pue") or 1.0


def carbon_of(view: RunView, zone: str | None = None, pue: float | None = None) -> Carbon | None:
    """Carbon of a run at its place (:func:`place_of`); None if the zone is not known."""
    found, ratio = place_of(view.record, zone, pue)
    return carbon(view.energy, found, pue=ratio)


def result(view: RunView, zone: str | None = None, pue: float | None = None) -> dict[str, Any]:
    """The documented object of a run (docs/reference/run.schema.json), with its carbon."""
    data = summarise(view)
    emitted = carbon_of(view, zone, pue)
    data["carbon_g"] = None if emitted is None else emitted.as_dict()
    return data


def keep(store: Store, record: RunRecord) -> bool:
    """Put a run into the store with its summary; False if it is there already."""
    return store.add(record, summarise(RunView(record)))


def refuse_going_on(store: Store, refs: list[str]) -> None:
    """Say plainly that a run that still goes on cannot be changed yet. Raises StoreError."""
    for ref in refs:
        try:
            store.resolve(ref)
        except RunNotFound:
            if any(ref and (view.id.startswith(ref) or view.name == ref) for view in going_on(store)):
                raise StoreError(f"{ref} still goes on", hint="wait until it has ended") from None
            raise

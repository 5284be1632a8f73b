"""Runs for every surface: kept ones and running ones by the same words, runs that have just ended, results with carbon.

Whoever opens the store does it here (:func:`store_here`), so that all see the runs that the settings name.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from wattmark import settings
from wattmark.documents import mapping
from wattmark.errors import RunNotFound, StoreError
from wattmark.impact.emissions import Carbon, PueLike, carbon
from wattmark.impact.locate import FoundZone, resolve_zone
from wattmark.paths import journals_dir
from wattmark.quantity import Quantity, total
from wattmark.runs.attribution import attributed, contention, headline_of, headline_scope
from wattmark.runs.comparison import methods_of
from wattmark.runs.hosts import PART_OF
from wattmark.runs.record import RunRecord
from wattmark.runs.result import RunResult
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.runs.wall.model import WallResult, default_wall, load_wall
from wattmark.runs.wall.model import at_plug as wall_at
from wattmark.store import RunSummary, Store, open_store
from wattmark.store.facts import course_w, last_metrics
from wattmark.store.ingest import ingest_leftovers, ingest_session, open_runs
from wattmark.store.lookup import Candidate
from wattmark.store.trash import PROJECT
from wattmark.workspace.jobs import assemble, jobs_of


@contextmanager
def store_here(*, ingest: bool = True) -> Generator[Store]:
    """The store that the settings name, with what runs left behind read into it."""
    with open_store() as store:
        if ingest:
            assemble(store, _jobs(store, ingest_leftovers(store, journals_dir())))
            store.purge()
        yield store


def _jobs(store: Store, run_ids: Sequence[str]) -> list[str]:
    """The jobs over hosts that runs are parts of."""
    return list(dict.fromkeys(job for run_id in run_ids if (job := store.marks(run_id)[0].get(PART_OF))))


def keep(store: Store, record: RunRecord) -> bool:
    """Put a run into the store with its summary; False if it is there already."""
    return store.add(record, summarise(RunView(record)))


def replace(store: Store, record: RunRecord) -> None:
    """Put a run into the store in place of the one with its id."""
    store.replace(record, summarise(RunView(record)))


def keep_session(store: Store, folder: str, run_id: str) -> RunRecord | None:
    """Read the session of this process, whose recorder has ended, into the store; one of its runs as it is kept.

    None where processes that it left behind still write to the run. Raises StoreError.
    """
    assemble(store, jobs_of(ingest_session(store, folder, over=True)))
    try:
        return store.get(run_id)  # another process may have been first
    except RunNotFound:
        return None


def running(store: Store) -> list[RunView]:
    """Runs that are not in the store yet, because something of them still lives; the newest first."""
    mine = store.project
    records = [run for run in open_runs(journals_dir()) if mine is None or run.tags.get(PROJECT) == mine]
    stored_ids = {run.run_id for run in store.summaries(limit=1_000)} if records else set[str]()
    views = [RunView(record) for record in records if record.run_id not in stored_ids]
    return sorted(views, key=lambda view: view.record.started_wall_ns, reverse=True)


def find_run(store: Store, ref: str, live: Sequence[RunView] | None = None) -> RunView:
    """The run that ``ref`` means, kept or running: an id, the beginning of one, a name (the newest run of that name),
    ``last``, or ``@-1`` (the newest), ``@-2`` (the one before) and so on.

    live: the running ones, where they are known already. Raises RunNotFound.
    """
    match = _find(store, ref, live)
    return match if isinstance(match, RunView) else RunView(store.get(match))


def note_of(store: Store, view: RunView) -> str:
    """The note that someone put on a run; empty for none, and for a run that still goes on."""
    try:
        return store.marks(view.id)[1]
    except RunNotFound:
        return ""


def find_ended(store: Store, refs: Iterable[str]) -> list[str]:
    """The ids of the runs that are meant, by the words of :func:`find_run`, each once.

    Raises RunNotFound, and StoreError for a run that still goes on: it cannot be changed yet.
    """
    run_ids: dict[str, None] = {}
    for ref in refs:
        match = _find(store, ref)
        if isinstance(match, RunView):
            raise StoreError(f"{ref} still goes on", hint="wait until it has ended")
        run_ids[match] = None
    return list(run_ids)


def list_runs(
    store: Store,
    *,
    status: Sequence[str] = (),
    tags: Sequence[str] = (),
    name: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> list[RunSummary]:
    """Kept and running runs that fit all of these, the newest first. The words are those of :meth:`Store.summaries`."""
    # in this order: a run goes from the running ones to the store, so it is never in neither
    live = [summary_of(view) for view in running(store)]
    stored = store.summaries(status=status or None, tag=tags, name=name, since=since, limit=limit)
    stored_ids = {run.run_id for run in stored}
    wanted = [word.partition("=") for word in tags]
    fitting = [
        run
        for run in live
        if run.run_id not in stored_ids
        and (not status or run.status in status)
        and (name is None or fnmatchcase(run.name, name.replace("[", "[[]")))
        and (since is None or run.started_at >= since.astimezone())
        and all(key in run.tags and (not equals or run.tags[key] == value) for key, equals, value in wanted)
    ]
    return sorted([*fitting, *stored], key=lambda run: run.started_at, reverse=True)[:limit]


def summary_of(view: RunView) -> RunSummary:
    """A run that is not in the store, as a list shows it."""
    record, energy = view.record, view.energy
    methods: dict[str, list[Quantity]] = {}
    for curve in view.counted:
        quantity = view.energy_by_channel.get(curve.curve.channel.id)
        if quantity is not None:
            methods.setdefault(curve.curve.channel.method, []).append(quantity)
    sums = {method: total(parts) for method, parts in methods.items()}
    others_first = headline_scope(contention(record), True) == "tree"
    tree = attributed(view) if others_first else None
    return RunSummary(
        run_id=record.run_id,
        name=record.name,
        status=record.status,
        exit_code=record.exit_code,
        host=record.host,
        parent_id=record.parent_id,
        started_at=datetime.fromtimestamp(record.started_wall_ns / 1e9, timezone.utc),
        duration_s=record.duration_s,
        energy_j=energy and energy.value,
        energy_low_j=energy and energy.low,
        energy_high_j=energy and energy.high,
        energy_by_component={
            name: view.energy_by_component[name]
            for name in methods_of(view)
            if name in view.energy_by_component
        },
        coverage=view.coverage,
        tags=record.tags,
        note="",
        stored_bytes=0,
        energy_by_method={method: part for method, part in sums.items() if part is not None},
        settings=dict(mapping(record.extra.get("settings"))),
        tree=tree and tree.energy,
        tree_by_method=tree.by_method if tree else {},
        metrics=last_metrics(record),
        course_w=tuple(course_w(view)),
    )


def place_of(
    record: RunRecord, zone: str | None = None, pue: float | str | None = None
) -> tuple[FoundZone | None, PueLike]:
    """Zone and PUE of a run: those given here, else those given to the run, else what this machine is set to.

    Raises ConfigError for a zone that does not exist.
    """
    return place_for(record.host, mapping(record.extra.get("settings")), zone, pue)


def place_for(
    host: str, chosen: Mapping[str, Any], zone: str | None = None, pue: float | str | None = None
) -> tuple[FoundZone | None, PueLike]:
    """The same for what ran on ``host`` under the settings ``chosen``. Raises ConfigError."""
    configured = settings.load()
    here = host in ("", os.uname().nodename)
    environ = (
        os.environ if here else {key: os.environ[key] for key in ("WATTMARK_ZONE",) if key in os.environ}
    )
    place = resolve_zone(
        zone or chosen.get("zone"), environ, "/" if here else os.devnull, configured=configured.get("zone")
    )
    return place, pue or chosen.get("pue") or configured.get("pue") or 1.0


def carbon_of(view: RunView, zone: str | None = None, pue: float | str | None = None) -> Carbon | None:
    """Carbon of the energy that a run is known by (its process tree's, where others kept the machine busy) at its place
    (:func:`place_of`); None if the zone is not known."""
    place, ratio = place_of(view.record, zone, pue)
    return carbon(headline_of(view)[1], place, pue=ratio)


def result(view: RunView, zone: str | None = None, pue: float | str | None = None) -> RunResult:
    """The results of a run, with its carbon."""
    emitted = carbon_of(view, zone, pue)
    wall = wall_of(view)
    return dataclasses.replace(
        summarise(view),
        carbon=None if emitted is None else emitted.result,
        wall=wall if isinstance(wall, WallResult) else None,
    )


def wall_of(view: RunView) -> WallResult | str:
    """The run at the plug, as the setting ``wall`` says; a string says why it cannot be said. Raises ConfigError."""
    chosen = settings.load().get("wall", "calibrated")
    if chosen == "off":
        return "the setting wall is off"
    model = load_wall(view.record.host)
    if model is not None:
        told = wall_at(view, model)
        if isinstance(told, WallResult) or chosen != "default":
            return told
    if chosen == "default":
        return wall_at(view, default_wall(view))
    return f"{view.record.host or 'its machine'} was not calibrated against a meter"


def _find(store: Store, ref: str, live: Sequence[RunView] | None = None) -> RunView | str:
    """A running run, or the id of a kept one."""
    views: dict[str, RunView] = {}

    def candidates() -> list[Candidate]:
        views.update((view.id, view) for view in (running(store) if live is None else live))
        return [Candidate(view.id, view.name, view.record.started_wall_ns) for view in views.values()]

    run_id = store.resolve(ref, candidates)
    return views.get(run_id, run_id)

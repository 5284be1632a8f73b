"""The runs that are kept, as Python gives them: find, list, add up, change. Every command has its function here.

A run is named by a :class:`~wattmark.tracker.run.Run` or by the words of the commands: an id, the beginning of one, a name,
``last``, ``@-2``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from wattmark.errors import ConfigError
from wattmark.impact.emissions import Carbon
from wattmark.runs.health import RunHealth, run_health
from wattmark.runs.totals import Period, Totals
from wattmark.runs.view import RunView
from wattmark.store import RunSummary, import_file
from wattmark.store import export as write_files
from wattmark.tracker.run import Run
from wattmark.workspace import runs as workspace
from wattmark.workspace import totals as sums
from wattmark.workspace.moments import parse_age, parse_since

if TYPE_CHECKING:
    import pandas as pd

    from wattmark.impact.providers import CarbonProvider
    from wattmark.impact.series import IntensitySeries, Signal
    from wattmark.impact.series.emitted import CarbonOverTime
    from wattmark.workspace.impact import Costs

RunLike = Run | RunView | str
Format = Literal["json", "csv", "parquet"]


class RunList(Sequence[Run]):
    """Runs in a list, the newest first. What lists show is there at once; a run's curves are read when it is asked."""

    def __init__(self, summaries: Sequence[RunSummary]) -> None:
        self.summaries = tuple(summaries)

    def __len__(self) -> int:
        return len(self.summaries)

    @overload
    def __getitem__(self, index: int) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> RunList: ...
    def __getitem__(self, index: int | slice) -> Run | RunList:
        if isinstance(index, slice):
            return RunList(self.summaries[index])
        selection = self.summaries[index]
        return Run.later(selection.run_id, selection.name, selection.tags, lambda: view_of(selection.run_id))

    def __iter__(self) -> Iterator[Run]:
        return (self[index] for index in range(len(self)))

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows of ``wattmark ls --json``."""
        return [run.as_dict() for run in self.summaries]

    def to_pandas(self) -> pd.DataFrame:
        """One row for each run: the columns of ``ls --json``, joules by component and tags in columns of their own
        (``cpu_j``, ``tag.model``). Raises MissingExtra without pandas."""
        from wattmark.runs.display.frames import data_frame

        return data_frame(_flat(run) for run in self.summaries)

    def __repr__(self) -> str:
        names = ", ".join(run.name for run in self.summaries[:3])
        return f"<RunList of {len(self)}: {names}{', ...' if len(self) > 3 else ''}>"


def load(ref: str = "last") -> Run:
    """The run that ``ref`` means in the store that the settings name: an id, a unique beginning of one, a name (the newest
    of it), ``"last"``, or ``"@-2"`` for the one before.

    Journals that wait are read into the store first; a run that still goes on is given as it stands. Raises RunNotFound if
    nothing, or more than one run, fits.
    """
    return Run.of(view_of(ref))


def list_runs(
    *,
    tag: str | Iterable[str] | None = None,
    name: str | None = None,
    since: str | datetime | timedelta | None = None,
    status: str | Iterable[str] | None = None,
    limit: int | None = None,
) -> RunList:
    """``wm.runs()``: kept and running runs that fit all of these, the newest first.

    tag: ``"model"`` or ``"model=resnet18"`` (of several, all must fit). name: a pattern with ``*`` and ``?``. since: a date,
    an age such as ``"7d"``, or of datetime. status: ``running``, ``completed``, ``failed``, ``interrupted``. Raises
    ConfigError.
    """
    if isinstance(since, timedelta):
        since = datetime.now().astimezone() - since
    elif isinstance(since, str):
        since = parse_since(since)
    with workspace.store_here() as store:
        return RunList(
            workspace.list_runs(
                store, status=_words(status), tags=_words(tag), name=name, since=since, limit=limit
            )
        )


def carbon(run: RunLike, *, zone: str | None = None, pue: float | str | None = None) -> Carbon | None:
    """CO2e of a run: at ``zone`` and ``pue`` (a ratio, a range such as ``"1.1-1.3"``, or a name), else those given to
    the run, else what this machine is set to.

    None if no energy was measured or the zone is not known. Raises ConfigError for a zone that does not exist.
    """
    return workspace.carbon_of(view_of(run), zone, pue)


def impact(
    run: RunLike,
    *,
    series: str | Path | IntensitySeries | None = None,
    provider: str | CarbonProvider | None = None,
    zone: str | None = None,
    region: str | None = None,
    pue: float | str | None = None,
    unit: str | None = None,
    signal: Signal | None = None,
    offline: bool = False,
    costs: Costs | None = None,
) -> CarbonOverTime | None:
    """CO2e of a run by the hour: its power with a grid's intensity over time, exact at the edges.

    series: a file (see :func:`~wattmark.impact.series.read_series`). provider: who is asked over the network
    (``"electricitymaps"``, ``"uk"``, ``"carbon-aware=http://localhost:8090"``;
    :data:`wattmark.impact.providers.PROVIDERS`), else the setting ``provider``; without one nobody is asked. zone: whose
    yearly figure stands beside it, and in for what is left out; else that of :func:`carbon`. region: the place in the
    provider's own words. signal: ``"average"`` or ``"marginal"``, never mixed. offline: only what was kept of earlier
    answers.

    None if no energy was measured. A provider that fails leaves the yearly figure; ``notes`` says why. Raises ConfigError
    for a series, zone or provider that cannot be used.
    """
    from wattmark.workspace.impact import Sought, carbon_by_time

    return carbon_by_time(
        view_of(run), Sought(series, provider, zone, region, pue, unit, signal, offline, costs)
    )


def totals(
    runs: Iterable[RunLike] | None = None,
    *,
    by: str = "project",
    period: Period | None = None,
    timezone: str = "UTC",
) -> Totals:
    """Sums over runs (default: all that are kept) with no joule counted twice; the rules are in ``Totals.rules``.

    by: ``project`` (the tag of that name), ``host``, ``name``, ``day`` or ``tag:KEY``. period: ``day``, ``week`` or
    ``month`` for sums over time as well. timezone: where days begin. Raises ConfigError, RunNotFound.
    """
    if runs is None:
        runs = list_runs(status=("completed", "failed", "interrupted"))
    summaries = (
        runs.summaries if isinstance(runs, RunList) else [workspace.summary_of(view_of(run)) for run in runs]
    )
    return sums.totals(summaries, by, period, timezone)


def health(run: RunLike = "last") -> RunHealth:
    """How far a run's numbers can be trusted: coverage, holes, wraps, sensors that disagree, the recorder's own cost."""
    return run_health(view_of(run))


def tag(run: RunLike, *words: str, remove: Iterable[str] = (), **pairs: object) -> dict[str, str]:
    """Set tags (``wm.tag("last", "paper", model="resnet18")``) and remove some; all that the run has now.

    Raises RunNotFound; StoreError for a run that still goes on.
    """
    with workspace.store_here() as store:
        (run_id,) = workspace.find_ended(store, [_ref(run)])
        pairs_as_text = {key: str(value) for key, value in pairs.items()}
        return store.tag(run_id, {**dict.fromkeys(words, ""), **pairs_as_text}, remove)


def note(run: RunLike, text: str | None = None) -> str:
    """Put a note on a run in place of the one it had (an empty one takes it away); the note that it has now.

    Raises RunNotFound; StoreError for a run that still goes on.
    """
    with workspace.store_here() as store:
        (run_id,) = workspace.find_ended(store, [_ref(run)])
        if text is not None:
            store.note(run_id, text)
        return store.marks(run_id)[1]


def remove(*runs: RunLike) -> list[str]:
    """Remove runs for good, all or (if one is not there, or goes on) none; their ids. Raises RunNotFound, StoreError."""
    with workspace.store_here() as store:
        return store.remove(workspace.find_ended(store, [_ref(run) for run in runs]))


def prune(
    *,
    older_than: str | timedelta | None = None,
    keep: int | None = None,
    max_bytes: int | None = None,
    dry_run: bool = False,
) -> RunList:
    """Remove old runs; those that went (or, with ``dry_run``, would go). older_than: an age, ``"30d"``. keep: the newest
    so many stay. max_bytes: the oldest go until the rest needs no more. Raises ConfigError if none of them is given."""
    if older_than is None and keep is None and max_bytes is None:
        raise ConfigError("prune needs to know what may go", hint="older_than, keep or max_bytes")
    age = parse_age(older_than) if isinstance(older_than, str) else older_than
    with workspace.store_here() as store:
        return RunList(store.prune(older_than=age, keep=keep, max_bytes=max_bytes, dry_run=dry_run))


def export(runs: RunLike | Iterable[RunLike], path: str | Path, format: Format | None = None) -> list[str]:
    """Write runs to one JSON file that can be imported again, or to a folder of CSV or Parquet tables; the files' paths.

    Raises RunNotFound; ConfigError or StoreError for what cannot be written.
    """
    chosen = [runs] if isinstance(runs, Run | RunView | str) else runs
    views = {view.id: view for view in map(view_of, chosen)}
    results = {run_id: workspace.result(view).to_dict() for run_id, view in views.items()}
    return write_files([view.record for view in views.values()], str(path), format, results)


def import_files(*paths: str | Path, timezone: tzinfo | None = None) -> list[str]:
    """Read Wattmark's JSON exports, CodeCarbon's ``emissions.csv``, logs of nvidia-smi and profiles of EnergyVis into the
    store; the ids of the runs that are new there. timezone: of stamps that do not say theirs (default: this machine's).

    Raises ImportFileError.
    """
    zone = timezone or datetime.now().astimezone().tzinfo
    assert zone is not None
    records = [record for path in paths for record in import_file(str(path), zone)]
    with workspace.store_here() as store:
        return [record.run_id for record in records if workspace.keep(store, record)]


def view_of(run: RunLike) -> RunView:
    """The run's view, wherever it comes from. Raises RunNotFound."""
    if isinstance(run, RunView):
        return run
    if isinstance(run, Run):
        return run.view
    with workspace.store_here() as store:
        return workspace.find_run(store, run)


def _ref(run: RunLike) -> str:
    return run if isinstance(run, str) else run.id


def _words(given: str | Iterable[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def _flat(run: RunSummary) -> dict[str, Any]:
    row = run.as_dict()
    components, tags = row.pop("energy_by_component"), row.pop("tags")
    return {
        **row,
        **{f"{component}_j": part["value"] for component, part in components.items()},
        **{f"tag.{key}": value for key, value in tags.items()},
    }

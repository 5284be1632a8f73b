"""Runs, or groups of repeated runs, beside the first of them: ``wm.compare(a, b)``, ``wattmark compare A B``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from wattmark.errors import ConfigError, RunNotFound
from wattmark.runs.comparison import Entry, Row
from wattmark.runs.comparison import compare as compare_entries
from wattmark.runs.metrics import Target, metrics_of, parse_target
from wattmark.runs.view import RunView
from wattmark.store import Store
from wattmark.tracker.run import Run
from wattmark.workspace.library import RunLike, view_of
from wattmark.workspace.runs import store_here

if TYPE_CHECKING:
    import pandas as pd


class Comparison:
    """What :func:`compare` gives: a row for each run or group, the first one the reference."""

    def __init__(self, rows: Sequence[Row], by: str | None = None) -> None:
        self.rows = tuple(rows)
        self.by = by

    @property
    def verdicts(self) -> list[str]:
        """Of each row but the first, in words: is the difference in energy more than the noise?"""
        return [row.verdict() for row in self.rows[1:]]

    def to_dict(self) -> dict[str, Any]:
        """The object of ``wattmark compare --json``."""
        return {"by": self.by, "rows": [self._row(row, index) for index, row in enumerate(self.rows)]}

    def to_pandas(self) -> pd.DataFrame:
        """One row for each run or group and measure: ``value`` with its ends, and its ``difference`` from the reference.

        Raises MissingExtra without pandas.
        """
        from wattmark.runs.display.frames import data_frame

        return data_frame(
            {
                "name": row.entry.label,
                "measure": measure,
                **quantity.as_dict(),
                **{f"difference_{key}": value for key, value in _ends(row, measure).items()},
                "verdict": row.verdict(measure) if index else "the reference",
            }
            for index, row in enumerate(self.rows)
            for measure, quantity in row.values.items()
        )

    def __str__(self) -> str:
        names = [row.entry.label for row in self.rows]
        return "\n".join(f"{name}: {words}" for name, words in zip(names[1:], self.verdicts, strict=True))

    def _row(self, row: Row, index: int) -> dict[str, Any]:
        views = row.entry.views
        named = (
            {"run_id": views[0].id, "name": row.entry.label}
            if self.by is None and len(views) == 1
            else {"group": row.entry.label, "runs": [view.id for view in views]}
        )
        return {
            **named,
            **{name: value.as_dict() for name, value in row.values.items()},
            "scope": row.scope,
            "difference": {name: gap.as_dict() for name, gap in row.gaps.items()},
            "verdict": row.verdict() if index else "the reference",
            "notes": list(row.notes),
        }


def compare(
    *runs: RunLike | Iterable[RunLike],
    by: str | None = None,
    components: Iterable[str] | None = None,
    reach: str | None = None,
) -> Comparison:
    """How runs differ from the first one, in joules, watts, time and per count, with intervals.

    runs: two or more; a list stands for the repeats of one thing. by: ``"name"`` or a tag, of which ``runs`` are then
    values: groups of completed runs. components: count only these. reach: compare also the joules and seconds up to a
    value of a logged metric, ``"accuracy>=0.95"``. Raises ConfigError, RunNotFound.
    """
    target = None if reach is None else parse_target(reach)
    if len(runs) < 2:
        raise ConfigError("there must be two or more to compare")
    if by is None:
        entries = [_entry(run) for run in runs]
    else:
        with store_here() as store:
            entries = [_group(store, by, value) for value in runs]
    if target is not None:
        _check_logged(entries, target)
    return Comparison(compare_entries(entries, components=components, target=target), by)


def _check_logged(entries: Iterable[Entry], target: Target) -> None:
    """Raises ConfigError where no run logged the metric, with the names of those that are there."""
    names: dict[str, None] = {}
    for view in (view for entry in entries for view in entry.views):
        names |= dict.fromkeys(metrics_of(view.record))
    if target.metric not in names:
        there = f"there are {', '.join(names)}" if names else "run.log(accuracy=0.9) logs one"
        raise ConfigError(f"no run here logged {target.metric!r}", hint=there)


def _entry(run: RunLike | Iterable[RunLike]) -> Entry:
    views = (view_of(run),) if isinstance(run, Run | RunView | str) else tuple(map(view_of, run))
    if not views:
        raise ConfigError("a group to compare needs runs")
    return Entry(views[0].name, views)


def _group(store: Store, by: str, value: object) -> Entry:
    """The completed runs of a name, or of a tag's value. Raises RunNotFound for fewer than two."""
    word = str(value)
    name, tag = (word, None) if by == "name" else (None, f"{by}={word}")
    runs = [
        run for run in store.summaries(status="completed", name=name, tag=tag) if run.energy_j is not None
    ]
    if len(runs) < 2:
        raise RunNotFound(
            f"{len(runs)} completed run(s) with {by} {word!r}; a group needs two or more",
            hint="repeat the run, or compare two runs by their ids",
        )
    return Entry(word, tuple(RunView(store.get(run.run_id)) for run in runs))


def _ends(row: Row, measure: str) -> dict[str, float]:
    gap = row.gaps.get(measure)
    return {} if gap is None else {"value": gap.value, "low": gap.low, "high": gap.high}

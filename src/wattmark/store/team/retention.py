"""Rules of retention: how long runs of a project are kept, and from when on their curves are kept coarser.

A coarser curve keeps the first and last point, each point at which a hole or a span begins or ends, and of the others one a
period. Curves are cumulative, so every kept interval has the very joules that it had; only the course in between is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import numpy as np
import sqlalchemy as sa

from wattmark.documents import number
from wattmark.errors import ConfigError
from wattmark.runs.record import Curve, Int64, RunRecord
from wattmark.store import tables, trash
from wattmark.store.portable import storable
from wattmark.store.store import Store
from wattmark.store.summaries import conditions, select

COARSE = "thinned_to_s"
"""In a run's ``extra``: the period that its curves were thinned to."""


@dataclass(frozen=True, slots=True)
class Retention:
    """runs: age at which runs are removed. curves: age at which curves are thinned to one point a period_s. None: never.

    project: empty for all that have no rule of their own."""

    project: str
    runs: timedelta | None = None
    curves: timedelta | None = None
    period_s: float | None = None


@dataclass(frozen=True, slots=True)
class Tidied:
    """Ids of runs that were removed (out of sight; :meth:`Store.restore` brings them back for a while), and thinned."""

    removed: list[str]
    thinned: list[str]


def set_retention(store: Store, rule: Retention) -> None:
    """Set the rule of a project; one that says nothing is taken away. Raises ConfigError for ages that make no sense."""
    if any(age is not None and age <= timedelta(0) for age in (rule.runs, rule.curves)):
        raise ConfigError("an age is more than nothing", hint="30d")
    if (rule.curves is None) != (rule.period_s is None):
        raise ConfigError("curves are thinned from an age on to a period", hint="--curves 30d --period 60")
    if rule.period_s is not None and not 0 < rule.period_s < float("inf"):
        raise ConfigError("a period is so many seconds", hint="--period 60")
    r = tables.retention.c
    project = storable(rule.project)
    with store.writing() as connection:
        connection.execute(sa.delete(tables.retention).where(r.project == project))
        if rule.runs is not None or rule.curves is not None:
            row = {
                "project": project,
                "runs_s": _s(rule.runs),
                "curves_s": _s(rule.curves),
                "period_s": rule.period_s,
            }
            connection.execute(sa.insert(tables.retention).values(**row))


def retentions(store: Store) -> list[Retention]:
    """The rules, that for all other projects first."""
    with store.reading() as connection:
        rows = connection.execute(sa.select(tables.retention).order_by(tables.retention.c.project)).all()
    return [Retention(row.project, _age(row.runs_s), _age(row.curves_s), row.period_s) for row in rows]


def apply_retention(store: Store, *, now: datetime | None = None, dry_run: bool = False) -> Tidied:
    """Do what the rules say; again does nothing more. Runs that go on are left alone."""
    moment = now or datetime.now(timezone.utc)
    rules = retentions(store)
    own = [rule.project for rule in rules if rule.project]
    removed: list[str] = []
    thinned: list[str] = []
    for rule in rules:
        old = [] if rule.runs is None else _older(store, rule.project, own, moment - rule.runs)
        removed += old
        if rule.curves is None or rule.period_s is None:
            continue
        for run_id in _older(store, rule.project, own, moment - rule.curves):
            if run_id in old:
                continue
            record = store.get(run_id)
            if (number(record.extra.get(COARSE)) or 0.0) >= rule.period_s:
                continue
            coarse = thin(record, rule.period_s)
            thinned.append(run_id)
            if not dry_run:
                store.replace(coarse, store.summary(run_id))
    if removed and not dry_run:
        store.discard(removed)
    return Tidied(removed, thinned)


def thin(record: RunRecord, period_s: float) -> RunRecord:
    """The run with coarser curves; energies of the run, its spans and its holes stay as they are."""
    spans = record.spans
    edges = [record.start_ns, record.end_ns, *spans.start_ns.tolist(), *spans.end_ns.tolist()]
    return replace(
        record,
        curves=tuple(_thin(curve, period_s, edges) for curve in record.curves),
        extra={**record.extra, COARSE: period_s},
    )


def _thin(curve: Curve, period_s: float, edges: list[int]) -> Curve:
    if len(curve.t_ns) < 3:
        return curve
    moments = np.unique(np.concatenate((np.array(edges, np.int64), curve.holes.ravel())))
    after = np.searchsorted(curve.t_ns, moments)
    around = np.concatenate((after - 1, after, after + 1, np.searchsorted(curve.t_ns, curve.vague.ravel())))
    periods = (curve.t_ns - curve.t_ns[0]) // round(period_s * 1e9)
    keep = np.zeros(len(curve.t_ns), bool)
    keep[[0, -1]] = True
    keep[np.flatnonzero(np.diff(periods)) + 1] = True
    keep[around[(around >= 0) & (around < len(keep))]] = True
    kept: Int64 = np.flatnonzero(keep)
    return replace(curve, t_ns=curve.t_ns[kept], energy_uj=curve.energy_uj[kept])


def _older(store: Store, project: str, own: list[str], than: datetime) -> list[str]:
    where = conditions(status=("completed", "failed", "interrupted"), until=than)
    t = tables.tags.c
    mine = sa.and_(t.run_id == tables.runs.c.run_id, t.key == trash.PROJECT)
    if project:
        where.append(sa.exists().where(sa.and_(mine, t.value == project)))
    else:
        where.append(~sa.exists().where(sa.and_(mine, t.value.in_(own))))
    with store.reading() as connection:
        return [run.run_id for run in select(connection, where, "oldest")]


def _s(age: timedelta | None) -> float | None:
    return None if age is None else age.total_seconds()


def _age(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)

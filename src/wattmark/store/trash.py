"""Runs that were removed and can still be brought back: out of every list and question, but kept for a while."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import sqlalchemy as sa

from wattmark.errors import RunNotFound
from wattmark.store import tables

UNDO = timedelta(minutes=30)
"""How long a run that was put away can be brought back, at least."""

_X = tables.removed.c


PROJECT = "project"
"""The tag that says which project a run is of; also the option of a connection that sees one project only."""


def kept(connection: sa.Connection) -> sa.ColumnElement[bool]:
    """The condition that a run was not removed, and is of the project that the connection may see."""
    return sa.and_(tables.runs.c.run_id.not_in(sa.select(_X.run_id)), of_project(connection))


def of_project(connection: sa.Connection) -> sa.ColumnElement[bool]:
    """The condition that a run is of the project that the connection may see; true where it may see all."""
    project: str | None = connection.get_execution_options().get(PROJECT)
    if project is None:
        return sa.true()
    t = tables.tags.c
    mine = sa.and_(t.run_id == tables.runs.c.run_id, t.key == PROJECT, t.value == project)
    return sa.exists().where(mine)


def put_away(connection: sa.Connection, run_ids: Sequence[str]) -> None:
    """Take runs out of sight."""
    if run_ids:
        now = time.time_ns()
        connection.execute(
            sa.insert(tables.removed), [{"run_id": run_id, "removed_wall_ns": now} for run_id in run_ids]
        )


def bring_back(connection: sa.Connection, run_ids: Sequence[str]) -> None:
    """Put runs back where they were. Raises RunNotFound where one is not there any more."""
    mine = sa.select(tables.runs.c.run_id).where(of_project(connection))
    for run_id in run_ids:
        back = sa.delete(tables.removed).where(_X.run_id == run_id, _X.run_id.in_(mine)).returning(_X.run_id)
        if connection.execute(back).first() is None:
            raise RunNotFound(
                f"there is no removed run {run_id!r}", hint="it was brought back already, or removed for good"
            )


def when_removed(connection: sa.Connection) -> dict[str, datetime]:
    """The removed runs with the moments (UTC) of their removal, the last first."""
    rows = connection.execute(sa.select(_X.run_id, _X.removed_wall_ns).order_by(_X.removed_wall_ns.desc()))
    return {row.run_id: datetime.fromtimestamp(row.removed_wall_ns / 1e9, timezone.utc) for row in rows}


def overdue(connection: sa.Connection, older_than: timedelta) -> list[str]:
    """Runs that were removed longer ago than this."""
    limit = time.time_ns() - int(older_than.total_seconds() * 1e9)
    return list(connection.execute(sa.select(_X.run_id).where(_X.removed_wall_ns <= limit)).scalars())

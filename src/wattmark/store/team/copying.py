"""From one store to another: a SQLite file to a team's PostgreSQL, or back as a copy to keep.

Runs go as they are stored, byte for byte, in batches that are each kept whole or not at all. What is there already stays as
it is, so a copy that was interrupted goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from wattmark.errors import ConfigError
from wattmark.store import tables, trash
from wattmark.store.engine import insert_rows
from wattmark.store.portable import storable
from wattmark.store.store import Store

BATCH = 100
_OF_RUNS = (tables.tags, tables.facts, tables.revisions, tables.removed, tables.blocks)


@dataclass(frozen=True, slots=True)
class Copied:
    """Runs that were copied now, and those that were there already."""

    runs: int
    present: int


def copy_store(
    source: Store,
    target: Store,
    *,
    project: str | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Copied:
    """Copy all runs (removed ones that can still be brought back, too) with their tags, notes and predictions.

    project: for runs that have none. on_progress: runs done, and their number. Raises StoreError, and ConfigError where
    both are the same store.
    """
    if source.location == target.location:
        raise ConfigError(f"{source.location} cannot be copied into itself", hint="name another store")
    with source.reading() as connection:
        run_ids = list(
            connection.execute(sa.select(tables.runs.c.run_id).order_by(tables.runs.c.run_id)).scalars()
        )
    copied = 0
    for at in range(0, len(run_ids), BATCH):
        copied += _copy(source, target, run_ids[at : at + BATCH], project)
        on_progress(min(at + BATCH, len(run_ids)), len(run_ids))
    _copy_predictions(source, target)
    return Copied(copied, len(run_ids) - copied)


def _copy(source: Store, target: Store, run_ids: list[str], project: str | None) -> int:
    with source.reading() as reading, target.writing() as writing:
        there = sa.select(tables.runs.c.run_id).where(tables.runs.c.run_id.in_(run_ids))
        missing = set(run_ids) - set(writing.execute(there).scalars())
        if not missing:
            return 0
        mine = sa.select(tables.runs).where(tables.runs.c.run_id.in_(missing))
        rows = [dict(row) for row in reading.execute(mine).mappings()]
        insert = postgresql.insert if writing.dialect.name == "postgresql" else sqlite.insert
        added: set[str] = set()
        for row in rows:  # another writer may bring the same run at this moment
            statement = insert(tables.runs).values(**row).on_conflict_do_nothing(index_elements=["run_id"])
            added |= set(writing.execute(statement.returning(tables.runs.c.run_id)).scalars())
        for table in _OF_RUNS:
            chosen = sa.select(table).where(table.c.run_id.in_(added))
            insert_rows(writing, table, [tuple(row) for row in reading.execute(chosen)])
        if project is not None:
            t = tables.tags.c
            have = set(
                writing.execute(
                    sa.select(t.run_id).where(t.run_id.in_(added), t.key == trash.PROJECT)
                ).scalars()
            )
            insert_rows(
                writing, tables.tags, [(run_id, trash.PROJECT, storable(project)) for run_id in added - have]
            )
    return len(added)


def _copy_predictions(source: Store, target: Store) -> None:
    with source.reading() as reading, target.writing() as writing:
        p = tables.predictions.c.prediction_id
        there = set(writing.execute(sa.select(p)).scalars())
        rows = [
            tuple(row)
            for row in reading.execute(sa.select(tables.predictions))
            if row.prediction_id not in there
        ]
        insert_rows(writing, tables.predictions, rows)

"""The store: runs go in once, whole or not at all, and come out as they went in."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from wattmark.errors import StoreError
from wattmark.quantity import Quantity
from wattmark.runs.record import RunRecord
from wattmark.runs.result import RunResult
from wattmark.store import pack, summaries, tables, trash
from wattmark.store.engine import connect, describe, insert_rows, reading, store_errors, store_url, writing
from wattmark.store.facts import facts_of, renew_revision, revision_of, revision_of_all
from wattmark.store.lookup import Candidate, is_kept, resolve, short_ids, tags_of
from wattmark.store.partial import StoredRun
from wattmark.store.portable import RUN_ID, storable
from wattmark.store.predictions import table as predictions
from wattmark.store.predictions.rows import StoredPrediction, of_record
from wattmark.store.summaries import Order, RunSummary


def open_store(url_or_path: str | None = None, environ: Mapping[str, str] | None = None) -> Store:
    """The store at a path or URL; else the one that the settings name (``WATTMARK_STORE``, ``[tool.wattmark]``, the user's
    config.toml), else ``store.db`` in the data folder.

    It is created, or its schema brought up to date, if need be; several processes may do so at once. Raises
    ConfigError for an address that is none, MissingExtra without the PostgreSQL driver, StoreError otherwise.
    """
    return Store(connect(store_url(url_or_path, environ)))


Summary = RunResult | Mapping[str, Any]
"""A run's results, or the same as plain data."""


class Store:
    """Runs kept in a database. Safe to share between threads; after a fork the child opens its own.

    Where a method takes ``ref`` it is a run's id, the beginning of one, a name (the newest run of that name),
    ``last``, or ``@-1`` (the last), ``@-2`` (the one before) and so on. Every method may raise StoreError.
    """

    def __init__(self, engine: sa.Engine, project: str | None = None) -> None:
        self._engine = engine
        self.location = describe(engine.url)
        self.project = project
        """The only project whose runs are to be seen (the tag ``project``); None for all."""

    def of_project(self, project: str) -> Store:
        """The same store as one sees it who may see and change the runs of one project; none are added through it."""
        return Store(self._engine, project)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    def add(self, record: RunRecord, summary: Summary | None = None) -> bool:
        """Keep a run with its results (or the object that they are as JSON); False if its id is kept already."""
        _check_id(record)
        with self._reading() as connection:  # to spare the packing
            if is_kept(connection, record.run_id):
                return False
        return self._put(record, summary, replace=False)

    def replace(self, record: RunRecord, summary: Summary | None = None) -> None:
        """Keep a run in place of the one with its id, if there is one. Its note and its other tags stay."""
        _check_id(record)
        self._put(record, summary, replace=True)

    def resolve(self, ref: str, running: Callable[[], Iterable[Candidate]] = tuple) -> str:
        """The id of the run that is meant. Raises RunNotFound, which names near matches or the candidates.

        running: gives the runs that are not kept yet and may be meant as well. They are asked for before the store is
        looked at, since a run goes from them to the store: in this order it is never in neither.
        """
        with self._reading() as connection:
            if is_kept(connection, ref):
                return storable(ref)
        others = list(running())
        with self._reading() as connection:
            return resolve(connection, ref, others)

    def short_ids(self, run_ids: Iterable[str]) -> dict[str, str]:
        """For each id, kept or running, the fewest signs that mean it and no other run here."""
        with self._reading() as connection:
            return short_ids(connection, run_ids)

    def get(self, ref: str) -> RunRecord:
        """The whole run."""
        with self._reading() as connection:
            run_id, content, tags = _described(connection, ref)
            columns: dict[str, list[bytes]] = {name: [] for name in content["columns"]}
            blocks = tables.blocks.c
            wanted = sa.and_(blocks.run_id == run_id, blocks.column.in_(columns))
            chosen = sa.select(blocks.column, blocks.data).where(wanted).order_by(blocks.part)
            for name, data in connection.execute(chosen):
                columns[name].append(data)
        return pack.unpack(content["record"], columns, tags)

    def part(self, ref: str) -> StoredRun:
        """The run, of which only what is asked for is read: for runs whose curves are long."""
        with self._reading() as connection:
            return StoredRun(*_described(connection, ref), self._reading)

    def summary(self, ref: str) -> dict[str, Any] | None:
        """The summary that was given with the run, or None if there was none."""
        with self._reading() as connection:
            wanted = tables.runs.c.run_id == resolve(connection, ref)
            data = connection.execute(sa.select(tables.runs.c.summary).where(wanted)).scalar_one()
        return None if data is None else pack.load_json(data)

    def summaries(
        self,
        *,
        status: str | Iterable[str] | None = None,
        tag: str | Iterable[str] | None = None,
        name: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        host: str | None = None,
        limit: int | None = None,
        order: Order = "newest",
    ) -> list[RunSummary]:
        """One line for each run that fits all of these; curves are not touched.

        ``tag`` is ``key`` or ``key=value`` (of several, all must fit); ``name`` is a pattern with ``*`` and
        ``?``; ``since <= start < until``, naive datetimes being local time.
        """
        where = summaries.conditions(status=status, tag=tag, name=name, since=since, until=until, host=host)
        with self._reading() as connection:
            return summaries.select(connection, where, order, limit)

    def remove(self, refs: Iterable[str]) -> list[str]:
        """Remove runs for good, all or (if one is not found) none; returns their ids."""
        with self._writing() as connection:
            run_ids = list(dict.fromkeys(resolve(connection, ref) for ref in refs))
            _delete(connection, run_ids)
            predictions.forget(connection, run_ids)
        return run_ids

    def discard(self, refs: Iterable[str]) -> list[str]:
        """Take runs out of sight, all or none; :meth:`restore` brings them back until :meth:`purge`. Returns their ids."""
        with self._writing() as connection:
            run_ids = list(dict.fromkeys(resolve(connection, ref) for ref in refs))
            trash.put_away(connection, run_ids)
        return run_ids

    def restore(self, run_ids: Sequence[str]) -> None:
        """Bring discarded runs back, all or (if one is gone for good) none. Raises RunNotFound."""
        with self._writing() as connection:
            trash.bring_back(connection, run_ids)

    def discarded(self) -> list[tuple[RunSummary, datetime]]:
        """The discarded runs and when that was (UTC), the last first."""
        with self._reading() as connection:
            when = trash.when_removed(connection)
            runs = {run.run_id: run for run in summaries.select(connection, [], removed=True)} if when else {}
        return [(runs[run_id], moment) for run_id, moment in when.items() if run_id in runs]

    def purge(self, older_than: timedelta = trash.UNDO) -> list[str]:
        """Remove for good what was discarded longer ago than this; returns the ids."""
        with self._reading() as connection:
            if not trash.overdue(connection, older_than):
                return []
        with self._writing() as connection:
            run_ids = trash.overdue(connection, older_than)
            _delete(connection, run_ids)
            predictions.forget(connection, run_ids)
        return run_ids

    def tag(
        self, ref: str, add: Mapping[str, str] | None = None, remove: Iterable[str] = ()
    ) -> dict[str, str]:
        """Set and remove tags of a run (removing first); returns those it has now."""
        if self.project is not None and trash.PROJECT in {*(add or {}), *remove}:
            raise StoreError("this access is for one project, and takes no run out of it")
        with self._writing() as connection:
            run_id = resolve(connection, ref)
            t = tables.tags.c
            gone = [*remove, *(add or {})]
            connection.execute(sa.delete(tables.tags).where(t.run_id == run_id, t.key.in_(gone)))
            _insert_tags(connection, run_id, add or {})
            if predictions.TAG in (add or {}):
                asked = sa.select(tables.runs).where(tables.runs.c.run_id == run_id)
                row = dict(connection.execute(asked).mappings().one())
                results = None if row["summary"] is None else pack.load_json(row["summary"])
                predictions.settle(connection, row, add or {}, results)
            renew_revision(connection, run_id)
            return tags_of(connection, run_id)

    def marks(self, ref: str) -> tuple[dict[str, str], str]:
        """What people put on a run: its tags and its note (empty if it has none)."""
        with self._reading() as connection:
            run_id = resolve(connection, ref)
            noted = sa.select(tables.runs.c.note).where(tables.runs.c.run_id == run_id)
            return tags_of(connection, run_id), connection.execute(noted).scalar_one()

    def revision(self, ref: str) -> tuple[str, int]:
        """The id of the run that is meant, and a number that is another one after every write to that run."""
        with self._reading() as connection:
            run_id = resolve(connection, ref)
            return run_id, revision_of(connection, run_id)

    def stamp(self) -> str:
        """A word that changes with every write to any run: whoever keeps a list knows when it is old."""
        with self._reading() as connection:
            return revision_of_all(connection)

    def adopt(self, parent_id: str, run_ids: Iterable[str]) -> None:
        """Make runs parts of another one, which counts in their place."""
        with self._writing() as connection:
            for run_id in run_ids:
                wanted = sa.update(tables.runs).where(tables.runs.c.run_id == run_id)
                connection.execute(wanted.values(parent_id=storable(parent_id)))
                renew_revision(connection, run_id)

    def clock(self) -> int | None:
        """The database server's wall clock now, in ns since 1970; None where the database is a file of this machine."""
        if self._engine.dialect.name != "postgresql":
            return None
        asked = sa.text("SELECT (extract(epoch from clock_timestamp()) * 1000000)::bigint")
        with self._reading() as connection:
            return int(connection.execute(asked).scalar_one()) * 1000

    def note(self, ref: str, text: str) -> None:
        """Put a note on a run, in place of the one it had; an empty text removes it."""
        with self._writing() as connection:
            run_id = resolve(connection, ref)
            noted = sa.update(tables.runs).where(tables.runs.c.run_id == run_id)
            connection.execute(noted.values(note=storable(text)))
            renew_revision(connection, run_id)

    def add_prediction(self, prediction: StoredPrediction) -> None:
        """Keep a prediction; one with its id is replaced."""
        with self._writing() as connection:
            predictions.insert(connection, [prediction])

    def predictions(
        self,
        *,
        predictor: str | None = None,
        host: str | None = None,
        run_id: str | None = None,
        limit: int | None = None,
    ) -> list[StoredPrediction]:
        """What was predicted, and what came of it, the newest first: all that fit every one of these."""
        with self._reading() as connection:
            every = predictions.select(
                connection,
                predictor=predictor,
                host=host,
                run_id=run_id,
                limit=None if self.project else limit,
            )
            if self.project is None:
                return every
            seen = set(
                connection.execute(sa.select(tables.runs.c.run_id).where(trash.kept(connection))).scalars()
            )
            return [one for one in every if one.run_id in seen][:limit]

    def prune(
        self,
        *,
        older_than: timedelta | datetime | None = None,
        keep: int | None = None,
        max_bytes: int | None = None,
        status: str | Iterable[str] | None = None,
        dry_run: bool = False,
    ) -> list[RunSummary]:
        """Remove old runs; returns what it removed (or, with ``dry_run``, would remove), oldest first.

        Only runs of ``status`` are considered (by default all but running ones), and the newest ``keep`` of
        them always stay. Of the others go those that started before ``older_than`` (a moment, or an age), and
        the oldest until the store's runs need no more than ``max_bytes``; with neither of the two, all of
        them.
        """
        if older_than is None and keep is None and max_bytes is None:
            raise ValueError("prune needs older_than, keep or max_bytes")
        statuses = ("completed", "failed", "interrupted") if status is None else status
        with self._writing() as connection:
            if not dry_run:
                _delete(connection, trash.overdue(connection, timedelta(0)))
            runs = summaries.select(connection, summaries.conditions(status=statuses), "newest")
            size = sa.select(sa.func.sum(tables.runs.c.stored_bytes)).where(trash.kept(connection))
            total = connection.execute(size).scalar() or 0
            gone = _superfluous(runs[keep or 0 :][::-1], older_than, max_bytes, int(total))
            if not dry_run:
                _delete(connection, [run.run_id for run in gone])
        return gone

    def _put(self, record: RunRecord, results: Summary | None, replace: bool) -> bool:
        if self.project is not None:
            raise StoreError("runs are not added through the access to one project")
        summary = results.to_dict() if isinstance(results, RunResult) else results
        packed = pack.pack(record)
        row = _row(record, packed, summary)
        insert = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        statement = insert(tables.runs).values(**row, note="")
        statement = (
            statement.on_conflict_do_update(index_elements=["run_id"], set_=row)
            if replace
            else statement.on_conflict_do_nothing(index_elements=["run_id"])
        )
        with self._writing() as connection:
            # A discarded run that comes again (an import, say) takes the place of the old one.
            gone = sa.select(tables.removed.c.run_id)
            connection.execute(
                sa.delete(tables.runs).where(
                    tables.runs.c.run_id == record.run_id, tables.runs.c.run_id.in_(gone)
                )
            )
            # Where another writer holds the same run, the insert waits until that one has ended.
            if connection.execute(statement.returning(tables.runs.c.run_id)).first() is None:
                return False
            run_tags = {**tags_of(connection, record.run_id), **record.tags}
            for table in (tables.tags, tables.blocks, tables.facts):
                connection.execute(sa.delete(table).where(table.c.run_id == record.run_id))
            renew_revision(connection, record.run_id)
            facts = json.dumps(facts_of(record, summary))
            connection.execute(sa.insert(tables.facts).values(run_id=record.run_id, facts=facts))
            _insert_tags(connection, record.run_id, run_tags)
            predictions.insert(connection, of_record(record))
            predictions.settle(connection, row, run_tags, summary)
            rows = [
                (record.run_id, name, part, data)
                for name, parts in [*packed.columns.items(), *packed.overview_columns.items()]
                for part, data in enumerate(parts)
            ]
            insert_rows(connection, tables.blocks, rows)
        return True

    @contextmanager
    def reading(self) -> Generator[sa.Connection, None, None]:
        """A connection to read by, for other modules of this package."""
        with self._reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[sa.Connection, None, None]:
        """A transaction that may write, for other modules of this package."""
        with self._writing() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Generator[sa.Connection, None, None]:
        with store_errors(f"the store {self.location} cannot be read"), reading(self._engine) as connection:
            yield self._seen_by(connection)

    @contextmanager
    def _writing(self) -> Generator[sa.Connection, None, None]:
        with (
            store_errors(f"the store {self.location} cannot be written"),
            writing(self._engine) as connection,
        ):
            yield self._seen_by(connection)

    def _seen_by(self, connection: sa.Connection) -> sa.Connection:
        if self.project is not None:
            connection.execution_options(**{trash.PROJECT: self.project})
        return connection


def _check_id(record: RunRecord) -> None:
    if not RUN_ID.fullmatch(record.run_id):
        raise StoreError(f"a run cannot have the id {record.run_id[:200]!r}")


def _described(connection: sa.Connection, ref: str) -> tuple[str, dict[str, Any], dict[str, str]]:
    """Id, header and tags of the run that is meant."""
    run_id = resolve(connection, ref)
    wanted = sa.select(tables.runs.c.header, tables.runs.c.parent_id).where(tables.runs.c.run_id == run_id)
    header, parent_id = connection.execute(wanted).one()
    content = pack.load_json(header)
    if parent_id is not None and isinstance(content.get("record"), dict):
        content["record"]["parent_id"] = parent_id  # it may have been adopted since
    return run_id, content, tags_of(connection, run_id)


def _row(record: RunRecord, packed: pack.Packed, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    header = pack.dump_json(
        {"record": packed.header, "columns": list(packed.columns), "overviews": packed.overviews}
    )
    summary_json = None if summary is None else pack.dump_json(summary)
    summary_energies: Mapping[str, Any] = (summary or {}).get("energy_j") or {}
    energies = {
        component: Quantity.from_dict(value)
        for component, value in summary_energies.items()
        if value is not None and all(math.isfinite(value[key]) for key in ("value", "low", "high"))
    }
    total = energies.pop("total", None)
    return {
        "run_id": record.run_id,
        "name": storable(record.name),
        "status": record.status,
        "exit_code": record.exit_code,
        "host": storable(record.host),
        "parent_id": record.parent_id and storable(record.parent_id),
        "started_wall_ns": record.started_wall_ns,
        "duration_s": record.duration_s,
        "energy_j": total and total.value,
        "energy_low_j": total and total.low,
        "energy_high_j": total and total.high,
        "energy_by_component": json.dumps({key: value.as_dict() for key, value in energies.items()}),
        "coverage": (summary or {}).get("coverage"),
        "stored_bytes": packed.size + len(header) + len(summary_json or b""),
        "header": header,
        "summary": summary_json,
    }


def _insert_tags(connection: sa.Connection, run_id: str, tags: Mapping[str, str]) -> None:
    rows = {storable(key): storable(value) for key, value in tags.items()}
    if rows:
        connection.execute(
            sa.insert(tables.tags), [{"run_id": run_id, "key": key, "value": rows[key]} for key in rows]
        )


def _delete(connection: sa.Connection, run_ids: Sequence[str]) -> None:
    """Tags and blocks go with their run (ON DELETE CASCADE)."""
    if not run_ids:
        return
    gone = sa.delete(tables.runs).where(tables.runs.c.run_id == sa.bindparam("gone"))
    connection.execute(gone, [{"gone": run_id} for run_id in run_ids])


def _superfluous(
    oldest_first: Sequence[RunSummary],
    older_than: timedelta | datetime | None,
    max_bytes: int | None,
    total: int,
) -> list[RunSummary]:
    if older_than is None and max_bytes is None:
        return list(oldest_first)
    limit = datetime.now(timezone.utc) - older_than if isinstance(older_than, timedelta) else older_than
    gone: list[RunSummary] = []
    for run in oldest_first:
        too_old = limit is not None and summaries.wall_ns(run.started_at) < summaries.wall_ns(limit)
        if too_old or (max_bytes is not None and total > max_bytes):
            gone.append(run)
            total -= run.stored_bytes
    return gone

"""One line per run: what lists show, taken from plain columns so that ten thousand runs list in a moment."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

import sqlalchemy as sa

from wattmark.quantity import SCALE, Quantity, total
from wattmark.store import tables, trash

Order = Literal["newest", "oldest", "energy", "duration", "name"]

_FEW = 500
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_R = tables.runs.c
_ORDERS: dict[Order, tuple[sa.ColumnElement[Any], ...]] = {
    "newest": (_R.started_wall_ns.desc(), _R.run_id),
    "oldest": (_R.started_wall_ns, _R.run_id),
    "energy": (_R.energy_j.desc().nulls_last(), _R.run_id),
    "duration": (_R.duration_s.desc(), _R.run_id),
    "name": (_R.name, _R.started_wall_ns.desc(), _R.run_id),
}
_COLUMNS = [column for column in tables.runs.c if column.name not in ("header", "summary")]


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in a list. Energies in J and None where they are not known; ``started_at`` in UTC.

    energy_by_method: the counted joules told apart as ``counter``, ``integrated`` and ``modelled``. settings: the zone
    and PUE that were given to the run. tree: the process tree's energy where other work kept the machine busy, else None;
    tree_by_method: the same by method, empty where it was not kept. metrics: the last number of each that the run reported.
    course_w: its power in even parts of its time, None where nothing is covered.
    """

    run_id: str
    name: str
    status: str
    exit_code: int | None
    host: str
    parent_id: str | None
    started_at: datetime
    duration_s: float
    energy_j: float | None
    energy_low_j: float | None
    energy_high_j: float | None
    energy_by_component: Mapping[str, Quantity]
    coverage: float | None
    tags: Mapping[str, str]
    note: str
    stored_bytes: int
    energy_by_method: Mapping[str, Quantity] = field(default_factory=dict[str, Quantity])
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tree: Quantity | None = None
    tree_by_method: Mapping[str, Quantity] = field(default_factory=dict[str, Quantity])
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    course_w: Sequence[float | None] = ()

    @property
    def headline(self) -> Quantity | None:
        """The energy that the run is known by: the process tree's where other work kept the machine busy."""
        return self.energy if self.tree is None else self.tree

    @property
    def energy(self) -> Quantity | None:
        """The counted energy with its error terms; a run that was kept without them has one of scale."""
        if self.energy_j is None or self.energy_low_j is None or self.energy_high_j is None:
            return None
        parts = list(self.energy_by_method.values())
        if parts and math.isclose(math.fsum(part.value for part in parts), self.energy_j, rel_tol=1e-9):
            return total(parts)
        error = f"{SCALE}/{self.host or self.run_id}/total"
        return Quantity(self.energy_j, self.energy_low_j, self.energy_high_j, error=error)

    def as_dict(self) -> dict[str, Any]:
        """As ``ls --json`` shows it."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "status": self.status,
            "exit_code": self.exit_code,
            "host": self.host,
            "parent_id": self.parent_id,
            "started_at": self.started_at.isoformat(),
            "duration_s": self.duration_s,
            "energy_j": self.energy_j,
            "headline": {
                "scope": "machine" if self.tree is None else "tree",
                "energy_j": self.headline and self.headline.value,
            },
            "energy_low_j": self.energy_low_j,
            "energy_high_j": self.energy_high_j,
            "energy_by_component": {key: value.as_dict() for key, value in self.energy_by_component.items()},
            "coverage": self.coverage,
            "tags": dict(self.tags),
            "metrics": dict(self.metrics),
            "note": self.note,
            "stored_bytes": self.stored_bytes,
        }


def conditions(
    *,
    status: str | Iterable[str] | None = None,
    tag: str | Iterable[str] | None = None,
    name: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    host: str | None = None,
) -> list[sa.ColumnElement[bool]]:
    """What a run must meet. ``tag``: ``key`` or ``key=value`` (all of several); ``name``: a shell pattern.

    ``since`` and ``until`` are wall times of the start, ``since <= start < until``; naive ones are local
    time.
    """
    clauses: list[sa.ColumnElement[bool]] = []
    if status is not None:
        clauses.append(_R.status.in_([status] if isinstance(status, str) else list(status)))
    if name is not None:
        clauses.append(_R.name.regexp_match(_glob(name)))
    if since is not None:
        clauses.append(_R.started_wall_ns >= wall_ns(since))
    if until is not None:
        clauses.append(_R.started_wall_ns < wall_ns(until))
    if host is not None:
        clauses.append(_R.host == host)
    for wanted in [tag] if isinstance(tag, str) else (tag or ()):
        key, equals, value = wanted.partition("=")
        match = sa.and_(tables.tags.c.run_id == _R.run_id, tables.tags.c.key == key)
        if equals:
            match = sa.and_(match, tables.tags.c.value == value)
        clauses.append(sa.exists().where(match))
    return clauses


def select(
    connection: sa.Connection,
    where: Sequence[sa.ColumnElement[bool]],
    order: Order = "newest",
    limit: int | None = None,
    *,
    removed: bool = False,
) -> list[RunSummary]:
    """The summaries of the runs that meet all conditions; of removed runs only where ``removed`` says so."""
    gone = sa.select(tables.removed.c.run_id)
    there = _R.run_id.in_(gone) if removed else _R.run_id.not_in(gone)
    chosen = (
        sa.select(*_COLUMNS)
        .where(there, trash.of_project(connection), *where)
        .order_by(*_ORDERS[order])
        .limit(limit)
    )
    rows = connection.execute(chosen).all()
    # Of few runs by their ids: to ask the same question three times is what takes long in a store of a million.
    same = sa.select(chosen.with_only_columns(_R.run_id).subquery().c.run_id)
    ids: list[str] = [row.run_id for row in rows]
    few = len(ids) <= _FEW
    owner, subject = tables.tags.c.run_id, tables.facts.c.run_id
    tags_of: dict[str, dict[str, str]] = {}
    owned = sa.select(tables.tags).where(owner.in_(ids) if few else owner.in_(same))
    for run_id, key, value in connection.execute(owned.order_by(tables.tags.c.key)):
        tags_of.setdefault(run_id, {})[key] = value
    facts_query = sa.select(tables.facts).where(subject.in_(ids) if few else subject.in_(same))
    facts_of: dict[str, str] = {row.run_id: row.facts for row in connection.execute(facts_query)}
    return [_summary(row, tags_of.get(row.run_id, {}), facts_of.get(row.run_id, "{}")) for row in rows]


def wall_ns(moment: datetime) -> int:
    """Nanoseconds since the Unix epoch; a naive datetime is taken as local time."""
    return (moment.astimezone(timezone.utc) - _EPOCH) // timedelta(microseconds=1) * 1000


def _summary(row: sa.Row[Any], tags_of: dict[str, str], facts: str) -> RunSummary:
    values = dict(row._mapping)  # type: ignore[reportPrivateUsage]  # SQLAlchemy's documented name
    started = _EPOCH + timedelta(microseconds=values.pop("started_wall_ns") // 1000)
    sensor = f"{SCALE}/{values['host'] or values['run_id']}"
    parts = {
        key: Quantity.from_dict(part, error=f"{sensor}/{key}")
        for key, part in json.loads(values.pop("energy_by_component")).items()
    }
    details: dict[str, Any] = json.loads(facts)
    methods = {
        method: Quantity.from_dict(part, error=f"{sensor}/{method}")
        for method, part in details.get("methods", {}).items()
    }
    headline: dict[str, Any] = details.get("headline") or {}
    return RunSummary(
        **values,
        started_at=started,
        energy_by_component=parts,
        tags=tags_of,
        energy_by_method=methods,
        settings=details.get("settings", {}),
        metrics=details.get("metrics", {}),
        course_w=tuple(details.get("course_w", ())),
        tree=Quantity.from_dict(headline["energy_j"]) if headline else None,
        tree_by_method={
            method: Quantity.from_dict(part) for method, part in headline.get("by_method", {}).items()
        },
    )


def _glob(pattern: str) -> str:
    """A regular expression that SQLite (through Python's re) and PostgreSQL read alike."""
    wild = {"*": "(.|\n)*", "?": "(.|\n)"}
    return "^" + "".join(wild.get(char, char if char.isalnum() else f"\\{char}") for char in pattern) + "$"

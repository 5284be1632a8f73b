"""Which run is meant, and what is said when none is: ids, beginnings of ids, names, ``last`` and ``@-1``."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from wattmark.errors import RunNotFound
from wattmark.store import tables, trash
from wattmark.store.portable import storable

_RECENT = re.compile(r"@-([1-9][0-9]{0,8})")
_CANDIDATES = 5  # how many runs a message names


class Candidate(NamedTuple):
    """What is needed of a run to say whether it is meant."""

    run_id: str
    name: str
    started_wall_ns: int


def resolve(connection: sa.Connection, ref: str, others: Sequence[Candidate] = ()) -> str:
    """The id of the run that ``ref`` means, of those kept and of ``others``. Raises RunNotFound."""
    ref = storable(ref)
    if is_kept(connection, ref):
        return ref
    r = tables.runs.c
    recent = _RECENT.fullmatch("@-1" if ref == "last" else ref)
    if recent:
        number = int(recent[1])
        newest = _newest([*_kept(connection, sa.true(), number), *others])
        if number <= len(newest):
            return newest[number - 1].run_id
        raise _not_found(connection, ref, others)
    if any(run.run_id == ref for run in others):
        return ref
    named = _newest([*_kept(connection, r.name == ref, 1), *(run for run in others if run.name == ref)])
    if named:
        return named[0].run_id
    if not ref:
        raise _not_found(connection, ref, others)
    begins = _kept(connection, r.run_id.startswith(ref, autoescape=True), _CANDIDATES + 1)
    begins = _newest([*begins, *(run for run in others if run.run_id.startswith(ref))])
    if len(begins) == 1:
        return begins[0].run_id
    if begins:
        lines = ", ".join(f"{run.run_id} ({run.name})" for run in begins[:_CANDIDATES])
        more = " and more" if len(begins) > _CANDIDATES else ""
        raise RunNotFound(f"{ref!r} fits several runs: {lines}{more}", hint="give more of the id")
    raise _not_found(connection, ref, others)


def _kept(connection: sa.Connection, where: sa.ColumnElement[bool], limit: int) -> list[Candidate]:
    """The newest kept runs that meet a condition."""
    r = tables.runs.c
    chosen = sa.select(r.run_id, r.name, r.started_wall_ns).where(trash.kept(), where)
    ordered = chosen.order_by(r.started_wall_ns.desc(), r.run_id).limit(limit)
    return [Candidate(*row) for row in connection.execute(ordered)]


def _newest(runs: Iterable[Candidate]) -> list[Candidate]:
    """The newest first, a run that is both kept and running (it was kept this moment) once."""
    unique = {run.run_id: run for run in runs}
    return sorted(unique.values(), key=lambda run: (-run.started_wall_ns, run.run_id))


def _not_found(connection: sa.Connection, ref: str, others: Iterable[Candidate]) -> RunNotFound:
    recent = _newest([*_kept(connection, sa.true(), 1000), *others])
    if not recent:
        return RunNotFound(
            f"there is no run {ref!r}: the store is empty", hint="wattmark run -- COMMAND makes one"
        )
    names = dict.fromkeys(text for run in recent for text in (run.name, run.run_id))
    near = difflib.get_close_matches(ref, names, n=_CANDIDATES, cutoff=0.6)
    hint = f"did you mean {', '.join(near)}?" if near else "wattmark ls shows the runs"
    return RunNotFound(f"there is no run {ref!r}", hint=hint)


def is_kept(connection: sa.Connection, ref: str) -> bool:
    """Whether there is a run of this very id."""
    return connection.execute(by_id(storable(ref))).first() is not None


def by_id(run_id: str) -> sa.Select[Any]:
    """The run of this very id, if it is there."""
    return sa.select(tables.runs.c.run_id).where(tables.runs.c.run_id == run_id, trash.kept())


def tags_of(connection: sa.Connection, run_id: str) -> dict[str, str]:
    """A run's tags."""
    t = tables.tags.c
    rows = connection.execute(sa.select(t.key, t.value).where(t.run_id == run_id).order_by(t.key))
    return {row.key: row.value for row in rows}

"""Which run is meant, and what is said when none is: ids, beginnings of ids or of their ends, names, ``last``, ``@-1``.

An id is a time and random digits (``20260301T120000-1f2e3d4a``). Lists show the first few of the digits (``1f2e``), as
many as no other run has: :func:`short_ids`.
"""

from __future__ import annotations

import bisect
import difflib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from wattmark.errors import RunNotFound
from wattmark.runs.hosts import PART_OF
from wattmark.store import tables, trash
from wattmark.store.portable import storable

_RECENT = re.compile(r"@-([1-9][0-9]{0,8})")
_ID = re.compile(r"\d{8}T\d{6}-([0-9a-f]{8})")
_SHORTEST = 4
_LENGTHS = range(_SHORTEST, 9)
_DIGITS_AT = len("20260301T120000-") + 1
_LARGE = 20_000
"""From so many runs on, short ids are worked out from those that begin alike, not from all."""
_END = re.compile(rf"[0-9a-f]{{{_SHORTEST},8}}")
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
        newest = _newest([*_kept(connection, _whole(), number), *others])
        if number <= len(newest):
            return newest[number - 1].run_id
        raise _not_found(connection, ref, others)
    if any(run.run_id == ref for run in others):
        return ref
    named = _newest(
        [*_kept(connection, sa.and_(r.name == ref, _whole()), 1), *(run for run in others if run.name == ref)]
    )
    if named:
        return named[0].run_id
    if not ref:
        raise _not_found(connection, ref, others)
    fits = r.run_id.startswith(ref, autoescape=True)
    if _END.fullmatch(ref):
        fits = sa.or_(fits, r.run_id.contains(f"-{ref}", autoescape=True))
    begins = _kept(connection, fits, _CANDIDATES + 1)
    begins = _newest([*begins, *(run for run in others if _begins(run.run_id, ref))])
    if len(begins) == 1:
        return begins[0].run_id
    if begins:
        lines = ", ".join(f"{run.run_id} ({run.name})" for run in begins[:_CANDIDATES])
        more = " and more" if len(begins) > _CANDIDATES else ""
        raise RunNotFound(f"{ref!r} fits several runs: {lines}{more}", hint="give more of the id")
    raise _not_found(connection, ref, others)


def short_ids(connection: sa.Connection, run_ids: Iterable[str]) -> dict[str, str]:
    """For each id the shortest words that mean it and no other run that is kept or among these; ids that were made
    elsewhere, in another form, stay as they are."""
    wanted = list(run_ids)
    r = tables.runs.c
    chosen = sa.select(r.run_id, r.name).where(trash.kept(connection))
    is_large = connection.execute(sa.select(r.run_id).offset(_LARGE).limit(1)).first() is not None
    if is_large:  # only what begins alike; an id in another form may then fit too, which resolve says
        digits = {match[1][:_SHORTEST] for run_id in wanted if (match := _ID.fullmatch(run_id))}
        begins_alike = sa.func.substr(r.run_id, _DIGITS_AT, _SHORTEST).in_(digits)
        chosen = sa.select(r.run_id).where(begins_alike)  # an index has all of that
    rows = connection.execute(chosen).all()
    names: set[str] = set() if is_large else {row.name for row in rows}
    if is_large:
        starts = {
            match[1][:length] for run_id in wanted if (match := _ID.fullmatch(run_id)) for length in _LENGTHS
        }
        names = set(connection.execute(sa.select(r.name).where(r.name.in_(starts))).scalars())
    ids = sorted({row.run_id for row in rows} | set(wanted))
    ends = sorted(run_id[at + 1 :] for run_id in ids for at, sign in enumerate(run_id) if sign == "-")
    return {run_id: _short(run_id, ids, ends, names) for run_id in wanted}


def _short(run_id: str, ids: Sequence[str], ends: Sequence[str], names: set[str]) -> str:
    match = _ID.fullmatch(run_id)
    if match is None:
        return run_id
    for length in range(_SHORTEST, len(match[1]) + 1):
        short = match[1][:length]
        if _beginning_with(ends, short) == 1 and not _beginning_with(ids, short) and short not in names:
            return short
    return run_id


def _beginning_with(words: Sequence[str], beginning: str) -> int:
    """How many of the sorted words begin so."""
    return bisect.bisect_left(words, f"{beginning}\U0010ffff") - bisect.bisect_left(words, beginning)


def _begins(run_id: str, ref: str) -> bool:
    return run_id.startswith(ref) or (_END.fullmatch(ref) is not None and f"-{ref}" in run_id)


def _kept(connection: sa.Connection, where: sa.ColumnElement[bool], limit: int) -> list[Candidate]:
    """The newest kept runs that meet a condition."""
    r = tables.runs.c
    chosen = sa.select(r.run_id, r.name, r.started_wall_ns).where(trash.kept(connection), where)
    ordered = chosen.order_by(r.started_wall_ns.desc(), r.run_id).limit(limit)
    return [Candidate(*row) for row in connection.execute(ordered)]


def _whole() -> sa.ColumnElement[bool]:
    """No host's part of a run over several that is here as a whole."""
    whole, part = tables.runs.alias("whole"), tables.tags.alias("part")
    of_job = sa.exists().where(part.c.run_id == tables.runs.c.run_id, part.c.key == PART_OF)
    there = sa.exists().where(whole.c.run_id == tables.runs.c.parent_id)
    return sa.not_(sa.and_(tables.runs.c.parent_id.is_not(None), there, of_job))


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
    there = sa.select(tables.runs.c.run_id).where(tables.runs.c.run_id == storable(ref))
    return connection.execute(there.where(trash.kept(connection))).first() is not None


def tags_of(connection: sa.Connection, run_id: str) -> dict[str, str]:
    """A run's tags."""
    t = tables.tags.c
    rows = connection.execute(sa.select(t.key, t.value).where(t.run_id == run_id).order_by(t.key))
    return {row.key: row.value for row in rows}

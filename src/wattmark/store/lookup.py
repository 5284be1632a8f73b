"""Which run is meant, and what is said when none is: ids, beginnings of ids, names, ``last`` and ``@-1``."""

from __future__ import annotations

import difflib
import re
from typing import Any

import sqlalchemy as sa

from wattmark.errors import RunNotFound
from wattmark.store import summaries, tables, trash
from wattmark.store.portable import storable

_RECENT = re.compile(r"@-([1-9][0-9]{0,8})")
_CANDIDATES = 5  # how many runs a message names


def resolve(connection: sa.Connection, ref: str) -> str:
    """The id of the run that ``ref`` means. Raises RunNotFound."""
    ref = storable(ref)
    r = tables.runs.c
    recent = _RECENT.fullmatch("@-1" if ref == "last" else ref)
    newest = sa.select(r.run_id).where(trash.kept()).order_by(r.started_wall_ns.desc(), r.run_id)
    found: str | None
    if recent:
        found = connection.execute(newest.offset(int(recent[1]) - 1).limit(1)).scalar()
    else:
        found = (
            connection.execute(by_id(ref)).scalar()
            or connection.execute(newest.where(r.name == ref).limit(1)).scalar()
        )
    if found is not None:
        return found
    begins = [r.run_id.startswith(ref, autoescape=True)] if ref and not recent else [sa.false()]
    candidates = summaries.select(connection, begins, "newest", _CANDIDATES + 1)
    if len(candidates) == 1:
        return candidates[0].run_id
    if candidates:
        lines = ", ".join(f"{run.run_id} ({run.name})" for run in candidates[:_CANDIDATES])
        more = " and more" if len(candidates) > _CANDIDATES else ""
        raise RunNotFound(f"{ref!r} fits several runs: {lines}{more}", hint="give more of the id")
    raise _not_found(connection, ref)


def _not_found(connection: sa.Connection, ref: str) -> RunNotFound:
    recent = summaries.select(connection, [], "newest", 1000)
    if not recent:
        return RunNotFound(
            f"there is no run {ref!r}: the store is empty", hint="wattmark run -- COMMAND makes one"
        )
    known = dict.fromkeys(text for run in recent for text in (run.name, run.run_id))
    near = difflib.get_close_matches(ref, known, n=_CANDIDATES, cutoff=0.6)
    hint = f"did you mean {', '.join(near)}?" if near else "wattmark ls shows the runs"
    return RunNotFound(f"there is no run {ref!r}", hint=hint)


def by_id(run_id: str) -> sa.Select[Any]:
    """The run of this very id, if it is there."""
    return sa.select(tables.runs.c.run_id).where(tables.runs.c.run_id == run_id, trash.kept())


def tags_of(connection: sa.Connection, run_id: str) -> dict[str, str]:
    """A run's tags."""
    t = tables.tags.c
    rows = connection.execute(sa.select(t.key, t.value).where(t.run_id == run_id).order_by(t.key))
    return {row.key: row.value for row in rows}

"""Tokens: who holds one may see (``read``) or also change (``write``) the runs of one project, or of all, in the dashboard.

Only a token's SHA-256 is kept: it has 256 random bits, so nothing slower than that is needed.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from wattmark.errors import ConfigError
from wattmark.store import tables
from wattmark.store.portable import storable
from wattmark.store.store import Store

Rights = Literal["read", "write"]
RIGHTS: tuple[Rights, ...] = ("read", "write")
_PREFIX = "wm_"
_T = tables.tokens.c


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token. project: None for all. ends: None for never."""

    name: str
    project: str | None
    rights: Rights
    made: datetime
    ends: datetime | None


def make_token(
    store: Store, name: str, *, project: str | None, rights: str = "read", lasts: timedelta | None = None
) -> str:
    """A new token; it is shown this once. Raises ConfigError for a name that is taken, empty words or other rights."""
    if rights not in RIGHTS:
        raise ConfigError(f"rights cannot be {rights!r}", hint="read or write")
    if not name.strip() or (project is not None and not project.strip()):
        raise ConfigError("a token needs a name, and a project that has one")
    if lasts is not None and lasts <= timedelta(0):
        raise ConfigError("a token that has ended is of no use", hint="--lasts 90d")
    token = f"{_PREFIX}{secrets.token_urlsafe(32)}"
    now = time.time_ns()
    row = {
        "token_hash": _hash(token),
        "name": storable(name),
        "project": project and storable(project),
        "rights": rights,
        "made_wall_ns": now,
        "ends_wall_ns": None if lasts is None else now + int(lasts.total_seconds() * 1e9),
    }
    with store.writing() as connection:
        taken = connection.execute(sa.select(_T.name).where(_T.name == row["name"])).first()
        try:
            if taken is None:
                connection.execute(sa.insert(tables.tokens).values(**row))
        except IntegrityError:
            taken = True
    if taken is not None:
        raise ConfigError(f"there is a token {name!r} already", hint="take another name, or remove that one")
    return token


def access_of(store: Store, token: str) -> Token | None:
    """What a token allows now; None for one that is unknown, was removed, or has ended."""
    if not token.startswith(_PREFIX):
        return None
    with store.reading() as connection:
        row = connection.execute(sa.select(tables.tokens).where(_T.token_hash == _hash(token))).first()
    if row is None or (row.ends_wall_ns is not None and row.ends_wall_ns <= time.time_ns()):
        return None
    return _token(row)


def tokens(store: Store) -> list[Token]:
    """All of them, by name; those that have ended too."""
    with store.reading() as connection:
        return [_token(row) for row in connection.execute(sa.select(tables.tokens).order_by(_T.name))]


def remove_token(store: Store, name: str) -> None:
    """Make a token void at once. Raises ConfigError if there is none of that name."""
    with store.writing() as connection:
        gone = sa.delete(tables.tokens).where(_T.name == storable(name)).returning(_T.name)
        if connection.execute(gone).first() is None:
            raise ConfigError(f"there is no token {name!r}", hint="wattmark store tokens")


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    ends = row.ends_wall_ns
    return Token(
        row.name,
        row.project,
        cast(Rights, row.rights),
        _moment(row.made_wall_ns),
        None if ends is None else _moment(ends),
    )


def _moment(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns / 1e9, timezone.utc)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()

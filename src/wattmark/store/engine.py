"""Opening a database: which one, how it is connected, and how its schema is brought up to date exactly once.

Any number of processes may open an empty database at the same moment. Each looks at the version table; those
that find it behind queue up at a lock (a lock file beside a SQLite file, an advisory lock in PostgreSQL),
look again, and the first migrates. A database that is up to date costs one small query, and Alembic is not
even imported.
"""

from __future__ import annotations

import importlib.util
import os
import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from wattmark import settings
from wattmark.errors import ConfigError, MissingExtra, StoreError
from wattmark.paths import data_dir
from wattmark.store.tables import SCHEMA_VERSION, version

_ADVISORY_LOCK = 0x77617474  # any constant that only Wattmark's migrations use ("watt")
_BUSY_S = 30
_DAMAGED = (
    "the file is damaged: move it away, with its -wal and -shm, and go on with a new one; "
    "`sqlite3 OLD .recover | sqlite3 NEW` saves what can be read of it"
)


def store_url(url_or_path: str | None = None, environ: Mapping[str, str] | None = None) -> sa.URL:
    """The database meant: the argument, else the setting ``store``, else ``store.db`` in the data folder.

    A PostgreSQL URL (``postgresql://`` or ``postgres://``), a ``sqlite:///`` URL, or the path of a SQLite
    file. Raises ConfigError for another kind of URL.
    """
    env = os.environ if environ is None else environ
    named = url_or_path or settings.load(env).get("store")
    if not named:
        return sa.URL.create("sqlite", database=str(Path(data_dir(env), "store.db")))
    scheme, separator, rest = named.partition("://")
    if not separator:
        return sa.URL.create("sqlite", database=str(Path(named).expanduser().absolute()))
    if scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        try:
            return sa.make_url(f"postgresql+psycopg://{rest}")
        except (SQLAlchemyError, ValueError):
            pass  # the message below says what a URL looks like, without repeating a password
    elif scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return sa.URL.create("sqlite", database=str(Path(rest[1:]).absolute()))
    raise ConfigError(
        f"the store cannot be a {scheme}:// address of this form",
        hint="name a file, or postgresql://user:password@host:5432/database",
    )


def connect(url: sa.URL) -> sa.Engine:
    """An engine whose database exists and is up to date. Raises StoreError; MissingExtra without psycopg."""
    if url.get_backend_name() == "sqlite":
        engine = _sqlite_engine(url)
    elif importlib.util.find_spec("psycopg") is None:
        raise MissingExtra("psycopg", "postgres")
    else:
        engine = sa.create_engine(
            url, pool_pre_ping=True, pool_size=2, connect_args={"connect_timeout": _BUSY_S}
        )
    with store_errors(f"the store {describe(url)} cannot be opened"):
        if _version(engine) != SCHEMA_VERSION:
            _migrate(engine)
    return engine


def describe(url: sa.URL) -> str:
    """The database's name for people: a path, or a URL without its password."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.set(drivername="postgresql").render_as_string(hide_password=True)


@contextmanager
def store_errors(what: str) -> Generator[None, None, None]:
    """SQLAlchemy's errors and the system's become a StoreError that begins with ``what``."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()
        said = cause[0] if cause else type(error).__name__
        raise StoreError(f"{what}: {said}", hint=_next_step(said)) from error
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or error}") from error


_COPY_TYPES: dict[type[Any], str] = {
    sa.Text: "text",
    sa.Integer: "int4",
    sa.BigInteger: "int8",
    sa.Float: "float8",
    sa.LargeBinary: "bytea",
}
_NEXT_STEPS = {
    "malformed": _DAMAGED,
    "not a database": _DAMAGED,
    "disk I/O error": "look for a full disk, a limit of file sizes (ulimit -f), or a failing disk",
    "is full": "make room on the disk; runs wait in their journals until then",
    "readonly": "make it writable, or name another one with WATTMARK_STORE",
    "locked": "another program holds it; try again when that is done",
}


def _next_step(cause: str) -> str | None:
    """What to do about an error of the database."""
    return next((step for words, step in _NEXT_STEPS.items() if words in cause), None)


@contextmanager
def reading(engine: sa.Engine) -> Generator[sa.Connection, None, None]:
    """A connection whose queries all see the database as it was at the first one."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # SQLite always reads so
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Generator[sa.Connection, None, None]:
    """A transaction that may write. SQLite takes its lock at once, so writers queue and never deadlock."""
    with engine.connect().execution_options(begin="BEGIN IMMEDIATE") as connection, connection.begin():
        yield connection


def insert_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[Sequence[Any]]) -> None:
    """Add rows, each with a value for every column of the table, in its order. Raises SQLAlchemyError."""
    if not rows:
        return
    names = [column.name for column in table.columns]
    if connection.dialect.name != "postgresql":
        connection.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in rows])
        return
    copy_rows(connection, table, rows, table.name)


def copy_rows(connection: sa.Connection, table: sa.Table, rows: Sequence[Sequence[Any]], into: str) -> None:
    """COPY rows of a table's shape into a PostgreSQL table ``into`` (a temporary one, say). Raises SQLAlchemyError."""
    import psycopg

    quote = connection.dialect.identifier_preparer.quote
    columns = ", ".join(quote(column.name) for column in table.columns)
    driver: Any = connection.connection.driver_connection
    statement = f"COPY {quote(into)} ({columns}) FROM STDIN (FORMAT BINARY)"
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types([_COPY_TYPES[type(column.type)] for column in table.columns])
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        raise DBAPIError(statement, None, error) from error


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    # No pool: to open a SQLite file takes some 0.1 ms, and a connection must not be carried across a fork.
    engine = sa.create_engine(
        url, poolclass=sa.NullPool, connect_args={"timeout": _BUSY_S, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions begin when we say so, not when the driver guesses
        for pragma in ("foreign_keys=ON", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def _version(engine: sa.Engine) -> str | None:
    """The schema's version in the database, None if it has none yet."""
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        return None
    with engine.connect() as connection:
        return _version_in(connection)


def _version_in(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table(version.name):
        return None
    return connection.execute(sa.select(version.c.version_num)).scalar()


def _migrate(engine: sa.Engine) -> None:
    if engine.dialect.name == "sqlite":
        path = str(engine.url.database)
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _file_lock(f"{path}.lock"):
            if not Path(path).exists():  # readable by nobody else, whatever folder it is in
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            raw = engine.raw_connection()
            try:  # both stay with the file; the first (removed runs give their room back) before any table
                raw.cursor().execute("PRAGMA auto_vacuum=FULL")
                raw.cursor().execute("PRAGMA journal_mode=WAL")
            finally:
                raw.close()
            with writing(engine) as connection:
                _upgrade(connection)
    else:
        with writing(engine) as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            _upgrade(connection)


def _upgrade(connection: sa.Connection) -> None:
    """Run the migrations that are missing, inside the transaction that is open."""
    if _version_in(connection) == SCHEMA_VERSION:
        return  # another process was first
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"the store was written by a later version of Wattmark ({error})", hint="update Wattmark"
        ) from error


@contextmanager
def _file_lock(path: str) -> Generator[None, None, None]:
    """Only one process at a time; the system lets go of it if the process dies. The empty file stays."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

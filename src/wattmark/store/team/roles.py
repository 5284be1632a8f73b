"""Users of a PostgreSQL store: group roles that the server itself holds people to.

``wattmark_reader`` may read runs, ``wattmark_writer`` may also add, tag and remove them. Neither sees tokens or may change
the schema: that stays with the owner, who makes users. Names and passwords are quoted by the driver, never pasted.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import sqlalchemy as sa

from wattmark.errors import ConfigError
from wattmark.extras import module_of
from wattmark.store import tables
from wattmark.store.store import Store

Role = Literal["reader", "writer"]
ROLES: tuple[Role, ...] = ("reader", "writer")
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SECRET = (tables.tokens.name, tables.retention.name)


def add_user(store: Store, name: str, role: str, password: str) -> None:
    """Make a user of the database, or give one that is there this role (:data:`ROLES`) and password.

    Raises ConfigError, StoreError."""
    if role not in ROLES:
        raise ConfigError(f"there is no role {role!r}", hint="reader or writer")
    if not _NAME.fullmatch(name) or name.startswith(("pg_", "wattmark_")):
        raise ConfigError(
            f"{name!r} cannot be a user's name", hint="small letters, digits and _, as in ann_b"
        )
    if len(password) < 12 or "\x00" in password:
        raise ConfigError("a password needs 12 signs or more")
    _needs_postgres(store)
    with store.writing() as connection:
        _groups(connection)
        _run(connection, "{verb} ROLE {name} LOGIN PASSWORD {password}", name=name, password=password)
        for other in ROLES:
            verb = "GRANT {group} TO {name}" if other == role else "REVOKE {group} FROM {name}"
            _run(connection, verb, name=name, group=f"wattmark_{other}")


def remove_user(store: Store, name: str) -> None:
    """Let a user in no more. Raises ConfigError if there is none of that name that Wattmark made."""
    _needs_postgres(store)
    with store.writing() as connection:
        if name not in {user for user, _ in _users(connection)}:
            raise ConfigError(f"there is no user {name!r}", hint="wattmark store users")
        _run(connection, "DROP ROLE {name}", name=name)


def users(store: Store) -> list[tuple[str, Role]]:
    """The users that Wattmark made, with their roles."""
    _needs_postgres(store)
    with store.reading() as connection:
        return _users(connection)


def _users(connection: sa.Connection) -> list[tuple[str, Role]]:
    query = sa.text(
        "SELECT member.rolname, team.rolname FROM pg_auth_members m JOIN pg_roles member ON member.oid = m.member "
        "JOIN pg_roles team ON team.oid = m.roleid WHERE team.rolname IN ('wattmark_reader', 'wattmark_writer') "
        "AND member.rolcanlogin AND NOT member.rolsuper ORDER BY 1"
    )
    return [
        (row[0], "writer" if row[1] == "wattmark_writer" else "reader") for row in connection.execute(query)
    ]


def _groups(connection: sa.Connection) -> None:
    """The group roles with their rights; again after each migration does no harm."""
    schema = connection.execute(sa.text("SELECT current_schema()")).scalar_one()
    database = connection.execute(sa.text("SELECT current_database()")).scalar_one()
    for role in ROLES:
        group = f"wattmark_{role}"
        if (
            connection.execute(
                sa.text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": group}
            ).first()
            is None
        ):
            _run(connection, "CREATE ROLE {group} NOLOGIN", group=group)
        _run(connection, "GRANT CONNECT ON DATABASE {database} TO {group}", database=database, group=group)
        _run(connection, "GRANT USAGE ON SCHEMA {schema} TO {group}", schema=schema, group=group)
        rights = "SELECT" if role == "reader" else "SELECT, INSERT, UPDATE, DELETE"
        for table in (*tables.metadata.tables, tables.version.name):
            allowed = "SELECT" if table == tables.version.name else rights
            if table not in _SECRET:
                _run(connection, f"GRANT {allowed} ON {{table}} TO {{group}}", table=table, group=group)


def _run(connection: sa.Connection, statement: str, **words: str) -> None:
    sql = module_of("postgres", "psycopg.sql")
    if "{verb}" in statement:
        found = connection.execute(
            sa.text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": words["name"]}
        )
        statement = statement.replace("{verb}", "CREATE" if found.first() is None else "ALTER")
    parts: dict[str, Any] = {
        key: sql.Literal(word) if key == "password" else sql.Identifier(word) for key, word in words.items()
    }
    driver: Any = connection.connection.driver_connection
    connection.exec_driver_sql(sql.SQL(statement).format(**parts).as_string(driver).replace("%", "%%"))


def _needs_postgres(store: Store) -> None:
    if not store.location.startswith("postgresql"):
        raise ConfigError(
            "a SQLite file has no users",
            hint="its file's permissions say who may read it; a team's store is PostgreSQL",
        )

# pyright: reportCallIssue=false
from __future__ import annotations

from itertools import count

import pytest

from fakes import postgres

_numbers = count()


@pytest.fixture(scope="session")
def postgres_server():
    pytest.importorskip("psycopg")
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: postgresql)")
    with postgres.server() as address:
        yield address


@pytest.fixture
def postgres_url(postgres_server):
    import psycopg

    name = f"test{next(_numbers)}"
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return postgres_server.format(database=name)

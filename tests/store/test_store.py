"""The store over SQLite and over a real PostgreSQL: the same contract."""

from __future__ import annotations

import pytest

from wattmark.testing.store_contract import StoreContract


class TestSqlite(StoreContract):
    @pytest.fixture
    def url(self, tmp_path):
        return str(tmp_path / "folder" / "store.db")


class TestPostgres(StoreContract):
    @pytest.fixture
    def url(self, postgres_url):
        return postgres_url

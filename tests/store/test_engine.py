from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.records import example_record
from wattmark.errors import ConfigError, MissingExtra, StoreError
from wattmark.store import engine, open_store
from wattmark.store.engine import store_url
from wattmark.store.tables import SCHEMA_VERSION, metadata


def test_the_default_is_a_file_in_the_data_folder(data_dir):
    with open_store() as store:
        assert store.location == str(data_dir / "store.db")
    assert os.stat(data_dir).st_mode & 0o077 == 0
    assert sorted(path.name for path in data_dir.iterdir()) == ["store.db", "store.db.lock"]


def test_the_environment_names_another_store(tmp_path):
    environ = {"WATTMARK_STORE": str(tmp_path / "team.db"), "WATTMARK_DATA_DIR": "/nowhere"}
    with open_store(environ=environ) as store:
        assert store.location == str(tmp_path / "team.db")


@pytest.mark.parametrize(
    ("given", "database"),
    [("x/y.db", None), ("~/y.db", None), ("sqlite:////tmp/a%20b.db", "/tmp/a%20b.db")],
)
def test_paths_and_sqlite_urls_are_files(given, database):
    url = store_url(given, {})
    assert url.get_backend_name() == "sqlite"
    assert url.database == (database or os.path.abspath(os.path.expanduser(given)))


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_urls_use_psycopg_and_hide_their_password(scheme):
    url = store_url(f"{scheme}://ann:s3cret@db.example:5433/energy", {})
    assert (url.drivername, url.host, url.port, url.database) == (
        "postgresql+psycopg",
        "db.example",
        5433,
        "energy",
    )
    assert engine.describe(url) == "postgresql://ann:***@db.example:5433/energy"


@pytest.mark.parametrize("given", ["mysql://x/y", "sqlite://", "postgres://a:s3cret@h:port/x", "http://x"])
def test_other_addresses_are_refused_without_repeating_a_password(given):
    with pytest.raises(ConfigError) as refusal:
        store_url(given, {})
    assert "s3cret" not in str(refusal.value)
    assert refusal.value.hint


def test_postgresql_without_its_driver_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra) as missing:
        open_store("postgresql://localhost/x")
    assert "wattmark[postgres]" in missing.value.hint


def test_a_server_that_does_not_answer_is_a_store_error(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(f"postgresql://ann:s3cret@/x?host={tmp_path}")


def test_what_is_no_database_or_cannot_be_made_is_a_store_error(tmp_path):
    (tmp_path / "text.db").write_text(
        "this is a text file, long enough to have a header of a hundred bytes" * 3
    )
    (tmp_path / "file").touch()
    for path in (tmp_path / "text.db", tmp_path / "file" / "store.db", tmp_path):
        with pytest.raises(StoreError, match="cannot be opened"):
            open_store(str(path))


def test_a_store_of_a_later_version_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "store.db"
    with open_store(str(path)) as store:
        store.add(example_record())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="later version"):
        open_store(str(path))


def test_the_migrations_make_the_tables_that_the_code_sees(tmp_path):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with open_store(str(tmp_path / "store.db")) as store, store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    folder = os.path.join(os.path.dirname(engine.__file__), "migrations")
    assert ScriptDirectory(folder).get_current_head() == SCHEMA_VERSION


def test_the_first_migration_can_be_undone(tmp_path):
    from alembic import command
    from alembic.config import Config

    with open_store(str(tmp_path / "store.db")) as store, engine.writing(store._engine) as connection:
        config = Config()
        config.set_main_option(
            "script_location", os.path.join(os.path.dirname(engine.__file__), "migrations")
        )
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        assert connection.exec_driver_sql("SELECT count(*) FROM alembic_version").scalar() == 0


def test_an_up_to_date_store_opens_without_alembic(tmp_path):
    path = str(tmp_path / "store.db")
    open_store(path).close()
    code = "import sys; from wattmark.store import open_store; open_store(sys.argv[1]); print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_sqlite_files_use_a_write_ahead_log_and_shrink_when_runs_go(tmp_path):
    path = tmp_path / "store.db"
    with open_store(str(path)) as store:
        noise = os.urandom(400_000).hex()
        store.add(example_record(extra={"noise": noise}))
        raw = sqlite3.connect(path)
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        full = raw.execute("PRAGMA page_count").fetchone()[0]
        store.remove(["last"])
        assert raw.execute("PRAGMA page_count").fetchone()[0] < full / 4
        raw.close()


def test_a_writer_waits_for_another_instead_of_failing(tmp_path):
    import threading

    with open_store(str(tmp_path / "store.db")) as store:
        started = threading.Event()

        def add():
            started.set()
            assert store.add(example_record("b2"))

        with engine.writing(store._engine):
            thread = threading.Thread(target=add)
            thread.start()
            assert started.wait(10)
        thread.join(30)
        assert store.resolve("b2") == "b2"


def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path):
    path = tmp_path / "store.db"
    ends = {"energy_j": 10.0, "low": 9.0, "high": 11.0}
    channel = {"method": "counter", "counted_in_total": True, **ends}
    with open_store(str(path)) as store:
        store.add(example_record("a1", extra={"settings": {"pue": 1.2}}), {"channels": [channel]})
        store.add(example_record("b2"), None)
    with sqlite3.connect(path) as database:  # back to what the first version left
        database.execute("DROP TABLE run_facts")
        database.execute("DROP TABLE run_removed")
        database.execute("DROP TABLE run_revisions")
        for table in ("predictions", "tokens", "retention", "node_batches"):
            database.execute(f"DROP TABLE {table}")
        database.execute("UPDATE alembic_version SET version_num = '0001'")
        database.execute("UPDATE runs SET summary = x'00' WHERE run_id = 'b2'")
    with open_store(str(path)) as store:
        runs = {run.run_id: run for run in store.summaries()}
        assert runs["a1"].energy_by_method["counter"].high == 11.0
        assert runs["a1"].settings == {"pue": 1.2}
        assert runs["b2"].energy_by_method == {}
        assert store.revision("a1")[1] != store.revision("b2")[1]
        assert store.discard(["b2"]) == ["b2"]
        assert store.predictions() == []


def test_a_new_store_is_private_in_a_folder_that_is_not(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    before = os.umask(0o022)
    try:
        open_store(str(folder / "store.db")).close()
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert modes["store.db"] == 0o600
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("damage", ["header", "pages"])
def test_a_damaged_store_says_what_to_do(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "store.db"
    open_store(str(path)).close()
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[:16] = b"not a database!!"
    else:
        data[100:] = b"\xff" * (len(data) - 100)
    path.write_bytes(data)
    for other in tmp_path.glob("store.db-*"):
        other.unlink()
    with pytest.raises(StoreError) as caught, open_store(str(path)) as store:
        store.summaries()
    assert caught.value.hint is not None
    assert "move it away" in caught.value.hint

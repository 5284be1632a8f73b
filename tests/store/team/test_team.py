"""A team's store on SQLite and on a real PostgreSQL: copies, tokens, retention, users, fifty writers."""

from __future__ import annotations

import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from fakes import postgres
from fakes.records import assert_same_record, example_record, example_summary, rapl_record
from wattmark.errors import ConfigError, RunNotFound, StoreError
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store import Store, open_store
from wattmark.store.team.copying import BATCH, copy_store
from wattmark.store.team.nodes import Batch, add_batches, samples_of, streams
from wattmark.store.team.retention import Retention, apply_retention, retentions, set_retention, thin
from wattmark.store.team.roles import add_user, remove_user, users
from wattmark.store.team.tokens import access_of, make_token, remove_token, tokens


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        str(tmp_path / "store.db") if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    )


@pytest.fixture
def store(url: str):
    with open_store(url) as here:
        yield here


def filled(path: Path, runs: int = 5) -> Store:
    store = open_store(str(path))
    for number in range(runs):
        store.add(
            example_record(f"r{number}", tags={"project": "own"} if number else {}), example_summary(number)
        )
    store.note("r1", "a note with 'quotes' and ü")
    store.discard(["r2"])
    return store


def test_a_copy_is_what_was_copied_and_again_copies_nothing(store: Store, tmp_path: Path) -> None:
    with filled(tmp_path / "old.db") as old:
        done = copy_store(old, store, project="vision")
        assert (done.runs, done.present) == (5, 0)
        assert copy_store(old, store).runs == 0
        for run_id in ("r0", "r1", "r3", "r4"):
            record = old.get(run_id)
            if run_id == "r0":
                assert store.get(run_id).tags == {**record.tags, "project": "vision"}
            else:
                assert_same_record(store.get(run_id), record)
            assert store.summary(run_id) == old.summary(run_id)
        assert store.marks("r1")[1] == "a note with 'quotes' and ü"
        assert [run.run_id for run, _ in store.discarded()] == ["r2"]
        store.restore(["r2"])
        assert_same_record(store.get("r2"), example_record("r2", tags={"project": "own"}))


def test_a_copy_that_is_interrupted_goes_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattmark.store.team.copying.BATCH", 2)
    assert BATCH > 2

    def interrupt(done: int, total: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with filled(tmp_path / "old.db") as old:
        with pytest.raises(KeyboardInterrupt):
            copy_store(old, store, on_progress=interrupt)
        done = copy_store(old, store)
        assert (done.runs, done.present) == (3, 2)
        assert len(store.summaries()) == 4


def test_a_store_is_not_copied_into_itself(store: Store, url: str) -> None:
    with open_store(url) as same, pytest.raises(ConfigError):
        copy_store(store, same)


def test_a_token_allows_what_it_says_until_it_ends(store: Store) -> None:
    read = make_token(store, "ann", project="a")
    write = make_token(store, "bob", project=None, rights="write", lasts=timedelta(days=1))
    access = access_of(store, read)
    assert access is not None
    assert (access.name, access.project, access.rights, access.ends) == ("ann", "a", "read", None)
    assert (access_of(store, write) or access).rights == "write"
    for wrong in (
        "",
        "wm_",
        read[:-1],
        f"{read}x",
        "x" * 100_000,
        "wm_\ud800",
        "wm_'; DROP TABLE tokens; --",
    ):
        assert access_of(store, wrong) is None
    with pytest.raises(ConfigError, match="already"):
        make_token(store, "ann", project="b")
    ended = make_token(store, "old", project="a", lasts=timedelta(microseconds=1))
    assert access_of(store, ended) is None
    remove_token(store, "ann")
    assert access_of(store, read) is None
    assert [token.name for token in tokens(store)] == ["bob", "old"]
    with store.reading() as connection:
        kept = str(connection.exec_driver_sql("SELECT * FROM tokens").all())
    assert write not in kept


def test_who_sees_one_project_sees_no_other_by_any_word(store: Store) -> None:
    store.add(example_record("a1", name="shared", tags={"project": "a"}), example_summary(1))
    store.add(example_record("b1", name="shared", tags={"project": "b", "x": "1"}), example_summary(2))
    store.add(example_record("n1", name="none", tags={}), example_summary(3))
    mine = store.of_project("a")
    assert [run.run_id for run in mine.summaries()] == ["a1"]
    assert [mine.resolve(ref) for ref in ("last", "shared", "a1", "@-1")] == ["a1"] * 4
    for ref in ("b1", "b", "n1", "none", "@-2"):
        for ask in (mine.resolve, mine.get, mine.part, mine.summary, mine.marks, mine.revision):
            with pytest.raises(RunNotFound) as refusal:
                ask(ref)
            assert "b1" not in f"{refusal.value} {refusal.value.hint}".replace(f"'{ref}'", "")
    for change in (
        lambda: mine.tag("b1", {"k": "v"}),
        lambda: mine.note("b1", "x"),
        lambda: mine.discard(["a1", "b1"]),
        lambda: mine.remove(["b1"]),
    ):
        with pytest.raises(RunNotFound):
            change()
    store.discard(["b1"])
    assert mine.discarded() == []
    with pytest.raises(RunNotFound):
        mine.restore(["b1"])
    store.restore(["b1"])
    with pytest.raises(StoreError, match="one project"):
        mine.tag("a1", {"project": "b"})
    with pytest.raises(StoreError, match="one project"):
        mine.tag("a1", remove=["project"])
    before = mine.stamp()
    store.note("b1", "written")
    assert mine.stamp() == before
    mine.note("a1", "ours")
    assert mine.stamp() != before
    assert len(store.summaries()) == 3


def test_rules_of_retention_are_for_their_project_and_done_once(store: Store) -> None:
    now = datetime.now(timezone.utc)
    for run_id, days, project in (
        ("old-a", 400, "a"),
        ("new-a", 1, "a"),
        ("old-b", 400, "b"),
        ("old", 400, ""),
    ):
        record = example_record(
            run_id,
            tags={"project": project} if project else {},
            started_wall_ns=int((now - timedelta(days=days)).timestamp() * 1e9),
        )
        store.add(record, example_summary(1))
    set_retention(store, Retention("a", runs=timedelta(days=365)))
    set_retention(store, Retention("", runs=timedelta(days=399)))
    set_retention(store, Retention("b", runs=timedelta(days=500)))
    assert [rule.project for rule in retentions(store)] == ["", "a", "b"]
    assert sorted(apply_retention(store, dry_run=True).removed) == ["old", "old-a"]
    assert len(store.summaries()) == 4
    assert sorted(apply_retention(store).removed) == ["old", "old-a"]
    assert apply_retention(store).removed == []
    assert sorted(run.run_id for run in store.summaries()) == ["new-a", "old-b"]
    set_retention(store, Retention("a"))
    assert [rule.project for rule in retentions(store)] == ["", "b"]


@pytest.mark.parametrize(
    "rule",
    [
        Retention("a", runs=timedelta(0)),
        Retention("a", curves=timedelta(days=1)),
        Retention("a", period_s=1.0),
        Retention("a", curves=timedelta(days=1), period_s=float("nan")),
        Retention("a", curves=timedelta(days=1), period_s=-1.0),
    ],
)
def test_rules_that_make_no_sense_are_refused(rule: Retention, tmp_path: Path) -> None:
    with open_store(str(tmp_path / "s.db")) as here, pytest.raises(ConfigError):
        set_retention(here, rule)


def test_thinned_curves_have_the_joules_that_they_had(tmp_path: Path) -> None:
    record = rapl_record(40_000, channels=2)
    before = summarise(RunView(record)).to_dict()
    coarse = thin(record, 60.0)
    after = summarise(RunView(coarse)).to_dict()
    assert len(coarse.curves[0].t_ns) < len(record.curves[0].t_ns) / 100
    assert after["energy_j"]["total"]["value"] == pytest.approx(
        before["energy_j"]["total"]["value"], rel=1e-12
    )
    assert after["coverage"] == pytest.approx(before["coverage"])
    kept = np.isin(record.curves[0].t_ns, coarse.curves[0].t_ns)
    assert np.array_equal(record.curves[0].energy_uj[kept], coarse.curves[0].energy_uj)
    with open_store(str(tmp_path / "s.db")) as here:
        here.add(record, before)
        set_retention(here, Retention("", curves=timedelta(seconds=1), period_s=60.0))
        later = datetime.now(timezone.utc) + timedelta(days=365 * 60)
        assert apply_retention(here, now=later).thinned == [record.run_id]
        assert apply_retention(here, now=later).thinned == []
        assert here.summary(record.run_id) == before
        assert len(here.get(record.run_id).curves[0].t_ns) == len(coarse.curves[0].t_ns)


def test_fifty_writers_at_once_keep_each_run_once(postgres_url: str) -> None:
    open_store(postgres_url).close()
    start = threading.Barrier(50)

    def write(number: int) -> list[bool]:
        with open_store(postgres_url) as mine:
            start.wait(60)
            own = [mine.add(example_record(f"w{number}-{run}"), example_summary(run)) for run in range(3)]
            return [*own, mine.add(example_record("everyone"), example_summary(7))]

    with ThreadPoolExecutor(50) as pool:
        added = list(pool.map(write, range(50)))
    assert all(all(row[:3]) for row in added)
    assert sum(row[3] for row in added) == 1
    with open_store(postgres_url) as here:
        assert len(here.summaries()) == 151
        assert_same_record(here.get("w7-1"), example_record("w7-1"))


def test_users_may_do_what_their_role_says(postgres_url: str) -> None:
    with open_store(postgres_url) as owner:
        owner.add(example_record("a1"), example_summary(1))
        secret = 'it\'s a "long" % {secret}'
        add_user(owner, "wmt_reader", "reader", secret)
        add_user(owner, "wmt_writer", "reader", secret)
        add_user(owner, "wmt_writer", "writer", secret)
        assert {("wmt_reader", "reader"), ("wmt_writer", "writer")} <= set(users(owner))
        with open_store(postgres_url.replace("wattmark@", "wmt_reader@")) as reader:
            assert_same_record(reader.get("a1"), example_record("a1"))
            with pytest.raises(StoreError, match="permission denied"):
                reader.add(example_record("r1"))
            with pytest.raises(StoreError, match="permission denied"):
                tokens(reader)
        with open_store(postgres_url.replace("wattmark@", "wmt_writer@")) as writer:
            assert writer.add(example_record("w1"))
            writer.discard(["w1"])
            with pytest.raises(StoreError, match="permission denied"):
                make_token(writer, "x", project=None)
            with pytest.raises(StoreError, match="permission denied"):
                add_user(writer, "wmt_third", "writer", secret)
        for name in ("wmt_reader", "wmt_writer"):
            remove_user(owner, name)
        with pytest.raises(ConfigError):
            remove_user(owner, "wmt_reader")
        with pytest.raises(ConfigError):
            remove_user(owner, "wattmark")


@pytest.mark.parametrize(
    "name", ["", "Ann", "a b", "pg_x", "wattmark_writer", 'a"; DROP TABLE runs; --', "a" * 64]
)
def test_names_of_users_that_are_none_are_refused(name: str, postgres_url: str) -> None:
    with open_store(postgres_url) as owner, pytest.raises(ConfigError):
        add_user(owner, name, "reader", "a long password")


def test_a_file_has_no_users(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "s.db")) as here, pytest.raises(ConfigError, match="SQLite"):
        add_user(here, "ann", "reader", "a long password")


def test_a_backup_by_postgresqls_own_tools_restores_every_run(
    postgres_url: str, postgres_server: str, tmp_path: Path
) -> None:
    import psycopg
    import psycopg.sql

    if shutil.which("pg_dump") is None:
        pytest.skip("no pg_dump here (Debian: postgresql-client)")
    with open_store(postgres_url) as store:
        for number in range(3):
            store.add(rapl_record(500, seed=number) if number == 0 else example_record(f"r{number}"))
        ids = sorted(run.run_id for run in store.summaries())
        records = {run_id: store.get(run_id) for run_id in ids}
    folder = parse_qs(urlsplit(postgres_url).query)["host"][0]
    name = urlsplit(postgres_url).path[1:]
    at = ["-h", folder, "-U", postgres.USER]
    subprocess.run(["pg_dump", *at, "-Fc", "-f", tmp_path / "backup", name], check=True)
    with psycopg.connect(postgres_server.format(database="postgres"), autocommit=True) as connection:
        connection.execute(
            psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(f"{name}_again"))
        )
    subprocess.run(["pg_restore", *at, "-d", f"{name}_again", tmp_path / "backup"], check=True)
    with open_store(postgres_server.format(database=f"{name}_again")) as again:
        assert sorted(run.run_id for run in again.summaries()) == ids
        for run_id in ids:
            assert_same_record(again.get(run_id), records[run_id])


def batch(node: str, number: int, stream: str = "s", host: str = "h", samples: int = 10) -> Batch:
    t_ns = (np.arange(samples) + number * samples) * 1_000_000_000 + 1_770_000_000_000_000_000
    return Batch(node, stream, number, host, t_ns, np.arange(samples, dtype=np.int64) * 50_000_000 + number)


def test_batches_of_nodes_are_kept_once_and_gaps_are_told(store: Store) -> None:
    assert add_batches(store, [batch("m1", 0), batch("m1", 1)]) == 2
    assert add_batches(store, [batch("m1", 1), batch("m1", 3), batch("m2", 0)]) == 2
    assert add_batches(store, [batch("m1", 0, stream="restarted")]) == 1
    assert add_batches(store, []) == 0
    first, again, other = streams(store)
    assert (first.node_id, first.host, first.batches, first.samples, first.missing) == ("m1", "h", 1, 10, 0)
    assert (again.stream, again.batches, again.samples, again.missing) == ("s", 3, 30, 1)
    assert (other.node_id, other.host, other.missing) == ("m2", "h", 0)
    assert again.energy_j == pytest.approx(3 * 450.0)
    t_ns, energy_uj = samples_of(store, "m1", "s")
    sent = [batch("m1", number) for number in (0, 1, 3)]
    assert np.array_equal(t_ns, np.concatenate([one.t_ns for one in sent]))
    assert np.array_equal(energy_uj, np.concatenate([one.energy_uj for one in sent]))


@pytest.mark.parametrize("change", ["empty", "backwards", "falling", "number"])
def test_a_batch_that_makes_no_sense_is_refused_with_all_beside_it(store: Store, change: str) -> None:
    good = batch("m1", 0)
    wrong = {
        "empty": good._replace(t_ns=good.t_ns[:0], energy_uj=good.energy_uj[:0]),
        "backwards": good._replace(t_ns=good.t_ns[::-1]),
        "falling": good._replace(energy_uj=good.energy_uj[::-1]),
        "number": good._replace(number=-1),
    }[change]
    with pytest.raises(ValueError, match="batch"):
        add_batches(store, [batch("m1", 1), wrong])
    assert streams(store) == []


def test_short_ids_of_a_large_store_mean_their_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wattmark.store.lookup._LARGE", 2)
    ids = [
        f"20260301T12000{n}-{digits}"
        for n, digits in enumerate(("1f2e0000", "1f2e1111", "abcd0000", "beef0000"))
    ]
    for run_id in ids:
        store.add(example_record(run_id, name="beef" if run_id == ids[0] else "x"))
    short = store.short_ids(ids)
    assert short == {ids[0]: "1f2e0", ids[1]: "1f2e1", ids[2]: "abcd", ids[3]: "beef0"}
    assert [store.resolve(word) for word in short.values()] == ids

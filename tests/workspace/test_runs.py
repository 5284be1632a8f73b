"""One door: every surface sees the runs of the configured store, by the same words, kept and running alike."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

import wattmark as wm
from conftest import FakeMachine
from fakes.records import rapl_record
from wattmark.errors import RunNotFound, StoreError
from wattmark.runs.view import RunView
from wattmark.store import Store, open_store
from wattmark.workspace import runs
from wattmark.workspace.runs import find_ended, find_run, keep, list_runs, store_here

BEGAN = 10**18


def record(run_id: str, name: str, started_s: int, **changes):
    return replace(
        rapl_record(20), run_id=run_id, name=name, started_wall_ns=BEGAN + started_s * 10**9, **changes
    )


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Three kept runs, and one that goes on, the second youngest."""
    with open_store(str(tmp_path / "a.db")) as store:
        keep(store, record("ab1", "train", 1))
        keep(store, record("ab2", "test", 2))
        keep(store, record("ac4", "other", 4, tags={"model": "big"}))
        live = RunView(record("ab3", "train", 3, status="running", tags={"model": "big"}))
        monkeypatch.setattr(runs, "running", lambda _store: [live])
        yield store


@pytest.mark.parametrize(
    ("ref", "run_id"),
    [
        ("ab1", "ab1"),
        ("ab3", "ab3"),
        ("ac", "ac4"),
        ("train", "ab3"),  # the newest of that name goes on
        ("test", "ab2"),
        ("last", "ac4"),
        ("@-1", "ac4"),
        ("@-2", "ab3"),
        ("@-4", "ab1"),
    ],
)
def test_the_same_words_find_kept_and_running_runs(store: Store, ref: str, run_id: str) -> None:
    assert find_run(store, ref).id == run_id


@pytest.mark.parametrize("ref", ["ab", "", "zz", "@-5", "@-0"])
def test_what_fits_none_or_several_is_said(store: Store, ref: str) -> None:
    with pytest.raises(RunNotFound):
        find_run(store, ref)


def test_the_beginning_of_an_id_that_a_running_run_shares_is_ambiguous(store: Store) -> None:
    with pytest.raises(RunNotFound, match=r"ab3 \(train\), ab2 \(test\), ab1"):
        find_run(store, "ab")


def test_a_word_that_means_a_running_run_changes_no_older_one(store: Store) -> None:
    assert find_ended(store, ["test", "ab2", "last"]) == ["ab2", "ac4"]
    with pytest.raises(StoreError, match="train still goes on"):
        find_ended(store, ["test", "train"])


def test_lists_hold_both_in_the_order_of_their_start(store: Store) -> None:
    assert [run.run_id for run in list_runs(store)] == ["ac4", "ab3", "ab2", "ab1"]
    assert [run.run_id for run in list_runs(store, limit=2)] == ["ac4", "ab3"]
    assert [run.run_id for run in list_runs(store, tags=["model=big"])] == ["ac4", "ab3"]
    assert [run.run_id for run in list_runs(store, name="tra*")] == ["ab3", "ab1"]
    assert [run.run_id for run in list_runs(store, status=["running"])] == ["ab3"]


def test_a_whole_id_needs_no_look_at_journals(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "running", lambda _store: pytest.fail("journals were read"))
    assert find_run(store, "ab1").id == "ab1"


def configured(how: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name ``team.db`` in ``folder`` as the store."""
    monkeypatch.chdir(folder)
    if how == "command":
        from wattmark.cli import main

        with pytest.raises(SystemExit) as end:
            main(["config", "set", "store", "team.db"])
        assert not end.value.code
    elif how == "project":
        (folder / "pyproject.toml").write_text('[tool.wattmark]\nstore = "team.db"\n')
    else:
        monkeypatch.setenv("WATTMARK_STORE", "team.db")


@pytest.mark.parametrize("how", ["command", "project", "variable"])
def test_every_surface_opens_the_configured_store(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(how, tmp_path, monkeypatch)
    with store_here() as store:
        assert store.location == str(tmp_path / "team.db")
        keep(store, record("aa", "theirs", 1))
    with open_store() as store:
        assert store.location == str(tmp_path / "team.db")
    assert wm.load("theirs").id == "aa"


@pytest.mark.parametrize("how", ["command", "project"])
def test_a_relative_store_is_the_same_from_every_folder(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(how, tmp_path, monkeypatch)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    with open_store() as store:
        assert store.location == str(tmp_path / "team.db")


def test_loading_puts_what_is_left_over_into_the_configured_store(
    fake_machine: FakeMachine, tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured("command", tmp_path, monkeypatch)
    with wm.measure("mine") as run:
        time.sleep(0.1)
    assert wm.load("last").id == run.id
    with open_store(str(tmp_path / "team.db")) as store:
        assert [one.run_id for one in store.summaries()] == [run.id]
    assert not os.path.exists(data_dir / "store.db")


def test_a_run_that_goes_on_is_loaded_as_it_stands(fake_machine: FakeMachine) -> None:
    with wm.measure("before"):
        pass
    with wm.measure("going") as run:
        time.sleep(0.2)
        for ref in ("going", run.id, run.id[:-1], "last"):
            assert wm.load(ref).id == run.id
        assert wm.load("@-2").name == "before"

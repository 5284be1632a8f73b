"""A run that ends goes from its journal into the store, and is never missing on the way."""

from __future__ import annotations

import threading

import pytest

from fakes.records import example_record
from wattmark.errors import RunNotFound
from wattmark.store import open_store
from wattmark.store.lookup import Candidate
from wattmark.workspace import runs
from wattmark.workspace.runs import find_ended, find_run, keep, list_runs


@pytest.fixture
def ending(monkeypatch, data_dir):
    """A store, and a run that comes into it the moment that somebody looks for it among the journals."""
    with open_store() as store:

        def open_runs(_journals: str) -> list[object]:
            keep(store, example_record("a1"))
            return []

        monkeypatch.setattr(runs, "open_runs", open_runs)
        yield store


@pytest.mark.parametrize("ref", ["a1", "a", "digits", "last", "@-1"])
def test_it_is_found_by_every_word(ending, ref: str):
    assert find_run(ending, ref).id == "a1"


def test_it_is_in_the_list_and_can_be_changed(ending):
    assert [run.run_id for run in list_runs(ending)] == ["a1"]
    assert [run.run_id for run in list_runs(ending)] == ["a1"]  # and no more than once
    assert find_ended(ending, ["a1"]) == ["a1"]


def test_a_run_that_lies_in_both_is_listed_once(monkeypatch, data_dir):
    record = example_record("a1", status="running")
    with open_store() as store:

        def open_runs(_journals: str) -> list[object]:
            return [record]

        monkeypatch.setattr(runs, "open_runs", open_runs)
        monkeypatch.setattr(runs, "running", lambda _store: [runs.RunView(record)])
        keep(store, example_record("a1"))
        assert [run.status for run in list_runs(store)] == ["completed"]


def test_whoever_looks_all_the_time_never_misses_it(data_dir):
    """A loop that looks while another thread moves the run from the journals into the store, forty times."""
    with open_store() as store:
        journals: dict[str, Candidate] = {}
        missed: list[str] = []
        moved = threading.Event()
        seen: list[str] = []

        def look() -> None:
            while not moved.is_set():
                for run_id in seen:
                    try:
                        store.resolve(run_id, lambda: list(journals.values()))
                    except RunNotFound:
                        missed.append(run_id)

        looker = threading.Thread(target=look)
        looker.start()
        for number in range(40):
            record = example_record(f"r{number}")
            journals[record.run_id] = Candidate(record.run_id, record.name, record.started_wall_ns)
            seen[:] = [record.run_id]
            keep(store, record)
            del journals[record.run_id]
        moved.set()
        looker.join()
        assert missed == []

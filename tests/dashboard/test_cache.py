"""No surface of the dashboard answers from a stale run, list or study."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from fakes import study_folders
from fakes.dashboard import api
from fakes.trainings import training
from wattmark.dashboard.cache import Cache
from wattmark.dashboard.context import Options
from wattmark.dashboard.live_hub import LiveHub
from wattmark.dashboard.run_cache import RunCache
from wattmark.errors import RunNotFound
from wattmark.runs.record import RunRecord
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store import open_store
from wattmark.workspace.runs import keep

Look = Callable[[TestClient], Any]


def joules(answer: dict[str, Any]) -> float:
    return answer["energy"]["value"]


ENERGY: dict[str, Look] = {
    "run": lambda client: joules(client.get("/api/v1/runs/t1").json()),
    "window": lambda client: joules(client.get("/api/v1/runs/t1/energy").json()),
    "power": lambda client: joules(client.get("/api/v1/runs/t1/power").json()),
    "list": lambda client: client.get("/api/v1/runs").json()["energy"]["value"][0],
    "totals": lambda client: joules(client.post("/api/v1/runs/totals", json={}).json()["all"]),
    "compare": lambda client: joules_of_entry(client.get("/api/v1/compare?run=t1").json()),
    "what if": lambda client: joules(client.post("/api/v1/whatif", json={"run": "t1"}).json()["original"]),
}


def joules_of_entry(comparison: dict[str, Any]) -> float:
    return comparison["entries"][0]["values"]["energy_j"]["amount"]["value"]


def put_again(store, record: RunRecord) -> None:
    store.replace(record, summarise(RunView(record)))


def doubled(record: RunRecord) -> RunRecord:
    return replace(
        record, curves=tuple(replace(curve, energy_uj=curve.energy_uj * 2) for curve in record.curves)
    )


@pytest.mark.parametrize("surface", ENERGY)
def test_a_run_that_is_stored_again_is_seen_at_once(data_dir, surface: str):
    look = ENERGY[surface]
    with open_store() as store, api(store) as client:
        keep(store, training("t1"))
        before = look(client)
        put_again(store, doubled(training("t1")))
        assert look(client) == pytest.approx(2 * before, rel=1e-5)
        store.remove(["t1"])
        keep(store, training("t1"))
        assert look(client) == pytest.approx(before, rel=1e-5)


def test_a_tag_is_seen_at_once_by_what_if_and_by_the_comparison(data_dir):
    with open_store() as store, api(store) as client:
        keep(store, training("t1"))
        keep(store, training("t2"))

        def imported() -> str | None:
            return client.post("/api/v1/whatif", json={"run": "t1"}).json()["run"]["imported"]

        def entries() -> int:
            return len(client.get("/api/v1/compare?run=t1&run=t2&repeats=true").json()["entries"])

        assert (imported(), entries()) == (None, 1)
        store.tag("t1", {"imported": "codecarbon"})
        assert (imported(), entries()) == ("codecarbon", 2)
        store.tag("t1", {"imported": "CODECARBON"})
        assert imported() == "CODECARBON"


def test_a_run_that_was_removed_is_in_no_answer(data_dir):
    with open_store() as store, api(store) as client:
        keep(store, training("t1"))
        for path in ("runs/t1", "runs/t1/energy", "compare?run=t1"):
            assert client.get(f"/api/v1/{path}").status_code == 200
        assert client.post("/api/v1/whatif", json={"run": "t1"}).status_code == 200
        store.discard(["t1"])
        for path in ("runs/t1", "runs/t1/energy", "compare?run=t1"):
            assert client.get(f"/api/v1/{path}").status_code == 404, path
        assert client.post("/api/v1/whatif", json={"run": "t1"}).status_code == 404


def test_a_study_whose_design_or_trials_changed_is_read_again(tmp_path, data_dir):
    study_folders.vision(tmp_path)
    folder = tmp_path / "vision"
    with open_store() as store, api(store, Options(studies=tmp_path)) as client:

        def look() -> tuple[str, int]:
            study = client.get("/api/v1/studies/vision").json()
            return next(iter(study["environment"]), ""), len(study["trials"])

        host, count = look()
        assert host != "node9"
        (folder / "environment.json").write_text(json.dumps({"node9": {"cpu": {"model": "made"}}}))
        assert look() == ("node9", count)
        *lines, _ = (folder / "trials.jsonl").read_text().splitlines()
        (folder / "trials.jsonl").write_text("\n".join(lines) + "\n")
        assert look() == ("node9", count - 1)


def test_a_value_is_made_anew_for_another_revision_and_the_oldest_goes():
    made: list[str] = []
    cache: Cache[str] = Cache(2)

    def get(key: str, revision: int) -> str:
        def make() -> str:
            made.append(f"{key}{revision}")
            return made[-1]

        return cache.get(key, revision, make)

    assert [get("a", 1), get("a", 1), get("b", 1), get("a", 2), get("c", 1), get("b", 1)] == [
        "a1", "a1", "b1", "a2", "c1", "b1",
    ]  # fmt: skip
    assert made == ["a1", "b1", "a2", "c1", "b1"]


class _EndingRun(LiveHub):
    """A run that comes into the store between the look into the store and the look at the journals."""

    def __init__(self, store, journals: str, record: RunRecord) -> None:
        super().__init__(store, journals)
        self._kept = store
        self._record = record

    def records(self) -> tuple[RunRecord, ...]:
        keep(self._kept, self._record)
        return super().records()


def test_a_run_that_ends_between_two_looks_is_not_missing(data_dir, tmp_path):
    with open_store() as store:
        runs = RunCache(store, _EndingRun(store, str(tmp_path), training("t1")))
        assert runs.get("t1").record.run_id == "t1"
        assert runs.view("t1").id == "t1"
        with pytest.raises(RunNotFound):
            RunCache(store, LiveHub(store, str(tmp_path))).get("nobody")

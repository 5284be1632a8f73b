"""The table of runs over the API: columns, edits, removal that can be undone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from fakes.hosts import host_record
from fakes.records import example_record, rapl_record
from wattmark.dashboard.app import create_app
from wattmark.dashboard.context import Options
from wattmark.store import open_store
from wattmark.workspace.jobs import assemble
from wattmark.workspace.runs import keep

HARMFUL = "</script><img src=x onerror=alert(1)>"


@pytest.fixture
def store(data_dir):
    with open_store() as store:
        yield store


@pytest.fixture
def client(store):
    return TestClient(create_app(store), base_url="http://localhost", headers={"X-Wattmark": "1"})


def fill(store):
    keep(store, example_record("a1", started_wall_ns=10**18, extra={"settings": {"zone": "FR"}}))
    keep(store, replace(rapl_record(50), run_id="b2", name=HARMFUL, started_wall_ns=2 * 10**18))
    keep(
        store,
        example_record("c3", started_wall_ns=3 * 10**18, curves=(), extra={"settings": {"zone": "Nowhere"}}),
    )


def test_the_columns_hold_every_run_the_newest_first(client, store):
    assert client.get("/api/v1/runs").json()["id"] == []
    fill(store)
    table = client.get("/api/v1/runs").json()
    assert table["id"] == ["c3", "b2", "a1"]
    assert table["name"][1] == HARMFUL
    assert {len(column) for column in table.values() if isinstance(column, list)} == {3}
    assert table["started_ms"][2] == 10**12
    assert table["tags"][2] == {"model": "small", "baseline": ""}


def test_measured_and_modelled_joules_are_apart_and_missing_is_null(client, store):
    fill(store)
    table = client.get("/api/v1/runs").json()
    assert table["methods"] == [[], ["counter"], ["counter", "modelled"]]
    assert table["modelled"]["value"][:2] == [None, None]
    assert table["energy"]["value"][0] is None
    parts = table["measured"]["value"][2] + table["modelled"]["value"][2]
    assert table["energy"]["value"][2] == pytest.approx(parts, rel=1e-4)
    for ends in ("energy", "measured", "modelled"):
        for low, value, high in zip(*(table[ends][end] for end in ("low", "value", "high")), strict=True):
            assert value is None or low <= value <= high


def test_carbon_is_there_where_the_zone_is_known(client, store, monkeypatch):
    monkeypatch.delenv("WATTMARK_ZONE", raising=False)
    fill(store)
    table = client.get("/api/v1/runs").json()
    assert table["zone"] == [None, None, "FR"]
    assert table["carbon"]["value"][:2] == [None, None]
    assert table["carbon"]["low"][2] <= table["carbon"]["value"][2] <= table["carbon"]["high"][2]


def test_the_list_is_current_after_every_change_from_anywhere(client, store):
    fill(store)
    before = client.get("/api/v1/runs").json()
    with open_store(store.location) as other:
        other.tag("a1", {"model": "SMALL"})  # as long as the word that was there
    after = client.get("/api/v1/runs").json()
    assert after["tags"][2]["model"] == "SMALL"
    assert client.get("/api/v1/runs/running").json()["stamp"] == after["stamp"] != before["stamp"]


def test_tags_and_notes_are_changed_in_place(client, store):
    fill(store)
    change = {
        "note": "the good one",
        "tags": {"project": "vision", "model": "large"},
        "remove_tags": ["baseline"],
    }
    answer = client.patch("/api/v1/runs/a1", json=change)
    assert answer.json() == {"tags": {"model": "large", "project": "vision"}, "note": "the good one"}
    assert store.marks("a1") == (answer.json()["tags"], "the good one")
    assert client.patch("/api/v1/runs/a1", json={"note": ""}).json()["note"] == ""
    assert client.patch("/api/v1/runs/a1", json={}).json()["tags"] == answer.json()["tags"]


@pytest.mark.parametrize(
    ("path", "change", "status"),
    [
        ("nope", {"note": "x"}, 404),
        ("a1", {"tags": {"x": "1"}, "remove_tags": ["x"]}, 422),
        ("a1", {"tags": {"a=b": "1"}}, 422),
        ("a1", {"note": "nul\0"}, 422),
        ("a%00", {"note": "x"}, 422),
    ],
)
def test_edits_that_cannot_be_are_told(client, store, path, change, status):
    fill(store)
    answer = client.patch(f"/api/v1/runs/{path}", json=change)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_removed_runs_come_back_as_they_were(client, store):
    fill(store)
    client.patch("/api/v1/runs/a1", json={"note": "keep me"})
    before = client.get("/api/v1/runs").json()
    assert client.post("/api/v1/runs/remove", json={"ids": ["a1", "b2"]}).json() == {"ids": ["a1", "b2"]}
    assert client.get("/api/v1/runs").json()["id"] == ["c3"]
    gone = client.get("/api/v1/runs/removed").json()
    assert {one["id"] for one in gone} == {"a1", "b2"}
    assert all(1700 < one["left_s"] <= 1800 for one in gone)
    assert client.post("/api/v1/runs/restore", json={"ids": ["a1", "b2"]}).status_code == 200
    after = client.get("/api/v1/runs").json()
    assert {**after, "stamp": ""} == {**before, "stamp": ""}
    assert client.get("/api/v1/runs/removed").json() == []


def test_nothing_is_removed_if_one_is_not_there(client, store):
    fill(store)
    for path in ("remove", "restore"):
        assert client.post(f"/api/v1/runs/{path}", json={"ids": ["a1", "nope"]}).status_code == 404
    assert len(client.get("/api/v1/runs").json()["id"]) == 3
    assert client.post("/api/v1/runs/remove", json={"ids": []}).status_code == 422


def test_a_read_only_dashboard_lists_and_adds_up_but_changes_nothing(store):
    fill(store)
    app = create_app(store, Options(read_only=True))
    client = TestClient(app, base_url="http://localhost", headers={"X-Wattmark": "1"})
    assert len(client.get("/api/v1/runs").json()["id"]) == 3
    assert client.post("/api/v1/runs/totals", json={}).status_code == 200
    assert client.patch("/api/v1/runs/a1", json={"note": "x"}).status_code == 403
    assert client.post("/api/v1/runs/remove", json={"ids": ["a1"]}).status_code == 403
    assert client.get("/api/v1/export", params={"run": "a1"}).status_code == 200


def test_a_job_over_hosts_is_one_row_and_its_parts_are_still_there(client, store):
    for node in range(2):
        keep(store, host_record(f"n{node}", node=node))
    (job,) = assemble(store, ["slurm-7-0"])
    assert client.get("/api/v1/runs").json()["id"] == [job]
    assert client.get("/api/v1/runs/run-n0-0").status_code == 200
    store.remove([job])
    assert len(client.get("/api/v1/runs").json()["id"]) == 2

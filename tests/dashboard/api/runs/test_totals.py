"""The API's sums over runs."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from fakes.records import example_record
from wattmark.dashboard.app import create_app
from wattmark.store import open_store
from wattmark.workspace.runs import keep


def test_the_api_adds_up_all_or_those_that_are_named(data_dir):
    with open_store() as store:
        client = TestClient(create_app(store), base_url="http://localhost", headers={"X-Wattmark": "1"})
        assert client.post("/api/v1/runs/totals", json={}).json()["all"]["energy"] is None
        keep(store, example_record("a1", started_wall_ns=10**18))
        keep(store, example_record("b2", started_wall_ns=2 * 10**18))
        both = client.post(
            "/api/v1/runs/totals", json={"by": "day", "period": "month", "timezone": "Europe/Paris"}
        ).json()
        one = client.post("/api/v1/runs/totals", json={"ids": ["a1", "nope"]}).json()
        assert (both["all"]["runs"], one["all"]["runs"]) == (2, 1)
        assert both["all"]["energy"]["value"] == pytest.approx(2 * one["all"]["energy"]["value"], rel=1e-4)
        assert len(both["slices"]) == len(both["groups"]) == 2
        for wrong in (
            {"timezone": "Mars/Olympus"},
            {"timezone": "../etc"},
            {"by": "colour"},
            {"period": "year"},
        ):
            assert client.post("/api/v1/runs/totals", json=wrong).status_code == 422

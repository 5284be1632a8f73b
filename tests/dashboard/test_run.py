from __future__ import annotations

import numpy as np
import pytest
from fakes.dashboard import api
from fakes.records import example_record, rapl_record, spans_record

from wattmark.impact.access import keep
from wattmark.runs.view import RunView
from wattmark.store import open_store


@pytest.fixture
def store(tmp_path):
    with open_store(str(tmp_path / "store.db")) as store:
        yield store


def test_a_run_is_told_with_its_energies_and_its_equation(store, monkeypatch):
    monkeypatch.setenv("WATTMARK_ZONE", "FR")
    record = example_record("r1")
    keep(store, record)
    told = api(store).get("/api/v1/runs/r1").json()
    view = RunView(record)
    assert told["energy"]["value"] == pytest.approx(view.energy.value)
    assert {term["key"] for term in told["equation"]["terms"]} == {"energy", "pue", "intensity"}
    assert told["carbon"]["low"] <= told["carbon"]["value"] <= told["carbon"]["high"]
    assert told["channels"]
    assert all(term["url"] for term in told["equation"]["terms"] if term["key"] != "pue")

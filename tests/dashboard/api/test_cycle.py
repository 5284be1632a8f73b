from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.dashboard import api
from fakes.records import rapl_record, spans_record
from wattmark.store import open_store
from wattmark.workspace.runs import keep

STAGES = ["big.training=100 kWh", "big.inference=2 J", "small.compression=5 kWh", "small.inference=0.6 J"]


def test_stated_models_have_lines_and_crossings(tmp_path) -> None:
    with open_store(str(tmp_path / "store.db")) as store:
        data = api(store).post("/api/v1/cycle", json={"stages": STAGES, "bases": ["small=big"]}).json()
    big, small = data["models"]
    assert (big["name"], small["base"]) == ("big", "big")
    assert data["crossings"][0]["uses"] == pytest.approx(18e6 / 1.4)
    assert len(big["value"]) == len(data["uses"]) == len(data["rivals"])
    for at, uses in enumerate(data["uses"]):
        assert big["value"][at] == pytest.approx(360e6 + 2 * uses)
    assert big["training_j"] == 360e6


def test_models_come_from_the_runs_of_this_store(tmp_path) -> None:
    with open_store(str(tmp_path / "store.db")) as store:
        for run_id, stage in (("a", "training"), ("b", "inference")):
            tags = {"model": "net", "stage": stage}
            record = replace(rapl_record(400), run_id=run_id, tags=tags, spans=spans_record(5).spans)
            keep(store, record)
        data = api(store).post("/api/v1/cycle", json={}).json()
    (net,) = data["models"]
    assert net["name"] == "net"
    assert net["fixed"]["value"] > 0


def test_without_models_it_says_how_to_tag_runs(tmp_path) -> None:
    with open_store(str(tmp_path / "store.db")) as store:
        data = api(store).post("/api/v1/cycle", json={}).json()
    assert data["models"] == []
    assert "--tag stage=training" in data["notes"][0]


def test_what_cannot_be_is_an_error_in_words(tmp_path) -> None:
    with open_store(str(tmp_path / "store.db")) as store:
        for body, why in (
            ({"stages": ["a.training=1 kg"]}, "not understood"),
            ({"stages": ["a.training=study:../../etc", "a.inference=1 J"]}, "no study"),
            ({"stages": ["a.training=run:none", "a.inference=1 J"]}, "none"),
            ({"stages": [*STAGES], "uses": ["-1"]}, "cannot be"),
        ):
            answer = api(store).post("/api/v1/cycle", json=body)
            assert answer.status_code in (404, 422), body
            assert why in answer.json()["message"]

"""Scores in the dashboard: the same as the command's."""

from __future__ import annotations

import json

import pytest

from fakes.dashboard import api
from wattmark.cli import main
from wattmark.store import open_store
from wattmark.testing.store_contract import example_record

SUMMARY = {"energy_j": {"total": {"value": 120.0, "low": 110.0, "high": 130.0}}, "coverage": 1.0}


def test_scores_are_those_of_the_command(data_dir, capsys) -> None:
    ends = {"value": 100.0, "low": 80.0, "high": 115.0}
    said = [{"t_ns": int(6e9), "predictor": "early", "share": 0.1, "energy_j": ends, "time_s": ends}]
    with open_store() as store:
        store.add(example_record(extra={"predictions": said}), SUMMARY)
        (shown,) = api(store).get("/api/v1/predictions/scores").json()
    with pytest.raises(SystemExit):
        main(["predict", "score", "--json", "-"])
    (told,) = json.loads(capsys.readouterr().out)["scores"]
    assert shown["mape"] == told["mape"] == pytest.approx(20 / 120)
    assert shown["coverage"]["value"] == told["coverage"]["value"] == 0.0
    assert shown["coverage"]["high"] == pytest.approx(told["coverage"]["high"])
    assert shown["worst"] == told["worst"]


def test_a_store_without_predictions_has_no_scores(data_dir) -> None:
    with open_store() as store:
        assert api(store).get("/api/v1/predictions/scores").json() == []

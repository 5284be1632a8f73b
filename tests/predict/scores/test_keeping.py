"""Predictions of commands are kept, and held against the run that says that it is theirs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from wattmark.cli.predict.command import app
from wattmark.predict import registry
from wattmark.predict.scores.keeping import keep
from wattmark.predict.scores.question import score_predictions
from wattmark.runs.result import SpanResult
from wattmark.store import open_store
from wattmark.testing.store_contract import example_record


def span(name: str, path: str, **counts: float) -> dict[str, object]:
    return SpanResult(name, path, 0.0, 1.0, None, counts).to_dict()


REQUESTS = [span("request", "load/request", requests=1)] * 4
SUMMARY = {
    "energy_j": {
        "total": {"value": 500.0, "low": 490.0, "high": 510.0},
        "gpu": {"value": 400.0, "low": 390.0, "high": 410.0},
    },
    "spans": [span("load", "load", requests=4), *REQUESTS],
}


def example():
    early = registry.load("early")
    return early.predict(early.examples().subjects[0])


def test_a_prediction_is_kept_with_what_was_asked(data_dir) -> None:
    kept = keep(example(), "mine", subject={"epochs": 5})
    with open_store() as store:
        (found,) = store.predictions()
    assert found.prediction_id == kept
    assert (found.energy_j, found.details["asked"]) == (example().energy.value, {"epochs": 5})
    low, high = example().energy.interval(0.9)
    assert (found.energy_low_j, found.energy_high_j) == pytest.approx((low, high))
    (score,) = score_predictions(predictor="mine")
    assert (score.number, score.waiting) == (0, 1)


def test_what_cannot_be_kept_is_a_warning(data_dir, monkeypatch) -> None:
    monkeypatch.setenv("WATTMARK_STORE", "/proc/nowhere/store.db")
    with pytest.warns(UserWarning, match="not kept"):
        assert keep(example(), "mine") is None


def test_a_request_is_held_against_the_gpus_joules_of_one_request(data_dir) -> None:
    done = CliRunner().invoke(app, ["llm", "llama-3.1-8b", "--json", "-"])
    assert done.exit_code == 0, done.output
    (predicted,) = json.loads(done.stdout)["predictions"]
    record = example_record(tags={"prediction": predicted["prediction_id"]})
    with open_store() as store:
        store.add(record, SUMMARY)
        (found,) = store.predictions()
    assert found.actual_energy_j == pytest.approx(100.0)
    (score,) = score_predictions(predictor="llm")
    assert score.worst[0].error == pytest.approx(found.energy_j / 100 - 1)


def test_a_run_that_does_not_count_requests_is_no_outcome(data_dir) -> None:
    kept = keep(example(), "llm", per="requests", component="gpu")
    with open_store() as store:
        store.add(example_record(tags={"prediction": str(kept)}), {**SUMMARY, "spans": []})
        store.add(replace(example_record("b2"), tags={}), SUMMARY)
    (score,) = score_predictions(predictor="llm")
    assert (score.number, score.otherwise) == (0, 1)


def test_a_training_is_held_against_the_joules_of_its_process_tree(data_dir) -> None:
    kept = keep(example(), "layers", component="tree")
    summary = {**SUMMARY, "energy_attributed_j": {"value": 300.0, "low": 200.0, "high": 400.0}}
    with open_store() as store:
        store.add(example_record(tags={"prediction": str(kept)}), summary)
        assert store.predictions()[0].actual_energy_j == 300.0


def test_several_that_are_kept_say_how_they_are_scored(data_dir) -> None:
    done = CliRunner().invoke(app, ["llm", "llama-3.1-8b", "qwen3-8b"])
    assert "2 predictions" in done.output
    assert "--tag prediction=" in done.output

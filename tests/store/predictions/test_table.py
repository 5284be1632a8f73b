"""Predictions in the store: kept, found by what they are about, and settled when that has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from wattmark.store import Store, open_store
from wattmark.store.predictions.rows import StoredPrediction
from wattmark.testing.store_contract import example_record

SUMMARY = {"energy_j": {"total": {"value": 120.0, "low": 110.0, "high": 130.0}}, "coverage": 1.0}


@pytest.fixture
def store(tmp_path: Path):
    with open_store(str(tmp_path / "store.db")) as store:
        yield store


def before(prediction_id: str = "p1", **changes) -> StoredPrediction:
    given = {"predictor": "llm", "host": "node7", "subject": "a server", "details": {"basis": "x"}}
    given |= changes
    return StoredPrediction(prediction_id, 1, energy_j=100.0, energy_low_j=80.0, energy_high_j=130.0, **given)


def event(share: float, energy: float, **more) -> dict:
    ends = {"value": energy, "low": 0.8 * energy, "high": 1.3 * energy}
    return {"t_ns": int(6e9), "predictor": "early", "share": share, "energy_j": ends, "time_s": ends, **more}


def test_what_was_kept_comes_back(store: Store) -> None:
    store.add_prediction(before())
    (found,) = store.predictions()
    assert found == before()
    assert store.predictions(predictor="early") == []
    assert store.predictions(host="node7", predictor="llm") == [before()]


def test_a_run_with_its_tag_settles_it(store: Store) -> None:
    store.add_prediction(before())
    store.add(example_record(tags={"prediction": "p1"}), SUMMARY)
    (found,) = store.predictions()
    assert (found.run_id, found.actual_status, found.actual_energy_j) == ("a1b2c3d4e5f6", "completed", 120.0)
    assert found.actual_time_s == pytest.approx(5.0, rel=0.01)


def test_so_does_a_tag_that_is_set_later(store: Store) -> None:
    store.add_prediction(before())
    store.add(example_record(), SUMMARY)
    assert store.predictions()[0].actual_energy_j is None
    store.tag("digits", {"prediction": "p1"})
    assert store.predictions()[0].actual_energy_j == 120.0


def test_of_those_made_while_it_ran_the_first_of_each_stage_is_kept(store: Store) -> None:
    shares = (0.001, 0.02, 0.03, 0.06, 0.30, 0.40, 0.76)
    said = [event(share, 100.0 + 100 * share, method="early in the run") for share in shares]
    said += [{"share": 0.5}, event(0.55, float("nan"))]
    store.add(example_record(extra={"predictions": said}), SUMMARY)
    found = store.predictions(run_id="a1b2c3d4e5f6")
    assert sorted(one.share for one in found if one.share is not None) == [0.001, 0.02, 0.06, 0.30, 0.76]
    assert {one.stage for one in found} == {0.0, 0.02, 0.05, 0.25, 0.75}
    assert all(one.actual_energy_j == 120.0 for one in found)
    assert found[0].details["method"] == "early in the run"


def test_a_run_that_comes_again_is_not_counted_twice(store: Store) -> None:
    record = example_record(extra={"predictions": [event(0.1, 100.0)]})
    store.add(record, SUMMARY)
    store.replace(record, SUMMARY)
    assert len(store.predictions()) == 1


def test_predictions_go_with_a_run_that_is_removed_and_stay_with_one_that_is_pruned(store: Store) -> None:
    for run_id in ("aaaa", "bbbb"):
        store.add(example_record(run_id, extra={"predictions": [event(0.1, 100.0)]}), SUMMARY)
    store.remove(["aaaa"])
    assert [one.run_id for one in store.predictions()] == ["bbbb"]
    store.prune(keep=0)
    assert [one.run_id for one in store.predictions()] == ["bbbb"]

"""What the predictor of runs that go on learns from this machine's own runs: its form, its widths, and when."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from wattmark.errors import ConfigError
from wattmark.predict.early import SHIPPED
from wattmark.predict.live.model import model_here, model_path, widths_here
from wattmark.predict.live.ongoing import Ongoing
from wattmark.predict.live.progress import Progress
from wattmark.predict.scores.learning import is_due, learn, widths_of
from wattmark.runs.record import Curve
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store import Store, open_store
from wattmark.store.predictions.rows import StoredPrediction
from wattmark.testing.store_contract import S, example_record

HERE = os.uname().nodename


def ran(number: int, seconds: int = 100, *, predicted: float | None = None, **changes):
    """A run of this machine with a warm-up at 100 W and 160 W after a tenth of it, predicted at 10 % of it."""
    shape = example_record()
    t_ns = shape.start_ns + np.arange(seconds * 10 + 1, dtype=np.int64) * S // 10
    random = np.random.default_rng(number)
    watts = np.where(np.arange(seconds * 10) < seconds, 100.0, 160.0) + random.normal(0, 1, seconds * 10)
    curve = Curve(shape.curves[1].channel, t_ns, np.append(0, np.cumsum(watts * 1e5)).astype(np.int64))
    total = float(watts.sum() / 10)
    said = {}
    if predicted is not None:
        value = predicted * total
        ends = {"value": value, "low": 0.9 * value, "high": 1.1 * value}
        event = {"t_ns": shape.start_ns + seconds * S // 10, "predictor": "early", "share": 0.1}
        said = {"predictions": [{**event, "energy_j": ends, "time_s": ends}]}
    return example_record(
        f"run{number:03d}",
        name=f"training {number % 2}",
        tags={},
        environment={"host": HERE},
        curves=(curve,),
        series=(),
        end_ns=int(t_ns[-1]),
        extra={"expected": {"epochs": 10}, **said},
        **changes,
    )


def keep(store: Store, *records) -> None:
    for record in records:
        store.add(record, summarise(RunView(record)))


@pytest.fixture
def store(data_dir):
    with open_store() as store:
        yield store


def test_twenty_runs_make_a_model_of_this_machine(store: Store) -> None:
    keep(store, *(ran(number) for number in range(20)))
    learned = learn(store)
    assert learned.runs == 20
    assert "20 runs of this machine" in learned.model.basis
    assert model_here() == learned.model != SHIPPED


def test_fewer_say_what_is_missing_and_change_nothing(store: Store) -> None:
    keep(store, *(ran(number) for number in range(5)))
    with pytest.raises(ConfigError, match="5 runs") as error:
        learn(store)
    assert "--predict" in str(error.value.hint)
    assert model_here() is SHIPPED
    assert widths_here() == {}


def test_runs_that_did_not_complete_or_tell_nothing_are_left_out(store: Store) -> None:
    keep(store, *(ran(number) for number in range(19)), ran(19, status="interrupted"), ran(20, seconds=4))
    with pytest.raises(ConfigError, match="19 runs"):
        learn(store)


def test_intervals_that_did_not_hold_get_wider_and_those_that_were_too_wide_narrower(store: Store) -> None:
    keep(store, *(ran(number, predicted=0.75 if number % 3 else 1.0) for number in range(12)))
    assert is_due(store)
    learned = learn(store)
    assert learned.model is SHIPPED or learned.model == SHIPPED
    (factor,) = widths_here().values()
    assert factor == pytest.approx((1 / 0.75 - 1) / 0.1, rel=0.01)
    assert not is_due(store)
    plain, wide = Ongoing(SHIPPED), Ongoing(SHIPPED, widths=widths_here())
    progress = Progress("epochs", 10.0)
    for second in range(1, 31):
        for one in (plain, wide):
            one.see(float(second), 100.0 * second)
        progress.mark(float(second), second / 10)
    before, after = plain.predict(progress), wide.predict(progress)
    assert after.energy.value == before.energy.value
    assert after.energy.high - after.energy.value == pytest.approx(
        factor * (before.energy.high - before.energy.value)
    )
    assert wide.widened == factor
    assert "scored on this machine" in after.basis


def test_widths_by_hand() -> None:
    def made(number: int, came: float, widened: float) -> StoredPrediction:
        return StoredPrediction(
            f"p{number}", number, "early", HERE, "x", 100.0, 80.0, 150.0, share=0.3,
            details={"widened": widened}, actual_status="completed", actual_energy_j=came,
        )  # fmt: skip

    rows = [made(number, 100.0 + 10 * number, 1.0) for number in range(10)]
    assert widths_of(rows) == {0.25: pytest.approx(90 / 50)}  # the largest of ten: 0.9 x 11 is the tenth
    assert widths_of([made(number, 60.0, 2.0) for number in range(10)]) == {0.25: pytest.approx(4.0)}
    assert widths_of(rows[:9]) == {}
    assert widths_of([made(number, 100.0, 1.0) for number in range(10)]) == {0.25: 0.5}


def test_what_lies_there_and_is_no_model_is_passed_over(store: Store) -> None:
    for text in (
        "",
        "[]",
        "{}",
        json.dumps({"reach": [1.0], "form": [2, 0.3, 1.0], "rough": [], "basis": "", "runs": 1}),
    ):
        model_path().parent.mkdir(parents=True, exist_ok=True)
        model_path().write_text(text)
        assert model_here() is SHIPPED
        assert widths_here() == {}
    model_path().write_text(json.dumps({"widths": [["x", 1.0]]}))
    assert widths_here() == {}

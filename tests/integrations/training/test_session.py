"""What a training is told, whatever it is told: two callbacks, trainings inside others, batches, states."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

import wattmark as wm
from wattmark.integrations.training.callback import samples_in
from wattmark.integrations.training.loop import Loop
from wattmark.integrations.training.session import Training
from wattmark.testing.training.contract import Recording
from wattmark.tracker.process import this_process

pytestmark = pytest.mark.filterwarnings("ignore:wattmark")


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    yield
    this_process().end()


def epochs(training: Training, count: int = 2) -> None:
    for epoch in range(count):
        training.begin_epoch(epoch)
        training.begin_step()
        time.sleep(0.05)
        training.end_step(8)
        training.end_epoch(epoch + 1)


def test_two_callbacks_of_one_trainer_are_one_run_and_both_are_told() -> None:
    first, second = Recording(), Recording()
    one, other = Training("one", trackers=[first]), Training("other", trackers=[second])
    trainer = object()
    one.begin(owner=trainer)
    other.begin(owner=trainer)
    epochs(one)
    epochs(other)
    other.end()
    one.end()
    for told in (first, second):
        assert len(told.column("energy/epoch_j")) == 2
        assert told.endings == 1
    (run,) = wm.runs()
    assert (run.name, run.status) == ("one", "completed")
    assert run.energy is not None
    assert run.energy.value == pytest.approx(50 * run.duration_s, rel=0.1)


def test_a_training_whose_end_nobody_told_ends_when_the_next_of_its_trainer_begins() -> None:
    trainer = object()
    left, following = Training("left", trackers=[]), Training("following", trackers=[])
    left.begin(owner=trainer)
    left.begin_epoch(0)
    time.sleep(0.05)
    following.begin(owner=trainer)
    epochs(following)
    following.end()
    assert sorted((run.name, run.status) for run in wm.runs()) == [
        ("following", "completed"),
        ("left", "failed"),
    ]


def test_a_training_inside_a_loop_is_a_part_of_it() -> None:
    outer, inner = Recording(), Recording()
    with Loop("outer", trackers=[outer]) as energy:
        for _ in energy.epochs(range(2)):
            for _ in energy.steps(range(1)):
                training = Training("inner", trackers=[inner])
                training.begin(owner=object())
                epochs(training, 1)
                training.end()
    (run,) = wm.runs()
    assert (run.name, run.status) == ("outer", "completed")
    assert len(outer.column("energy/epoch_j")) == 2
    assert inner.endings == 2
    assert energy.energy is not None
    assert run.energy is not None
    assert energy.energy.value == pytest.approx(run.energy.value, rel=1e-3)
    assert sum(outer.column("energy/epoch_j")) <= run.energy.value * 1.001


class Lazy:
    @property
    def shape(self) -> Any:
        raise RuntimeError("not yet")


class Shaped:
    def __init__(self, shape: Any) -> None:
        self.shape = shape


@pytest.mark.parametrize(
    "batch", [Lazy(), Shaped(5), Shaped((None,)), Shaped(("x",)), {"a": [Lazy()]}, "text", [], {}, None]
)
def test_a_batch_of_any_kind_ends_nothing(batch: Any) -> None:
    assert samples_in(batch) is None


@pytest.mark.parametrize(
    "state",
    [
        {"training": 5, "pieces": [{"run_id": "x", "piece": 0, "energy_j": {"value": "a"}}]},
        {"training": "t", "pieces": [{"run_id": "x", "piece": 0, "energy_j": {}}]},
        {"training": "t", "pieces": [{"run_id": "x", "piece": float("inf")}, "no piece", None]},
        {"training": "t", "pieces": "x", "global_step": "many"},
        {},
    ],
)
def test_a_checkpoint_that_says_nonsense_ends_nothing(state: dict[str, Any]) -> None:
    told = Recording()
    energy = Loop("resumed", trackers=[told])
    energy.load_state_dict(state)
    with energy:
        for _ in energy.epochs(range(1)):
            for _ in energy.steps(range(2)):
                time.sleep(0.05)
            energy.log({"loss": float("nan"), "words": "abc", "rows": [1, 2], 3: 1.0})  # type: ignore[dict-item]
    assert not energy.training.failed
    assert len(told.column("energy/epoch_j")) == 1
    assert energy.energy is not None


def test_a_hook_that_goes_wrong_ends_the_measuring_and_not_the_training() -> None:
    from wattmark.integrations.training.callback import EnergyHooks

    class Broken(EnergyHooks):
        __module__ = "wattmark.example"

        def on_train_begin(self) -> None:
            self.training.begin()
            raise OSError("the tracker's server is gone")

        def on_train_end(self) -> None:
            raise AssertionError("nothing is measured any more")

    class Users(Broken):
        def on_train_end(self) -> None:
            raise KeyError("the user's own")

    callback = Users()
    callback.set_up("broken", trackers=[])
    with pytest.warns(match="not measured any further: OSError"):
        callback.on_train_begin()
    Broken.on_train_end(callback)
    with pytest.raises(KeyError):
        callback.on_train_end()
    assert callback.run is not None
    assert callback.run.energy is not None

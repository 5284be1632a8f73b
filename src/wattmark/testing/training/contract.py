"""The contract of an energy callback as tests: subclass :class:`TrainingContract` in a pytest file and run it.

What it needs is a small training whose steps wait a moment; it is run for the frameworks themselves and for stand-ins that
call the hooks in the frameworks' order.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import wattmark
from wattmark.integrations.trackers.base import Ending, Point, Tracker
from wattmark.integrations.training.callback import EnergyHooks
from wattmark.tracker.process import this_process

EPOCHS, STEPS, STEP_S = 3, 4, 0.03


class Failure(RuntimeError):
    """What goes wrong in a training here."""


@dataclass
class Recording:
    """A tracker that keeps what it is told."""

    points: list[Point] = field(default_factory=list[Point])
    ending: Ending | None = None
    endings: int = 0

    def log(self, points: Sequence[Point]) -> None:
        """Kept."""
        self.points += points

    def finish(self, ending: Ending) -> None:
        """Kept."""
        self.ending = ending
        self.endings += 1

    def column(self, name: str) -> list[float]:
        """The values of one name, in order."""
        return [point.values[name] for point in self.points if name in point.values]


class _Unreachable:
    """A tracker whose server is gone."""

    def log(self, points: Sequence[Point]) -> None:
        raise OSError("no such server")

    def finish(self, ending: Ending) -> None:
        raise OSError("no such server")


@dataclass
class Wish:
    """The training that is wished for. state: of an earlier one's checkpoint; fail_at: the step (from 1) that raises."""

    epochs: int = EPOCHS
    steps: int = STEPS
    fail_at: int | None = None
    state: Mapping[str, object] | None = None
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def work(self, step: int) -> None:
        """What a step does; step counts from 1. Raises Failure where that is wished."""
        time.sleep(STEP_S)
        if self.fail_at is not None and step >= self.fail_at:
            raise Failure(f"step {step}")


class TrainingContract:
    """What every energy callback promises. Each ``test_`` method is a promise; the hooks above them say how to try it."""

    tells_of_exceptions = True
    """Whether the framework has a hook for them."""

    def make(self, **options: Any) -> EnergyHooks:
        """A callback with these options."""
        raise NotImplementedError

    def train(self, callback: EnergyHooks, wish: Wish) -> Mapping[str, object]:
        """Train with the callback; the state that a checkpoint at the end keeps. Raises what the work raises."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _private(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
        monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "wattmark"))
        yield
        this_process().end()

    def _trained(self, **options: Any) -> tuple[Recording, EnergyHooks]:
        recording = Recording()
        callback = self.make(trackers=[recording], **options)
        self.train(callback, Wish())
        return recording, callback

    def test_every_epoch_and_step_is_a_span_once(self) -> None:
        """The spans that everything else uses, epochs in order and apart, steps inside them."""
        _, callback = self._trained()
        spans = _run_of(callback).spans
        epochs = [span for span in spans if span.name == "epoch"]
        steps = [span for span in spans if span.name == "step"]
        assert [span.attrs["epoch"] for span in epochs] == list(range(EPOCHS))
        assert len(steps) == EPOCHS * STEPS
        assert all(span.path.endswith("epoch/step") for span in steps)
        for earlier, later in pairwise(epochs):
            assert earlier.start_s + earlier.duration_s <= later.start_s + 1e-9

    def test_trackers_are_told_of_every_epoch_once(self) -> None:
        """At the steps that they belong to, each with its interval."""
        recording, _ = self._trained()
        epochs = [point for point in recording.points if "energy/epoch_j" in point.values]
        assert [point.step for point in epochs] == [STEPS * (epoch + 1) for epoch in range(EPOCHS)]
        assert recording.endings == 1
        for point in epochs:
            values = point.values
            assert (
                0 <= values["energy/epoch_low_j"] <= values["energy/epoch_j"] <= values["energy/epoch_high_j"]
            )
            assert values["energy/epoch_low_j"] < values["energy/epoch_high_j"]

    def test_energies_tile(self) -> None:
        """Epochs and what lies between them add up to the run, in the trackers as in the run."""
        recording, callback = self._trained()
        run = _run_of(callback)
        assert run.energy is not None
        edges = [0.0]
        for span in run.spans:
            if span.name == "epoch":
                edges += [span.start_s, span.start_s + span.duration_s]
        edges.append(run.duration_s)
        parts = [run.between(start, end) for start, end in pairwise(edges) if end > start]
        joules = sum(part.value for part in parts if part is not None)
        assert joules == pytest.approx(run.energy.value, rel=1e-6)
        told = recording.column("energy/epoch_j")
        assert told == pytest.approx(
            [span.energy.value for span in run.spans if span.name == "epoch" and span.energy], rel=0.02
        )
        assert sum(told) <= run.energy.value * 1.001
        totals = recording.column("energy/total_j")
        assert totals == sorted(totals)
        assert totals[-1] <= run.energy.value * 1.001

    def test_the_ending_is_the_run(self) -> None:
        """The figures of the whole run are those that the store will have."""
        recording, callback = self._trained()
        assert recording.ending is not None
        run = _run_of(callback)
        assert recording.ending.result.run_id == run.id
        assert run.energy is not None
        assert recording.ending.total is not None
        assert recording.ending.total.value == pytest.approx(run.energy.value, rel=1e-6)
        assert callback.energy is not None
        assert run.status == "completed"
        assert run.tags["stage"] == "training"

    def test_an_exception_loses_nothing(self) -> None:
        """The run ends, its joules up to there are kept, and the next training is another run."""
        recording = Recording()
        callback = self.make(trackers=[recording])
        with pytest.raises(Failure):
            self.train(callback, Wish(fail_at=STEPS + 2))
        if self.tells_of_exceptions:
            assert _run_of(callback).status == "failed"
        failed = _run_of(callback)
        self.train(self.make(trackers=[Recording()]), Wish(epochs=1))
        assert failed.status == "failed"
        assert failed.energy is not None
        assert failed.energy.value > 0
        this_process().end()
        runs = list(wattmark.runs())
        assert sorted(run.status for run in runs) == ["completed", "failed"]
        assert len({run.id for run in runs}) == 2
        (kept,) = [run for run in runs if run.status == "failed"]
        assert sum(span.name == "step" for span in kept.spans) == STEPS + 2
        assert [point.step for point in recording.points if "energy/epoch_j" in point.values] == [STEPS]

    def test_inside_another_measure_it_is_counted_once(self) -> None:
        """``with`` and callback together are one run; the callback's joules are a part of it."""
        recording = Recording()
        with wattmark.measure("around") as around:
            time.sleep(STEP_S)
            self.train(self.make(trackers=[recording]), Wish(epochs=1))
        this_process().end()
        (kept,) = wattmark.runs()
        assert kept.id == around.id
        assert recording.ending is not None
        assert recording.ending.total is not None
        assert kept.energy is not None
        assert recording.ending.total.value <= kept.energy.value * 1.001
        assert sum(span.name == "epoch" for span in kept.spans) == 1

    def test_a_resumed_training_goes_on(self) -> None:
        """Its joules are those of both runs, which carry one tag; the second tells its own epochs only."""
        first, second = Recording(), Recording()
        callback = self.make(trackers=[first])
        state = self.train(callback, Wish(epochs=2))
        state = json.loads(json.dumps(state))  # it is plain data
        this_process().end()
        again = self.make(trackers=[second])
        self.train(again, Wish(epochs=3, state=state))
        before, after = _run_of(callback), _run_of(again)
        assert before.tags["training"] == after.tags["training"]
        assert second.ending is not None
        assert second.ending.total is not None
        assert before.energy is not None
        assert after.energy is not None
        assert second.ending.total.value == pytest.approx(before.energy.value + after.energy.value, rel=0.02)
        assert min(second.column("energy/total_j")) >= before.energy.value * 0.98
        assert len(second.column("energy/epoch_j")) == 1

    def test_what_cannot_be_measured_stops_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A data folder that cannot be written: the training goes through, with a warning."""
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "file"))
        recording = Recording()
        with _told("nothing is measured"):
            self.train(self.make(trackers=[recording]), Wish())
        assert recording.column("energy/total_j") == []

    def test_a_tracker_that_fails_stops_nothing(self) -> None:
        """Others are told all the same."""
        recording = Recording()
        trackers: list[Tracker] = [_Unreachable(), recording]
        with _told("is told nothing more"):
            self.train(self.make(trackers=trackers), Wish(epochs=1))
        assert len(recording.column("energy/epoch_j")) == 1
        assert recording.endings == 1

    def test_a_budget_that_is_spent_ends_the_training_where_that_is_wished(self) -> None:
        """At the next look, in the framework's own way, so that it can write its checkpoint."""
        recording = Recording()
        callback = self.make(trackers=[recording], budget="1 J", stop_over_budget=True)
        callback.training.first_look_s = 0.1
        with _told("over the budget of 1 J"):
            self.train(callback, Wish(epochs=40))
        assert "over the budget of 1 J" in callback.training.over_budget
        assert 0 < len(recording.column("energy/epoch_j")) < 40
        assert recording.endings == 1


def _run_of(callback: EnergyHooks) -> wattmark.Run:
    assert callback.run is not None
    return callback.run


@contextmanager
def _told(words: str) -> Generator[None]:
    """What goes on inside says this in a warning, perhaps among others."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert any(words in str(warning.message) for warning in caught), [str(w.message) for w in caught]

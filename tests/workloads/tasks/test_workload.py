"""Tasks as the work of a trial, on a stand-in without weights."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest

from wattmark.errors import ConfigError
from wattmark.testing.task_contract import TaskContract
from wattmark.workloads import registry
from wattmark.workloads.tasks.base import Model, Settings, Task
from workloads.tasks.stand_in import LETTERS, TRUTHS, WORDS, Counter

OWN = "workloads.tasks.stand_in:LETTERS"


class Spans:
    """Spans with their counts, in time."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []

    @contextmanager
    def __call__(self, name: str, **counts: Any) -> Generator[Spans]:
        self.seen.append((name, dict(counts)))
        yield self

    def add(self, **details: Any) -> None:
        self.seen[-1][1].update(details)


def trial(**levels: Any) -> tuple[dict[str, Any], Spans]:
    workload = registry.load("tasks")
    config = registry.complete(workload, {"task": OWN, "inferences": 20, "rounds": 4, **levels})
    spans = Spans()
    workload.warm_up(config)
    return workload.run(config, spans), spans


def test_a_trial_is_rounds_of_inferences():
    figures, spans = trial(inferences=10)
    assert [(name, counts["samples"]) for name, counts in spans.seen] == [
        ("inference", n) for n in (2, 3, 2, 3)
    ]
    assert figures["inferences"] == 10
    assert figures["input_units"] == pytest.approx(sum(len((WORDS * 2)[place]) for place in range(10)) / 10)
    assert figures["output_units"] == 1
    assert figures["parameters"] == 2
    assert figures["model_bytes"] == 16
    assert figures["task_quality"] == 1.0
    assert figures["task_quality_low"] < 1.0
    assert figures["chance"] == 0.5
    assert figures["scored_inputs"] == len(WORDS)
    assert (
        figures["inference"]
        == [{"input_unit": "byte", "output_unit": "token", "quality_metric": "accuracy"}] * 4
    )


def test_batches_do_not_cross_rounds():
    _, spans = trial(inferences=10, rounds=2, batch_size=4)
    assert [counts["samples"] for _, counts in spans.seen] == [5, 5]


def test_random_weights_have_no_quality():
    figures, _ = trial(model="random")
    assert figures["random_weights"] == 1
    assert "task_quality" not in figures
    assert "chance" not in figures


def test_what_is_trained_here_is_trained_in_a_stage_of_its_own():
    figures, spans = trial(model="learner")
    assert spans.seen[0] == ("train", {"samples": 12})
    assert figures["train_samples"] == 12


def test_a_general_model_is_known_as_one():
    assert trial(model="general")[0]["general"] == 1
    assert trial()[0]["general"] == 0


def test_time_ends_the_work_within_a_round_but_one_batch_is_done(monkeypatch: pytest.MonkeyPatch):
    now = iter(range(0, 10_000, 5))
    monkeypatch.setattr("wattmark.workloads.tasks.workload.time.perf_counter", lambda: float(next(now)))
    figures, spans = trial(seconds=1.0, batch_size=2)
    assert spans.seen == [("inference", {"samples": 2})]
    assert figures["inferences"] == 2
    assert figures["scored_inputs"] == 2
    assert len(figures["inference"]) == 1


def test_the_best_batch_is_the_fastest(monkeypatch: pytest.MonkeyPatch):
    clock = [0.0]
    monkeypatch.setattr("wattmark.workloads.tasks.workload.time.perf_counter", lambda: clock[0])

    def slow(self: Counter, inputs: Any) -> Any:
        clock[0] += 1.0 + 0.01 * len(inputs) + (10.0 if len(inputs) > 8 else 0.0)
        return [type("A", (), {"output": "a", "inputs": 1, "outputs": 1})() for _ in inputs]

    monkeypatch.setattr(Counter, "infer", slow)
    figures, _ = trial(batch_size="best")
    assert figures["batch_used"] == 8


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ({"batch_size": 0}, "at least 1"),
        ({"batch_size": "largest"}, "best"),
        ({"inferences": 2, "rounds": 3}, "do not fill"),
        ({"model": "countr"}, "countr"),
        ({"model": "onnx:/x.onnx"}, "no model"),
        ({"task": "workloads.tasks.stand_in:WORDS"}, "is no task"),
        ({"task": "nowhere.at_all:TASK"}, "cannot be loaded"),
        ({"task": "text-clasification"}, "cannot be"),
    ],
)
def test_levels_that_cannot_be_used_are_refused_in_words(levels: dict[str, Any], words: str):
    with pytest.raises(ConfigError) as error:
        trial(**levels)
    assert words in f"{error.value} {error.value.hint}"


def test_the_model_is_closed_whatever_happens(monkeypatch: pytest.MonkeyPatch):
    opened: list[Counter] = []

    def remember(self: Counter, settings: Settings, **_: Any) -> None:
        opened.append(self)
        self.closed = False

    def broken(self: Counter, inputs: Any) -> Any:
        raise ConfigError("no more")

    workload = registry.load("tasks")
    config = registry.complete(workload, {"task": OWN, "inferences": 4, "rounds": 1})
    workload.warm_up(config)
    monkeypatch.setattr(Counter, "infer", broken)
    closed: list[bool] = []
    monkeypatch.setattr(Counter, "close", lambda self: closed.append(True))
    with pytest.raises(ConfigError):
        workload.run(config, Spans())
    assert closed == [True]


class TestLetters(TaskContract):
    def task(self) -> Task[Any, Any]:
        return LETTERS

    def right_answers(self) -> list[str]:
        return list(TRUTHS)

    def unusable(self) -> list[str]:
        return [""]


class TestLearner(TestLetters):
    def model(self, settings: Settings) -> Model[Any, Any]:
        return LETTERS.models["learner"].open(settings)

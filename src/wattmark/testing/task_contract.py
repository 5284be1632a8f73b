"""The contract of a task as tests: subclass :class:`TaskContract` in a pytest file and run it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest

from wattmark.errors import WattmarkError
from wattmark.workloads.tasks.base import Model, Settings, Task, Trained

SOME = 3


class TaskContract:
    """What every task promises. Each ``test_`` method is a promise; the hooks above them say how to try it."""

    def task(self) -> Task[Any, Any]:
        """The task."""
        raise NotImplementedError

    def model(self, settings: Settings) -> Model[Any, Any]:
        """A model to try it with; by default its first."""
        return next(iter(self.task().models.values())).open(settings)

    def right_answers(self) -> Sequence[Any] | None:
        """What a model would answer that is always right, for each input; None where no answer is right."""
        return None

    def unusable(self) -> Sequence[Any]:
        """Inputs that no model may take: an empty text, a file that is no picture."""
        return ()

    def test_it_says_what_it_is(self) -> None:
        """Names, units, at least one model; a score with its metric and its chance in words, or none at all."""
        task = self.task()
        assert task.name == task.name.lower()
        assert task.title
        assert task.models
        assert all(entry.summary for entry in task.models.values())
        assert (task.score is None) == (not task.metric) == (not task.chance)

    def test_its_inputs_are_always_the_same(self) -> None:
        """So that models are compared on one data set."""
        first, again = self.task().inputs(), self.task().inputs()
        assert len(first) == len(again) > 0
        assert repr(first[0]) == repr(again[0])

    def test_one_answer_for_each_input(self) -> None:
        """With sizes above nothing, in a batch as alone."""
        inputs = list(self.task().inputs())[:SOME]
        model = self._opened(len(inputs))
        try:
            together = model.infer(inputs)
            alone = [model.infer([one])[0] for one in inputs]
        finally:
            model.close()
        assert len(together) == len(inputs)
        for answer in (*together, *alone):
            assert math.isfinite(answer.inputs)
            assert answer.inputs > 0
            assert answer.outputs >= 0
        assert [answer.inputs for answer in together] == pytest.approx(
            [answer.inputs for answer in alone], rel=0.5
        )

    def test_it_knows_what_it_is_made_of(self) -> None:
        """Sizes above nothing, where they are known."""
        model = self._opened(1)
        facts = model.facts
        model.close()
        assert facts.parameters is None or facts.parameters > 0
        assert facts.weight_bytes is None or facts.weight_bytes > 0

    def test_a_score_is_a_share_with_its_interval(self) -> None:
        """Of a few answers; chance is one too, and not already right."""
        task = self.task()
        inputs = list(task.inputs())[:SOME]
        model = self._opened(len(inputs))
        answers = [answer.output for answer in model.infer(inputs)]
        model.close()
        if task.score is None:
            return
        score = task.score(answers)
        assert 0 <= score.low <= score.value <= score.high <= 1
        assert 0 <= score.chance < 1

    def test_right_answers_are_worth_one(self) -> None:
        """A model that is always right has a score of 1."""
        task, right = self.task(), self.right_answers()
        if task.score is None or right is None:
            return
        assert task.score(right).value == pytest.approx(1.0)

    def test_what_is_no_input_is_refused_in_words(self) -> None:
        """An error of Wattmark's, in one line."""
        unusable = self.unusable()
        if not unusable:
            return
        model = self._opened(1)
        try:
            for one in unusable:
                with pytest.raises(WattmarkError) as error:
                    model.infer([one])
                assert "\n" not in str(error.value)
        finally:
            model.close()

    def _opened(self, batch: int) -> Model[Any, Any]:
        model = self.model(Settings(batch=batch, threads=1))
        if isinstance(model, Trained):
            model.train()
        return model

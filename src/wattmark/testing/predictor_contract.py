"""The contract of a predictor as tests: subclass :class:`PredictorContract` in a pytest file and run it."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from wattmark.errors import WattmarkError
from wattmark.predict.base import InstalledPredictor, Prediction, Predictor
from wattmark.quantity import Quantity


class PredictorContract:
    """What every predictor promises. Each ``test_`` method is a promise; the hooks above them say how to try it."""

    def fitted(self) -> Predictor[Any, Any]:
        """A predictor fitted on observations, always the same ones."""
        raise NotImplementedError

    def subjects(self) -> Sequence[Any]:
        """Some subjects, each of which costs more energy than the one before by physics (more epochs, more tokens)."""
        raise NotImplementedError

    def unusable(self) -> Sequence[Sequence[Any]]:
        """Sets of observations that no fit may take: none at all, an energy that is no number."""
        raise NotImplementedError

    def outside(self) -> Any | None:
        """A subject far outside of what was seen, or None where the predictor refuses those."""
        return None

    def test_every_number_has_an_interval_that_holds_it(self) -> None:
        """Energy in J, time in s, power in W, all above zero, and no number is sure."""
        for prediction in self._predictions():
            for quantity, unit in (
                (prediction.energy, "J"), (prediction.time, "s"), (prediction.power, "W"),
            ):  # fmt: skip
                low, high = quantity.interval(0.9)
                assert quantity.unit == unit
                assert 0 <= low <= quantity.value <= high, quantity
                assert low < high, f"{quantity} is sure of itself"
                assert math.isfinite(high)

    def test_the_interval_widens_with_its_coverage(self) -> None:
        """50 % is within 90 %, 90 % within 99 %."""
        for prediction in self._predictions():
            widths = [high - low for low, high in map(prediction.energy.interval, (0.5, 0.9, 0.99))]
            assert widths == sorted(widths)

    def test_energy_is_power_times_time(self) -> None:
        """The three agree."""
        for prediction in self._predictions():
            assert prediction.energy.value == pytest.approx(
                prediction.power.value * prediction.time.value, rel=0.02
            ), prediction  # fmt: skip

    def test_the_terms_are_the_sum(self) -> None:
        """What a prediction is the sum of adds up to it, and no part is negative."""
        for prediction in self._predictions():
            if prediction.terms is not None:
                assert all(value >= 0 for value in prediction.terms.values())
                assert math.fsum(prediction.terms.values()) == pytest.approx(
                    prediction.energy.value, rel=1e-6
                )

    def test_more_work_never_costs_less(self) -> None:
        """In the order of the subjects."""
        energies = [prediction.energy.value for prediction in self._predictions()]
        assert len(energies) > 1
        assert energies == sorted(energies), energies

    def test_it_says_where_it_has_its_knowledge_from(self) -> None:
        """Method, basis and subject are words."""
        for prediction in self._predictions():
            assert prediction.method
            assert prediction.basis
            assert prediction.subject

    def test_two_fits_of_the_same_observations_predict_the_same(self) -> None:
        """Deterministic, whatever was predicted before."""
        assert [_numbers(prediction) for prediction in self._predictions()] == [
            _numbers(prediction) for prediction in self._predictions()
        ]

    def test_it_pickles(self) -> None:
        """Predictor and prediction are the same after a journey."""
        predictor = self.fitted()
        again: Predictor[Any, Any] = pickle.loads(pickle.dumps(predictor))  # noqa: S301 - its own bytes
        for subject in self.subjects():
            prediction = predictor.predict(subject)
            assert _numbers(again.predict(subject)) == _numbers(prediction)
            assert _numbers(pickle.loads(pickle.dumps(prediction))) == _numbers(prediction)  # noqa: S301

    def test_a_prediction_is_json(self) -> None:
        """As plain data it is finite."""
        for prediction in self._predictions():
            assert (
                json.loads(json.dumps(prediction.as_dict(), allow_nan=False))["method"] == prediction.method
            )

    def test_what_cannot_be_used_is_refused_in_words(self) -> None:
        """No fit on nothing and on what is no number."""
        for observations in self.unusable():
            with pytest.raises(WattmarkError) as error:
                self.fitted().fit(observations)
            assert str(error.value)

    def test_what_was_not_seen_is_wider_and_says_so(self) -> None:
        """A subject outside of the observations has reasons and a wider interval, relative to its value."""
        subject = self.outside()
        if subject is None:
            return
        far = self.fitted().predict(subject)
        assert far.outside
        assert all(_relative(far.energy) > _relative(prediction.energy) for prediction in self._predictions())

    def _predictions(self) -> list[Prediction]:
        predictor = self.fitted()
        return [predictor.predict(subject) for subject in self.subjects()]


class InstalledPredictorContract(PredictorContract):
    """The same, tried as the predictor itself says (:class:`wattmark.predict.base.Examples`)."""

    def installed(self) -> InstalledPredictor:
        """The predictor, ready to predict."""
        raise NotImplementedError

    def fitted(self) -> InstalledPredictor:
        """The predictor as it comes."""
        return self.installed()

    def subjects(self) -> Sequence[Any]:
        """Its own."""
        return self.installed().examples().subjects

    def unusable(self) -> Sequence[Sequence[Any]]:
        """Its own."""
        return self.installed().examples().unusable

    def outside(self) -> Any | None:
        """Its own."""
        return self.installed().examples().outside

    def test_it_learns_from_its_observations(self) -> None:
        """A fit on its examples predicts their subjects, and says what it was fitted on."""
        predictor = self.installed()
        examples = predictor.examples()
        fitted = predictor.fit(examples.observations)
        for subject in examples.subjects:
            assert fitted.predict(subject).basis


def _relative(quantity: Quantity) -> float:
    low, high = quantity.interval(0.9)
    return (high - low) / quantity.value


def _numbers(prediction: Prediction) -> Any:
    return json.dumps(prediction.as_dict())

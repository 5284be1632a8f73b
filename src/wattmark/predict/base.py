"""What every predictor promises: from observations to a prediction that carries its interval.

A predictor of one's own is held against the suite that ours pass: ``wattmark.testing.predictor_contract``. One that comes
with another package is found by its entry point (``wattmark.predictors``, :mod:`wattmark.predict.registry`), which names
what gives it, ready to predict and with :class:`Examples` of how to try it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from wattmark.quantity import Quantity

S = TypeVar("S", contravariant=True)
O = TypeVar("O", contravariant=True)  # noqa: E741
Subject = TypeVar("Subject")
Observed = TypeVar("Observed")


@dataclass(frozen=True, slots=True)
class Prediction:
    """Energy (J), time (s) and mean power (W) that are to be expected of ``subject``.

    method: which predictor. basis: what it was fitted on. outside: why the subject lies outside of what was seen, empty
    where it does not; the interval is then wider. terms: joules by part, which add up to the energy (up to rounding).
    """

    subject: str
    energy: Quantity
    time: Quantity
    power: Quantity
    method: str
    basis: str
    outside: tuple[str, ...] = ()
    terms: Mapping[str, float] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data; intervals of 90 %."""
        return {
            "subject": self.subject,
            "energy_j": amount(self.energy),
            "time_s": amount(self.time),
            "power_w": amount(self.power),
            "method": self.method,
            "basis": self.basis,
            "outside": list(self.outside),
            "terms_j": None if self.terms is None else dict(self.terms),
        }


def amount(quantity: Quantity, coverage: float = 0.9) -> dict[str, float]:
    """The value and the ends of its interval, which holds the truth with this probability."""
    low, high = quantity.interval(coverage)
    return {"value": quantity.value, "low": low, "high": high}


class Predictor(Protocol[S, O]):
    """Something that learns from observations, and predicts subjects. Both raise ConfigError for what they cannot use."""

    def fit(self, observations: Sequence[O]) -> Any:
        """A fitted predictor of the same kind."""
        ...

    def predict(self, subject: S) -> Prediction:
        """What to expect of the subject."""
        ...


@dataclass(frozen=True, slots=True)
class Examples(Generic[Subject, Observed]):
    """How to try a predictor. observations: what a fit may take. subjects: each costs more energy than the one before by
    physics (more epochs, more tokens). unusable: sets of observations that no fit may take. outside: a subject far
    outside of what was seen, None where the predictor refuses those."""

    observations: Sequence[Observed]
    subjects: Sequence[Subject]
    unusable: Sequence[Sequence[Observed]] = ((),)
    outside: Subject | None = None


class InstalledPredictor(Predictor[Any, Any], Protocol):
    """A predictor that an entry point gives."""

    def examples(self) -> Examples[Any, Any]:
        """How to try it."""
        ...

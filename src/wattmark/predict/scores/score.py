"""How good predictors are, from what they said and what came: number, errors, bias, coverage, drift, the worst misses.

Only runs that completed count: one that was stopped did not do what was predicted of it. An error is
``predicted / actual - 1``. Predictions made while a run went on are scored by the share of the run that was seen, since 50 %
is easier than 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wattmark.quantity import Quantity
from wattmark.statistics import beta_cdf, difference_of_means
from wattmark.store.predictions.rows import StoredPrediction

FEWEST_FOR_DRIFT = 6
MISSES = 5


@dataclass(frozen=True, slots=True)
class Miss:
    """One prediction beside what came, in joules. error: relative; held: whether the 90 % interval held it."""

    prediction_id: str
    run_id: str | None
    subject: str
    predicted_j: float
    low_j: float
    high_j: float
    actual_j: float
    error: float
    held: bool
    share: float | None

    @classmethod
    def of(cls, one: StoredPrediction) -> Miss | None:
        """None where nothing came that can be compared."""
        actual = one.actual_energy_j
        if one.actual_status != "completed" or actual is None or not math.isfinite(actual) or actual <= 0:
            return None
        return cls(
            one.prediction_id,
            one.run_id,
            one.subject,
            one.energy_j,
            one.energy_low_j,
            one.energy_high_j,
            actual,
            one.energy_j / actual - 1,
            one.energy_low_j <= actual <= one.energy_high_j,
            one.share,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Score:
    """A predictor on a machine. stage: the share of the runs that was seen, None for predictions before the run.

    number: scored predictions, of so many runs; waiting: those whose run has not ended or is not known; otherwise: those
    whose run did not complete. mape, bias: mean absolute and mean error; None without a scored one. coverage: share of the
    intervals that held, with the 95 % interval of that share (Clopper and Pearson, Biometrika 26, 1934). drift: mean error
    of the newer half less that of the older half, None below six. worst: the largest errors first.
    """

    predictor: str
    host: str
    stage: float | None
    number: int
    runs: int
    waiting: int
    otherwise: int
    mape: float | None
    bias: float | None
    coverage: Quantity | None
    drift: Quantity | None
    worst: tuple[Miss, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data; shares and errors as fractions."""
        return {
            **{
                name: getattr(self, name)
                for name in (
                    "predictor",
                    "host",
                    "stage",
                    "number",
                    "runs",
                    "waiting",
                    "otherwise",
                    "mape",
                    "bias",
                )
            },
            "coverage": None if self.coverage is None else _ends(self.coverage),
            "drift": None if self.drift is None else _ends(self.drift),
            "worst": [miss.as_dict() for miss in self.worst],
        }


def scores(predictions: Iterable[StoredPrediction]) -> list[Score]:
    """The scores by predictor, machine and stage, in this order."""
    groups: dict[tuple[str, str, float], list[StoredPrediction]] = {}
    for one in predictions:
        stage = -1.0 if one.stage is None else one.stage
        groups.setdefault((one.predictor, one.host, stage), []).append(one)
    return [_score(*key, groups[key]) for key in sorted(groups)]


def _score(predictor: str, host: str, stage: float, group: list[StoredPrediction]) -> Score:
    group = sorted(group, key=lambda one: one.made_wall_ns)
    misses = [miss for one in group if (miss := Miss.of(one)) is not None]
    waiting = sum(one.actual_status is None for one in group)
    errors = [miss.error for miss in misses]
    return Score(
        predictor,
        host,
        None if stage < 0 else stage,
        len(misses),
        len({miss.run_id for miss in misses}),
        waiting,
        len(group) - waiting - len(misses),
        float(np.mean(np.abs(errors))) if errors else None,
        float(np.mean(errors)) if errors else None,
        share_of(sum(miss.held for miss in misses), len(misses)) if misses else None,
        _drift(errors),
        tuple(sorted(misses, key=lambda miss: -abs(miss.error))[:MISSES]),
    )


def share_of(count: int, number: int) -> Quantity:
    """``count`` of ``number`` as a share, with its exact 95 % interval (Clopper and Pearson, by bisection)."""

    def quantile(probability: float, a: float, b: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if beta_cdf(middle, a, b) < probability else (low, middle)
        return (low + high) / 2

    low = 0.0 if count == 0 else quantile(0.025, count, number - count + 1)
    high = 1.0 if count == number else quantile(0.975, count + 1, number - count)
    return Quantity(count / number, low, high, "")


def _drift(errors: Sequence[float]) -> Quantity | None:
    if len(errors) < FEWEST_FOR_DRIFT:
        return None
    middle = len(errors) // 2
    older, newer = errors[:middle], errors[middle:]
    value, half = difference_of_means(older, newer)
    return Quantity(value, value - half, value + half, "")


def _ends(quantity: Quantity) -> dict[str, float]:
    return {"value": quantity.value, "low": quantity.low, "high": quantity.high}

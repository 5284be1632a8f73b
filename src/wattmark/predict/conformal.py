"""Intervals that hold as often as they say, of any predictor, from its errors on groups that it had not seen.

Cross-conformal prediction with the residuals of a fit that left the group out (jackknife+ reduced to its residuals:
Barber, Candes, Ramdas and Tibshirani, "Predictive inference with the jackknife+", Ann. Statist. 49, 2021). The group is
what is new to the user, so that rows of one model are no proof for another row of it. Each group has the same weight
however many rows it has (Dunn, Wasserman and Ramdas, "Distribution-free prediction sets for two-layer hierarchical
models", JASA 2023), so one series measured often does not set the width for all. Errors are of the logarithm: a factor.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from wattmark.quantity import FIT, Z95, Quantity
from wattmark.statistics import Float64, Int64

Z90 = 1.6448536269514722
"""The normal quantile of 0.95: the ends of a 90 % interval."""


def width(errors: Float64, groups: Sequence[Hashable], coverage: float = 0.9) -> float:
    """Half width of the interval: the weighted quantile of absolute errors (n,), each group's weight the same.

    The unseen group has the weight of one more group with an infinite error; where that would need more groups than there
    are the largest error is taken times (groups + 1) / groups. Raises ValueError without two groups, or for NaN.
    """
    names = list(dict.fromkeys(groups))
    if len(names) < 2 or len(groups) != len(errors):
        raise ValueError("an interval needs the errors of two groups at least")
    size = np.abs(np.asarray(errors, np.float64))
    if not np.isfinite(size).all():
        raise ValueError("an error that is no number says nothing of the interval")
    counts = {name: sum(other == name for other in groups) for name in names}
    weights = np.array([1.0 / counts[name] for name in groups]) / (len(names) + 1)
    order = np.argsort(size, kind="stable")
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, coverage - 1e-12))
    if place >= len(order):
        return float(size[order[-1]]) * (len(names) + 1) / len(names)
    return float(size[order[place]])


@dataclass(frozen=True, slots=True)
class Likeness:
    """How large errors are near a place, from the errors of groups at their places (both (g,), places on a scale where
    1 is far).

    Errors of what lies near are alike: small models err more than middling ones. An interval that divides by it is wide
    where errors were large and narrow where they were small (locally weighted conformal prediction: Lei, G'Sell,
    Rinaldo, Tibshirani and Wasserman, "Distribution-free predictive inference for regression", JASA 113, 2018, section
    5.2).
    """

    places: tuple[float, ...]
    errors: tuple[float, ...]

    @classmethod
    def of(cls, errors: Float64, groups: Sequence[Hashable], places: Float64) -> Likeness:
        """From errors (n,) of rows in groups, each group at the place of its first row: the root of its mean square."""
        labels = _labels(groups)
        names = range(int(labels.max()) + 1)
        return cls(
            tuple(float(places[labels == name][0]) for name in names),
            tuple(float(np.sqrt(np.mean(errors[labels == name] ** 2))) for name in names),
        )

    def at(self, place: float, without: int | None = None) -> float:
        """The size of errors at a place: groups weighed by how near they are, and all of them together as one more."""
        kept = np.arange(len(self.places)) != (-1 if without is None else without)
        squares = np.array(self.errors)[kept] ** 2
        weights = np.exp(-0.5 * ((np.array(self.places)[kept] - place) / _NEAR) ** 2)
        return math.sqrt((float(weights @ squares) + float(squares.mean())) / (float(weights.sum()) + 1.0))


_NEAR = 0.5


def local_width(
    errors: Float64, groups: Sequence[Hashable], places: Float64, coverage: float = 0.9
) -> tuple[float, Likeness]:
    """The half width in units of :meth:`Likeness.at`, each group's errors held against those of the others, and the
    likeness."""
    likeness = Likeness.of(errors, groups, places)
    labels = _labels(groups)
    sizes = np.array([likeness.at(place, number) for number, place in enumerate(likeness.places)])
    return width(errors / sizes[labels], groups, coverage), likeness


def _labels(groups: Sequence[Hashable]) -> Int64:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    return np.array([numbers[name] for name in groups], np.int64)


def spread_by(
    value: float, half_width: float, name: str, *, unit: str, source: str = "", at_most: float = math.inf
) -> Quantity:
    """``value`` with an error named ``fit/name`` whose 90 % interval is ``value`` by and times ``exp(half_width)``.

    A quantity's interval scales with the normal quantile, so its terms are those of 95 %. Positive values stay so.
    """
    scale = Z95 / Z90
    down, up = value * (math.exp(-half_width) - 1) * scale, value * (math.exp(half_width) - 1) * scale
    return Quantity(
        value, unit=unit, source=source, terms={f"{FIT}/{name}": (down, up)}, at_least=0.0, at_most=at_most
    )

"""What every prediction answers with: quantities, or in words why there is none; and arithmetic of ratios."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from wattmark.quantity import Quantity


@dataclass(frozen=True, slots=True)
class Unknown:
    """No number, and why: a whole clause that reads well after "unknown, because"."""

    because: str

    def __str__(self) -> str:
        return f"unknown, because {self.because}"


def product(first: Quantity, second: Quantity, unit: str, source: str = "") -> Quantity:
    """The product of two quantities that are not negative; their errors are taken to conspire."""
    return Quantity(
        first.value * second.value,
        first.low * second.low,
        first.high * second.high,
        unit,
        source or first.source,
    )


def span(values: Iterable[float], value: float, unit: str = "", source: str = "") -> Quantity:
    """``value`` with an interval that holds all ``values``."""
    known = [value, *values]
    return Quantity(value, min(known), max(known), unit, source)


def geometric_mean(values: Iterable[float]) -> float:
    """Of numbers above zero; raises ValueError for none."""
    logs = [math.log(value) for value in values]
    if not logs:
        raise ValueError("no mean of nothing")
    return math.exp(sum(logs) / len(logs))

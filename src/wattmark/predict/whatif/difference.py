"""How far an alternative is from the original, with an interval that knows what both have in common.

Grams are joules x PUE x intensity. A factor that both sides share (the same joules in another country, the same
country with other hardware) cannot differ between them, so its error scales the difference and makes none by itself.
The factors that only one side has may err each on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

from wattmark.quantity import Quantity

Verdict = Literal["less", "more", "same", "unclear"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Alternative over original."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Alternative less original. verdict: ``unclear`` where the interval holds zero."""

    value: float
    low: float
    high: float
    unit: str
    ratio: Ratio | None
    verdict: Verdict


class Factors(NamedTuple):
    """A number as a product: factors of one side by name. A factor is shared if both sides have it under one name."""

    value: Quantity
    parts: dict[str, Quantity]


def difference(original: Factors | None, alternative: Factors | None) -> Difference | None:
    """Alternative less original, or None where one of them is not known or their units differ."""
    if original is None or alternative is None or original.value.unit != alternative.value.unit:
        return None
    before, after = original.value, alternative.value
    shared = [part for name, part in original.parts.items() if alternative.parts.get(name) == part]
    old = [part for name, part in original.parts.items() if alternative.parts.get(name) != part]
    new = [part for name, part in alternative.parts.items() if original.parts.get(name) != part]
    value = after.value - before.value
    ends = [
        common * (one - other)
        for common, one, other in product(_ends(shared), _ends(new), _ends(old))
    ]  # fmt: skip
    low, high = min(value, *ends), max(value, *ends)
    return Difference(
        value=value,
        low=low,
        high=high,
        unit=before.unit,
        ratio=_ratio(before.value, after.value, _ends(new), _ends(old)),
        verdict=_verdict(low, high, value, bool(old or new)),
    )


def _ends(factors: Sequence[Quantity]) -> tuple[float, float]:
    """Least and largest product of factors that are not negative."""
    low = high = 1.0
    for one in factors:
        low, high = low * one.low, high * one.high
    return low, high


def _ratio(before: float, after: float, new: tuple[float, float], old: tuple[float, float]) -> Ratio | None:
    if before <= 0 or min(old) <= 0:
        return None
    value = after / before
    return Ratio(value=value, low=min(value, new[0] / old[1]), high=max(value, new[1] / old[0]))


def _verdict(low: float, high: float, value: float, differs: bool) -> Verdict:
    if not differs or low == high == 0:
        return "same"
    if low > 0:
        return "more"
    if high < 0:
        return "less"
    return "unclear"

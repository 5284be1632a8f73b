"""How far an alternative is from the original, by the errors that the two do not have in common.

An alternative is the original times factors, each with its own error: what it does not change (the joules that were
measured, the grid of the same place, the building) is the same error on both sides, and cancels where it should
(:mod:`wattmark.runs.differences`, the rule of all comparisons).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wattmark.predict.whatif.outcome import Outcome
from wattmark.quantity import Quantity
from wattmark.runs.differences import of_quantities

Verdict = Literal["less", "more", "same", "unclear"]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Alternative over original."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Alternative less original. verdict: ``unclear`` where the interval of the ratio holds 1; ``same`` where nothing that
    differs has an error."""

    value: float
    low: float
    high: float
    unit: str
    ratio: Ratio | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Differences:
    """One for each number that both sides have."""

    energy: Difference | None
    duration: Difference | None
    carbon: Difference | None
    cost: Difference | None


def difference(original: Quantity | None, alternative: Quantity | None) -> Difference | None:
    """Alternative less original, or None where one of them is not known or their units differ."""
    if original is None or alternative is None or original.unit != alternative.unit:
        return None
    apart = of_quantities(original, alternative)
    low, high = apart.gap.interval()
    ratio = None if apart.ratio is None else Ratio(apart.ratio.value, *apart.ratio.interval())
    verdict: Verdict = "unclear"
    if low == high == 0:
        verdict = "same"
    elif apart.clear:
        verdict = "more" if apart.value > 0 else "less"
    return Difference(apart.value, low, high, original.unit, ratio, verdict)


def differences(original: Outcome, alternative: Outcome) -> Differences:
    """The second one's alternative less the first one's original: of one run, or of two."""
    old, new = original.original, alternative.alternative
    return Differences(
        energy=difference(old.energy_j, new.energy_j),
        duration=difference(old.duration_s, new.duration_s),
        carbon=difference(old.carbon_g, new.carbon_g),
        cost=difference(old.cost, new.cost),
    )

"""How far an alternative is from the original, with an interval that knows what both have in common.

Grams are joules x PUE x intensity. A factor that both sides share (the same joules in another country, the same
country with other hardware) cannot differ between them, so its error scales the difference and makes none by itself.
The factors that only one side has may err each on its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

from wattmark.predict.whatif.outcome import Estimate, Outcome
from wattmark.quantity import Quantity
from wattmark.units import J_PER_KWH

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


@dataclass(frozen=True, slots=True)
class Differences:
    """One for each number that both sides have."""

    energy: Difference | None
    duration: Difference | None
    carbon: Difference | None
    cost: Difference | None


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


def differences(original: Outcome, alternative: Outcome) -> Differences:
    """The second one's alternative less the first one's original: of one run, or of two."""
    old, new = original.original, alternative.alternative
    start = alternative.original
    other = "" if original.run_id == alternative.run_id else " of another run"
    joules_before = _named({"run": old.energy_j})
    joules_after = _named({f"run{other}": start.energy_j}) | {
        f"joules {place}": step.energy for place, step in enumerate(alternative.steps)
    }
    seconds_after = _named({f"seconds{other}": start.duration_s}) | {
        f"seconds {place}": step.duration for place, step in enumerate(alternative.steps)
    }
    return Differences(
        energy=difference(_factors(old.energy_j, joules_before), _factors(new.energy_j, joules_after)),
        duration=difference(
            _factors(old.duration_s, _named({"seconds": old.duration_s})),
            _factors(new.duration_s, seconds_after),
        ),
        carbon=difference(
            _factors(old.carbon_g, joules_before | _stages(old, "I")),
            _factors(new.carbon_g, joules_after | _stages(new, "I")),
        ),
        cost=difference(
            _factors(old.cost, joules_before | _stages(old, "p")),
            _factors(new.cost, joules_after | _stages(new, "p")),
        ),
    )


def _named(parts: Mapping[str, Quantity | None]) -> dict[str, Quantity]:
    return {name: part for name, part in parts.items() if part is not None}


def _factors(value: Quantity | None, parts: dict[str, Quantity]) -> Factors | None:
    return None if value is None else Factors(value, parts)


def _stages(estimate: Estimate, per_kwh: str) -> dict[str, Quantity]:
    """PUE and what a kWh comes to (``I`` grams, ``p`` money), by one joule, from the terms of the equation."""
    scale = {"PUE": 1.0, per_kwh: 1 / J_PER_KWH}
    return {
        term.symbol: term.quantity * scale[term.symbol] for term in estimate.terms if term.symbol in scale
    }


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

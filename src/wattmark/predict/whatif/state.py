"""What a prediction works on (joules by component, seconds and the machine, changed one step after the other), and what
it answers where it cannot predict; arithmetic of ratios."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from wattmark.predict.hardware.devices import Installed
from wattmark.quantity import FIT, Quantity, own_error, total


@dataclass(frozen=True, slots=True)
class Unpredictable:
    """No number, and why: a whole clause that reads well after "unknown, because"."""

    because: str

    def __str__(self) -> str:
        return f"unknown, because {self.because}"


@dataclass(frozen=True, slots=True)
class Step:
    """One change: the factor by which it multiplies joules and seconds, and where that comes from.

    name: for people. field: of the scenario. energy, duration: ratios, unit "".
    """

    name: str
    field: str
    energy: Quantity
    duration: Quantity
    source: str
    url: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the API."""
        return {
            "name": self.name,
            "field": self.field,
            "energy_ratio": self.energy.as_dict(),
            "duration_ratio": self.duration.as_dict(),
            "source": self.source,
            "url": self.url,
        }


Work = Literal["serving", "training", ""]
"""Kind of work: answering requests, epochs of a training, or not known."""


@dataclass(frozen=True, slots=True)
class State:
    """Joules by component and seconds of some work on some machine. duration_s: None where no one knows it."""

    by_component: dict[str, Quantity]
    duration_s: Quantity | None
    accelerators: tuple[Installed, ...] = ()
    cpus: tuple[Installed, ...] = ()
    utilisation: float | None = None
    busy_cores: float | None = None
    notes: tuple[str, ...] = field(default_factory=tuple[str, ...])
    work: Work = ""

    @property
    def energy_j(self) -> Quantity | None:
        """All components together."""
        return total(list(self.by_component.values()))


def product(first: Quantity, second: Quantity, unit: str, source: str = "") -> Quantity:
    """The product of two quantities that are not negative, with the errors of both under their names."""
    return (first * second).with_unit(unit).with_source(source or first.source).bounded(0.0)


def fitted(value: float, low: float, high: float, unit: str = "", source: str = "") -> Quantity:
    """A factor of a predictor with its own error, which nothing else has."""
    return Quantity(value, low, high, unit, source, error=f"{FIT}/{own_error()}").bounded(0.0)


def of_one_fit(source: str, factors: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """The factors of one change on several components: they rest on the same guess, so that their errors conspire."""
    name = f"{FIT}/{source}"
    return {
        component: Quantity(one.value, one.low, one.high, "", one.source, error=name).bounded(0.0)
        for component, one in factors.items()
    }


def span(values: Iterable[float], value: float, unit: str = "", source: str = "") -> Quantity:
    """``value`` with an interval that holds all ``values``."""
    known = [value, *values]
    return fitted(value, min(known), max(known), unit, source)


def geometric_mean(values: Iterable[float]) -> float:
    """Of numbers above zero; raises ValueError for none."""
    logs = [math.log(value) for value in values]
    if not logs:
        raise ValueError("no mean of nothing")
    return math.exp(sum(logs) / len(logs))


def scaled(quantity: Quantity, factor: Quantity, source: str) -> Quantity:
    """A quantity times a ratio that is not negative."""
    return product(quantity, factor, quantity.unit, source)


def unchanged(state: State, name: str) -> tuple[State, Step]:
    """The hardware that the run was on anyway."""
    one = Quantity.exact(1.0, "", "the same hardware")
    return state, Step(name, "hardware", one, one, "the same hardware")


def step_of(
    state: State,
    name: str,
    field: str,
    changed: Mapping[str, Quantity],
    time: Quantity,
    source: str,
    url: str = "",
) -> Step:
    """The factor on all joules together, from the factors on the components."""
    old = state.energy_j
    assert old is not None
    if old.value <= 0:
        energy = Quantity.exact(1.0, "", source)
    else:
        parts = [changed[name] * (part.value / old.value) for name, part in state.by_component.items()]
        energy = (total(parts, "") or Quantity.exact(1.0, "")).with_source(source)
    return Step(name, field, energy, time, source, url)


def later(state: State, time: Quantity, source: str) -> Quantity | None:
    """The seconds of a state times a ratio, None where they are not known."""
    return None if state.duration_s is None else scaled(state.duration_s, time, f"predicted: {source}")

"""The answer to a scenario: the run as it was, the run as it would be, and how every number was computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from wattmark.impact import Carbon
from wattmark.predict.hardware.devices import Machine
from wattmark.predict.whatif.state import Step
from wattmark.quantity import Quantity, QuantityDict

Basis = Literal["measured", "modelled", "imported", "predicted"]


@dataclass(frozen=True, slots=True)
class ComponentEnergy:
    """Joules of one component, and whether they were measured, modelled, imported or predicted."""

    component: str
    energy_j: Quantity
    basis: Basis

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the API."""
        return {"component": self.component, "energy_j": self.energy_j.as_dict(), "basis": self.basis}


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One epoch of the series: its own joules, those of all epochs up to it, and when it ends (s from the run's start).

    measured: these are the joules that were measured. extrapolated: this epoch never ran.
    """

    epoch: int
    energy_j: Quantity
    cumulative_j: Quantity
    duration_s: Quantity | None
    t_s: Quantity | None
    measured: bool
    extrapolated: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the API."""
        return {
            "epoch": self.epoch,
            "energy_j": self.energy_j.as_dict(),
            "cumulative_j": self.cumulative_j.as_dict(),
            "duration_s": _plain(self.duration_s),
            "t_s": _plain(self.t_s),
            "measured": self.measured,
            "extrapolated": self.extrapolated,
        }


@dataclass(frozen=True, slots=True)
class EquationTerm:
    """One term of the equation "how this was computed".

    symbol: as it stands in the formula. role: ``base`` (joules of the run), ``factor`` (multiplies them), ``energy``
    (what they come to), ``carbon`` (PUE, intensity), ``cost`` (price). field: of the scenario that changes it, None
    where it is not ``editable``.
    """

    name: str
    symbol: str
    quantity: Quantity
    role: Literal["base", "factor", "energy", "carbon", "cost"]
    link: str = ""
    field: str | None = None
    year: int | None = None

    @property
    def editable(self) -> bool:
        """Whether a scenario can change it."""
        return self.field is not None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the API."""
        return {
            "name": self.name,
            "symbol": self.symbol,
            "role": self.role,
            **self.quantity.as_dict(),
            "unit": self.quantity.unit,
            "source": self.quantity.source,
            "link": self.link,
            "year": self.year,
            "editable": self.editable,
            "field": self.field,
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """The original or the alternative. What is None has its reason in ``reasons`` (by field).

    grams_per_j, cost_per_j: what turns joules of the series into carbon and money. cost: in ``cost.unit``.
    """

    energy_j: Quantity | None
    duration_s: Quantity | None
    carbon: Carbon | None
    cost: Quantity | None
    by_component: tuple[ComponentEnergy, ...]
    epochs: tuple[EpochRow, ...]
    terms: tuple[EquationTerm, ...]
    formula: str
    reasons: Mapping[str, str]
    grams_per_j: Quantity | None = None
    cost_per_j: Quantity | None = None

    @property
    def carbon_g(self) -> Quantity | None:
        """Grams of CO2e."""
        return None if self.carbon is None else self.carbon.grams

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the API."""
        cost = None if self.cost is None else {**self.cost.as_dict(), "unit": self.cost.unit}
        return {
            "energy_j": _plain(self.energy_j),
            "duration_s": _plain(self.duration_s),
            "carbon_g": None if self.carbon is None else self.carbon.as_dict(),
            "cost": cost,
            "reasons": dict(self.reasons),
            "by_component": [one.as_dict() for one in self.by_component],
            "epochs": [one.as_dict() for one in self.epochs],
            "grams_per_j": _plain(self.grams_per_j),
            "cost_per_j": _plain(self.cost_per_j),
            "formula": self.formula,
            "terms": [one.as_dict() for one in self.terms],
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What :func:`wattmark.predict.evaluate` answers.

    scenario: as plain data. changed: its fields that are set. steps: what changed the joules, in order. notes: what
    the prediction does not know. options: what this run allows to be asked.
    """

    run_id: str
    scenario: Mapping[str, Any]
    changed: tuple[str, ...]
    original: Estimate
    alternative: Estimate
    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    machine: Machine
    options: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the API: documented in docs/science/what-if.md."""
        return {
            "run_id": self.run_id,
            "scenario": dict(self.scenario),
            "changed": list(self.changed),
            "original": self.original.as_dict(),
            "alternative": self.alternative.as_dict(),
            "steps": [step.as_dict() for step in self.steps],
            "notes": list(self.notes),
            "machine": self.machine.as_dict(),
            "options": dict(self.options),
        }


def _plain(quantity: Quantity | None) -> QuantityDict | None:
    return None if quantity is None else quantity.as_dict()

"""Carbon and money of joules, and the terms of the equation: ``energy x PUE x intensity``, ``energy x PUE x price``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wattmark.impact import (
    Carbon,
    Intensity,
    Pue,
    as_price,
    as_pue,
    carbon_at,
    cost_at,
    find_zone,
    intensity_of,
)
from wattmark.predict.whatif.outcome import EquationTerm
from wattmark.predict.whatif.state import Step
from wattmark.quantity import Quantity
from wattmark.units import J_PER_KWH

NO_ZONE = "unknown, because no place is given"
NO_PRICE = "unknown, because no price per kWh is given"


@dataclass(frozen=True, slots=True)
class Rates:
    """Where the electricity comes from, what the building adds, and what a kWh costs. None: not given."""

    intensity: Intensity | None
    pue: Pue
    price: Quantity | None

    def carbon(self, energy: Quantity | None) -> Carbon | None:
        """CO2e of joules, as everywhere in Wattmark."""
        if energy is None or self.intensity is None:
            return None
        return carbon_at(energy, self.intensity, self.pue)

    def cost(self, energy: Quantity | None) -> Quantity | None:
        """The bill for joules: the building's overhead is paid too."""
        return None if energy is None or self.price is None else cost_at(energy, self.price, self.pue)

    @property
    def grams_per_j(self) -> Quantity | None:
        """Grams of CO2e for one joule."""
        if self.intensity is None:
            return None
        return _per_joule(self.pue.ratio, self.intensity.g_per_kwh, "g/J")

    @property
    def cost_per_j(self) -> Quantity | None:
        """Money for one joule."""
        return None if self.price is None else _per_joule(self.pue.ratio, self.price, self.price.unit)

    @property
    def formula(self) -> str:
        """The equation in words."""
        return "carbon = energy / 3.6e6 × PUE × intensity" + (
            "; cost = energy / 3.6e6 × PUE × price" if self.price is not None else ""
        )


def rates_at(
    zone: str | None,
    year: int | None,
    pue: float | str | None,
    price_per_kwh: float | str | None,
    currency: str | None,
) -> Rates:
    """Rates from what a scenario says. Raises ConfigError for a zone, year, PUE or price that cannot be used."""
    intensity = None if zone is None else intensity_of(find_zone(zone), year)
    price = None if price_per_kwh is None else as_price(price_per_kwh, currency)
    return Rates(intensity, as_pue(1.0 if pue is None else pue), price)


def equation(
    base: Quantity | None, steps: Sequence[Step], energy: Quantity | None, rates: Rates
) -> tuple[EquationTerm, ...]:
    """The terms in the order of the formula; base and energy are the same quantity where nothing changed the joules."""
    terms: list[EquationTerm] = []
    if base is not None and steps:
        terms.append(EquationTerm("energy of the run", "E0", base, "base"))
        terms += [
            EquationTerm(step.name, f"r{place}", step.energy, "factor", step.url, step.field)
            for place, step in enumerate(steps, 1)
        ]
    if energy is not None:
        terms.append(EquationTerm("energy", "E", energy, "energy"))
    terms.append(EquationTerm("PUE", "PUE", rates.pue.ratio, "carbon", rates.pue.url, "pue", rates.pue.year))
    if rates.intensity is not None:
        one = rates.intensity
        terms.append(
            EquationTerm("carbon intensity", "I", one.g_per_kwh, "carbon", one.source.url, "zone", one.year)
        )
    if rates.price is not None:
        terms.append(EquationTerm("price", "p", rates.price, "cost", "", "price_per_kwh"))
    return tuple(terms)


def _per_joule(ratio: Quantity, per_kwh: Quantity, unit: str) -> Quantity:
    return (ratio * per_kwh / J_PER_KWH).with_unit(unit).with_source(per_kwh.source)

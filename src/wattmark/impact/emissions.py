"""Carbon of electricity: ``CO2e = E / 3.6e6 J/kWh x PUE x intensity`` (GHG Protocol Scope 2, location-based).

The formula multiplies what is used by the average intensity of the grid that it is taken from (GHG Protocol
Scope 2 Guidance, World Resources Institute 2015, chapter 6); PUE extends the use to the whole facility.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, overload

from wattmark.impact.intensity import Intensity, intensity_of
from wattmark.impact.locate import FoundZone
from wattmark.impact.places import Zone, find_zone
from wattmark.impact.pue import Pue, as_pue
from wattmark.quantity import Quantity
from wattmark.runs.result import CarbonResult
from wattmark.units import J_PER_KWH

FORMULA = "grams CO2e = energy / 3.6e6 J/kWh × PUE × intensity"


@dataclass(frozen=True, slots=True)
class Term:
    """One factor of the formula with its interval and origin (an equation's terms open their sources)."""

    name: str
    quantity: Quantity
    year: int | None = None
    url: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json`` and the API."""
        return {
            "name": self.name,
            **self.quantity.as_dict(),
            "unit": self.quantity.unit,
            "source": self.quantity.source,
            "year": self.year,
            "url": self.url,
        }


@dataclass(frozen=True, slots=True)
class Carbon:
    """Grams of CO2e from the electricity of some work, and everything that they were worked out from.

    energy: as given, untouched, in J. zone_from: how the zone was found, None if the caller named it.
    """

    grams: Quantity
    energy: Quantity
    pue: Pue
    intensity: Intensity
    zone_from: str | None = None

    @property
    def value(self) -> float:
        """Grams of CO2e."""
        return self.grams.value

    @property
    def low(self) -> float:
        """Lower end of the interval, in grams."""
        return self.grams.low

    @property
    def high(self) -> float:
        """Upper end of the interval, in grams."""
        return self.grams.high

    @property
    def zone(self) -> Zone:
        """The place whose grid was taken."""
        return self.intensity.zone

    @property
    def terms(self) -> tuple[Term, ...]:
        """The factors of :data:`FORMULA` in their order."""
        intensity = self.intensity
        return (
            Term("energy", self.energy),
            Term("PUE", self.pue.ratio, self.pue.year, self.pue.url),
            Term("intensity", intensity.g_per_kwh, intensity.year, intensity.source.url),
        )

    @property
    def result(self) -> CarbonResult:
        """The grams with zone, intensity, source and year, and the details of the equation, as a run's results have them."""
        intensity = self.intensity
        details = {
            "zone_name": self.zone.name,
            "zone_from": self.zone_from,
            "scope": intensity.source.scope,
            "intensity": intensity.as_dict(),
            "pue": self.pue.as_dict(),
            "formula": FORMULA,
            "terms": [term.as_dict() for term in self.terms],
        }
        return CarbonResult(
            self.grams,
            self.zone.id,
            intensity.g_per_kwh.value,
            intensity.source.title,
            intensity.year,
            details,
        )

    def as_dict(self) -> dict[str, Any]:
        """The ``carbon_g`` object of ``--json``."""
        return self.result.to_dict()


PueLike = float | str | Quantity | Pue


@overload
def carbon(
    energy: Quantity, zone: str | Zone | FoundZone, year: int | None = None, pue: PueLike = 1.0
) -> Carbon: ...
@overload
def carbon(
    energy: Quantity | None,
    zone: str | Zone | FoundZone | None,
    year: int | None = None,
    pue: PueLike = 1.0,
) -> Carbon | None: ...
def carbon(
    energy: Quantity | None,
    zone: str | Zone | FoundZone | None,
    year: int | None = None,
    pue: PueLike = 1.0,
) -> Carbon | None:
    """CO2e of ``energy`` (J) used in ``zone``; None where the energy or the zone is not known.

    year: of the yearly average, None for the latest. pue: a ratio, a quantity or a name of
    :func:`~wattmark.impact.named_pues`; 1.0 applies none.

    Raises:
        ConfigError: the zone, year or PUE cannot be used.
        ValueError: ``energy`` is not in joules.
    """
    if energy is None or zone is None:
        return None
    zone_from = None
    if isinstance(zone, FoundZone):
        zone, zone_from = zone.zone, zone.how
    place = find_zone(zone) if isinstance(zone, str) else zone
    return carbon_at(energy, intensity_of(place, year), as_pue(pue), zone_from)


def carbon_at(energy: Quantity, intensity: Intensity, pue: Pue, zone_from: str | None = None) -> Carbon:
    """CO2e of ``energy`` (J) under a known intensity and PUE.

    Errors of the three are independent of each other; the grid's is common to all that is said of that zone and year.

    Raises:
        ValueError: ``energy`` is not in joules.
    """
    if energy.unit != "J":
        raise ValueError(f"carbon is worked out from joules, not {energy.unit!r}")
    grams = (
        (energy * (pue.ratio * intensity.g_per_kwh / J_PER_KWH))
        .with_unit("g")
        .with_source(intensity.g_per_kwh.source)
    )
    return Carbon(grams, energy, pue, intensity, zone_from)


def cost_at(energy: Quantity, price: Quantity, pue: Pue) -> Quantity:
    """The bill for ``energy`` (J) at a price of the kilowatt-hour, in its unit: what the building adds is paid, too."""
    return (
        (energy * (pue.ratio * price / J_PER_KWH)).with_unit(price.unit or "money").with_source(price.source)
    )

"""Everyday things that an energy or an amount of CO2e compares with. Never shown unless someone asks for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Equivalent:
    """``amount`` (in ``of``: J of electricity, or g of CO2e) is one of ``name``."""

    name: str
    of: Literal["J", "g"]
    amount: float
    source: str
    year: int
    url: str


_WATT_HOUR = 3_600.0
_KM_PER_MILE = 1.609344

EQUIVALENTS: tuple[Equivalent, ...] = (
    # 8,887 g CO2 per US gallon of petrol over 22.2 miles per gallon, which the fact sheet rounds to 400 g per mile
    Equivalent(
        "km in an average petrol car of the US",
        "g",
        8_887 / 22.2 / _KM_PER_MILE,
        "EPA, Greenhouse Gas Emissions from a Typical Passenger Vehicle, EPA-420-F-23-014 (tailpipe)",
        2023,
        "https://www.epa.gov/greenvehicles/greenhouse-gas-emissions-typical-passenger-vehicle",
    ),
    # 14.46 Wh in 24 hours, less 0.13 W for the 22 hours in which the phone is full
    Equivalent(
        "charges of a smartphone",
        "J",
        (14.46 - 22 * 0.13) * _WATT_HOUR,
        "EPA, Greenhouse Gas Equivalencies Calculator: Calculations and References, after DOE 2020",
        2022,
        "https://www.epa.gov/energy/greenhouse-gases-equivalencies-calculator-calculations-and-references",
    ),
    # 1 kg of water by 80 K at 4.18 kJ/(kg K), at normal pressure; a kettle's losses come on top
    Equivalent(
        "litres of water heated from 20 to 100 °C",
        "J",
        4_180.0 * 80,
        "NIST Chemistry WebBook, SRD 69: isobaric heat capacity of liquid water",
        2023,
        "https://webbook.nist.gov/chemistry/fluid/",
    ),
)

"""A budget in joules, watt-hours, grams of CO2e or money, and whether a run will keep it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.units import J_PER_KWH, J_PER_WH, format_energy

ENERGIES = {
    "J": 1.0, "kJ": 1e3, "MJ": 1e6, "GJ": 1e9, "Wh": J_PER_WH, "kWh": J_PER_KWH, "MWh": 1e3 * J_PER_KWH,
}  # fmt: skip
MASSES = {"mg": 1e-3, "g": 1.0, "kg": 1e3, "t": 1e6}
_AMOUNT = re.compile(r"\s*(?P<number>\d+(?:\.\d*)?(?:[eE][-+]?\d+)?|\.\d+)\s*(?P<unit>\S+)\s*")
_CARBON = re.compile(r"(?P<mass>mg|g|kg|t)\s*CO2(?:e|eq|-eq)?", re.IGNORECASE)
_MONEY = re.compile(r"[A-Z]{3}|[€$£¥]")
_EXAMPLES = "50kJ, 12Wh, 0.5kWh, 20gCO2e, or 2EUR with --price"


@dataclass(frozen=True, slots=True)
class Budget:
    """text: as the user gave it. joules: what it comes to. how: what turned it into joules, empty for an energy."""

    text: str
    joules: float
    how: str = ""

    def __str__(self) -> str:
        return self.text if not self.how else f"{self.text} ({format_energy(self.joules)} at {self.how})"

    def is_crossed_by(self, energy: Quantity) -> bool:
        """Whether the lower end of the 90 % interval is beyond it."""
        return energy.interval(0.9)[0] > self.joules


def budget(
    text: str, *, g_per_kwh: float | None = None, price_per_kwh: float | None = None, pue: float = 1.0
) -> Budget:
    """The budget that a word means. g_per_kwh: the grid's carbon intensity; pue: of the building, for carbon and money.

    Raises ConfigError for what is no amount, has no known unit, or cannot be turned into joules.
    """
    match = _AMOUNT.fullmatch(text)
    if match is None:
        raise ConfigError(f"a budget cannot be {text!r}", hint=f"a number and a unit: {_EXAMPLES}")
    number, unit = float(match["number"]), match["unit"]
    if not (math.isfinite(number) and number > 0):
        raise ConfigError(f"a budget must be more than 0, not {text}", hint=_EXAMPLES)
    if unit in ENERGIES:
        return Budget(text.strip(), number * ENERGIES[unit])
    carbon = _CARBON.fullmatch(unit)
    if carbon is not None:
        if not g_per_kwh:
            raise ConfigError(f"a budget of {text} needs the grid's carbon", hint="name the place: --zone FR")
        grams = number * MASSES[carbon["mass"].lower()]
        how = f"{g_per_kwh:g} gCO2e/kWh" + (f" and PUE {pue:g}" if pue != 1 else "")
        return Budget(text.strip(), grams / (g_per_kwh * pue) * J_PER_KWH, how)
    if _MONEY.fullmatch(unit):
        if not price_per_kwh:
            raise ConfigError(
                f"a budget of {text} needs the price of a kilowatt-hour", hint="give it: --price 0.25"
            )
        how = f"{price_per_kwh:g} {unit}/kWh" + (f" and PUE {pue:g}" if pue != 1 else "")
        return Budget(text.strip(), number / (price_per_kwh * pue) * J_PER_KWH, how)
    alike = [known for known in ENERGIES if known.lower() == unit.lower()]
    raise ConfigError(
        f"a budget has no unit {unit!r}",
        hint=f"did you mean {number:g}{alike[0]}?" if alike else f"one of {_EXAMPLES}",
    )


def is_energy(text: str) -> bool:
    """Whether a budget needs nothing else to be joules, or is none at all."""
    match = _AMOUNT.fullmatch(text)
    return match is None or not (_CARBON.fullmatch(match["unit"]) or _MONEY.fullmatch(match["unit"]))


def is_carbon(text: str) -> bool:
    """Whether a budget is one of carbon, for which the grid must be known."""
    match = _AMOUNT.fullmatch(text)
    return match is not None and _CARBON.fullmatch(match["unit"]) is not None

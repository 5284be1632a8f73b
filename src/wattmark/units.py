"""Units and how to show them: inside the project only J, W, s, g and bytes; people see what reads well.

Standard library only; the recorder imports this module.
"""

from __future__ import annotations

import math

NS_PER_S = 1_000_000_000
UJ_PER_J = 1_000_000
J_PER_WH = 3_600.0
J_PER_KWH = 3_600_000.0

Step = tuple[float, float, str]
"""From this size on, divided by this, in this unit."""
STEPS: dict[str, tuple[Step, ...]] = {
    "J": (
        (1e9, 1e9, "GJ"),
        (1e6, 1e6, "MJ"),
        (1e4, 1e3, "kJ"),
        (1.0, 1.0, "J"),
        (1e-3, 1e-3, "mJ"),
        (0.0, 1e-6, "µJ"),
    ),
    "W": ((1e6, 1e6, "MW"), (1e3, 1e3, "kW"), (1.0, 1.0, "W"), (1e-3, 1e-3, "mW"), (0.0, 1e-6, "µW")),
    "g": ((1e6, 1e6, "t"), (1e3, 1e3, "kg"), (1.0, 1.0, "g"), (1e-3, 1e-3, "mg"), (0.0, 1e-6, "µg")),
}
"""How quantities are shown, the largest first. The page has the same table (``tools/units.py`` writes it)."""
ENERGY_UNITS: dict[str, tuple[Step, ...]] = {
    "auto": STEPS["J"],
    "J": ((0.0, 1.0, "J"),),
    "Wh": ((0.0, J_PER_WH, "Wh"),),
    "kWh": ((0.0, J_PER_KWH, "kWh"),),
}
"""The setting ``energy_unit``: a unit that fits, or always the same one."""

_energy_unit = "auto"


def show_energies_in(unit: str) -> None:
    """Take the user's ``energy_unit`` for all that this process shows."""
    global _energy_unit
    _energy_unit = unit


def format_energy(joules: float, like: float | None = None) -> str:
    """``1234567.0`` -> ``"1.23 MJ"``: three significant digits or more, never scientific notation.

    like: takes the unit of this value, so that a value and the ends of its interval have one.
    """
    return _stepped(joules, ENERGY_UNITS[_energy_unit], like)


def format_power(watts: float) -> str:
    """``0.5`` -> ``"500 mW"``, ``1250.0`` -> ``"1.25 kW"``."""
    return _stepped(watts, STEPS["W"])


def format_duration(seconds: float) -> str:
    """``75.2`` -> ``"1 min 15 s"``, ``0.0123`` -> ``"12.3 ms"``, ``-2.0`` -> ``"-2.00 s"``."""
    if seconds < 0:
        return f"-{format_duration(-seconds)}"
    if seconds >= 86_400:
        return f"{int(seconds // 86_400)} d {int(seconds % 86_400 // 3_600)} h"
    if seconds >= 3_600:
        return f"{int(seconds // 3_600)} h {int(seconds % 3_600 // 60)} min"
    if seconds >= 60:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    if seconds >= 1:
        return f"{significant(seconds)} s"
    if seconds >= 1e-3:
        return f"{significant(seconds * 1e3)} ms"
    return f"{significant(seconds * 1e6)} µs"


def format_mass(grams: float) -> str:
    """``0.0021`` -> ``"2.10 mg"``, ``1520.0`` -> ``"1.52 kg"`` (of CO2e, say)."""
    return _stepped(grams, STEPS["g"])


def format_number(value: float) -> str:
    """``0.0001234`` -> ``"0.000123"``: three significant digits, never scientific notation (an amount of money, say)."""
    return _digits(value)


def _stepped(value: float, steps: tuple[Step, ...], like: float | None = None) -> str:
    size = abs(value if like is None else like)
    base = next((step for step in steps if step[1] == 1.0), steps[0])
    _, divisor, unit = base if size == 0 else next(step for step in steps if size >= step[0])
    return f"{_digits(value / divisor)} {unit}"


def _digits(value: float, digits: int = 3) -> str:
    """As :func:`significant`, and so many digits of numbers under a tenth as well."""
    size = abs(value)
    if size >= 0.1 or size == 0:
        return significant(value, digits)
    return f"{value:.{digits - 1 - math.floor(math.log10(size))}f}"


def significant(value: float, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits (all digits before the point are kept)."""
    if value == 0:
        return "0"
    decimals = digits
    scaled = abs(value)
    while scaled >= 1 and decimals > 0:
        scaled /= 10
        decimals -= 1
    return f"{value:.{decimals}f}" if decimals else f"{value:,.0f}"

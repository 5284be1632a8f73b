"""Units and how to show them: inside the project only J, W, s, g and bytes; people see what reads well.

Standard library only; the recorder imports this module.
"""

from __future__ import annotations

NS_PER_S = 1_000_000_000
UJ_PER_J = 1_000_000
J_PER_WH = 3_600.0
J_PER_KWH = 3_600_000.0

_ENERGY_STEPS = ((1e9, 1e9, "GJ"), (1e6, 1e6, "MJ"), (1e4, 1e3, "kJ"), (1.0, 1.0, "J"), (1e-3, 1e-3, "mJ"))


def format_energy(joules: float) -> str:
    """``1234567.0`` -> ``"1.235 MJ"``; three to four significant digits, never scientific notation."""
    size = abs(joules)
    for threshold, divisor, unit in _ENERGY_STEPS:
        if size >= threshold:
            return f"{significant(joules / divisor)} {unit}"
    return "0 J" if joules == 0 else f"{significant(joules / 1e-6)} µJ"


def format_power(watts: float) -> str:
    """``0.5`` -> ``"500 mW"``, ``1250.0`` -> ``"1.25 kW"``."""
    size = abs(watts)
    if size >= 1e6:
        return f"{significant(watts / 1e6)} MW"
    if size >= 1e3:
        return f"{significant(watts / 1e3)} kW"
    if size >= 1 or size == 0:
        return f"{significant(watts)} W"
    return f"{significant(watts * 1e3)} mW"


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
    """``0.0021`` -> ``"2.1 mg"``, ``1520.0`` -> ``"1.52 kg"`` (of CO2e, say)."""
    size = abs(grams)
    if size >= 1e6:
        return f"{significant(grams / 1e6)} t"
    if size >= 1e3:
        return f"{significant(grams / 1e3)} kg"
    if size >= 1 or size == 0:
        return f"{significant(grams)} g"
    return f"{significant(grams * 1e3)} mg" if size >= 1e-3 else f"{significant(grams * 1e6)} µg"


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

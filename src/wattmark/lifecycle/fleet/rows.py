"""Rows of a fleet: power, time and intensity of each, and why a row that lacks one is left out.

``C = P x T x I`` holds of every row: what is not stated follows from what is (energy is power times time, intensity is
carbon over energy). Where all are stated and do not fit, what is left over (a PUE, say) is a factor of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from wattmark.units import J_PER_KWH

_FITS = 0.01
"""Stated carbon that is within so much of P x T x I is that product, rounded."""


@dataclass(frozen=True, slots=True)
class Row:
    """One run or model. power_w: mean watts. time_s: seconds (device-seconds where the power is of one device).
    g_per_kwh: g CO2e/kWh. overhead: what multiplies them to the stated carbon (1 where that is their product). year: with
    its fraction. quality: in any unit."""

    name: str
    power_w: float
    time_s: float
    g_per_kwh: float
    overhead: float = 1.0
    year: float | None = None
    quality: float | None = None

    @property
    def energy_j(self) -> float:
        """Joules: power times time."""
        return self.power_w * self.time_s

    @property
    def carbon_g(self) -> float:
        """Grams of CO2e."""
        return self.energy_j / J_PER_KWH * self.g_per_kwh * self.overhead


@dataclass(frozen=True, slots=True)
class Survey:
    """rows: those of which all is known. left_out: why -> how many. energies: joules of all rows with an energy above zero,
    by name, also of those that are left out. notes: what was assumed."""

    rows: tuple[Row, ...]
    left_out: Mapping[str, int]
    energies: tuple[tuple[str, float], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What a line says of one run; None for nothing."""

    name: str
    power_w: float | None = None
    time_s: float | None = None
    energy_j: float | None = None
    g_per_kwh: float | None = None
    carbon_g: float | None = None
    year: float | None = None
    quality: float | None = None


def survey(lines: list[Told], notes: tuple[str, ...] = ()) -> Survey:
    """Rows from what is told. A logarithm needs numbers above zero: what is zero, negative or missing is left out and
    counted."""
    rows: list[Row] = []
    left_out: Counter[str] = Counter()
    energies: list[tuple[str, float]] = []
    for told in lines:
        row = _row(told)
        energy = _energy(told)
        if energy is not None and energy > 0:
            energies.append((told.name, energy))
        if isinstance(row, str):
            left_out[row] += 1
        else:
            rows.append(row)
    return Survey(tuple(rows), dict(left_out), tuple(energies), notes)


def _energy(told: Told) -> float | None:
    if told.energy_j is not None:
        return told.energy_j
    return None if told.power_w is None or told.time_s is None else told.power_w * told.time_s


def _row(told: Told) -> Row | str:
    """The row, or why it is left out."""
    given = {
        "power": told.power_w,
        "time": told.time_s,
        "energy": told.energy_j,
        "intensity": told.g_per_kwh,
        "carbon": told.carbon_g,
    }
    for name, value in given.items():
        if value is not None and not math.isfinite(value):
            return f"{name} is no number"
        if value is not None and value <= 0:
            return f"{name} is {'zero' if value == 0 else 'negative'}"
    power, time, energy = told.power_w, told.time_s, _energy(told)
    if energy is None and told.carbon_g is not None and told.g_per_kwh is not None:
        energy = told.carbon_g / told.g_per_kwh * J_PER_KWH
    if told.energy_j is not None and time is not None:
        power = (
            told.energy_j / time
        )  # what is called power may be a peak, a limit or a sum of samples; joules count
    if time is None and power is not None and energy is not None:
        time = energy / power
    if power is None and time is not None and energy is not None:
        power = energy / time
    if time is None:
        return "no time, and nothing that it follows from"
    if power is None:
        return "no power or energy, and nothing that it follows from"
    product = power * time
    intensity = told.g_per_kwh
    if intensity is None:
        if told.carbon_g is None:
            return "no intensity or carbon"
        intensity = told.carbon_g / (product if energy is None else energy) * J_PER_KWH
    overhead = 1.0
    if told.carbon_g is not None:
        overhead = told.carbon_g / (product / J_PER_KWH * intensity)
    elif energy is not None:
        overhead = energy / product
    if abs(overhead - 1) <= _FITS:
        overhead = 1.0
    if not (math.isfinite(overhead) and overhead > 0 and math.isfinite(product) and product > 0):
        return "too large or too small a number"
    return Row(told.name, power, time, intensity, overhead, told.year, told.quality)

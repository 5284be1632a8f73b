"""Water, the making of the hardware, hours of rented GPUs: later stages over unchanged joules, each on only if its inputs
are given.

Water (Li, Yang, Islam and Ren, "Making AI Less Thirsty", arXiv 2304.03271): ``E x (WUE on site + PUE x water of the
grid)``; WUE is per kWh of the computers, so PUE enters once. Making: the share of a device's life that the run took (time
over lifetime).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import NamedTuple

from wattmark.errors import ConfigError
from wattmark.impact.pue import Pue
from wattmark.impact.ranges import ranged, read_range
from wattmark.impact.tables import DATA
from wattmark.quantity import MAKING, WATER, Quantity
from wattmark.units import J_PER_KWH

S_PER_YEAR = 365.25 * 86_400.0
MAKING_STAGE = "making of the hardware"
USUAL_LIFETIME = "3-6"
"""Years that servers are written off over by their large owners (annual reports of 2020 to 2024: three, then four to
six)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One later stage: what it gives (unit L, g or of money), by which formula, from whose numbers, of which year."""

    name: str
    amount: Quantity
    formula: str
    source: str
    year: int | None = None

    def as_dict(self) -> dict[str, object]:
        """Plain data for ``--json``."""
        return {
            "name": self.name,
            **self.amount.as_dict(),
            "unit": self.amount.unit,
            "formula": self.formula,
            "source": self.source,
            "year": self.year,
        }


class Device(NamedTuple):
    """Making of one piece of hardware: kg CO2e with a range, who says so, when."""

    kg: float
    low: float
    high: float
    source: str
    year: int


_A100 = Device(
    318.0,
    159.0,
    636.0,
    "an eighth of an instance with 8 GPUs, CPUs, memory and disks: Chien et al., HotCarbon 2023; a factor of 2 assumed",
    2023,
)
_SERVERS = (
    "a whole server of that family: Cloud Carbon Footprint, after Teads (Apache-2.0); a factor of 2 assumed"
)


@cache
def known_devices() -> Mapping[str, Device]:
    """By name: ``a100``, and servers of AWS instance families (``aws-p4d``), whole ones with their accelerators."""
    text = (DATA / "servers.csv").read_text(encoding="utf-8")
    servers = ((row["name"], float(row["kg"])) for row in csv.DictReader(text.splitlines()))
    return {"a100": _A100, **{name: Device(kg, kg / 2, kg * 2, _SERVERS, 2026) for name, kg in servers}}


def amount_of(given: float | str, unit: str, error: str, what: str) -> Quantity:
    """A number of 0 or more, or a range of them (``1.0-1.8``). Raises ConfigError."""
    if isinstance(given, str):
        ends = read_range(given)
        if ends is not None:
            return ranged(ends, unit, f"{error}/{ends[0]:g}-{ends[1]:g}")
        try:
            given = float(given)
        except ValueError:
            given = math.nan
    if not (math.isfinite(given) and given >= 0):
        raise ConfigError(f"{what} is a number of 0 or more, or a range", hint="such as 1.8 or 1.0-1.8")
    return Quantity.exact(float(given), unit, "given")


def water(energy: Quantity, pue: Pue, wue: float | str | None, grid: float | str | None) -> Stage | None:
    """Litres of water that evaporate or are not given back; None unless one of the two is given.

    energy: J of computing. wue: L/kWh on site; grid: L/kWh of the power's generation. What is not given is not in it, and
    the formula says so. Raises ConfigError.
    """
    if wue is None and grid is None:
        return None
    kwh = (energy / J_PER_KWH).with_unit("")
    litres = Quantity.exact(0.0, "")
    words: list[str] = []
    if wue is not None:
        litres = litres + kwh * amount_of(wue, "", f"{WATER}/site", "a WUE")
        words.append(f"WUE {wue} L/kWh")
    if grid is not None:
        litres = litres + kwh * pue.ratio * amount_of(grid, "", f"{WATER}/grid", "the grid's water")
        words.append(f"PUE {pue.given} x grid {grid} L/kWh")
    lacking = "; on site not given" if wue is None else "; of the grid not given" if grid is None else ""
    formula = f"energy x ({' + '.join(words)}){lacking}"
    return Stage("water", litres.with_unit("L"), formula, "given; formula of arXiv 2304.03271")


def making(
    duration_s: float, device: float | str | None, lifetime: float | str | None = None, count: float = 1.0
) -> Stage | None:
    """The run's share of making its hardware, in g CO2e; None without a device.

    device: kg CO2e (a number or a range), or one of :func:`known_devices`. lifetime: years in use (default
    :data:`USUAL_LIFETIME`). count: of the devices. Raises ConfigError.
    """
    if device is None:
        return None
    known = known_devices().get(device.casefold()) if isinstance(device, str) else None
    if known is not None:
        whole = Quantity(known.kg, known.low, known.high, "", known.source, error=f"{MAKING}/{device}")
    else:
        try:
            whole = amount_of(device, "", MAKING, "the making of a device")
        except ConfigError as error:
            near = get_close_matches(str(device).casefold(), known_devices(), 3, 0.5)
            raise ConfigError(
                f"no figure of making {device!r:.40} is known",
                hint=f"give kg CO2e, such as 1500 or 1000-2000; or a name: {', '.join(near or ['a100', 'aws-p4d'])}",
            ) from error
    years = amount_of(
        USUAL_LIFETIME if lifetime is None else lifetime, "", f"{MAKING}/lifetime", "a lifetime"
    )
    if years.low <= 0:
        raise ConfigError("a lifetime is more than 0 years")
    grams = whole * 1000.0 * (count * duration_s / S_PER_YEAR) / years
    told = "3 to 6 (assumed)" if lifetime is None else str(lifetime)
    return Stage(
        MAKING_STAGE,
        grams.with_unit("g").bounded(0.0),
        f"{device} kg x {count:g} x time / {told} years",
        known.source if known is not None else "given",
        None if known is None else known.year,
    )


def gpu_hours(duration_s: float, price: float | str | None, gpus: float, currency: str) -> Stage | None:
    """What rented GPUs cost, in ``currency``; None without a price per GPU and hour. Raises ConfigError."""
    if price is None:
        return None
    if not gpus > 0:
        raise ConfigError("how many GPUs?", hint="--gpus 8")
    each = amount_of(price, "", "price/gpu-hour", "a price per GPU hour")
    amount = (each * (gpus * duration_s / 3600.0)).with_unit(currency)
    return Stage("GPU hours", amount, f"{gpus:g} GPUs x hours x {price} {currency}".rstrip(), "given")

"""Energies that people state: ``12 kWh``, ``10-12 kWh``, ``11 kWh +-10%``, ``2 W x 30 d``, ``1.2 Wh/1000``."""

from __future__ import annotations

import re

from wattmark.errors import ConfigError
from wattmark.impact.ranges import read_range
from wattmark.quantity import OWN, Quantity
from wattmark.workspace.moments import parse_age

JOULES = {
    "uj": 1e-6, "µj": 1e-6, "mj_": 1e-3, "j": 1.0, "kj": 1e3, "gj": 1e9, "tj": 1e12,
    "mwh_": 3.6, "wh": 3.6e3, "kwh": 3.6e6, "gwh": 3.6e12,
}  # fmt: skip
"""Joules of a unit, in small letters. ``m`` and ``M`` are told apart before: mJ and mWh have ``_`` here."""
_MEGA = {"MJ": 1e6, "Mj": 1e6, "MWh": 3.6e9, "MWH": 3.6e9}
_WATTS = {"mW": 1e-3, "W": 1.0, "kW": 1e3, "MW": 1e6}
_ENERGY = re.compile(
    r"(?P<number>.+?)\s*(?P<unit>[µa-zA-Z]*[jJ]|[µa-zA-Z]*[wW][hH])\s*(?:(?:\+-|±|\+/-)\s*(?P<spread>[\d.]+)\s*%)?"
    r"\s*(?:/\s*(?P<uses>[\d.eE+]+))?"
)
_GROUPED = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?")
_POWER = re.compile(r"(?P<number>.+?)\s*(?P<unit>[mkM]?W)\s*[x*×]\s*(?P<time>\d[\d.]*\s*[smhdw])")


def joules_in(unit: str) -> float | None:
    """Joules of one of a unit of energy; None for what is none."""
    if unit in _MEGA:
        return _MEGA[unit]
    small = unit.lower()
    return JOULES.get(f"{small}_" if unit[:1] == "m" and f"{small}_" in JOULES else small)


def stated(text: str, name: str, unit: str = "J") -> Quantity | None:
    """An energy in words, with one error called ``own/<name>`` where it has a range or a spread; None where the words are
    of another kind (a run, say).

    Raises ConfigError for an energy that cannot be.
    """
    words = text.strip()
    match = _POWER.fullmatch(words)
    if match is not None:
        watts = _number(match["number"], words) * _WATTS[match["unit"]]
        seconds = parse_age(match["time"].replace(" ", "")).total_seconds()
        return Quantity.exact(watts * seconds, unit, "stated").bounded(0.0)
    match = _ENERGY.fullmatch(words)
    if match is None or not match["number"][:1].isdigit():
        return None
    factor = joules_in(match["unit"])
    if factor is None:
        raise ConfigError(f"{words!r}: {match['unit']} is no unit of energy", hint="J, kJ, MJ, Wh, kWh ...")
    if match["uses"] is not None:
        uses = _number(match["uses"], words)
        if uses <= 0:
            raise ConfigError(f"{words!r} is divided by nothing", hint="1.2 Wh/1000: for so many uses")
        factor /= uses
    error = f"{OWN}/{name}"
    ends = read_range(match["number"])
    if ends is not None and match["spread"] is not None:
        raise ConfigError(f"{words!r} is a range and a spread at once", hint="10-12 kWh, or 11 kWh +-10%")
    if ends is not None:
        low, high = ends[0] * factor, ends[1] * factor
        return Quantity((low + high) / 2, low, high, unit, "stated", error=error, at_least=0.0)
    value = _number(match["number"], words) * factor
    known = Quantity.exact(value, unit, "stated").bounded(0.0)
    if match["spread"] is None:
        return known
    share = _number(match["spread"], words) / 100
    return known.with_error(error, value * share)


def _number(text: str, words: str) -> float:
    try:
        value = float(text.replace(",", "") if _GROUPED.fullmatch(text) else text)
    except ValueError as error:
        raise ConfigError(
            f"{words!r}: {text!r} is no number",
            hint="12 kWh, 1.5 kWh (a point before decimals), 10-12 kWh, 11 kWh +-10%",
        ) from error
    if not 0 <= value < 1e30:
        raise ConfigError(f"{words!r} cannot be", hint="an energy of 0 or more")
    return value

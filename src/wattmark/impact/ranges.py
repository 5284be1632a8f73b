"""What people know within a range (``1.1-1.3``): the middle, with the ends as one error, named by what it is of."""

from __future__ import annotations

import math
import re

from wattmark.errors import ConfigError
from wattmark.quantity import PRICE, Quantity

_RANGE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(?:-|–|\.\.|\bto\b)\s*(\d+(?:\.\d*)?|\.\d+)\s*")


def read_range(text: str) -> tuple[float, float] | None:
    """``0.25-0.35`` (or ``0.25..0.35``, ``0.25 to 0.35``) as its ends; None for anything else."""
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    low, high = float(match[1]), float(match[2])
    return (low, high) if low <= high else None


def ranged(ends: tuple[float, float], unit: str, error: str, at_least: float = 0.0) -> Quantity:
    """The middle of a range. Whatever is given the same range under the same name has one error, which cancels in ratios."""
    low, high = ends
    return Quantity((low + high) / 2, low, high, unit, "given", error=error, at_least=at_least)


def as_price(given: float | str | Quantity, currency: str | None = None) -> Quantity:
    """The price of a kilowatt-hour: a number, a range in words (a tariff by the hour: ``0.25-0.35``), or a quantity.

    Raises ConfigError for what is no price.
    """
    unit = currency or ""
    if isinstance(given, Quantity):
        return given.with_unit(unit) if unit else given
    if isinstance(given, str):
        ends = read_range(given)
        if ends is not None:
            return ranged(ends, unit, f"{PRICE}/{unit}/{ends[0]:g}-{ends[1]:g}")
        try:
            given = float(given)
        except ValueError:
            given = math.nan
    if not (math.isfinite(given) and given >= 0):
        raise ConfigError(
            "a price is a number, or a range of a tariff, of 0 or more", hint="such as 0.30 or 0.25-0.35"
        )
    return Quantity.exact(given, unit, "given")

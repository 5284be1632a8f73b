"""Power usage effectiveness: energy of the whole facility over energy of its computers (ISO/IEC 30134-2).

An explicit stage over unchanged joules. Nothing is applied unless the user says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from wattmark.errors import ConfigError
from wattmark.impact.ranges import ranged, read_range
from wattmark.impact.tables import read_lines
from wattmark.quantity import PUE, Quantity


@dataclass(frozen=True, slots=True)
class Pue:
    """A ratio, at least 1, with its interval and where it comes from. year: None where it has none."""

    name: str
    ratio: Quantity
    year: int | None = None
    url: str = ""

    def __post_init__(self) -> None:
        if not (self.ratio.low >= 1 and math.isfinite(self.ratio.high)):
            raise ConfigError(
                f"a PUE is a finite ratio of at least 1, not {self.ratio.value:g} "
                f"[{self.ratio.low:g}, {self.ratio.high:g}]"
            )

    @property
    def given(self) -> float | str:
        """What :func:`as_pue` makes it from again: its name, its ratio, or its range."""
        if self.name in named_pues():
            return self.name
        low, high = self.ratio.interval()
        return f"{low:g}-{high:g}" if low < high else self.ratio.value

    @property
    def applied(self) -> bool:
        """Whether it changes anything."""
        return self.ratio.high != 1

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json`` and the API."""
        return {"name": self.name, **self.ratio.as_dict(), "source": self.ratio.source, "year": self.year}


@cache
def named_pues() -> Mapping[str, Pue]:
    """PUEs that may be given by name: ``none``, ``average`` (of the industry), cloud providers."""
    pues: dict[str, Pue] = {}
    for name, value, low, high, year, source, url in read_lines("pue.csv")[1:]:
        ratio = Quantity(
            float(value), float(low), float(high), "", source, error=f"{PUE}/{name}", at_least=1.0
        )
        pues[name] = Pue(name, ratio, int(year) if year else None, url)
    return pues


def as_pue(given: float | str | Quantity | Pue) -> Pue:
    """A PUE from a number, a number, range or name in a string (``1.2``, ``1.1-1.3``, ``gcp``), or a quantity with an
    interval.

    Raises:
        ConfigError: not a name that is known, or not a finite ratio of at least 1.
    """
    if isinstance(given, Pue):
        return given
    if isinstance(given, Quantity):
        return Pue("given", given)
    if isinstance(given, str):
        named = named_pues().get(given.strip().casefold())
        ends = None if named else read_range(given)
        if ends is not None:
            if ends[0] < 1:
                raise ConfigError(f"a PUE is a ratio of at least 1, not {given}")
            return Pue("given", ranged(ends, "", f"{PUE}/{ends[0]:g}-{ends[1]:g}", at_least=1.0))
        return named or as_pue(_number(given))
    if not math.isfinite(given):
        raise ConfigError(f"a PUE is a finite ratio of at least 1, not {given}")
    return named_pues()["none"] if given == 1 else Pue("given", Quantity.exact(float(given), "", "given"))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(
            f"no PUE is called {text!r}",
            hint=f"give a number, a range such as 1.1-1.3, or one of {', '.join(named_pues())}",
        ) from None

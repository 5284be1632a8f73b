"""Which published intensity counts in a zone, and how far the sources disagree.

The rules are stated for people in docs/science/carbon.md; a change here is a change there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wattmark.errors import ConfigError
from wattmark.impact.places import Zone
from wattmark.impact.tables import DataSource, IntensityFigure, data_sources
from wattmark.quantity import GRID, Quantity

YEARS_APART = 2
"""Figures further than this from the value's own year tell of the past, not of the range."""
LEAST_FACTOR, CLEAN_GRID_G = 1.3, 80.0
"""The interval is at least the value times and divided by the first plus the second over the value (g/kWh): so wide
that nine of ten figures of other lineages are held (benchmarks/grid_ranges.py). On a clean grid scopes differ by more."""


@dataclass(frozen=True, slots=True)
class Intensity:
    """Grams of CO2e per kWh in a zone: the preferred figure and the range of the others.

    chosen: the figure that gives the value. considered: the figures that the interval rests on, chosen first.
    asked_year: what the caller asked for, None for the latest.
    """

    zone: Zone
    g_per_kwh: Quantity
    chosen: IntensityFigure
    considered: tuple[IntensityFigure, ...]
    asked_year: int | None = None

    @property
    def source(self) -> DataSource:
        """Who published the value."""
        return self.chosen.source

    @property
    def years(self) -> tuple[int, int]:
        """The first and the last year of the figures that the interval rests on."""
        years = [estimate.year for estimate in self.considered]
        return min(years), max(years)

    @property
    def year(self) -> int:
        """The year that the value is for (the one asked for, or the nearest there is)."""
        return self.chosen.year

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json`` and the API."""
        return {
            "zone": self.zone.id,
            **self.g_per_kwh.as_dict(),
            "source": self.source.title,
            "year": self.year,
            "years": list(self.years),
            "scope": self.source.scope,
            "considered": [estimate.as_dict() for estimate in self.considered],
        }


def intensity_of(zone: Zone, year: int | None = None) -> Intensity:
    """The yearly average intensity of a zone, in g CO2e/kWh, with the range of sources as its interval.

    The value comes from the most preferred source that has the year (without a year: from the most preferred
    source, its latest); if none has it, from the most preferred source's nearest year. Each other source adds
    its figure nearest to the value's year, at most two years from it. Both ways the interval is at least
    :func:`least_factor`: two sources that happen to agree say no more than that.

    Raises:
        ConfigError: ``year`` is further than ten years from anything known here.
    """
    series = _by_source(zone)
    chosen = _choose(zone, list(series.values()), year)
    considered = [chosen]
    for key, figures in series.items():
        if key != (chosen.source.id, chosen.area):
            other = _nearest(figures, chosen.year)
            if abs(other.year - chosen.year) <= YEARS_APART:
                considered.append(other)
    values = [estimate.g_per_kwh for estimate in considered]
    factor = least_factor(chosen.g_per_kwh)
    low, high = min(*values, chosen.g_per_kwh / factor), max(*values, chosen.g_per_kwh * factor)
    error = f"{GRID}/{zone.id}/{chosen.year}/{chosen.source.id}"
    quantity = Quantity(chosen.g_per_kwh, low, high, "g/kWh", chosen.source.title, error=error, at_least=0.0)
    return Intensity(zone, quantity, chosen, tuple(considered), year)


def least_factor(g_per_kwh: float) -> float:
    """How far a figure of another source may be from this one, as a factor, nine times in ten."""
    return LEAST_FACTOR + CLEAN_GRID_G / g_per_kwh


Series = Mapping[tuple[str, str], list[IntensityFigure]]


def _by_source(zone: Zone) -> Series:
    """Figures by (source, area), the most preferred source first."""
    rank = {source.id: place for place, source in enumerate(data_sources())}
    series: dict[tuple[str, str], list[IntensityFigure]] = {}
    for estimate in sorted(zone.estimates, key=lambda estimate: rank[estimate.source.id]):
        series.setdefault((estimate.source.id, estimate.area), []).append(estimate)
    return series


def _choose(zone: Zone, series: list[list[IntensityFigure]], year: int | None) -> IntensityFigure:
    if year is None:
        return max(series[0], key=lambda estimate: estimate.year)
    exact = [estimate for figures in series for estimate in figures if estimate.year == year]
    chosen = exact[0] if exact else _nearest(series[0], year)
    if abs(chosen.year - year) > 10:
        raise ConfigError(
            f"no carbon intensity of {zone.id} is known for {year}; the nearest is for {chosen.year}",
            hint="leave the year out for the latest",
        )
    return chosen


def _nearest(figures: list[IntensityFigure], year: int) -> IntensityFigure:
    """The figure nearest in time; of two equally near, the earlier."""
    return min(figures, key=lambda figure: (abs(figure.year - year), figure.year))

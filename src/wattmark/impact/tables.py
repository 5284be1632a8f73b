"""The shipped data files, read once when first needed (a few milliseconds).

``tools/build_carbon_data.py`` writes them. A source whose file a distributor has left out (the share-alike
ones are separate for that purpose) is simply not among :func:`data_sources`, and nothing names it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class DataSource:
    """Who published intensities, under which licence, and what they cover.

    scope: ``life cycle`` (fuel supply and plants included), ``operational`` (stacks only) or ``not stated``.
    lineage: sources of one lineage rest on the same original data, so their agreement proves nothing.
    """

    id: str
    title: str
    file: str
    licence: str
    url: str
    scope: str
    lineage: str


@dataclass(frozen=True, slots=True)
class IntensityFigure:
    """One published yearly average: g CO2e per kWh of electricity in an area."""

    area: str
    source: DataSource
    year: int
    g_per_kwh: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json`` and the API."""
        return {
            "area": self.area,
            "source": self.source.title,
            "year": self.year,
            "g_per_kwh": self.g_per_kwh,
            "scope": self.source.scope,
            "licence": self.source.licence,
            "url": self.source.url,
        }


@cache
def _index() -> Mapping[str, Any]:
    return json.loads((DATA / "sources.json").read_text(encoding="utf-8"))


@cache
def data_sources() -> tuple[DataSource, ...]:
    """The sources whose files are installed, in order of preference."""
    listed: Mapping[str, Mapping[str, str]] = _index()["sources"]
    every = (DataSource(id=name, **fields) for name, fields in listed.items())
    return tuple(source for source in every if (DATA / source.file).exists())


def source_spread() -> float:
    """The factor by which independent sources typically differ (median over countries, same year)."""
    return float(_index()["source_spread"]["factor"])


@cache
def estimates() -> Mapping[str, tuple[IntensityFigure, ...]]:
    """Every published figure by area, sources in order of preference, years rising."""
    by_area: dict[str, list[IntensityFigure]] = {}
    for source in data_sources():
        header, *lines = read_lines(source.file)
        years = [int(year) for year in header[2:]]
        for zone, _, *cells in lines:
            row = by_area.setdefault(zone, [])
            row.extend(
                IntensityFigure(zone, source, year, float(cell))
                for year, cell in zip(years, cells, strict=True)
                if cell
            )
    return {area: tuple(row) for area, row in by_area.items()}


@cache
def names_in_sources() -> Mapping[str, tuple[str, DataSource]]:
    """Names of areas that are no country, each with the source that names it."""
    names: dict[str, tuple[str, DataSource]] = {}
    for source in data_sources():
        for zone, name, *_ in read_lines(source.file)[1:]:
            if name:
                names.setdefault(zone, (name, source))
    return names


@cache
def read_lines(file: str) -> list[list[str]]:
    """All lines of one shipped CSV file, the header first."""
    with (DATA / file).open(encoding="utf-8", newline="") as opened:
        return list(csv.reader(opened))

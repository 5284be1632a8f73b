# ruff: noqa: E501
# pyright: basic
"""How often does the range of a zone's grid intensity hold a figure that took no part in it?

    python benchmarks/grid_ranges.py [--data ../shared/data/carbon]

Each lineage of sources is left out in turn: the range of the rest, for the year of the figure that was left out, holds it or does
not. And Green Algorithms' countries (mixed years and scopes), which the package does not use, against the ranges as shipped. With no
least width, the median factor between two sources, the shipped width (whose form and sizes were chosen on these very figures), and
others; the shipped form also with its sizes chosen on half of the countries and judged on the other half. Writes benchmarks/results/grid_ranges.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import zlib
from pathlib import Path
from typing import NamedTuple

from wattmark.errors import ConfigError
from wattmark.impact import Intensity, find_zone, intensity_of, zones
from wattmark.impact.intensity import CLEAN_GRID_G, LEAST_FACTOR, YEARS_APART
from wattmark.impact.tables import IntensityFigure, source_spread

ROOT = Path(__file__).resolve().parent.parent
WIDTHS = ((1.0, 0.0), (source_spread(), 0.0), (LEAST_FACTOR, CLEAN_GRID_G), (1.5, 0.0), (1.8, 0.0))
"""Factor, and g/kWh that are divided by the value and added to it."""


class Rest(NamedTuple):
    """A zone without the figures of one lineage."""

    id: str
    estimates: tuple[IntensityFigure, ...]


def ends(found: Intensity, width: tuple[float, float]) -> tuple[float, float]:
    values = [one.g_per_kwh for one in found.considered]
    value = found.chosen.g_per_kwh
    factor = width[0] + width[1] / value
    return min(*values, value / factor), max(*values, value * factor)


def left_out() -> list[tuple[Intensity, float]]:
    """The range of the other lineages, and the figure that was left out."""
    pairs: list[tuple[Intensity, float]] = []
    for zone in zones():
        for lineage in {one.source.lineage for one in zone.estimates}:
            rest = Rest(zone.id, tuple(one for one in zone.estimates if one.source.lineage != lineage))
            for one in zone.estimates:
                near = any(abs(other.year - one.year) <= YEARS_APART for other in rest.estimates)
                if one.source.lineage == lineage and near:
                    pairs.append((intensity_of(rest, one.year), one.g_per_kwh))  # type: ignore[arg-type]
    return pairs


def green_algorithms(data: Path) -> list[tuple[Intensity, float]]:
    pairs: list[tuple[Intensity, float]] = []
    with (data / "green_algorithms/CI_aggregated.csv").open(encoding="utf-8-sig", newline="") as file:
        next(file)
        for row in csv.DictReader(file):
            if len(row["location"]) == 2:
                try:
                    pairs.append((intensity_of(find_zone(row["location"])), float(row["carbonIntensity"])))
                except ConfigError:
                    continue
    return pairs


def coverage(pairs: list[tuple[Intensity, float]], width: tuple[float, float]) -> dict[str, float]:
    ranges = [ends(found, width) for found, _ in pairs]
    held = sum(low <= truth <= high for (low, high), (_, truth) in zip(ranges, pairs, strict=True))
    return {
        "factor": width[0],
        "clean_grid_g_per_kwh": width[1],
        "figures": len(pairs),
        "held": held / len(pairs),
        "width_median": statistics.median(high / low for low, high in ranges),
    }


def halves(pairs: list[tuple[Intensity, float]]) -> list[dict[str, float]]:
    """The narrowest width that holds nine of ten in one half of the countries, in the other half."""
    sides: list[list[tuple[Intensity, float]]] = [[], []]
    for pair in pairs:
        country = pair[0].zone.id.partition("-")[0]
        sides[zlib.crc32(country.encode()) % 2].append(pair)
    rows = []
    for mine, others in (sides, sides[::-1]):
        tried = [
            coverage(mine, (factor, g))
            for factor in (1.2, 1.3, 1.4, 1.5, 1.6)
            for g in (0, 20, 40, 60, 80, 100)
        ]
        best = min((row for row in tried if row["held"] >= 0.9), key=lambda row: row["width_median"])
        rows.append(coverage(others, (best["factor"], best["clean_grid_g_per_kwh"])))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/carbon")
    options = parser.parse_args()
    sets = {"lineage left out": left_out(), "green algorithms": green_algorithms(options.data)}
    result = {name: [coverage(pairs, width) for width in WIDTHS] for name, pairs in sets.items()}
    result["chosen on half, judged on the other"] = halves(sets["lineage left out"])
    for name, rows in result.items():
        for row in rows:
            print(
                f"{name:18} {row['factor']:6.3f} {row['clean_grid_g_per_kwh']:4.0f} {row['figures']:6.0f} {row['held']:6.1%} x{row['width_median']:.2f}"
            )
    out = ROOT / "benchmarks/results/grid_ranges.json"
    out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Build the carbon data that the package ships from the public data in ``../shared/data/carbon``.

    python tools/build_carbon_data.py [--data DIR] [--out DIR]

One file per upstream source and licence, so that a share-alike file never mixes with a permissive one and
can be left out by itself. The output depends on the input only: the same bytes each time. See
docs/science/carbon.md for the rules and src/wattmark/impact/data/NOTICE for the attributions.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from build_carbon_facts import (  # the hand-kept facts, each with its source
    AGGREGATES,
    CLOUD_REGIONS,
    EXTRA_COUNTRIES,
    PUE_ROWS,
    SOURCES,
)

G_PER_LB = 453.59237
"""Grams in an international avoirdupois pound, exactly; g/kWh = lb/MWh x 453.59237 / 1000."""

GCP_YEARS = (2021, 2022, 2023, 2024)
"""2019 and 2020 are life-cycle figures by their column titles, later ones operational: only the later."""

ELECTRICITY_MAPS_YEARS = (2021, 2022, 2023, 2024, 2025)

Row = tuple[str, str, int, float]
"""Zone, name (of zones that only this source names), year, g CO2e/kWh."""


def read_json(path: Path) -> Any:
    """One JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_csv(path: Path) -> list[dict[str, str]]:
    """One CSV file with a header; a byte-order mark is dropped."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def countries(data: Path) -> dict[str, tuple[str, str]]:
    """alpha-3 -> (alpha-2, English name), from the MIT files and the hand-kept rest."""
    names = {
        code: row["country_name"]
        for code, row in read_json(data / "codecarbon/global_energy_mix.json").items()
    }
    found = {
        row["Code"]: (row["alpha-2"], names.get(row["Code"], row["Entity"]))
        for row in read_csv(data / "carbontracker/carbon-intensities.csv")
        if len(row["alpha-2"]) == 2 and len(row["Code"]) == 3
    }
    return found | EXTRA_COUNTRIES


def ember(data: Path, alpha2: dict[str, str]) -> Iterable[Row]:
    """Ember's latest year for each country, and its aggregates (World, EU, ...)."""
    for key, entry in read_json(data / "co2js/average-intensities.json").items():
        zone = alpha2[key] if key in alpha2 else AGGREGATES[key][0]
        yield zone, "", int(entry["year"]), float(entry["emissions_intensity_gco2_per_kwh"])


def electricity_maps(data: Path, alpha2: dict[str, str]) -> Iterable[Row]:
    """Electricity Maps: life-cycle yearly averages of countries and of zones inside them."""
    known = set(alpha2.values())
    for year in ELECTRICITY_MAPS_YEARS:
        for zone, entry in read_json(data / f"co2js/yearly_{year}.json").items():
            place = entry["zone"]
            name = place.get("displayName", place["zoneName"])
            full = f"{name}, {place['countryName']}" if "countryName" in place else name
            yield zone, "" if zone in known else full, year, float(entry["carbonIntensity"]["value"])


def owid(data: Path, alpha2: dict[str, str]) -> Iterable[Row]:
    """Our World in Data's country figures as CodeCarbon carries them."""
    for key, entry in read_json(data / "codecarbon/global_energy_mix.json").items():
        yield alpha2[key], "", int(entry["year"]), round(float(entry["carbon_intensity"]), 2)


def egrid(data: Path) -> Iterable[Row]:
    """EPA eGRID subregions and the US average, converted from lb/MWh of CO2e."""
    for row in read_csv(data / "epa_egrid_power_profiler/egrid_subregions_derived.csv"):
        national = row["subregion"] == "National"
        zone, name = ("US", "") if national else (f"US-{row['subregion']}", row["name"])
        yield zone, name, int(row["data_year"]), round(float(row["co2e_lb_per_mwh"]) * G_PER_LB / 1000, 2)


def gcp(data: Path) -> Iterable[Row]:
    """Google's operational grid intensity at each of its cloud regions."""
    for year in GCP_YEARS:
        for row in read_csv(data / f"gcp_region_carbon/{year}.csv"):
            value = next((text for key, text in row.items() if "carbon intensity" in key.lower()), "")
            if value.strip():
                yield f"gcp:{row['Google Cloud Region']}", "", year, float(value)


def us_states(data: Path) -> Iterable[Row]:
    """US states for 2020 from Green Algorithms; its other rows mix years and scopes and are left out."""
    for row in read_csv_skipping(data / "green_algorithms/CI_aggregated.csv", 1):
        if row["location"].startswith("US-") and "data from 2020" in row["source"]:
            yield (
                row["location"],
                row["regionName"].replace("Mississip", "Mississippi"),
                2020,
                float(row["carbonIntensity"]),
            )


def read_csv_skipping(path: Path, lines: int) -> list[dict[str, str]]:
    """A CSV file whose first ``lines`` lines are remarks on the columns."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for _ in range(lines):
            next(file)
        return list(csv.DictReader(file))


def table(rows: Iterable[Row]) -> list[list[str]]:
    """One line per zone with a column per year. Zero is dropped: no grid is free over its life cycle."""
    names: dict[str, str] = {}
    values: dict[str, dict[int, float]] = {}
    for zone, name, year, value in rows:
        if value > 0:
            names.setdefault(zone, name)
            values.setdefault(zone, {})[year] = value
    years = sorted({year for by_year in values.values() for year in by_year})
    lines = [["zone", "name", *map(str, years)]]
    for zone in sorted(values):
        cells = [f"{values[zone][year]:g}" if year in values[zone] else "" for year in years]
        lines.append([zone, names[zone], *cells])
    return lines


def spread(tables: dict[str, list[list[str]]]) -> dict[str, float]:
    """How far apart independent sources typically are: medians over countries of Electricity Maps / Ember.

    The same year is compared on both sides. No zone's interval is narrower than this, either way.
    """
    maps = {line[0]: dict(zip(tables["electricitymaps"][0][2:], line[2:], strict=True))
            for line in tables["electricitymaps"][1:]}  # fmt: skip
    header = tables["ember"][0][2:]
    ratios: list[float] = []
    for line in tables["ember"][1:]:
        for year, cell in zip(header, line[2:], strict=True):
            other = maps.get(line[0], {}).get(year, "")
            if cell and other:
                ratios.append(max(float(other) / float(cell), float(cell) / float(other)))
    typical = statistics.median(ratios)
    return {"factor": round(typical, 3), "countries": len(ratios)}


def write_csv(path: Path, lines: Sequence[Sequence[str]]) -> None:
    """Write lines with Unix line ends, so that the bytes do not depend on the platform."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


def servers(hardware: Path) -> list[list[str]]:
    """Kilograms of CO2e of making a whole server of each AWS instance family that has one figure."""
    families: dict[str, set[str]] = {}
    for row in read_csv(hardware / "ccf-coefficients" / "aws-instances-latest-2026.csv"):
        family = row["Instance Type"].partition(".")[0]
        families.setdefault(family, set()).add(row["Platform Embedded Emissions (mtCo2eq)"])
    single = {name: next(iter(told)) for name, told in families.items() if len(told) == 1 and "" not in told}
    return [["name", "kg"], *([f"aws-{name}", f"{1000 * float(single[name]):g}"] for name in sorted(single))]


def build(data: Path, out: Path) -> None:
    """Write every data file of the package (NOTICE is kept by hand and checked by a test)."""
    known = countries(data)
    alpha2 = {alpha3: pair[0] for alpha3, pair in known.items()}
    tables = {
        "ember": table(ember(data, alpha2)),
        "electricitymaps": table(electricity_maps(data, alpha2)),
        "owid": table(owid(data, alpha2)),
        "egrid": table(egrid(data)),
        "gcp": table(gcp(data)),
        "us-states": table(us_states(data)),
    }
    out.mkdir(parents=True, exist_ok=True)
    for source, info in SOURCES.items():
        write_csv(out / info["file"], tables[source])
    places = [["id", "kind", "alpha3", "name"]]
    places += sorted([two, "country", three, name] for three, (two, name) in known.items())
    places += sorted([zone, "aggregate", "", name] for zone, name in set(AGGREGATES.values()))
    write_csv(out / "places.csv", places)
    write_csv(out / "servers.csv", servers(data.parent / "hardware"))
    check_cloud(tables)
    write_csv(out / "cloud.csv", [["id", "name", "country", "areas"], *sorted(map(list, CLOUD_REGIONS))])
    write_csv(out / "pue.csv", [["name", "value", "low", "high", "year", "source", "url"], *PUE_ROWS])
    index = {"sources": SOURCES, "source_spread": spread(tables)}
    (out / "sources.json").write_text(
        json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def check_cloud(tables: dict[str, list[list[str]]]) -> None:
    """Every cloud region must name areas that some source knows, and no GCP figure may lack its region."""
    have = {line[0] for lines in tables.values() for line in lines[1:]}
    for zone, _, _, areas in CLOUD_REGIONS:
        missing = set(areas.split()) - have
        if missing:
            raise SystemExit(f"{zone} names areas that no source knows: {sorted(missing)}")
    orphans = {zone for zone in have if zone.startswith("gcp:")} - {row[0] for row in CLOUD_REGIONS}
    if orphans:
        raise SystemExit(f"no place is known for {sorted(orphans)}")


def main() -> None:
    """Parse the two folders and build."""
    root = Path(__file__).resolve().parents[1]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=root.parent / "shared/data/carbon")
    parser.add_argument("--out", type=Path, default=root / "src/wattmark/impact/data")
    args = parser.parse_args()
    build(args.data, args.out)


if __name__ == "__main__":
    main()

"""What the package ships: the shared files' numbers, nothing else, each under a named licence."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from wattmark.impact import data_sources, find_zone, intensity_of, places, tables, zones

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("WATTMARK_SHARED", ROOT.parent / "shared")) / "data/carbon"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not on this machine")


def figure(zone: str, source: str, year: int) -> float:
    found = [one for one in find_zone(zone).estimates if one.source.id == source and one.year == year]
    assert len(found) == 1
    return found[0].g_per_kwh


def test_every_shipped_file_is_named_in_the_notice_and_nothing_else_is() -> None:
    shipped = {path.name for path in tables.DATA.iterdir()} - {"NOTICE"}
    notice = (tables.DATA / "NOTICE").read_text(encoding="utf-8")
    headings = {
        name.strip(",") for line in notice.splitlines() if line[:1].islower() for name in line.split()
    } & {name.strip(",") for name in notice.split() if name.strip(",").endswith((".csv", ".json"))}
    assert headings == shipped


@pytest.mark.parametrize("source", data_sources(), ids=lambda source: source.id)
def test_the_notice_gives_the_licence_and_origin_of_each_source(source: tables.DataSource) -> None:
    notice = (tables.DATA / "NOTICE").read_text(encoding="utf-8")
    start = notice.index(f"\n{source.file} ")
    section = notice[start : notice.index("\n\n", start)]
    licence = source.licence.replace("-BY-SA-", " BY-SA ").replace("-BY-", " BY ").replace("ODbL-", "ODbL ")
    assert all(part in section for part in licence.split(" and "))
    assert "https://" in section
    assert "commit" in section


def test_share_alike_data_are_alone_in_their_files() -> None:
    share_alike = {
        source.id for source in data_sources() if "SA" in source.licence or "ODbL" in source.licence
    }
    assert share_alike == {"ember", "electricitymaps"}
    assert len({source.file for source in data_sources()}) == len(data_sources())


@pytest.mark.parametrize("left_out", ["electricitymaps.csv", "ember.csv"])
def test_a_share_alike_file_can_be_left_out(
    left_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(tables.DATA, tmp_path / "data")
    (copy / left_out).unlink()
    monkeypatch.setattr(tables, "DATA", copy)
    cached = (
        tables.data_sources, tables.estimates, tables.names_in_sources, tables.read_lines, places._all,
        places._aliases,
    )  # fmt: skip
    for function in cached:
        function.cache_clear()
    try:
        found = intensity_of(find_zone("FR"))
        assert left_out not in {one.source.file for one in found.considered}
        assert found.g_per_kwh.low < found.g_per_kwh.high
    finally:
        for function in cached:
            function.cache_clear()


@needs_shared
def test_the_shipped_files_are_what_the_tool_builds_from_the_shared_data(tmp_path: Path) -> None:
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "tools/build_carbon_data.py"),
            "--data",
            str(SHARED),
            "--out",
            str(tmp_path),
        ],
        check=True,
    )
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    shipped = {path.name: path.read_bytes() for path in tables.DATA.iterdir() if path.name != "NOTICE"}
    assert built == shipped


@needs_shared
def test_figures_are_those_of_the_shared_files() -> None:
    ember = json.loads((SHARED / "co2js/average-intensities.json").read_text())
    maps = json.loads((SHARED / "co2js/yearly_2024.json").read_text())
    for alpha3, alpha2 in (("FRA", "FR"), ("SWE", "SE"), ("GBR", "GB"), ("USA", "US"), ("IND", "IN")):
        assert figure(alpha2, "ember", 2024) == ember[alpha3]["emissions_intensity_gco2_per_kwh"]
        assert figure(alpha2, "electricitymaps", 2024) == maps[alpha2]["carbonIntensity"]["value"]
    assert figure("WORLD", "ember", 2024) == ember["World"]["emissions_intensity_gco2_per_kwh"]
    assert figure("US-CAL-CISO", "electricitymaps", 2024) == maps["US-CAL-CISO"]["carbonIntensity"]["value"]
    with (SHARED / "gcp_region_carbon/2024.csv").open() as file:
        regions = {row["Google Cloud Region"]: row for row in csv.DictReader(file)}
    for region, row in regions.items():
        assert figure(f"gcp:{region}", "gcp", 2024) == float(row["Grid carbon intensity (gCO2eq / kWh)"])


def test_egrid_pounds_per_megawatt_hour_become_grams_per_kilowatt_hour() -> None:
    # CAMX 2023: 429.983 lb CO2e/MWh; one pound is 453.59237 g.
    assert figure("US-CAMX", "egrid", 2023) == pytest.approx(429.983 * 453.59237 / 1000, abs=0.005)
    assert figure("US", "egrid", 2023) == pytest.approx(349.67, abs=0.005)


def test_no_zone_is_free_of_carbon() -> None:
    # Ember and Our World in Data round the Central African Republic to zero; that is no measurement.
    assert all(one.g_per_kwh > 0 for zone in zones() for one in zone.estimates)
    assert {one.source.id for one in find_zone("CF").estimates} == {"electricitymaps"}

"""A sensor's bad day: kinds of lie x sources, each through a recorder of its own on a fake machine.

In every cell the sensor says nothing that can be believed, so nothing that looks measured may come of it, the CPU model
stands in, and the run is told what happened.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fakes.hwmon import amd_card, battery, chip
from fakes.powercap import PowercapTree

WORK = [sys.executable, "-c", "import time; time.sleep(0.7)"]


def power_meter(value: object) -> Callable[[Path], object]:
    return lambda root: chip(root, 0, "power_meter", power1_average=value)


def on_battery(value: object) -> Callable[[Path], object]:
    return lambda root: battery(root, power_now=value)


def apu(value: object) -> Callable[[Path], object]:
    return lambda root: amd_card(root, hwmon={"power1_average": value, "in1_label": "vddnb"})


def package_meter(value: object) -> Callable[[Path], object]:
    return lambda root: chip(root, 0, "fam15h_power", power1_input=value)


def energy_meter(value: object) -> Callable[[Path], object]:
    return lambda root: chip(root, 0, "amd_energy", energy1_label="Esocket0", energy1_input=value)


def rapl(value: int) -> Callable[[Path], object]:
    def build(root: Path) -> None:
        with PowercapTree(root) as tree:
            tree.add_package(0, (), uj=value)

    return build


LIES: dict[str, tuple[Callable[[Path], object], str]] = {
    "ACPI meter at 0": (power_meter(0), "below_idle"),
    "ACPI meter at 4.29 MW": (power_meter(4_294_967_295_000), "refused_power"),
    "ACPI meter without a number": (power_meter("N/A"), "silent"),
    "battery at 0": (on_battery(0), "below_idle"),
    "battery at 3 kW": (on_battery(3_000_000_000), "refused_power"),
    "battery without a number": (on_battery(""), "silent"),
    "APU at 0": (apu(0), "below_idle"),
    "APU at 12 mW": (apu(12_000), "below_idle"),
    "APU at 2^63 uW": (apu(2**63), "refused_power"),
    "APU without a number": (apu("busy"), "silent"),
    "package sensor at 0": (package_meter(0), "below_idle"),
    "package sensor at 1 MW": (package_meter(10**12), "refused_power"),
    "RAPL frozen": (rapl(16_574_328_968), "silent"),
    "RAPL beyond its range": (rapl(10**12), "out_of_range"),
    "RAPL at 2^64": (rapl(2**64), "out_of_range"),
    "driver's energy at 2^64": (energy_meter(2**64), "out_of_range"),
    "driver's energy below 0": (energy_meter(-5), "out_of_range"),
}


def day(root: Path) -> dict[str, Any]:
    """The run's ``--json`` object of a short piece of work on the machine."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WATTMARK_S")}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from wattmark.cli.entry import main; main()",
            "run",
            "--json",
            "-",
            "--",
            *WORK,
        ],
        env={**environ, "WATTMARK_SYSFS": str(root)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("lie", LIES)
def test_a_sensor_that_lies_gives_no_number_that_looks_measured_and_loses_no_run(
    tmp_path: Path, lie: str
) -> None:
    build, code = LIES[lie]
    build(tmp_path / "sys")
    told = day(tmp_path / "sys")
    measured = [one for one in told["channels"] if one["method"] != "modelled"]
    counted = [one for one in told["channels"] if one["counted_in_total"]]
    assert [one["energy_j"] for one in measured] == [None] * len(measured)
    assert told["energy_j"]["total"]["value"] > 0
    assert told["coverage"] == pytest.approx(1.0, abs=0.05)
    assert {one["method"] for one in counted} == {"modelled"}
    assert "cpu" in {one["component"] for one in counted}
    assert {code, "silent"} <= {warning["code"] for warning in told["warnings"]}

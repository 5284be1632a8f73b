"""A sensor's bad day: kinds of lie x sources, each through a recorder of its own on a fake machine.

In every cell the sensor says nothing that can be believed, so nothing that looks measured may come of it, the CPU model
stands in, and the run is told what happened.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fakes.hwmon import amd_card, battery, chip, drm_card, write
from fakes.nvml.nvml_fake import FakeNvml
from fakes.powercap import PowercapTree


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


def day(root: Path, seconds: float = 0.7, **more: str) -> dict[str, Any]:
    """The run's ``--json`` object of a short piece of work on the machine."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("WATTMARK_S")}
    work = [sys.executable, "-c", f"import time; time.sleep({seconds})"]
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from wattmark.cli.entry import main; main()",
            "run",
            "--json",
            "-",
            "--",
            *work,
        ],
        env={**environ, "WATTMARK_SYSFS": str(root), **more},
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


FAILING = ("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetFieldValues")


def nvml(*lines: str) -> Callable[[Path], dict[str, str]]:
    def build(root: Path) -> dict[str, str]:
        fake = FakeNvml(root.parent)
        fake.state(*lines)
        return fake.environ

    return build


def energy_beside_power(folder: Callable[[Path], Path]) -> Callable[[Path], dict[str, str]]:
    """A driver that shows 100 W beside an energy counter that never moves."""

    def build(root: Path) -> dict[str, str]:
        folder(root)
        return {}

    return build


FROZEN = {"energy1_input": 7_000_000, "power1_average": 100_000_000}

COUNTERS: dict[str, tuple[Callable[[Path], dict[str, str]], str, str]] = {
    "NVML counter frozen": (nvml("gpu 0 watts=100 energy_mj=5000"), "gpu0/power", "silent"),
    "NVML counter at a tenth": (
        nvml("gpu 0 watts=100 counter_factor=0.1"),
        "gpu0/power",
        "contradicted",
    ),
    "NVML counter at tenfold": (
        nvml("gpu 0 watts=30 counter_factor=10"),
        "gpu0/power",
        "contradicted",
    ),
    "amdgpu counter frozen": (
        energy_beside_power(lambda root: amd_card(root, hwmon=dict(FROZEN))),
        "amdgpu0/package-power",
        "silent",
    ),
    "xe counter frozen": (
        energy_beside_power(
            lambda root: write(
                drm_card(root, 0, "0x8086", "0x56a0") / "hwmon/hwmon5",
                name="xe",
                energy1_label="card",
                **FROZEN,
            )
        ),
        "intelgpu0/card-power",
        "silent",
    ),
    "hwmon counter frozen": (
        energy_beside_power(lambda root: chip(root, 0, "amd_energy", energy1_label="Esocket0", **FROZEN)),
        "hwmon/esocket0-power",
        "silent",
    ),
}


@pytest.mark.parametrize("lie", COUNTERS)
def test_a_counter_is_held_against_the_power_of_its_device_which_stands_in_for_it(
    tmp_path: Path, lie: str
) -> None:
    build, stand_in, code = COUNTERS[lie]
    (tmp_path / "sys").mkdir()
    told = day(tmp_path / "sys", 1.6, **build(tmp_path / "sys"))
    channels = {one["id"]: one for one in told["channels"]}
    power = channels[stand_in]
    watts = 30.0 if "tenfold" in lie else 100.0
    assert power["counted_in_total"]
    assert power["energy_j"] == pytest.approx(watts * told["duration_s"], rel=0.15)
    (counter,) = (
        one
        for one in channels.values()
        if one["id"].rpartition("/")[0] + "/" in stand_in and one is not power
    )
    assert not counter["counted_in_total"]
    assert {code} <= {warning["code"] for warning in told["warnings"]}


def test_health_names_what_happened_by_its_code(tmp_path: Path) -> None:
    power_meter(0)(tmp_path / "sys")
    home = {"WATTMARK_DATA_DIR": str(tmp_path / "data")}
    run = day(tmp_path / "sys", 0.7, **home)
    done = subprocess.run(
        [sys.executable, "-c", "from wattmark.cli.entry import main; main()", "health", run["run_id"]],
        env={**os.environ, **home},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "! below_idle: hwmon/power_meter_1" in done.stdout


def test_an_honest_counter_is_not_doubted_by_the_power_beside_it(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()
    wave = nvml("gpu 0 watts=300 low_watts=40 wave_s=0.37 update_ms=100")(tmp_path / "sys")
    told = day(tmp_path / "sys", 1.6, **wave)
    ids = {one["id"]: one for one in told["channels"]}
    assert ids["gpu0/board"]["counted_in_total"]
    assert "gpu0/power" not in ids
    assert not {"contradicted", "silent", "stand-in"} & {warning["code"] for warning in told["warnings"]}


def test_a_gpu_that_cannot_be_read_for_a_moment_is_measured_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "sys").mkdir()
    fake = FakeNvml(tmp_path)
    fake.state("gpu 0 watts=100", *(f"fail 0 {call} code=999 after_s=0" for call in FAILING))
    back = threading.Timer(2.0, fake.state, ("gpu 0 watts=100",))  # a busy machine takes a while to begin
    back.start()
    told = day(tmp_path / "sys", 4.2, **fake.environ)
    back.join()
    board = next(one for one in told["channels"] if one["id"] == "gpu0/board")
    assert board["counted_in_total"]
    assert 50 < board["energy_j"] < 100 * (told["duration_s"] - 0.3)
    assert told["coverage"] < 0.95
    assert {"device-unmeasured", "device-later", "not-covered"} <= {one["code"] for one in told["warnings"]}

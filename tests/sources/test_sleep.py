"""A device that the kernel has suspended is not read, and what it counts joins what it counted awake."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import IO, Any

import pytest

from fakes.hwmon import amd_card, drm_card, write
from wattmark.sources import amdgpu, intelgpu
from wattmark.sources.base import Accuracy, Channel, Host
from wattmark.sources.sleep import SLEEP_W, Sleep

SECOND = 10**9


def channel(kind: str) -> Channel:
    return Channel("gpu0/x", "gpu", "x", "counter", "x", kind, Accuracy(0, 0, 0, "test"))


def test_a_counter_goes_on_at_the_power_of_sleep_and_joins_what_it_counts_awake(tmp_path: Path) -> None:
    write(tmp_path, power__runtime_status="active")
    now = [0]
    sleep = Sleep(str(tmp_path), [channel("energy"), channel("power")], lambda: now[0])
    assert sleep.values() is None
    assert sleep.awake([5_000_000, 30.0]) == [5_000_000, 30.0]
    write(tmp_path, power__runtime_status="suspended")
    assert sleep.values() == [5_000_000, SLEEP_W]
    now[0] = 10 * SECOND
    assert sleep.values() == [7_000_000, SLEEP_W]
    assert [event[0] for event in sleep.events] == ["asleep", "asleep"]
    write(tmp_path, power__runtime_status="active")
    assert sleep.values() is None
    assert sleep.awake([6_000_000, 30.0]) == [8_000_000, 30.0]


def test_a_counter_that_slept_from_the_beginning_counts_from_its_waking(tmp_path: Path) -> None:
    write(tmp_path, power__runtime_status="suspended")
    now = [0]
    sleep = Sleep(str(tmp_path), [channel("energy")], lambda: now[0])
    assert sleep.values() == [0]
    now[0] = 5 * SECOND
    assert sleep.values() == [1_000_000]
    write(tmp_path, power__runtime_status="active")
    assert sleep.values() is None
    assert sleep.awake([22_000_000_000]) == [1_000_000]
    assert sleep.awake([22_050_000_000]) == [51_000_000]


def test_a_device_without_runtime_power_management_never_sleeps(tmp_path: Path) -> None:
    sleep = Sleep(str(tmp_path), [channel("power")])
    assert sleep.values() is None
    assert sleep.awake([30.0]) == [30.0]
    sleep.close()
    sleep.close()


@pytest.mark.parametrize("maker", ["amd", "intel"])
def test_a_card_that_sleeps_is_found_and_none_of_its_files_that_wake_it_is_read(
    tmp_path: Path, maker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if maker == "amd":
        pci = amd_card(tmp_path, hwmon={"power1_average": 90_000_000}).parents[1]
        write(pci, gpu_metrics="x", gpu_busy_percent=5)
    else:
        pci = drm_card(tmp_path, 0, "0x8086", "0xe223")
        write(pci / "hwmon/hwmon5", name="xe", energy1_label="card", energy1_input=7, power1_max=200_000_000)
    write(pci, power__runtime_status="suspended")
    quiet = {
        "name",
        "vendor",
        "device",
        "energy1_label",
        "in1_label",
        "product_name",
        "runtime_status",
        "board_info",
    }
    read: list[str] = []

    def spy(path: str, mode: str = "r", **more: Any) -> IO[Any]:
        read.append(path.rpartition("/")[2])
        return opened(path, mode, **more)

    opened = builtins.open
    monkeypatch.setattr(builtins, "open", spy)
    source = amdgpu if maker == "amd" else intelgpu
    (finding,) = source.probe(Host(sysfs=str(tmp_path), procfs=str(tmp_path)))
    monkeypatch.undo()
    assert {name for name in read if not name.endswith((".csv", ".tsv", "cpuinfo"))} <= quiet
    assert finding.open is not None
    opened_source = finding.open()
    values = opened_source.read()
    assert values[0] in (0, SLEEP_W)
    assert all(value is None for value in values[1:])
    opened_source.close()

from __future__ import annotations

from pathlib import Path

import pytest

from fakes.hwmon import battery, mains, write
from wattmark.errors import SourceGone
from wattmark.sources import battery as source_of_batteries
from wattmark.sources.base import Finding, Host, Source


def probe(root: Path) -> list[Finding]:
    return source_of_batteries.probe(Host(str(root)))


def opened(root: Path) -> Source:
    (finding,) = probe(root)
    assert finding.open is not None
    return finding.open()


def test_a_machine_without_battery_has_no_findings(tmp_path: Path) -> None:
    assert probe(tmp_path) == []
    mains(tmp_path, 1)
    assert probe(tmp_path) == []


def test_power_now_is_microwatts(tmp_path: Path) -> None:
    battery(tmp_path)
    source = opened(tmp_path)
    assert source.read() == (12.5,)
    assert source.channels[0].component == "host"
    source.close()
    assert source.read() == (None,)


def test_current_times_voltage_where_there_is_no_power_and_a_minus_sign_is_ignored(tmp_path: Path) -> None:
    battery(tmp_path, current_now=-1_000_000, voltage_now=11_000_000)
    source = opened(tmp_path)
    assert source.read() == (pytest.approx(11.0),)
    source.close()


def test_two_batteries_add_up_and_a_resting_one_does_not_count(tmp_path: Path) -> None:
    battery(tmp_path)
    second = battery(tmp_path, "BAT1", power_now=2_000_000)
    source = opened(tmp_path)
    assert source.read() == (14.5,)
    write(second, status="Not charging")
    assert source.read() == (12.5,)
    source.close()


def test_plugging_in_makes_the_reading_none(tmp_path: Path) -> None:
    battery(tmp_path)
    mains(tmp_path, 0)
    source = opened(tmp_path)
    assert source.read() == (12.5,)
    mains(tmp_path, 1)
    assert source.read() == (None,)
    mains(tmp_path, 0)
    battery(tmp_path, status="Charging")
    assert source.read() == (None,)
    source.close()


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_on_mains_it_is_not_usable_and_says_why(tmp_path: Path, status: str) -> None:
    battery(tmp_path, status=status)
    (finding,) = probe(tmp_path)
    assert not finding.usable
    assert "battery" in (finding.problem or "")
    assert "Unplug" in (finding.fix or "")


def test_the_battery_of_a_mouse_is_none_of_the_machine(tmp_path: Path) -> None:
    battery(tmp_path, "hidpp_battery_0", power_now=1, scope="Device")
    assert probe(tmp_path) == []


def test_a_battery_without_power_is_explained(tmp_path: Path) -> None:
    battery(tmp_path, capacity=80)
    (finding,) = probe(tmp_path)
    assert not finding.usable
    assert finding.problem
    assert finding.fix


def test_a_failing_gauge_gives_none(tmp_path: Path) -> None:
    folder = battery(tmp_path)
    source = opened(tmp_path)
    write(folder, power_now="")
    assert source.read() == (None,)
    source.close()


def test_a_battery_that_vanished_before_opening_is_gone(tmp_path: Path) -> None:
    folder = battery(tmp_path)
    (finding,) = probe(tmp_path)
    (folder / "power_now").rename(folder / "elsewhere")
    (folder / "status").unlink()
    assert finding.open is not None
    with pytest.raises(SourceGone, match="status"):
        finding.open()

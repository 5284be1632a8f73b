from __future__ import annotations

import os
from pathlib import Path

import pytest

from fakes.hwmon import battery, chip, grace, jetson, write
from wattmark.errors import SourceGone
from wattmark.sources import hwmon
from wattmark.sources.base import Channel, Host


def channels_of(host: Host) -> dict[str, Channel]:
    return {channel.id: channel for finding in hwmon.probe(host) for channel in finding.channels}


def read_all(host: Host) -> dict[str, float | None]:
    values: dict[str, float | None] = {}
    for finding in hwmon.probe(host):
        assert finding.open is not None
        source = finding.open()
        values.update(zip((channel.id for channel in source.channels), source.read(), strict=True))
        source.close()
    return values


def test_a_machine_without_hwmon_has_no_findings(tmp_path: Path) -> None:
    assert hwmon.probe(Host(str(tmp_path))) == []


def test_chips_without_power_or_energy_are_passed_over(tmp_path: Path) -> None:
    chip(tmp_path, 0, "coretemp", temp1_input=45000)
    assert hwmon.probe(Host(str(tmp_path))) == []


def test_power_is_read_in_watts_and_energy_in_microjoules(tmp_path: Path) -> None:
    chip(tmp_path, 0, "power_meter", power1_average=250_000_000)
    chip(tmp_path, 1, "amd_energy", energy1_input=123_456, energy1_label="Esocket0")
    values = read_all(Host(str(tmp_path)))
    assert values == {"hwmon/power_meter_1": 250.0, "hwmon/esocket0": 123_456}
    assert isinstance(values["hwmon/esocket0"], int)


def test_energy_is_preferred_to_power_and_average_to_instantaneous(tmp_path: Path) -> None:
    chip(
        tmp_path,
        0,
        "thing",
        energy1_input=1,
        power1_input=2,
        power2_average=3_000_000,
        power2_input=4_000_000,
    )
    values = read_all(Host(str(tmp_path)))
    assert values == {"hwmon/thing_1": 1, "hwmon/thing_2": 3.0, "hwmon/thing_1-power": 2e-6}
    (power,) = (one for one in channels_of(Host(str(tmp_path))).values() if one.stands_in_for)
    assert power.stands_in_for == ("hwmon/thing_1",)
    assert channels_of(Host(str(tmp_path)))["hwmon/thing_1"].method == "counter"


def test_grace_rails_know_what_holds_them(tmp_path: Path) -> None:
    grace(tmp_path, sockets=2)
    channels = channels_of(Host(str(tmp_path)))
    module, socket, cpu, sysio = (
        channels[f"hwmon/{rail}_power_socket_1"] for rail in ("module", "grace", "cpu", "sysio")
    )
    assert [c.component for c in (module, socket, cpu, sysio)] == ["host", "cpu", "cpu", "soc"]
    assert set(cpu.inside) == {"hwmon/module_power_socket_1", "hwmon/module_power_socket_0", socket.id}
    assert socket.id in sysio.inside
    assert "hwmon/grace_power_socket_0" not in cpu.inside
    assert cpu.update_period_s == 0.05


def test_ina3221_multiplies_current_and_voltage_of_its_three_inputs(tmp_path: Path) -> None:
    jetson(tmp_path)
    values = read_all(Host(str(tmp_path)))
    assert values == pytest.approx({"hwmon/vdd_in": 10.0, "hwmon/vdd_cpu_gpu_cv": 4.0, "hwmon/vdd_soc": 2.0})
    channels = channels_of(Host(str(tmp_path)))
    assert channels["hwmon/vdd_soc"].inside == ("hwmon/vdd_in",)
    assert "INA3221" in channels["hwmon/vdd_in"].accuracy.citation


def test_a_disabled_or_unconnected_input_is_left_out(tmp_path: Path) -> None:
    folder = jetson(tmp_path)
    write(folder, in2_enable=0, in3_label="NC")
    assert set(channels_of(Host(str(tmp_path)))) == {"hwmon/vdd_in"}


def test_an_offset_below_zero_is_no_power(tmp_path: Path) -> None:
    write(jetson(tmp_path), curr1_input=-8)
    assert read_all(Host(str(tmp_path)))["hwmon/vdd_in"] == 0.0


@pytest.mark.parametrize(
    ("chip_name", "label", "expected"),
    [
        ("ina3221", "VDD_GPU_SOC", ("soc", "rail")),
        ("ina3221", "VDD_CPU_GPU_CV", ("soc", "cpu+gpu rail")),
        ("ina3221", "VDD_CPU_CV", ("cpu", "rail")),
        ("ina3221", "VIN_SYS_5V0", ("soc", "rail")),
        ("ina3221", "VDDQ_VDD2_1V8AO", ("dram", "rail")),
        ("ina3221", "POM_5V_GPU", ("gpu", "rail")),
        ("ina3221", "POM_5V_IN", ("host", "module")),
        ("ina3221", "VDDRQ", ("dram", "rail")),
        ("macsmc_hwmon", "Total System Power", ("host", "machine")),
        ("fam15h_power", "", ("cpu", "package")),
        ("power_meter", "", ("host", "machine")),
        ("nvme", "", ("host", "unidentified rail")),
    ],
)
def test_what_a_rail_feeds_is_told_from_its_label(
    chip_name: str, label: str, expected: tuple[str, str]
) -> None:
    assert hwmon.what_it_feeds(chip_name, label) == expected


def test_an_unidentified_rail_is_shown_but_never_counted(tmp_path: Path) -> None:
    chip(tmp_path, 0, "tps546", power1_input=5_000_000, power1_label="pout1")
    (channel,) = channels_of(Host(str(tmp_path))).values()
    assert not channel.counted


def test_the_user_can_say_what_a_rail_feeds(tmp_path: Path) -> None:
    chip(tmp_path, 0, "tps546", power1_input=5_000_000, power1_label="pout1")
    host = Host(str(tmp_path), options={"hwmon": {"components": {"pout1": "gpu"}}})
    (channel,) = channels_of(host).values()
    assert (channel.component, channel.counted) == ("gpu", True)


def test_a_component_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    chip(tmp_path, 0, "tps546", power1_input=5_000_000, power1_label="pout1")
    complaint, rail = hwmon.probe(Host(str(tmp_path), options={"hwmon": {"components": {"pout1": "tpu"}}}))
    assert "'tpu' is no component" in (complaint.problem or "")
    assert not rail.channels[0].counted


def test_chips_of_other_sources_and_of_power_supplies_are_skipped(tmp_path: Path) -> None:
    for index, name in enumerate(("amdgpu", "i915", "xe", "i915_gt0")):
        chip(tmp_path, index, name, power1_average=1, energy1_input=1)
    bat = battery(tmp_path)
    folder = chip(tmp_path, 9, "BAT0", power1_input=5)
    (folder / "device").symlink_to(bat)
    assert hwmon.probe(Host(str(tmp_path))) == []


@pytest.mark.parametrize(("stated", "error"), [("97.500%", 0.025), ("2.5%", 0.025)])
def test_the_accuracy_that_firmware_states_is_used(tmp_path: Path, stated: str, error: float) -> None:
    chip(tmp_path, 0, "power_meter", power1_average=1, power1_accuracy=stated)
    (channel,) = channels_of(Host(str(tmp_path))).values()
    assert channel.accuracy.relative_high == pytest.approx(error)


@pytest.mark.parametrize("stated", ["0.0%", "nonsense"])
def test_a_meaningless_accuracy_is_not(tmp_path: Path, stated: str) -> None:
    chip(tmp_path, 0, "power_meter", power1_average=1, power1_accuracy=stated)
    (channel,) = channels_of(Host(str(tmp_path))).values()
    assert channel.accuracy == hwmon.UNVALIDATED


def test_two_chips_with_the_same_label_have_different_channels(tmp_path: Path) -> None:
    chip(tmp_path, 0, "power_meter", power1_average=1)
    chip(tmp_path, 1, "power_meter", power1_average=2)
    assert len(channels_of(Host(str(tmp_path)))) == 2


def test_a_locked_file_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = chip(tmp_path, 0, "amd_energy", energy1_input=1, energy1_label="Esocket0") / "energy1_input"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (finding,) = hwmon.probe(Host(str(tmp_path)))
    assert str(path) in (finding.problem or "")
    assert "chmod" in (finding.fix or "")


def test_readings_follow_the_file_and_garbage_is_none(tmp_path: Path) -> None:
    folder = chip(tmp_path, 0, "power_meter", power1_average=1_000_000)
    (finding,) = hwmon.probe(Host(str(tmp_path)))
    assert finding.open is not None
    source = finding.open()
    write(folder, power1_average=2_000_000)
    assert source.read() == [2.0]
    write(folder, power1_average="")
    assert source.read() == [None]
    source.close()
    assert source.read() == [None]


def test_a_device_that_is_gone_gives_none(tmp_path: Path) -> None:
    # /proc/self/mem at 0 gives EIO, as a removed device gives ENODEV
    file = hwmon.SysfsFile("/proc/self/mem")
    assert file.text() is None
    file.close()


def test_one_failing_factor_makes_the_power_none(tmp_path: Path) -> None:
    folder = jetson(tmp_path)
    (finding,) = hwmon.probe(Host(str(tmp_path)))
    assert finding.open is not None
    source = finding.open()
    write(folder, in1_input="x")
    assert source.read()[0] is None
    source.close()


def test_a_file_that_vanished_before_opening_is_gone_and_leaks_nothing(tmp_path: Path) -> None:
    folder = jetson(tmp_path)
    (finding,) = hwmon.probe(Host(str(tmp_path)))
    (folder / "curr3_input").unlink()
    before = len(os.listdir("/proc/self/fd"))
    assert finding.open is not None
    with pytest.raises(SourceGone, match="curr3_input"):
        finding.open()
    assert len(os.listdir("/proc/self/fd")) == before


def test_rails_of_jetpack_4_are_read_in_milliwatts_and_the_module_holds_its_parts(tmp_path: Path) -> None:
    write(
        tmp_path / "bus/iio/devices/iio:device0",
        name="ina3221x",
        rail_name_0="VDD_IN",
        in_power0_input=9_500,
        rail_name_1="VDD_SYS_GPU",
        in_power1_input=3_000,
        rail_name_2="NC",
        in_power2_input=77,
    )
    host = Host(str(tmp_path))
    assert read_all(host) == {"hwmon/vdd_in": pytest.approx(9.5), "hwmon/vdd_sys_gpu": pytest.approx(3.0)}
    rails = channels_of(host)
    assert rails["hwmon/vdd_in"].scope == "module"
    assert rails["hwmon/vdd_sys_gpu"].inside == ("hwmon/vdd_in",)

"""The memory model: named rules, honest labels, constant watts."""

from __future__ import annotations

from pathlib import Path

import pytest

from wattmark.sources.base import Host, Source
from wattmark.sources.models.dram import (
    CAPACITANCE_F,
    GREEN,
    Dimm,
    DramModelSource,
    accuracy_of,
    memory_gb,
    parse_dmidecode,
    probe,
)

DMIDECODE = """\
# dmidecode 3.3
Handle 0x0038, DMI type 16, 23 bytes
Physical Memory Array
\tMaximum Capacity: 128 GB

Handle 0x0039, DMI type 17, 40 bytes
Memory Device
\tSize: 16 GB
\tType: DDR4
\tSpeed: 3200 MT/s
\tConfigured Memory Speed: 2666 MT/s
\tConfigured Voltage: 1.2 V

Handle 0x003A, DMI type 17, 40 bytes
Memory Device
\tSize: No Module Installed
\tType: Unknown
\tSpeed: Unknown

Handle 0x003B, DMI type 17, 40 bytes
Memory Device
\tSize: 8192 MB
\tType: DDR3
\tSpeed: 1600 MHz
\tConfigured Voltage: Unknown
"""


def host(tmp_path: Path, **options: object) -> Host:
    (tmp_path / "meminfo").write_text("MemTotal:       33554432 kB\nMemFree: 1 kB\n")
    return Host(str(tmp_path), str(tmp_path), {}, {"dram-model": options})


def test_dmidecode_gives_the_populated_slots():
    assert parse_dmidecode(DMIDECODE) == [Dimm(16.0, 2666e6, 1.2), Dimm(8.0, 1600e6, 1.5)]


@pytest.mark.parametrize("text", ["", "Memory Device", "Memory Device\n\tSize: 8 GB\n\tSpeed: 0 MT/s"])
def test_dmidecode_without_modules_gives_none(text: str):
    assert parse_dmidecode(text) == []


def test_a_dimm_draws_half_c_v_squared_f():
    assert Dimm(16, 2666e6, 1.2).power_w() == pytest.approx(1.3 * 1.2)
    assert Dimm(16, 3200e6, 1.2).power_w(1e-9) == pytest.approx(0.5 * 1e-9 * 1.44 * 1.6e9)
    assert pytest.approx(1.6e-9, rel=0.05) == CAPACITANCE_F


def test_memory_is_what_the_machine_sees():
    assert memory_gb("MemTotal:       33554432 kB\n") == 32.0
    assert memory_gb("nothing") is None


def test_default_is_green_algorithms(tmp_path: Path):
    (finding,) = probe(host(tmp_path))
    (channel,) = finding.channels
    assert (channel.id, channel.component, channel.scope) == ("dram/model", "dram", "dram")
    assert channel.method == "modelled"
    assert "green-algorithms" in channel.label
    assert "11.9 W" in channel.label
    assert finding.open is not None
    source = finding.open()
    assert isinstance(source, Source)
    assert source.read() == (0,)
    source.close()


def test_only_cpus_make_traffic_so_few_of_them_leave_the_rest_sure(tmp_path: Path):
    power_w = 32 * 0.3725
    (tmp_path / "stat").write_text("cpu  1 1 1 1\ncpu0 1 1 1 1\ncpu1 1 1 1 1\nintr 5\n")
    (finding,) = probe(host(tmp_path))
    two = finding.channels[0].accuracy
    assert (two.character_low, two.character_high) == pytest.approx((2 / power_w, 7 / power_w))
    assert two.specimen_high == pytest.approx(1.49)
    assert two.relative_high == pytest.approx((1.49**2 + 0.6**2 + (7 / power_w) ** 2) ** 0.5)
    many = accuracy_of(GREEN, power_w, 96)  # they can draw on all of it at once
    assert (many.character_low, many.character_high) == (0.35, 1.5)
    assert accuracy_of(GREEN, power_w, None) == many


def test_energy_is_watts_times_time_from_the_first_reading(tmp_path: Path):
    (finding,) = probe(host(tmp_path))
    now_ns = 7_000_000_000
    source = DramModelSource(12.0, finding.channels[0], lambda: now_ns)
    assert source.read() == (0,)
    now_ns += 2_500_000_000
    assert source.read() == (30_000_000,)


def test_a_dmidecode_file_selects_the_sum_over_dimms(tmp_path: Path):
    path = tmp_path / "dmi.txt"
    path.write_text(DMIDECODE)
    (finding,) = probe(host(tmp_path, dmidecode=str(path)))
    assert "2 DIMMs" in finding.what
    more = path.with_name("more.txt")
    more.write_text(DMIDECODE + "\n" + DMIDECODE)
    (bigger,) = probe(host(tmp_path, dmidecode=str(more)))
    # The authors' published code makes watts fall as modules are added; the formula of the papers does not.
    assert bigger.channels[0].max_power_w > finding.channels[0].max_power_w


def test_watts_per_gb_can_be_set(tmp_path: Path):
    assert "3.2 W" in probe(host(tmp_path, w_per_gb=0.1))[0].what


@pytest.mark.parametrize(
    "options",
    [
        {"model": "magic"},
        {"model": "dimm"},
        {"dmidecode": "/nonexistent"},
        {"w_per_gb": "x"},
        {"w_per_gb": -1},
    ],
)
def test_a_bad_setting_is_a_problem_not_a_crash(tmp_path: Path, options: dict[str, object]):
    (finding,) = probe(host(tmp_path, **options))
    assert not finding.usable
    assert finding.problem


def test_a_dump_without_modules_and_a_machine_without_meminfo_are_problems(tmp_path: Path):
    (tmp_path / "empty").write_text("nothing here")
    assert not probe(host(tmp_path, dmidecode=str(tmp_path / "empty")))[0].usable
    assert not probe(Host(str(tmp_path / "no"), str(tmp_path / "no")))[0].usable

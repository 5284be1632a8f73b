"""Clocks and sleep states out of sysfs, and what they do to the CPU model's watts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wattmark.sources.base import Host
from wattmark.sources.models.cpu.clock import ClockReader, part_clocks, sleep_latency_us
from wattmark.sources.models.cpu.curves import idle_core_share, package_power_w
from wattmark.sources.models.cpu.names import CpuInfo, identify
from wattmark.sources.models.cpu.source import CpuModelSource, probe

DESKTOP = identify(CpuInfo("GenuineIntel", 6, 165, 5, "Intel(R) Core(TM) i5-10600K CPU @ 4.10GHz", 12, 1, 6))
CPUINFO = "".join(
    f"processor : {n}\nvendor_id : GenuineIntel\ncpu family : 6\nmodel : 165\nstepping : 5\n"
    "model name : Intel(R) Core(TM) i5-10600K CPU @ 4.10GHz\nphysical id : 0\ncpu cores : 2\nflags : fpu\n\n"
    for n in range(2)
)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@pytest.fixture
def cpu(tmp_path: Path) -> Path:
    """sysfs's folder of all CPUs."""
    return tmp_path / "sys/devices/system/cpu"


def host(tmp_path: Path) -> Host:
    return Host(str(tmp_path / "sys"), str(tmp_path / "proc"))


def stat(*busy: int) -> bytes:
    """/proc/stat of CPUs that were busy for so many ticks."""
    lines = "".join(f"cpu{n} {ticks} 0 0 100 0 0 0 0 0 0\n" for n, ticks in enumerate(busy))
    return f"cpu  {sum(busy)} 0 0 100 0 0 0 0 0 0\n{lines}intr 1\n".encode()


def test_the_clock_is_that_of_the_busy_cpus(tmp_path: Path, cpu: Path):
    for number, khz in enumerate((4_000_000, 1_000_000)):
        write(cpu / f"cpu{number}/cpufreq/scaling_cur_freq", str(khz))
    reader = ClockReader(host(tmp_path), [0, 1])
    reader.read(stat(0, 0))
    assert reader.read(stat(90, 10)) == pytest.approx(0.9 * 4 + 0.1 * 1)
    assert reader.read(stat(90, 10)) == pytest.approx(3.7), "while all are idle the last clock holds"
    reader.close()
    reader.close()


def test_without_lines_of_single_cpus_all_clocks_count_alike(tmp_path: Path, cpu: Path):
    for number, khz in enumerate((4_000_000, 1_000_000)):
        write(cpu / f"cpu{number}/cpufreq/scaling_cur_freq", str(khz))
    reader = ClockReader(host(tmp_path), [0, 1])
    assert reader.read(b"cpu  1 0 0 1\n") == pytest.approx(2.5)
    reader.close()


@pytest.mark.parametrize("text", ["", "<unknown>", "0", "99999999999", "-5"])
def test_a_clock_that_cannot_be_is_none(tmp_path: Path, cpu: Path, text: str):
    write(cpu / "cpu0/cpufreq/scaling_cur_freq", text)
    reader = ClockReader(host(tmp_path), [0])
    assert reader.read(stat(5)) is None
    reader.close()


def test_no_cpufreq_is_no_reader(tmp_path: Path):
    assert not ClockReader(host(tmp_path), [0, 1])


def test_time_in_state_gives_the_mean_over_the_interval(tmp_path: Path, cpu: Path):
    write(cpu / "cpu0/cpufreq/scaling_driver", "cpufreq-dt")
    write(cpu / "cpu0/cpufreq/scaling_cur_freq", "600000")
    states = cpu / "cpu0/cpufreq/stats/time_in_state"
    write(states, "600000 1000\n1800000 50")
    reader = ClockReader(host(tmp_path), [0])
    assert reader.read(stat(10)) is None, "the first look has no interval"
    write(states, "600000 1025\n1800000 125")
    assert reader.read(stat(20)) == pytest.approx(0.25 * 0.6 + 0.75 * 1.8)
    reader.close()


def test_a_kernel_that_makes_readings_wait_is_asked_less(tmp_path: Path, cpu: Path):
    for number in range(8):
        write(cpu / f"cpu{number}/cpufreq/scaling_cur_freq", f"{number + 1}000000")
    times: Iterator[int] = iter(range(0, 10**12, 20_000_000))
    reader = ClockReader(host(tmp_path), list(range(8)), clock=lambda: next(times))
    busy = b"cpu  1 0 0 1\n"
    assert reader.read(busy) == pytest.approx((1 + 2 + 3 + 4) / 4)
    assert reader.read(busy) == pytest.approx(5)
    assert reader.read(busy) == pytest.approx(6)
    reader.close()


@pytest.mark.parametrize(
    ("files", "base", "highest"),
    [
        ({"cpufreq/cpuinfo_max_freq": 3_600_000, "cpufreq/scaling_driver": "acpi-cpufreq"}, 3.6, None),
        ({"cpufreq/cpuinfo_max_freq": 4_800_000, "cpufreq/base_frequency": 4_100_000}, 4.1, 4.8),
        ({"cpufreq/cpuinfo_max_freq": 4_800_000, "acpi_cppc/nominal_freq": 3700}, 3.7, 4.8),
        ({}, None, None),
    ],
)
def test_what_the_kernel_says_of_the_part(
    tmp_path: Path, cpu: Path, files: dict[str, object], base: float | None, highest: float | None
):
    for name, text in files.items():
        write(cpu / "cpu0" / name, str(text))
    assert part_clocks(host(tmp_path)) == (base, highest)


def test_the_deepest_allowed_sleep_state_counts(tmp_path: Path, cpu: Path):
    for number, (name, latency) in enumerate((("POLL", 0), ("C1", 2), ("C6", 133))):
        write(cpu / f"cpu0/cpuidle/state{number}/name", name)
        write(cpu / f"cpu0/cpuidle/state{number}/latency", str(latency))
        write(cpu / f"cpu0/cpuidle/state{number}/disable", "0")
    assert sleep_latency_us(host(tmp_path)) == 133
    write(cpu / "cpu0/cpuidle/state2/disable", "1")
    assert sleep_latency_us(host(tmp_path)) == 2
    assert sleep_latency_us(Host(str(tmp_path / "none"), "")) is None


def test_watts_fall_faster_than_the_clock():
    """A published series: an i5-10600K at 68 % busy drew 121, 67 and 55 W at 4.57, 4.0 and 3.77 GHz."""
    for ghz, watts in ((4.57, 121.0), (4.0, 66.95), (3.773, 54.78)):
        assert package_power_w(DESKTOP, 0.68, ghz).value == pytest.approx(watts, rel=0.3)
    assert package_power_w(DESKTOP, 0.68).value == pytest.approx(
        package_power_w(DESKTOP, 0.68, DESKTOP.all_core_ghz).value, rel=0.1
    )


def test_idle_cores_that_may_not_sleep_draw_watts():
    """A published reading: two Gold 6346 that only know C1 drew 238 W at 1.3 % busy, of 410 W of thermal design power."""
    server = identify(
        CpuInfo("GenuineIntel", 6, 106, 6, "Intel(R) Xeon(R) Gold 6346 CPU @ 3.10GHz", 64, 2, 16)
    )
    shallow = 2 * package_power_w(server, 0.0132, 3.6, idle_core_share(2.0)).value
    assert shallow == pytest.approx(238.3, rel=0.25)
    assert 2 * package_power_w(server, 0.0132, 3.6, idle_core_share(133.0)).value < 0.6 * shallow


def machine(tmp_path: Path, cpu: Path, khz: int) -> float:
    """Watts that the source counts on a machine that is half busy for ten seconds at a clock."""
    write(tmp_path / "proc/cpuinfo", CPUINFO)
    write(tmp_path / "proc/stat", stat(0, 0).decode())
    for number in range(2):
        write(cpu / f"cpu{number}/cpufreq/scaling_cur_freq", str(khz))
    (finding,) = probe(host(tmp_path))
    assert finding.open is not None
    source = finding.open()
    assert isinstance(source, CpuModelSource)
    now = [0]
    source._clock = lambda: now[0]  # pyright: ignore[reportPrivateUsage]
    source.read()
    now[0] = 10_000_000_000
    (tmp_path / "proc/stat").write_text(
        "cpu  1000 0 0 1100 0 0 0 0 0 0\ncpu0 500 0 0 600 0 0 0 0 0 0\ncpu1 500 0 0 600 0 0 0 0 0 0\n"
    )
    (energy_uj,) = source.read()
    source.close()
    assert energy_uj is not None
    return energy_uj / 10e6


def test_the_source_counts_by_the_clock(tmp_path: Path, cpu: Path):
    slow, fast = machine(tmp_path, cpu, 2_500_000), machine(tmp_path, cpu, 4_500_000)
    assert fast > 2 * slow


def test_a_clock_that_is_read_narrows_the_interval(tmp_path: Path, cpu: Path):
    write(tmp_path / "proc/cpuinfo", CPUINFO)
    write(tmp_path / "proc/stat", stat(0, 0).decode())
    (without,) = probe(host(tmp_path))
    write(cpu / "cpu0/cpufreq/scaling_cur_freq", "4000000")
    (with_clock,) = probe(host(tmp_path))
    before, after = without.channels[0].accuracy, with_clock.channels[0].accuracy
    assert after.relative_low < before.relative_low
    assert after.relative_high < before.relative_high
    assert after.character_low == before.character_low

"""The clock of the busy CPUs, and how deep idle ones may sleep: cpufreq and cpuidle in sysfs, there without any sensor.

``scaling_cur_freq`` is what the core really did (x86, from APERF and MPERF) or what was asked for (Arm); where the
driver keeps ``stats/time_in_state`` and the clock is the one asked for, the mean over the interval is taken from
that instead of from samples. Standard library only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wattmark.sources.base import Host, read_int, read_text

WATCHED, READS = 16, 4
"""CPUs whose clock is looked at, spread over the machine, and how many of them in one reading."""
SLOW_NS = 5_000_000
"""Kernels from 4.13 to 5.17 may wait 10 ms for an idle CPU's clock; after such a reading one CPU is read at a time."""
_PLAUSIBLE_GHZ = (0.1, 10.0)


class Clocks(NamedTuple):
    """What cpufreq says of the part (GHz): base and highest clock, each None where it does not say."""

    base_ghz: float | None
    max_ghz: float | None


def part_clocks(host: Host) -> Clocks:
    """Base and highest clock of the first CPU. ``acpi-cpufreq`` reports the base clock as the highest one."""
    folder = host.sys("devices/system/cpu/cpu0")
    nominal_mhz = read_int(f"{folder}/acpi_cppc/nominal_freq")
    base_khz = read_int(f"{folder}/cpufreq/base_frequency") or (nominal_mhz or 0) * 1000
    max_khz = read_int(f"{folder}/cpufreq/cpuinfo_max_freq") or 0
    if read_text(f"{folder}/cpufreq/scaling_driver") == "acpi-cpufreq" and not base_khz:
        base_khz, max_khz = max_khz, 0
    return Clocks(_plausible(base_khz), _plausible(max_khz))


def sleep_latency_us(host: Host) -> float | None:
    """Exit latency (µs) of the deepest sleep state that the first CPU may use; None where cpuidle does not say."""
    folder = host.sys("devices/system/cpu/cpu0/cpuidle")
    try:
        states = [name for name in os.listdir(folder) if name.startswith("state")]
    except OSError:
        return None
    allowed = [state for state in states if read_int(f"{folder}/{state}/disable") != 1]
    latencies = [
        latency
        for state in allowed
        if (latency := read_int(f"{folder}/{state}/latency")) is not None
        and read_text(f"{folder}/{state}/name") != "POLL"
    ]
    return float(max(latencies)) if latencies else None


class ClockReader:
    """Open files of cpufreq. ``read`` gives the mean clock of the watched CPUs, weighted by how busy each was."""

    def __init__(
        self, host: Host, cpus: Sequence[int], clock: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        self._clock = clock
        self._reads = READS
        self._next = 0
        self._ghz: float | None = None
        self._busy: dict[int, int] = {}
        self._states: dict[int, dict[int, int]] = {}
        self._files: list[tuple[int, int, bool]] = []
        step = max(1, len(cpus) // WATCHED)
        for cpu in list(cpus)[::step][:WATCHED]:
            folder = host.sys(f"devices/system/cpu/cpu{cpu}/cpufreq")
            asked = read_text(f"{folder}/scaling_driver") not in _MEASURING_DRIVERS
            path = f"{folder}/stats/time_in_state" if asked else ""
            if not path or not os.path.exists(path):
                path, asked = f"{folder}/scaling_cur_freq", False
            try:
                self._files.append((cpu, os.open(path, os.O_RDONLY | os.O_CLOEXEC), asked))
            except OSError:
                continue

    def __bool__(self) -> bool:
        return bool(self._files)

    def read(self, stat: bytes) -> float | None:
        """GHz of the busy CPUs since they were last looked at, by the text of ``/proc/stat``; the last value while all
        are idle, None before the first."""
        weighted = weights = 0.0
        for _ in range(min(self._reads, len(self._files))):
            cpu, fd, in_state = self._files[self._next]
            self._next = (self._next + 1) % len(self._files)
            busy = self._busy_ticks(stat, cpu)
            if busy == 0:
                continue
            before = self._clock()
            ghz = self._mean_in_state(cpu, fd) if in_state else _plausible(_number(fd))
            if self._clock() - before > SLOW_NS:
                self._reads = 1
            if ghz is not None:
                weighted, weights = weighted + busy * ghz, weights + busy
        if weights:
            self._ghz = weighted / weights
        return self._ghz

    def close(self) -> None:
        """Close the files; may be called twice."""
        for _, fd, _ in self._files:
            os.close(fd)
        self._files = []

    def _busy_ticks(self, stat: bytes, cpu: int) -> int:
        """Ticks that the CPU was busy since the last look; 1 where ``/proc/stat`` has no line for it or at the first."""
        start = stat.find(b"\ncpu%d " % cpu)
        if start < 0:
            return 1
        fields = stat[start + 1 : stat.find(b"\n", start + 1)].split()
        if len(fields) < 5 or not all(field.isdigit() for field in fields[1:]):
            return 1
        numbers = [int(field) for field in fields[1:9]]
        total = sum(numbers) - sum(numbers[3:5])  # without idle and iowait
        before = self._busy.get(cpu)
        self._busy[cpu] = total
        return 1 if before is None else max(0, total - before)

    def _mean_in_state(self, cpu: int, fd: int) -> float | None:
        """Mean of the clocks that were asked for, by the time spent at each since the last look."""
        now: dict[int, int] = {}
        for line in _content(fd).split(b"\n"):
            fields = line.split()
            if len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
                now[int(fields[0])] = int(fields[1])
        before = self._states.get(cpu, {})
        self._states[cpu] = now
        spent = {khz: max(0, ticks - before.get(khz, 0)) for khz, ticks in now.items()}
        total = sum(spent.values())
        return (
            _plausible(sum(khz * ticks for khz, ticks in spent.items()) / total) if before and total else None
        )


_MEASURING_DRIVERS = ("intel_pstate", "intel_cpufreq", "acpi-cpufreq", "amd-pstate", "amd-pstate-epp")
"""On x86 scaling_cur_freq is measured, and time_in_state knows nothing of boost."""


def _content(fd: int) -> bytes:
    try:
        return os.pread(fd, 4096, 0)
    except OSError:
        return b""


def _number(fd: int) -> int:
    text = _content(fd).strip()
    return int(text) if text.isdigit() else 0


def _plausible(khz: float) -> float | None:
    ghz = khz / 1e6
    return ghz if _PLAUSIBLE_GHZ[0] <= ghz <= _PLAUSIBLE_GHZ[1] else None

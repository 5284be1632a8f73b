"""What the host is doing, beside its joules: utilisation, memory, clock and temperature of the CPU, once a second.

It has side series only and adds no energy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from wattmark.errors import SourceGone
from wattmark.sources.base import Channel, Finding, Host, Series, read_int, read_text
from wattmark.sources.models.cpu.procstat import Ticks, candidates, utilisation

NAME = "host"
PERIOD_S = 1.0
_STAT_BYTES = 1 << 17
"""The lines of all CPUs; what follows them is not needed."""

_UTILISATION = Series("cpu/utilisation", "%", NAME, "busy share of all visible CPUs since the last reading")
_MEMORY = Series("memory/used", "B", NAME, "memory that is not available to new programs")
_MEMORY_TOTAL = Series("memory/total", "B", NAME, "memory of the machine")
_CLOCK = Series("cpu/clock", "MHz", NAME, "clock of the first CPU")
_TEMPERATURE = Series("cpu/temperature", "°C", NAME, "temperature of the CPU")
_TEMPERATURE_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


class HostSeries:
    """The open files behind the series; see the module's text."""

    name = NAME
    period_s = PERIOD_S
    channels: Sequence[Channel] = ()

    def __init__(self, host: Host, clock: str | None, temperature: str | None) -> None:
        self._stat = _open(host.proc("stat"))
        self._memory = _open(host.proc("meminfo"))
        extra = [(_CLOCK, clock, 1e-3), (_TEMPERATURE, temperature, 1e-3)]
        self._extra = [(path, scale) for _, path, scale in extra if path is not None]
        self.series: Sequence[Series] = (
            _UTILISATION,
            _MEMORY,
            _MEMORY_TOTAL,
            *(series for series, path, _ in extra if path is not None),
        )
        self._ticks: dict[str, Ticks] = {}
        self._read_s = 0.0

    def read(self) -> Sequence[float | None]:
        """One value per series. Raises SourceGone when closed."""
        if self._stat < 0:
            raise SourceGone("the host's files are closed")
        values: list[float | None] = [self._utilisation(), *self._memory_bytes()]
        for path, scale in self._extra:
            value = read_int(path)
            values.append(None if value is None else value * scale)
        return values

    def close(self) -> None:
        """Close the files; may be called twice."""
        for fd in (self._stat, self._memory):
            if fd >= 0:
                os.close(fd)
        self._stat = self._memory = -1

    def _utilisation(self) -> float | None:
        try:
            stat = os.pread(self._stat, _STAT_BYTES, 0)
        except OSError:
            return None
        now_s = time.monotonic()
        before, elapsed_s = self._ticks, now_s - self._read_s
        self._ticks, self._read_s = candidates(stat), now_s
        cpus = sum(line[:3] == b"cpu" and line[3:4].isdigit() for line in stat.split(b"\n"))
        share = utilisation(before, self._ticks, elapsed_s, cpus or os.cpu_count() or 1)
        return None if share is None else 100 * share

    def _memory_bytes(self) -> tuple[float | None, float | None]:
        """Bytes in use and in all."""
        try:
            lines = os.pread(self._memory, 4096, 0).split(b"\n")
        except OSError:
            return None, None
        sizes = {words[0]: words[1] for words in map(bytes.split, lines) if len(words) > 1}
        try:
            total = 1024.0 * int(sizes[b"MemTotal:"])
            return total - 1024.0 * int(sizes[b"MemAvailable:"]), total
        except (KeyError, ValueError):
            return None, None


def probe(host: Host) -> list[Finding]:
    """One finding with series only, where procfs is readable."""
    if read_text(host.proc("stat")) is None or read_text(host.proc("meminfo")) is None:
        return []
    clock = host.sys("devices/system/cpu/cpufreq/policy0/scaling_cur_freq")
    found_clock = clock if read_int(clock) is not None else None
    temperature = _temperature_file(host)

    def open_series() -> HostSeries:
        return HostSeries(host, found_clock, temperature)

    series = [_UTILISATION, _MEMORY, _MEMORY_TOTAL]
    if found_clock:
        series.append(_CLOCK)
    if temperature:
        series.append(_TEMPERATURE)
    return [Finding(NAME, "utilisation and memory of the host", series=tuple(series), open=open_series)]


def _temperature_file(host: Host) -> str | None:
    folder = host.sys("class/hwmon")
    try:
        chips = sorted(os.listdir(folder))
    except OSError:
        return None
    for chip in chips:
        path = f"{folder}/{chip}/temp1_input"
        if read_text(f"{folder}/{chip}/name") in _TEMPERATURE_CHIPS and read_int(path) is not None:
            return path
    return None


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SourceGone(f"cannot open {path}: {error.strerror}") from error

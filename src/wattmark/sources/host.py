"""What the host is doing, beside its joules: utilisation, memory, clock and temperature of the CPU, once a second.

On a machine of several sockets also how many CPUs of each were busy, which the counters of each are held against.
It has side series only and adds no energy.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence

from wattmark.errors import SourceGone
from wattmark.sources.base import Channel, Finding, Host, Series, read_int, read_text
from wattmark.sources.models.cpu.procstat import Ticks, busy_cpus, by_cpu, candidates, utilisation

NAME = "host"
PERIOD_S = 1.0
_STAT_BYTES = 1 << 17
"""The lines of all CPUs; what follows them is not needed."""

_UTILISATION = Series("cpu/utilisation", "%", NAME, "busy share of all visible CPUs since the last reading")
_MEMORY = Series("memory/used", "B", NAME, "memory that is not available to new programs")
_MEMORY_TOTAL = Series("memory/total", "B", NAME, "memory of the machine")
_CLOCK = Series("cpu/clock", "MHz", NAME, "clock of the first CPU")
_TEMPERATURE = Series("cpu/temperature", "°C", NAME, "temperature of the CPU")
_PLACES = re.compile(r"^(processor|physical id)\s*:\s*(\d+)\s*$", re.MULTILINE)
_TEMPERATURE_CHIPS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


class HostSeries:
    """The open files behind the series; see the module's text."""

    name = NAME
    period_s = PERIOD_S
    channels: Sequence[Channel] = ()

    def __init__(
        self,
        host: Host,
        clock: str | None,
        temperature: str | None,
        sockets: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        self._stat = _open(host.proc("stat"))
        self._memory = _open(host.proc("meminfo"))
        extra = [(_CLOCK, clock, 1e-3), (_TEMPERATURE, temperature, 1e-3)]
        self._extra = [(path, scale) for _, path, scale in extra if path is not None]
        self.series: Sequence[Series] = (
            _UTILISATION,
            _MEMORY,
            _MEMORY_TOTAL,
            *(series for series, path, _ in extra if path is not None),
            *(_busy_series(socket) for socket in sockets or ()),
        )
        self._sockets = dict(sockets or {})
        self._by_cpu: dict[int, Ticks] = {}
        self._ticks: dict[str, Ticks] = {}
        self._read_s = 0.0

    def read(self) -> Sequence[float | None]:
        """One value per series. Raises SourceGone when closed."""
        if self._stat < 0:
            raise SourceGone("the host's files are closed")
        try:
            stat = os.pread(self._stat, _STAT_BYTES, 0)
        except OSError:
            stat = b""
        before_s, self._read_s = self._read_s, time.monotonic()
        elapsed_s = self._read_s - before_s
        values: list[float | None] = [self._utilisation(stat, elapsed_s), *self._memory_bytes()]
        for path, scale in self._extra:
            value = read_int(path)
            values.append(None if value is None else value * scale)
        if self._sockets:
            values += self._busy_cpus(stat, elapsed_s)
        return values

    def close(self) -> None:
        """Close the files; may be called twice."""
        for fd in (self._stat, self._memory):
            if fd >= 0:
                os.close(fd)
        self._stat = self._memory = -1

    def _busy_cpus(self, stat: bytes, elapsed_s: float) -> list[float | None]:
        """CPUs that were busy, for each socket; None where their times do not add up."""
        before, self._by_cpu = self._by_cpu, by_cpu(stat)
        return [busy_cpus(before, self._by_cpu, cpus, elapsed_s) for cpus in self._sockets.values()]

    def _utilisation(self, stat: bytes, elapsed_s: float) -> float | None:
        if not stat:
            return None
        before, self._ticks = self._ticks, candidates(stat)
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

    sockets = sockets_of(host)

    def open_series() -> HostSeries:
        return HostSeries(host, found_clock, temperature, sockets)

    series = [_UTILISATION, _MEMORY, _MEMORY_TOTAL]
    if found_clock:
        series.append(_CLOCK)
    if temperature:
        series.append(_TEMPERATURE)
    series += [_busy_series(socket) for socket in sockets]
    return [Finding(NAME, "utilisation and memory of the host", series=tuple(series), open=open_series)]


def _busy_series(socket: str) -> Series:
    return Series(f"{socket}/busy", "CPUs", NAME, "CPUs of the socket that were busy since the last reading")


def sockets_of(host: Host) -> dict[str, list[int]]:
    """The CPUs of each socket (``cpu0``, ``cpu1``, as RAPL's packages are named); empty where only one is known."""
    sockets: dict[str, list[int]] = {}
    number = -1
    for key, value in _PLACES.findall(read_text(host.proc("cpuinfo")) or ""):
        if key == "processor":
            number = int(value)
        else:
            sockets.setdefault(f"cpu{value}", []).append(number)
    return sockets if len(sockets) > 1 else {}


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

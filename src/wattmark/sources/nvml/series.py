"""The side series of NVIDIA GPUs (utilisation, clocks, limits ...) and the processes that use them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from wattmark.errors import SourceGone
from wattmark.sources.base import Channel, Series
from wattmark.sources.nvml.devices import Gpu, find_again
from wattmark.sources.nvml.library import NvmlSession, ask, meaning
from wattmark.sources.sleep import is_asleep

SERIES_NAME = "nvml-series"


class SideValue(NamedTuple):
    """One side series of one board, and how it is read."""

    series: Series
    read: Callable[[], float]


def side_values(nvml: Any, gpu: Gpu) -> list[SideValue]:
    """The side series that this board has (each is tried once)."""
    handle = gpu.handle
    rows: tuple[tuple[str, str, str, Callable[[], float]], ...] = (
        (
            "utilisation",
            "%",
            "time with a kernel running",
            lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        ),
        (
            "memory_utilisation",
            "%",
            "time with memory access",
            lambda: nvml.nvmlDeviceGetUtilizationRates(handle).memory,
        ),
        ("memory_used", "B", "memory in use", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used),
        ("memory_total", "B", "memory of the board", lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total),
        ("temperature", "°C", "temperature of the chip", lambda: nvml.nvmlDeviceGetTemperature(handle, 0)),
        ("sm_clock", "MHz", "clock of the multiprocessors", lambda: nvml.nvmlDeviceGetClockInfo(handle, 1)),
        ("memory_clock", "MHz", "clock of the memory", lambda: nvml.nvmlDeviceGetClockInfo(handle, 2)),
        (
            "power_limit",
            "W",
            "power limit in force",
            lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3,
        ),
        ("throttle_reasons", "bits", "nvmlClocksEventReasons bits", lambda: _throttle_reasons(nvml, handle)),
    )
    found: list[SideValue] = []
    for name, unit, label, read in rows:
        try:
            read()
        except nvml.NVMLError as error:
            if meaning(error.value).severity != "retry":
                continue
        found.append(SideValue(Series(f"gpu{gpu.number}/{name}", unit, SERIES_NAME, label), read))
    return found


def _throttle_reasons(nvml: Any, handle: Any) -> float:
    """The bits under the newer name of the call (driver 535) or the older one."""
    reasons = ask(nvml, "nvmlDeviceGetCurrentClocksEventReasons", handle)
    return nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle) if reasons is None else reasons


class GpuProcess(NamedTuple):
    """One process on one GPU. ``pid`` is the host's, so it may mean nothing inside a container.

    ``memory_bytes`` and ``sm_percent`` (share of the multiprocessors' time since the last look) are None
    where NVML does not tell. ``mig`` is the UUID of the MIG device, or empty.
    """

    channel_id: str
    pid: int
    memory_bytes: int | None
    sm_percent: float | None
    mig: str = ""


class NvmlSeries:
    """The side series, once a second, and :meth:`processes` for attribution."""

    name = SERIES_NAME
    channels: Sequence[Channel] = ()
    period_s = 1.0

    def __init__(self, session: NvmlSession, gpus: Sequence[Gpu], values: Sequence[SideValue]) -> None:
        self.series: Sequence[Series] = tuple(value.series for value in values)
        self._session: NvmlSession | None = session
        self._gpus = list(gpus)
        self._values: list[SideValue | None] = list(values)
        self._looked_us = {gpu.number: 0 for gpu in gpus}
        self._generation = session.generation

    def read(self) -> Sequence[float | None]:
        """One value a series; None for those of a board that is lost or asleep.

        Raises:
            SourceGone: the source is closed.
        """
        if self._session is None:
            raise SourceGone("the nvml-series source is closed")
        if self._session.generation != self._generation:
            self._find_again(self._session)
        asleep = {f"gpu{gpu.number}" for gpu in self._gpus if gpu.folder and is_asleep(gpu.folder)}
        error_type = self._session.nvml.NVMLError
        readings: list[float | None] = []
        for position, value in enumerate(self._values):
            reading = None
            if value and value.series.id.partition("/")[0] not in asleep:
                try:
                    reading = float(value.read())
                except error_type as error:
                    if meaning(error.value).severity != "retry":
                        self._values[position] = None
            readings.append(reading)
        return readings

    def _find_again(self, session: NvmlSession) -> None:
        """After a board was lost and came back: its series, by a handle that is good now."""
        self._generation = session.generation
        self._gpus = [find_again(session.nvml, gpu) or gpu for gpu in self._gpus]
        fresh = {value.series.id: value for gpu in self._gpus for value in side_values(session.nvml, gpu)}
        self._values = [fresh.get(series.id) for series in self.series]

    def processes(self) -> list[GpuProcess]:
        """Who uses the GPUs now, for sharing a board's energy out; slower than a reading, so ask seldom.

        In MIG mode: the processes of the visible MIG devices. A board that cannot be asked has none.
        """
        if self._session is None:
            return []
        nvml = self._session.nvml
        found: list[GpuProcess] = []
        for gpu in self._gpus:
            places = [(mig.handle, mig.uuid) for mig in gpu.migs] if gpu.mig_mode else [(gpu.handle, "")]
            busy = {} if gpu.mig_mode else self._sm_percent(nvml, gpu)
            for handle, mig in places:
                for pid, memory in process_memory(nvml, handle).items():
                    found.append(GpuProcess(f"gpu{gpu.number}/board", pid, memory, busy.get(pid), mig))
        return found

    def _sm_percent(self, nvml: Any, gpu: Gpu) -> dict[int, float]:
        """The mean of each process's samples since the last look."""
        since = self._looked_us[gpu.number]
        samples: list[Any] = ask(nvml, "nvmlDeviceGetProcessUtilization", gpu.handle, since) or []
        by_pid: dict[int, list[int]] = {}
        for sample in samples:
            if sample.timeStamp > since:  # the driver's buffer also holds older ones
                by_pid.setdefault(sample.pid, []).append(sample.smUtil)
                self._looked_us[gpu.number] = max(self._looked_us[gpu.number], sample.timeStamp)
        return {pid: sum(values) / len(values) for pid, values in by_pid.items()}

    def close(self) -> None:
        """Let go of NVML; it shuts down with its last user."""
        self._session = None
        self._values = [None] * len(self._values)


def process_memory(nvml: Any, handle: Any) -> dict[int, int | None]:
    """Bytes of GPU memory by process id (None where the driver does not say); empty if it cannot be asked."""
    processes: list[Any] | None = ask(nvml, "nvmlDeviceGetComputeRunningProcesses_v3", handle)
    if processes is None:  # a driver from before 2022
        processes = ask(nvml, "nvmlDeviceGetComputeRunningProcesses_v2", handle)
    return {process.pid: process.usedGpuMemory for process in processes or []}

"""How each NVIDIA board is read (counter, instantaneous or averaged power), and the ``nvml`` source."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from wattmark.errors import SourceError, SourceGone, SourceRetry
from wattmark.sources.base import Accuracy, Channel, Finding, Host, Series
from wattmark.sources.bounds import gpu_bound_w
from wattmark.sources.nvml.devices import (
    Gpu,
    describe_gpu,
    find_again,
    list_gpus,
    mig_share,
    order_is_a_guess,
    visible_devices,
)
from wattmark.sources.nvml.library import NvmlSession, ask, meaning
from wattmark.sources.nvml.probe import NAME, devices_are_here
from wattmark.sources.nvml.series import SERIES_NAME, NvmlSeries, side_values
from wattmark.sources.sleep import Sleep

_DOCUMENTED = (
    "NVML API reference, nvmlDeviceGetPowerUsage: within 5 % of the current power draw (stated for Fermi and "
    "Kepler); Yang et al., SC24, arXiv:2312.02741: the error of over 70 GPUs is proportional, about 5 %"
)
# Ibid.: each card's readings lie on a straight line against the meter, so the gain is a constant of the board; what
# happens while a chip does not look depends on the work.
WHOLE_TIME = Accuracy(0.05, 0.05, 0.0, _DOCUMENTED, 0.01, 0.01)
PART_TIME = Accuracy(
    0.10,
    0.10,
    0.0,
    _DOCUMENTED
    + ". A100 and H100 sample power during 25 % of the time only (ibid.): doubled here for loads that vary",
    0.087,
    0.087,
)
PART_TIME_CHIPS = ((8, 0), (9, 0))
"""Compute capabilities of GA100 and GH100."""

VOLTA = 5
FAST_UPDATE_S, UPDATE_S, AVERAGE_S = 0.02, 0.1, 1.0
"""Until measured: 20 ms up to Volta, 100 ms from Turing on (Yang et al.); averages are over 1 s."""
READS_AN_UPDATE = 5
"""Where in an update period a value changed is known to a fifth of the period."""
FALLBACK_MAX_W = 2_000.0

POWER_INSTANT = 186  # NVML_FI_DEV_POWER_INSTANT
SCOPE_GPU, SCOPE_MODULE = 0, 1  # NVML_POWER_SCOPE_*; the module of a Grace Hopper holds the CPU too

Reader = Callable[[], float]


class Sensor(NamedTuple):
    """How one board is read: ``read`` gives µJ (a counter) or W; it raises NVMLError. ``build`` makes it anew."""

    channel: Channel
    read: Reader
    gpu: Gpu
    build: Callable[[Any, Gpu], Sensor]


def find(host: Host) -> list[Finding]:
    """The NVIDIA GPUs that the program may use, and why one cannot be measured."""
    try:
        session = NvmlSession()
        gpus = list_gpus(session, host.sys("bus", "pci", "devices"))
    except SourceError as error:
        passing = isinstance(error, SourceRetry)
        return [
            Finding(
                NAME,
                "NVIDIA GPUs",
                problem=_sentence(str(error)),
                fix=error.hint,
                left_out="device-unmeasured" if passing or devices_are_here(host) else "",
                retry=(lambda: find(host)) if passing else None,
            )
        ]
    findings: list[Finding] = []
    method = host.option(NAME, "method")
    if method not in (None, *_WAYS):
        method = None
        fix = f"Use one of: {', '.join(_WAYS)}."
        findings.append(
            Finding(NAME, "the option nvml.method", problem="It names no way to read a GPU.", fix=fix)
        )
    chosen = _chosen(host, gpus, findings)
    sensors: list[Sensor] = []
    stand_ins: list[Finding] = []
    for gpu in chosen:
        sensor, obstacle = find_sensor(session.nvml, gpu, method)
        if sensor:
            sensors.append(sensor)
            if method is None:
                stand_ins += _stand_ins(session, gpu, sensor.channel)
        elif obstacle:
            findings.append(_left_out(session, gpu, method, obstacle))
    measured = [gpu for gpu in chosen if gpu.handle is not None]
    if sensors:
        findings.insert(0, _measured(session, sensors))
    if measured:
        findings.append(_series(session, measured))
    return findings + stand_ins


def _series(session: NvmlSession, gpus: Sequence[Gpu]) -> Finding:
    side = [value for gpu in gpus for value in side_values(session.nvml, gpu)]
    return Finding(
        SERIES_NAME,
        "utilisation, memory, temperature, clocks, limits of the GPUs",
        series=tuple(value.series for value in side),
        open=lambda: NvmlSeries(session, gpus, side),
    )


def _measured(session: NvmlSession, sensors: Sequence[Sensor]) -> Finding:
    what = f"{len(sensors)} NVIDIA GPU{'s' if len(sensors) > 1 else ''} (driver {session.driver})"
    channels = tuple(sensor.channel for sensor in sensors)
    return Finding(NAME, what, channels, open=lambda: NvmlSource(session, sensors))


def _left_out(session: NvmlSession, gpu: Gpu, method: str | None, obstacle: Obstacle) -> Finding:
    """A board that the program may use and that cannot be read; what may pass is tried again."""

    def again() -> list[Finding]:
        board = gpu if gpu.handle is not None else describe_gpu(session.nvml, gpu.number)
        sensor, still = find_sensor(session.nvml, board, method)
        if sensor:
            series = [_series(session, [board])] if gpu.handle is None else []
            beside = _stand_ins(session, board, sensor.channel) if method is None else []
            return [_measured(session, [sensor]), *series, *beside]
        return [_left_out(session, gpu, method, still)] if still else []

    return Finding(
        NAME,
        f"gpu{gpu.number}",
        problem=_sentence(obstacle.what),
        fix=obstacle.fix,
        left_out="device-unmeasured",
        retry=again if obstacle.passing else None,
    )


def _stand_ins(session: NvmlSession, gpu: Gpu, counter: Channel) -> list[Finding]:
    """The board's power, which its energy counter is held against, and which stands in for that; none for a sensor."""
    sensor, _ = _best(session.nvml, gpu, (_instant_power, _power_usage))
    if counter.kind != "counter" or sensor is None:
        return []
    channel = sensor.channel._replace(id=f"gpu{gpu.number}/power", stands_in_for=(counter.id,))
    what = f"power of NVIDIA GPU {gpu.number}"
    read = sensor._replace(channel=channel)
    return [Finding(NAME, what, (channel,), open=lambda: NvmlSource(session, [read]))]


def _chosen(host: Host, gpus: Sequence[Gpu], findings: list[Finding]) -> list[Gpu]:
    """The boards to measure, each with only the MIG devices that are visible; notes go to ``findings``."""
    setting = host.option(NAME, "devices")
    # "all" is a word of our option only: CUDA, asked for a device of that name, shows none
    value = host.environ.get("CUDA_VISIBLE_DEVICES") if setting is None else str(setting)
    value = None if setting is not None and value == "all" else value
    visible = visible_devices(value, gpus)
    if gpus and not visible:
        what = "the option nvml.devices" if setting is not None else "CUDA_VISIBLE_DEVICES"
        problem = f'{what} is "{value}", which hides all {len(gpus)} NVIDIA GPUs.'
        findings.append(
            Finding(NAME, "NVIDIA GPUs", problem=problem, fix="Unset it, or name GPUs that exist.")
        )
    elif not gpus:
        findings.append(Finding(NAME, "NVIDIA GPUs", problem="The driver is loaded but sees no GPU."))
    if setting is None and order_is_a_guess(host.environ, value, gpus):
        findings.append(
            Finding(
                NAME,
                "order of the GPUs",
                problem="The GPUs differ, and CUDA may number them otherwise than NVML (fastest first); "
                "indices in CUDA_VISIBLE_DEVICES were taken in PCI order.",
                fix="Set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name the GPUs by UUID.",
            )
        )
    chosen: dict[int, Gpu] = {}
    for device in visible:
        gpu = gpus[device.number]
        seen = chosen.get(device.number, gpu._replace(migs=()))
        if value is None or device.mig is None:
            chosen[device.number] = gpu
        else:
            chosen[device.number] = seen._replace(migs=(*seen.migs, gpu.migs[device.mig]))
    return [chosen[number] for number in sorted(chosen)]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


class Obstacle(NamedTuple):
    """Why a board cannot be read, what to do, and whether it may pass by itself."""

    what: str
    fix: str | None
    passing: bool


def find_sensor(nvml: Any, gpu: Gpu, method: str | None = None) -> tuple[Sensor | None, Obstacle | None]:
    """The best way to read a board, or (None, what is in the way)."""
    if gpu.handle is None:
        return None, Obstacle(gpu.problem or "it cannot be read", gpu.fix, gpu.passing)
    sensor, reasons = _best(nvml, gpu, _WAYS[method] if method else (*_WAYS["counter"], *_WAYS["power"]))
    if sensor is not None:
        return sensor, None
    unsupported = meaning(3).what  # the least telling of the reasons
    reason = next((one for one in reasons if one.what != unsupported), reasons[0])
    what = f"neither energy nor power of GPU {gpu.number} ({gpu.name}) can be read: {reason.what}"
    return None, Obstacle(what, reason.fix, any(one.passing for one in reasons))


def _best(
    nvml: Any, gpu: Gpu, ways: Sequence[Callable[[Any, Gpu], Sensor]]
) -> tuple[Sensor | None, list[Obstacle]]:
    """The first way that gives a value, and what was in the way of those before it."""
    reasons: list[Obstacle] = []
    for build in ways:
        sensor = build(nvml, gpu)
        try:
            if sensor.read() > 0:  # a board that is asked always draws something: 0 is "not measured"
                return sensor, reasons
            reasons.append(Obstacle("it reads 0", None, False))
        except nvml.NVMLError as error:
            known = meaning(error.value)
            reasons.append(Obstacle(known.what, known.fix, known.severity == "retry"))
    return None, reasons


def _counter(nvml: Any, gpu: Gpu) -> Sensor:
    def read() -> float:
        return nvml.nvmlDeviceGetTotalEnergyConsumption(gpu.handle) * 1000

    return Sensor(_channel(nvml, gpu, "", _update_period(gpu), counter=True), read, gpu, _counter)


def _instant_power(nvml: Any, gpu: Gpu, scope: int = SCOPE_GPU) -> Sensor:
    def read() -> float:
        field = nvml.nvmlDeviceGetFieldValues(gpu.handle, [(POWER_INSTANT, scope)])[0]
        if field.nvmlReturn:
            raise nvml.NVMLError(field.nvmlReturn)
        return field.value.uiVal / 1e3

    channel = _channel(nvml, gpu, ", instantaneous power", _update_period(gpu))
    return Sensor(channel, read, gpu, _instant_power)


def _module_power(nvml: Any, gpu: Gpu) -> Sensor:
    sensor = _instant_power(nvml, gpu, SCOPE_MODULE)
    scope = "module (GPU, CPU and their memory), instantaneous power"
    return sensor._replace(channel=sensor.channel._replace(component="soc", scope=scope), build=_module_power)


def _power_usage(nvml: Any, gpu: Gpu) -> Sensor:
    def read() -> float:
        return nvml.nvmlDeviceGetPowerUsage(gpu.handle) / 1e3

    # On Ampere (but not GA100) and later this call gives the average over a second (NVML API reference).
    averaged = gpu.architecture is not None and gpu.architecture > 6 and gpu.compute_capability != (8, 0)
    what, period_s = (
        (", power averaged over 1 s", AVERAGE_S) if averaged else (", power", _update_period(gpu))
    )
    return Sensor(_channel(nvml, gpu, what, period_s), read, gpu, _power_usage)


_WAYS: dict[str, tuple[Callable[[Any, Gpu], Sensor], ...]] = {
    "counter": (_counter,),
    "power": (_instant_power, _power_usage, _module_power),
}


def _update_period(gpu: Gpu) -> float:
    return FAST_UPDATE_S if gpu.architecture is not None and gpu.architecture <= VOLTA else UPDATE_S


def _channel(nvml: Any, gpu: Gpu, way: str, update_s: float, *, counter: bool = False) -> Channel:
    limits = ask(nvml, "nvmlDeviceGetPowerManagementLimitConstraints", gpu.handle)
    label = f"{gpu.name} {gpu.uuid}"
    if gpu.migs:
        share = mig_share(gpu)
        part = "an unknown part" if share is None else f"{share:.0%} of the compute slices"
        label += f"; visible: {', '.join(mig.uuid for mig in gpu.migs)}, {part}"
    return Channel(
        f"gpu{gpu.number}/board",
        "gpu",
        NAME,
        "counter" if counter else "integrated",
        ("board (shared by MIG)" if gpu.mig_mode else "board") + way,
        "counter" if counter else "power",
        PART_TIME if gpu.compute_capability in PART_TIME_CHIPS else WHOLE_TIME,
        wrap_uj=None,  # 64 bits of mJ outlast the board; a step back means that the driver was loaded anew
        max_power_w=gpu_bound_w(gpu.name, [limits[1] / 1e3] if limits else []) or FALLBACK_MAX_W,
        resolution_uj=1_000.0 if counter else 1.0,
        update_period_s=update_s,
        label=label,
    )


class UpdatePeriod:
    """How often a value is renewed, found from the readings as they come.

    Known only if readings in between gave the same value: one that is new at every reading may be renewed at
    any faster rate.
    """

    def __init__(self) -> None:
        self._value: float | None = None
        self._first_ns: int | None = None
        self._last_ns = 0
        self._changes = 0
        self._same = 0

    def saw(self, t_ns: int, value: float) -> None:
        """One reading at ``t_ns``."""
        if value == self._value:
            self._same += 1
            return
        if self._value is not None:
            if self._first_ns is None:
                self._first_ns, self._same = t_ns, 0
            else:
                self._changes += 1
                self._last_ns = t_ns
        self._value = value

    @property
    def seconds(self) -> float | None:
        """The mean time between changes, or None while it is not known."""
        if self._first_ns is None or self._changes < 3 or self._same < self._changes:
            return None
        return (self._last_ns - self._first_ns) / self._changes / 1e9


RETRY_S, RETRY_AT_MOST_S, RETRY_SHARE = 1.0, 30.0, 0.1
"""A board that was lost is looked for again this often, later on after a tenth of the time that it has been lost for."""


class NvmlSource:
    """The boards' energy. A board that is lost reads None until it is there again; the others go on.

    ``problems`` gets one sentence for each board that was lost, ``events`` when it is measured again: what it used
    meanwhile is a hole, since its counter may have begun anew. A board that the kernel has suspended is not asked, which
    would wake it. Both are for the reader to take out.
    """

    name = NAME
    series: Sequence[Series] = ()
    problem_code = "device-lost"

    def __init__(
        self,
        session: NvmlSession,
        sensors: Sequence[Sensor],
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.channels: Sequence[Channel] = tuple(sensor.channel for sensor in sensors)
        self.period_s = min(channel.update_period_s for channel in self.channels) / READS_AN_UPDATE
        self.problems: list[str] = []
        self.events: list[tuple[str, int, str, dict[str, Any]]] = []
        self._session: NvmlSession | None = session
        self._sensors = list(sensors)
        self._readers: list[Reader | None] = [sensor.read for sensor in sensors]
        self._sleeps = [
            Sleep(sensor.gpu.folder, [sensor.channel], clock_ns) if sensor.gpu.folder else None
            for sensor in sensors
        ]
        self._periods = [UpdatePeriod() for _ in sensors]
        self._clock_ns = clock_ns
        self._seen_ns = [0] * len(sensors)
        self._lost_ns: dict[int, int] = {}
        self._retry_ns = 0

    def read(self) -> Sequence[float | None]:
        """µJ (counters) or W of each board; None where that is not known now.

        Raises:
            SourceGone: the source is closed.
        """
        if self._session is None:
            raise SourceGone("the nvml source is closed")
        if self._lost_ns and self._clock_ns() >= self._retry_ns:
            self._look_again(self._session)
        error_type = self._session.nvml.NVMLError
        values: list[float | None] = []
        for position, reader in enumerate(self._readers):
            value = None
            sleep = self._sleeps[position]
            asleep = sleep.values() if sleep is not None else None
            if asleep is not None and sleep is not None:
                (value,) = asleep
                self.events += sleep.events
                sleep.events.clear()
            elif reader:
                try:
                    value = reader()
                    now_ns = self._seen_ns[position] = self._clock_ns()
                    self._periods[position].saw(now_ns, value)
                    if sleep is not None:
                        (value,) = sleep.awake([value])
                except error_type as error:
                    self._failed(position, error.value)
            values.append(value)
        return values

    def _failed(self, position: int, code: int) -> None:
        known = meaning(code)
        if known.severity == "retry":
            return
        now_ns = self._clock_ns()
        # NVML itself is gone: that holds for all boards
        for lost in range(len(self._readers)) if known.severity == "gone" else (position,):
            if self._readers[lost] is not None:
                self._readers[lost] = None
                self._lost_ns[lost] = now_ns
                fix = f" ({known.fix})" if known.fix else ""
                self.problems.append(
                    f"{self.channels[lost].id} is no longer measured: {known.what}{fix}; it is tried again"
                )
        self._retry_ns = now_ns + int(RETRY_S * 1e9)

    def _look_again(self, session: NvmlSession) -> None:
        """Read what was lost once more; NVML is started anew for it where no board is left that this would disturb."""
        began_ns = self._clock_ns()
        longest_s = (began_ns - min(self._lost_ns.values())) / 1e9
        self._retry_ns = began_ns + int(min(max(RETRY_S, RETRY_SHARE * longest_s), RETRY_AT_MOST_S) * 1e9)
        if len(self._lost_ns) == len(self._readers) and not session.restart():
            return
        for position in sorted(self._lost_ns):
            sensor = self._sensors[position]
            gpu = find_again(session.nvml, sensor.gpu)
            if gpu is None:
                continue
            fresh = sensor.build(session.nvml, gpu)
            try:
                fresh.read()
            except session.nvml.NVMLError:
                continue
            self._sensors[position] = sensor._replace(read=fresh.read, gpu=gpu)
            self._readers[position] = fresh.read
            session.generation += 1
            self._tell_back(position, self._lost_ns.pop(position))

    def _tell_back(self, position: int, lost_ns: int) -> None:
        now_ns = self._clock_ns()
        channel = self.channels[position].id
        message = f"{channel} is measured again after {(now_ns - lost_ns) / 1e9:.1f} s"
        since_ns = self._seen_ns[position] or lost_ns
        self.events.append(("device-back", now_ns, message, {"channel": channel}))
        hole = {"channel": channel, "from_ns": since_ns, "to_ns": now_ns}
        self.events.append(("hole", now_ns, f"{channel} was not known", hole))

    def update_periods(self) -> dict[str, float | None]:
        """Seconds between renewals of each channel's value as seen so far; None where not (yet) known."""
        return {
            channel.id: period.seconds for channel, period in zip(self.channels, self._periods, strict=True)
        }

    def close(self) -> None:
        """Let go of NVML; it shuts down with its last user."""
        self._session = None
        self._readers = [None] * len(self._readers)
        for sleep in self._sleeps:
            if sleep is not None:
                sleep.close()

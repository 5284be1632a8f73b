"""``cpu-model``: the CPU's joules on machines that have no CPU sensor, from its cumulative busy time.

Two scopes, which are part of the channel: ``package`` (default; what RAPL's package domain would say) and
``host-share`` (what a wall meter would say, for the visible threads' share of a server). The energy is
integrated from ``/proc/stat``: each reading adds the elapsed time times the watts at the mean utilisation
since the reading before, and at the clock of the busy CPUs where cpufreq tells it.
On a virtual machine only the visible threads' share of the host's CPU is charged,
as if its other guests were as busy as this one.

Settings (``[tool.wattmark.cpu-model]``, ``host.option("cpu-model", ...)``): ``scope``, ``tdp_w`` (watts of
one package), ``idle_w`` and ``max_w`` (watts of the whole visible machine), ``threads`` (logical CPUs of one
whole package).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from wattmark.errors import SourceGone, SourceRetry
from wattmark.sources.base import Accuracy, Channel, Finding, Host, Series, read_int, read_text
from wattmark.sources.models.cpu import curves as cpu_curves
from wattmark.sources.models.cpu.clock import ClockReader, part_clocks, sleep_latency_us
from wattmark.sources.models.cpu.names import CpuInfo, CpuPart, identify, parse_cpuinfo
from wattmark.sources.models.cpu.procstat import (
    TICKS_A_S,
    Ticks,
    candidates,
    parse_stat,
    share_busy,
    utilisation,
)

NAME = "cpu-model"
PERIOD_S = 0.5
"""/proc/stat counts in ticks of 10 ms, so utilisation over less than this is coarse; a longer period hides
bursts."""
MIN_TICKS = 10
"""Ticks per CPU that must pass before utilisation is taken anew; until then the last one holds."""

UNKNOWN = (
    "the CPU times in /proc/stat do not add up to the time that passed (a container's own version of the file?), so how "
    "busy the CPUs were is not known: their energy is modelled halfway between idle and full load"
)
PROBLEM_CODE, KNOWN_CODE = "utilisation-unknown", "utilisation-known"
SURE_S = 0.4
"""CPU times of a shorter time are not called wrong."""

_CITATION = (
    "modelled; parameters fitted to RAPL of two machines and published package readings, "
    "interval from leave-one-CPU-out errors (docs/science/cpu-model.md)"
)
_DESKTOP_CITATION = (
    "modelled; the package's model through the supply and beside the board of two desktops with readings of both "
    "(docs/science/cpu-model.md)"
)
_HOST_CITATION = (
    "modelled; SPECpower_ssj2008 results 2007-2026, spread between servers (docs/science/cpu-model.md)"
)
_VIRTUAL_VENDORS = (
    "amazon",
    "google",
    "microsoft",
    "qemu",
    "xen",
    "openstack",
    "vmware",
    "alibaba",
    "digitalocean",
)


class Model(NamedTuple):
    """What the source integrates: the part, how much of it is charged, and the user's own watts where
    given."""

    part: CpuPart
    packages: float
    """How many packages of ``part`` are charged; a fraction on a virtual machine."""
    scope: str = "package"
    idle_w: float | None = None
    max_w: float | None = None
    idle_core_share: float = 0.0
    """What an idle core draws of a busy one (curves.idle_core_share)."""
    clock: bool = False
    """Whether the clock is read."""

    def power_w(self, utilisation: float, clock_ghz: float | None = None) -> float:
        """Watts of the visible machine at ``utilisation`` (0..1), at the clock of its busy CPUs."""
        own = self._modelled_w(utilisation, clock_ghz)
        if self.idle_w is None and self.max_w is None:
            return own
        bottom, top = self._modelled_w(0.0), self._modelled_w(1.0)
        idle_w = min(bottom, self.max_w or bottom) if self.idle_w is None else self.idle_w
        max_w = max(top, idle_w) if self.max_w is None else self.max_w
        return idle_w + (max_w - idle_w) * (own - bottom) / (top - bottom)

    def _modelled_w(self, utilisation: float, clock_ghz: float | None = None) -> float:
        watts = cpu_curves.package_power_w if self.scope == "package" else cpu_curves.host_share_power_w
        estimate = watts(self.part, utilisation, clock_ghz, self.idle_core_share)
        return self.packages * estimate.value

    def accuracy(self) -> Accuracy:
        """The interval of the channel; narrower where the user gave both ends."""
        if self.scope != "package":
            low, high, absolute_w = cpu_curves.host_spread(self.part)
            character = cpu_curves.CHARACTER
            citation = _DESKTOP_CITATION if cpu_curves.is_desktop(self.part) else _HOST_CITATION
            return Accuracy(low, high, absolute_w * self.packages, citation, *character)
        low, high, absolute_w = cpu_curves.package_spread(self.part, clock=self.clock)
        if self.idle_w is not None and self.max_w is not None:
            low, high = cpu_curves.SPREAD_WITH_ENDS
        character, curve = cpu_curves.CHARACTER, cpu_curves.curve_share(low, high)
        return Accuracy(low, high, absolute_w * self.packages, _CITATION, *character, *curve)


class CpuModelSource:
    """An open ``/proc/stat`` and the energy so far. ``clock`` is monotonic nanoseconds.

    Where the CPU times do not add up for a while, ``events`` gets when that began (``utilisation-unknown``) and ended
    (``utilisation-known``); ``problems`` gets a sentence where they did not from the beginning (``blind``).
    """

    name = NAME
    period_s = PERIOD_S
    problem_code = PROBLEM_CODE

    def __init__(
        self,
        stat_path: str,
        model: Model,
        channel: Channel,
        threads: int,
        clock: Callable[[], int] = time.monotonic_ns,
        clocks: ClockReader | None = None,
        *,
        blind: bool = False,
    ) -> None:
        self.problems: list[str] = []
        self.events: list[tuple[str, int, str, dict[str, Any]]] = []
        self._blind = blind
        self._unknown_ns: int | None = None
        self.channels: Sequence[Channel] = (channel,)
        self.series: Sequence[Series] = ()
        self._model = model
        self._threads = threads
        self._clock = clock
        self._clocks = clocks
        self._bytes = 1024 + 200 * threads  # the lines of all CPUs, and one for each
        try:
            self._fd = os.open(stat_path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SourceGone(f"cannot open {stat_path}: {error.strerror}") from error
        self._energy_uj = 0.0
        self._utilisation: float | None = None
        self._power_w = 0.0
        self._ticks: Ticks | None = None
        self._data = b""
        self._taken_ns = self._last_ns = 0

    def read(self) -> Sequence[float | None]:
        """Cumulative µJ."""
        try:
            data = os.pread(self._fd, self._bytes, 0)
        except OSError as error:
            if self._fd < 0:
                raise SourceGone("the cpu-model source is closed") from error
            raise SourceRetry(f"/proc/stat cannot be read: {error.strerror}") from error
        now_ns = self._clock()
        ticks = parse_stat(data.split(b"\n", 1)[0])
        if ticks is None:
            raise SourceRetry("/proc/stat does not start with the line 'cpu'")
        if self._ticks is None:
            self._hold(ticks, data, now_ns)
            self._last_ns = now_ns
            return (0,)
        self._take(ticks, data, now_ns, self._clocks.read(data) if self._clocks is not None else None)
        if self._utilisation is not None:
            self._energy_uj += self._power_w * max(0, now_ns - self._last_ns) / 1000  # W * ns = nJ
            self._last_ns = now_ns
        return (int(self._energy_uj),)

    def _hold(self, ticks: Ticks, data: bytes, now_ns: int) -> None:
        """Utilisation is taken from here on."""
        self._ticks, self._data, self._taken_ns = ticks, data, now_ns

    def _take(self, ticks: Ticks, data: bytes, now_ns: int, clock_ghz: float | None) -> None:
        before = self._ticks or ticks
        if ticks.busy < before.busy and ticks.idle < before.idle:
            self._hold(ticks, data, now_ns)  # everything went back: a restored guest; start again from here
            return
        # Until utilisation is known the time since the first reading waits, so that none of it is lost.
        elapsed_s = (now_ns - self._taken_ns) / 1e9
        if elapsed_s < MIN_TICKS / TICKS_A_S:
            return
        share = share_busy(before, ticks, elapsed_s, self._threads)
        if share is None:
            share = utilisation(candidates(self._data), candidates(data), elapsed_s, self._threads)
        if share is None and elapsed_s < SURE_S:
            return  # a tick here or there decides so short a time
        since_ns = self._taken_ns
        self._hold(ticks, data, now_ns)
        self._utilisation = share
        self._tell(share, since_ns, now_ns)
        if share is None:
            # halfway between idle and full load, the least wrong of all guesses
            self._utilisation = 0.5
            self._power_w = (self._model.power_w(0.0) + self._model.power_w(1.0)) / 2
        else:
            self._power_w = self._model.power_w(share, clock_ghz)

    def _tell(self, share: float | None, since_ns: int, now_ns: int) -> None:
        """Say when utilisation is no longer known, and when it is again."""
        if self._blind:
            if share is None and not self.problems:
                self.problems.append(UNKNOWN)
            return
        channel = self.channels[0].id
        if share is None and self._unknown_ns is None:
            self._unknown_ns = since_ns
            told = {"channel": channel, "from_ns": since_ns}
            self.events.append((PROBLEM_CODE, now_ns, UNKNOWN, told))
        elif share is not None and self._unknown_ns is not None:
            told = {"channel": channel, "from_ns": self._unknown_ns, "to_ns": since_ns}
            self._unknown_ns = None
            self.events.append((KNOWN_CODE, now_ns, "the CPU times add up again", told))

    def close(self) -> None:
        """Close the files; may be called twice."""
        if self._clocks is not None:
            self._clocks.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def probe(host: Host) -> list[Finding]:
    """One finding: the model for this machine's CPU, or why there is none."""
    stat_path = host.proc("stat")
    stat = read_text(stat_path)
    if stat is None or parse_stat(stat.split("\n", 1)[0].encode()) is None:
        return [
            Finding(
                NAME,
                "CPU power model",
                problem=f"{stat_path} cannot be read or holds no CPU times.",
                fix="The model needs Linux's /proc; mount it, or name another root with WATTMARK_PROCFS.",
            )
        ]
    info = parse_cpuinfo(read_text(host.proc("cpuinfo")) or "")
    online = _online(stat)
    info = info._replace(virtual=info.virtual or _virtual(host), threads=len(online) or info.threads)
    try:
        model = build_model(host, info)
    except ValueError as error:
        return [
            Finding(NAME, "CPU power model", problem=str(error), fix="Correct the settings of cpu-model.")
        ]
    channel = _channel(model, info)
    blind = not any(any(ticks) for ticks in candidates(stat.encode()).values())
    if blind:
        channel = _blind(channel, model)
    return [
        Finding(
            NAME,
            channel.label,
            (channel,),
            (),
            lambda: CpuModelSource(
                stat_path,
                model,
                channel,
                info.threads,
                clocks=ClockReader(host, online) if model.clock else None,
                blind=blind,
            ),
        )
    ]


def build_model(host: Host, info: CpuInfo) -> Model:
    """The model for ``info`` with the settings of ``host``. Raises ValueError with a sentence about a bad
    setting."""
    scope = host.option(NAME, "scope", "package")
    if scope not in ("package", "host-share"):
        raise ValueError(f"The scope of cpu-model is 'package' or 'host-share', not {scope!r}.")
    clocks = part_clocks(host)
    part = identify(info, base_ghz=clocks.base_ghz, max_ghz=clocks.max_ghz)
    tdp_w, threads = _setting(host, "tdp_w"), _setting(host, "threads")
    if tdp_w:
        match = "part" if part.match == "family" else part.match
        part = part._replace(tdp_w=tdp_w, match=match, label=f"{part.label} ({tdp_w:g} W by setting)")
    if threads:
        part = part._replace(cores=max(1, round(threads / part.threads_per_core)))
    if scope == "host-share" and part.curve in cpu_curves.NO_HOST_DATA:
        raise ValueError(
            f"The scope host-share has no figures for machines with {part.label}; take package, or calibrate "
            "against a meter."
        )
    packages = info.threads / part.threads if info.virtual else float(info.sockets)
    idle_w, max_w = _setting(host, "idle_w", zero=True), _setting(host, "max_w")
    if idle_w is not None and max_w is not None and idle_w > max_w:
        raise ValueError(f"idle_w of cpu-model ({idle_w:g} W) is more than its max_w ({max_w:g} W).")
    # A guest's cpufreq and cpuidle, where there are any, are not those of the machine below it.
    sleep = 0.0 if info.virtual else cpu_curves.idle_core_share(sleep_latency_us(host))
    readable = read_int(host.sys("devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"))
    return Model(part, packages, scope, idle_w, max_w, sleep, not info.virtual and bool(readable))


def _setting(host: Host, name: str, *, zero: bool = False) -> float | None:
    value = host.option(NAME, name)
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 < number < 1e6 and not (zero and number == 0):
        raise ValueError(f"{name} of cpu-model must be a number above zero, not {value!r}.")
    return number


def _virtual(host: Host) -> bool:
    """Whether the firmware's maker is a hypervisor or a cloud (ARM guests have no ``hypervisor`` flag)."""
    vendor = (read_text(host.sys("class/dmi/id/sys_vendor")) or "").lower()
    product = (read_text(host.sys("class/dmi/id/product_name")) or "").lower()
    if "metal" in product or not vendor.startswith(_VIRTUAL_VENDORS):
        return False
    return not vendor.startswith("microsoft") or "virtual" in product  # Microsoft also makes laptops


def _online(stat: str) -> list[int]:
    """The numbers of the CPUs that ``/proc/stat`` has a line for."""
    names = [line.partition(" ")[0] for line in stat.split("\n") if line.startswith("cpu")]
    return [int(name[3:]) for name in names if name[3:].isdigit()]


def _blind(channel: Channel, model: Model) -> Channel:
    """The channel of a machine that shows no CPU time at all: anything from idle to full load."""
    accuracy, idle_w, full_w = channel.accuracy, model.power_w(0.0), model.power_w(1.0)
    middle_w = (idle_w + full_w) / 2
    return channel._replace(
        accuracy=accuracy._replace(
            relative_low=max(accuracy.relative_low, 1 - (1 - accuracy.relative_low) * idle_w / middle_w),
            relative_high=max(accuracy.relative_high, (1 + accuracy.relative_high) * full_w / middle_w - 1),
        )
    )


_HOW = {
    "part": "by its name",
    "family": "by family and model; exact part unknown",
    "vendor": "by its vendor only",
    "generic": "CPU not recognised",
}


def _channel(model: Model, info: CpuInfo) -> Channel:
    part = model.part
    share = ""
    if info.virtual:
        share = f", {info.threads} of {part.threads} threads charged"
    elif info.sockets > 1:
        share = f", {info.sockets} sockets"
    watts = f"{model.power_w(0.0):.3g} to {model.power_w(1.0):.3g} W"
    label = f"{part.label} ({_HOW[part.match]}; TDP {part.tdp_w:.3g} W{share}): {watts}"
    return Channel(
        f"cpu/{model.scope}-model",
        "cpu",
        NAME,
        "modelled",
        model.scope,
        "energy",
        model.accuracy(),
        max_power_w=max(1.0, 2 * model.power_w(1.0)),
        update_period_s=0.01,
        label=label,
        curve_w=tuple(round(model.power_w(step / 10), 4) for step in range(11)),
    )

"""RAPL: the energy counters of Intel and AMD processors, as Linux shows them under /sys/class/powercap.

A counter is a 32-bit register in units of its own (2^-14 J on most packages), which the kernel multiplies out
to µJ. ``max_energy_range_uj`` is the translation of 0xffffffff (``get_max_energy_counter`` in the kernel's
drivers/powercap/intel_rapl_common.c), the last value before the wrap. So one step of the counter is that
range divided by 2^32 - 1, and the counter wraps at the range plus one step.

``enabled`` is not looked at: it tells whether the first power limit is on, and the counter counts in any case
(``get_domain_enable`` in the same file reads PL1_ENABLE).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from wattmark.sources.base import Accuracy, Channel, Component, Finding, Host, Series, read_int, read_text
from wattmark.sources.bounds import processor_tdp_w
from wattmark.sources.plausibility import LIMIT_FACTOR, UNLOCKED_W, package_bound_w
from wattmark.sources.rapl.access import UNREADABLE_FIX, Cpu, why_absent
from wattmark.sources.rapl.counter import UPDATE_PERIOD_S, Counter
from wattmark.sources.rapl.mirrors import count_mirrors_once, judge_mirrors

__all__ = ["RaplSource", "find_zones", "judge_mirrors", "probe"]

NAME = "rapl"
ZERO_WAIT_S = {True: 0.3, False: 0.02}
"""A counter that reads 0 gets this long to move before it is called dead; a whole package (True) gets more, because an
idle part of one often stays at 0 and must not hold up the start."""

BUSY_WAIT_S = 0.03
"""A counter that could not be read for another reason than permissions (its file is being rewritten) gets this long."""

_ZONE = re.compile(r"intel-rapl(-mmio)?(:\d+)+")
_PACKAGE = re.compile(r"package-(\d+)(?:-die-(\d+))?")

_HASWELL = (
    "Hackenberg et al., IPDPSW 2015, doi:10.1109/IPDPSW.2015.70 (measured since Haswell, within 3 W of the "
    "reference); Khan et al., TOMPECS 3(2) 2018, doi:10.1145/3177754"
)
_DRAM = (
    "Desrochers et al., MEMSYS 2016, doi:10.1145/2989081.2989088: follows the trend with an offset, worst "
    "when idle; the README of Intel's power_gadget allows 30 % on reference boards"
)
_ZEN2 = "Schöne et al., CLUSTER 2021, arXiv:2108.00808: AMD's RAPL is modelled; it misses effects of the data"
# The split of each (character of the work, common to the part): docs/science/error-budget.md. Hackenberg et al. find all
# loads of one Haswell on one curve against the reference; modelled counters (AMD) do not see operands and memory.
_INTEL_PACKAGE = Accuracy(0.05, 0.05, 1.5, _HASWELL, 0.015, 0.015, 0.03, 0.03)
_INTEL_PLANE = Accuracy(
    0.10,
    0.10,
    1.5,
    f"no validation of its own, so twice the package's: {_HASWELL}",
    0.05,
    0.05,
    0.06,
    0.06,
)
_AMD_OLD = Accuracy(0.15, 0.20, 2.0, _ZEN2, 0.10, 0.14, 0.05, 0.05)
_AMD = Accuracy(
    0.10,
    0.15,
    2.0,
    f"no validation of later Zen is known to us; judged by {_ZEN2}",
    0.08,
    0.10,
    0.04,
    0.04,
)
_UNKNOWN = Accuracy(
    0.20, 0.20, 2.0, "unknown vendor; the widest of the validated ones", 0.14, 0.14, 0.05, 0.05
)
_MEMORY = Accuracy(0.30, 0.30, 1.0, _DRAM, 0.10, 0.10, 0.10, 0.10)
_PSYS = Accuracy(
    0.10,
    0.10,
    2.0,
    "depends on the board's sensor (Intel SDM vol. 3B, 15.10.4); no validation known",
    0.03,
    0.03,
)

_PACKAGE_W, _DRAM_W, _PSYS_W = 1_500.0, 500.0, 5_000.0
"""Where neither limits nor size are known: three times the largest package on sale, the memory of a full socket, a whole
machine."""


class Zone(NamedTuple):
    """One powercap domain: its number (``intel-rapl:0:1``), folder, name, and the number of its parent."""

    number: str
    path: str
    name: str
    parent: str

    @property
    def energy_path(self) -> str:
        """The counter."""
        return f"{self.path}/energy_uj"


class RaplSource:
    """All readable domains of the machine, one raw counter in µJ each; None where one cannot be read now."""

    name = NAME
    series: Sequence[Series] = ()
    period_s: float = UPDATE_PERIOD_S

    def __init__(self, channels: Sequence[Channel], paths: Sequence[str]) -> None:
        self.channels: Sequence[Channel] = tuple(channels)
        self._counters = [Counter(path) for path in paths]
        self._closed = False
        self._reads: list[Callable[[], int | None]] = [counter.read for counter in self._counters]

    def read(self) -> list[int | None]:
        """One reading of each channel, in their order; None for all once it is closed."""
        if self._closed:
            return [None] * len(self._reads)
        return [read() for read in self._reads]

    def close(self) -> None:
        """Close all files."""
        self._closed = True
        for counter in self._counters:
            counter.close()


def probe(host: Host) -> list[Finding]:
    """What RAPL offers here: one usable finding with all readable domains, and one for each obstacle."""
    cpu = Cpu(host)
    zones = find_zones(host)
    if not zones:
        problem, fix = why_absent(host, cpu)
        return [Finding(NAME, "energy counters of the processor", problem=problem, fix=fix)]
    readable, findings = _readable(zones)
    chosen, doubles = _one_interface(readable)
    findings += doubles
    if not chosen:
        return findings
    named, unused = _channels(chosen, zones, cpu, processor_tdp_w(host))
    findings += unused
    if not named:
        return findings
    channels, paths = [channel for channel, _ in named], [zone.energy_path for _, zone in named]
    if _one_socket(host):
        channels = [_grouped_as_one_socket(channel) for channel in channels]
    channels = count_mirrors_once(channels, paths)

    def open_source() -> RaplSource:
        return RaplSource(channels, paths)

    what = ", ".join(channel.id for channel in channels)
    return [Finding(NAME, what, tuple(channels), open=open_source), *findings]


def find_zones(host: Host) -> list[Zone]:
    """Every RAPL domain once, in the order of its number, from a flat or a nested layout."""
    found: dict[str, Zone] = {}
    pending = [(host.sys("class", "powercap"), "")]
    while pending:
        folder, parent = pending.pop()
        try:
            entries = sorted(os.listdir(folder))
        except OSError:
            continue
        for entry in entries:
            path = f"{folder}/{entry}"
            if entry in ("intel-rapl", "intel-rapl-mmio") and not parent:
                pending.append((path, ""))
            elif _ZONE.fullmatch(entry) and entry not in found:
                name = read_text(f"{path}/name")
                if name is not None:
                    found[entry] = Zone(entry, path, name, entry.rpartition(":")[0])
                    pending.append((path, entry))
    return sorted(found.values(), key=lambda zone: [int(part) for part in zone.number.split(":")[1:]])


def _readable(zones: Sequence[Zone]) -> tuple[list[Zone], list[Finding]]:
    """The domains whose counter can be read and counts, and a finding for each kind of those that cannot."""
    first = {zone: Counter(zone.energy_path) for zone in zones}
    values = {zone: counter.read() for zone, counter in first.items()}
    began = time.monotonic()
    while busy := [zone for zone, value in values.items() if value is None and _may_read(zone)]:
        if time.monotonic() - began > BUSY_WAIT_S:
            break
        time.sleep(0.001)
        values.update((zone, first[zone].read()) for zone in busy)
    zeros = [zone for zone, value in values.items() if value == 0]
    began = time.monotonic()
    while zeros:
        waited_s = time.monotonic() - began
        if waited_s > ZERO_WAIT_S[any(zone.name.startswith("package") for zone in zeros)]:
            break
        time.sleep(0.001)
        zeros = [zone for zone in zeros if not first[zone].read()]
    for counter in first.values():
        counter.close()
    denied = [zone for zone, value in values.items() if value is None]
    findings: list[Finding] = []
    if denied:
        problem = f"{denied[0].energy_path} cannot be read" + (
            " (by default only root may, since Linux 5.10)." if os.geteuid() else "."
        )
        findings.append(
            Finding(
                NAME,
                _listing(denied),
                problem=problem,
                fix=UNREADABLE_FIX,
                left_out=_loss(denied, zones, zeros),
            )
        )
    if zeros:
        problem = f"{zeros[0].energy_path} stays at 0: the counter does not count."
        findings.append(Finding(NAME, _listing(zeros), problem=problem, left_out=_loss(zeros, zones, denied)))
    return [zone for zone in zones if zone not in denied and zone not in zeros], findings


def _loss(lost: Sequence[Zone], zones: Sequence[Zone], also_lost: Sequence[Zone]) -> str:
    """The code of the warning where a whole package is left out beside others that are measured."""
    packages = [zone for zone in zones if _PACKAGE.fullmatch(zone.name)]
    measured = [zone for zone in packages if zone not in lost and zone not in also_lost]
    return "device-unmeasured" if measured and any(zone in packages for zone in lost) else ""


def _may_read(zone: Zone) -> bool:
    return os.access(zone.energy_path, os.R_OK)


def _one_interface(zones: Sequence[Zone]) -> tuple[list[Zone], list[Finding]]:
    """``intel-rapl-mmio`` shows what ``intel-rapl`` shows too: the MSR one is read, if it can be."""
    msr = {_place(zone, zones) for zone in zones if not _is_mmio(zone)}
    doubles = [zone for zone in zones if _is_mmio(zone) and _place(zone, zones) in msr]
    if not doubles:
        return list(zones), []
    problem = "The counters of intel-rapl again, seen through memory-mapped registers: they are read once."
    return [zone for zone in zones if zone not in doubles], [
        Finding(NAME, _listing(doubles), problem=problem)
    ]


def _place(zone: Zone, zones: Sequence[Zone]) -> tuple[str, str]:
    """What a domain is, whatever interface shows it: (name of its parent, its name)."""
    return next((other.name for other in zones if other.number == zone.parent), ""), zone.name


def _is_mmio(zone: Zone) -> bool:
    return zone.number.startswith("intel-rapl-mmio")


def _listing(zones: Sequence[Zone]) -> str:
    return ", ".join(f"{zone.number} ({zone.name})" for zone in zones)


def _channels(
    chosen: Sequence[Zone], zones: Sequence[Zone], cpu: Cpu, tdp_w: float | None
) -> tuple[list[tuple[Channel, Zone]], list[Finding]]:
    """A channel for each domain of a known name, and a finding for each that counts and is not used.

    ``zones`` are all, with parents that may not be readable.
    """
    by_number = {zone.number: zone for zone in zones}
    any_package = any(_PACKAGE.fullmatch(zone.name) for zone in chosen)
    any_inner_dram = any(zone.name == "dram" and zone.parent in by_number for zone in chosen)
    channels: list[tuple[Channel, Zone, str]] = []
    findings: list[Finding] = []
    owners: dict[str, list[str]] = {}
    for zone in chosen:
        top = by_number.get(zone.parent, zone)
        match = _PACKAGE.fullmatch(top.name)
        channel, place = None, ""
        if zone.name.startswith("psys"):
            channel = _psys(zone, not any_package)
        elif match:
            place = f"cpu{match[1]}" + (f"/die{match[2]}" if match[2] else "")
            # A second package of the same name: two, or one shown twice; their readings will tell.
            same = owners.setdefault(place, [])
            if top.number not in same:
                same.append(top.number)
            where = place if same[0] == top.number else f"{place}@{top.number}"
            channel = _domain(zone, top, where, match, cpu, tdp_w)
        elif zone is top and zone.name == "dram":
            channel = _top_dram(zone, counted=not any_inner_dram)
        if channel is not None:
            channels.append((channel, zone, place))
        else:
            findings.append(_unused(zone, top, match is not None))
    return [
        (
            channel._replace(group=f"{place}/{channel.id.rpartition('/')[2]}")
            if len(owners.get(place, ())) > 1 and not channel.group
            else channel,
            zone,
        )
        for channel, zone, place in channels
    ], findings


def _unused(zone: Zone, top: Zone, in_package: bool) -> Finding:
    what = _listing([zone])
    if in_package:
        problem = f"{what} is a part of {top.name}, which is measured as a whole, and Wattmark does not know its name."
        return Finding(NAME, what, problem=problem)
    problem = f"It counts, but what a domain named {zone.name!r} holds is not known, so it is in no total."
    return Finding(NAME, what, problem=problem, left_out="zone-unused")


def _top_dram(zone: Zone, counted: bool) -> Channel:
    """Memory that is no part of a package's domains."""
    number = zone.number.rpartition(":")[2]
    bound_w = package_bound_w(0, _limits_w((zone,))) or _DRAM_W
    channel = _channel(
        zone, f"dram{number}/rapl", "dram", "memory of the machine or of one socket", _MEMORY, bound_w
    )
    return channel._replace(counted=counted, label="memory")


def _domain(
    zone: Zone, top: Zone, where: str, match: re.Match[str], cpu: Cpu, tdp_w: float | None
) -> Channel | None:
    """The channel of a package, or of a domain inside one; None for a name that is not known."""
    component: Component = "dram" if zone.name == "dram" else "cpu"
    kind = "package" if zone is top else zone.name
    if kind not in _SCOPES:
        return None
    threads, unknown_w = (0, _DRAM_W) if kind == "dram" else (cpu.threads, _PACKAGE_W)
    limits_w = _limits_w((zone,) if kind == "dram" else (zone, top))
    inside = (f"{where}/package",) if kind in ("core", "uncore") else ()
    return _channel(
        zone,
        f"{where}/{kind}",
        component,
        _SCOPES[kind],
        _accuracy(kind, cpu),
        package_bound_w(threads, limits_w, None if kind == "dram" else tdp_w) or unknown_w,
    )._replace(
        inside=inside,
        counted=not inside,
        group=f"cpu{match[1]}/{kind}" if match[2] else "",
        label=f"socket {match[1]}" + (f", die {match[2]}" if match[2] else "") + f": {kind}",
    )


_SCOPES = {
    "package": "processor socket: cores, caches, memory controller, integrated graphics",
    "core": "the cores of the socket (AMD: of one core only)",
    "uncore": "integrated graphics of the socket",
    "dram": "memory behind the socket's controller",
}


def _psys(zone: Zone, counted: bool) -> Channel:
    number = zone.name.rpartition("-")[2] if "-" in zone.name else ""
    scope = "platform, as wired by the board's maker: the processors and more"
    limits_w = [limit for limit in _limits_w((zone,)) if limit < UNLOCKED_W]
    bound_w = max(LIMIT_FACTOR * max(limits_w), 1_000.0) if limits_w else _PSYS_W
    channel = _channel(zone, f"psys{number}", "host", scope, _PSYS, bound_w)
    return channel._replace(counted=counted, label=f"platform {number}".strip())


def _channel(
    zone: Zone, ident: str, component: Component, scope: str, accuracy: Accuracy, max_power_w: float
) -> Channel:
    range_uj = read_int(f"{zone.path}/max_energy_range_uj")  # None where only root may read it: then no wrap
    step_uj = max(1.0, range_uj / 0xFFFFFFFF) if range_uj else 61.0
    wrap_uj = range_uj + round(step_uj) if range_uj else None
    return Channel(
        ident, component, NAME, "counter", scope, "counter", accuracy, wrap_uj, max_power_w, step_uj,
        UPDATE_PERIOD_S,
    )  # fmt: skip


def _accuracy(kind: str, cpu: Cpu) -> Accuracy:
    if kind == "dram":
        return _MEMORY
    if cpu.vendor == "amd":
        return (
            _AMD_OLD if cpu.family is None or cpu.family <= 0x18 else _AMD
        )  # Zen, Zen 2 and Hygon: 17h, 18h
    if cpu.vendor == "intel":
        return _INTEL_PACKAGE if kind == "package" else _INTEL_PLANE
    return _UNKNOWN


def _limits_w(zones: Iterable[Zone]) -> list[float]:
    """The power limits of some domains, in watts; not that of peaks (PL4), which last some milliseconds."""
    limits = [
        read_int(f"{zone.path}/constraint_{i}_{file}_uw")
        for zone in zones
        for i in range(3)
        if read_text(f"{zone.path}/constraint_{i}_name") != "peak_power"
        for file in ("max_power", "power_limit")
    ]
    return [limit / 1e6 for limit in limits if limit]


def _one_socket(host: Host) -> bool:
    """Whether the processor's topology is known and names one socket only."""
    cpus = host.sys("devices", "system", "cpu")
    try:
        names = [name for name in os.listdir(cpus) if name[:3] == "cpu" and name[3:].isdigit()]
    except OSError:
        return False
    sockets = {read_text(f"{cpus}/{name}/topology/physical_package_id") for name in names} - {None}
    return len(sockets) == 1


def _grouped_as_one_socket(channel: Channel) -> Channel:
    """Packages of one socket may mirror each other as dies do, whatever their numbers: readings decide."""
    if channel.id.startswith("psys"):
        return channel
    return channel._replace(group=f"socket/{channel.id.rpartition('/')[2]}")

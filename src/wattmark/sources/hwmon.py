"""hwmon: whatever else the kernel measures through ``/sys/class/hwmon`` (Grace, ACPI meters, Jetson, PSUs).

The files and their units (µJ, µW, mV, mA) are those of https://docs.kernel.org/hwmon/sysfs-interface.html.
What a rail feeds is told from its label; a rail whose label says nothing is shown and never counted.
``SysfsFile`` and ``HwmonSource`` also serve the other sources that read sysfs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from wattmark.errors import SourceGone
from wattmark.sources.base import (
    COMPONENTS,
    Accuracy,
    Channel,
    Component,
    Finding,
    Host,
    Series,
    read_int,
    read_text,
)
from wattmark.sources.bounds import processor_bound_w, threads_of_package
from wattmark.sources.sleep import Sleep

NAME = "hwmon"

UNVALIDATED = Accuracy(
    0.10,
    0.10,
    0.0,
    "https://docs.kernel.org/hwmon/sysfs-interface.html gives the unit but no accuracy, and no published "
    "validation of this sensor is known to Wattmark: 10 % is assumed, half of it as dependent on the work",
    0.05,
    0.05,
)
# Gain error 0.25 %, shunt offset 80 µV and a step of 40 µV (datasheet), over shunts of 5 mΩ +- 1 % on Jetson
# modules; 80 µV / 5 mΩ at a 19 V input is 0.3 W.
INA3221 = Accuracy(
    0.02,
    0.02,
    0.3,
    "TI INA3221 datasheet SBOS576, electrical characteristics; shunts of 5 mΩ, 1 %: "
    "NVIDIA Jetson AGX Xavier Product Design Guide DG-09840-001, figure 5-14",
    0.005,
    0.005,
)

HOST_MAX_W, CHIP_MAX_W = 20_000.0, 2_000.0
"""Machines of eight accelerators draw 10 kW, single chips 1 kW: twice that is refused."""

_OWNED_ELSEWHERE = ("amdgpu", "i915", "xe")
_POWER_SUPPLIES = ("Battery", "Mains", "USB", "UPS", "Wireless")

# What a label says, first match wins: every word must be in the label. Grace: Module holds Grace, and Grace
# holds CPU, SysIO and memory (https://alumet-dev.github.io/user-book/plugins/1_sources/grace-hopper.html).
# Jetson: VDD_IN is the whole module
# (https://forums.developer.nvidia.com/t/interpretation-of-jetson-nx-power-rail/200883).
_LABELS: tuple[tuple[tuple[str, ...], Component, str], ...] = (
    (("module power",), "host", "module"),
    (("grace power",), "cpu", "socket+dram"),
    (("sysio",), "soc", "rail"),
    (("vdd_in",), "host", "module"),
    (("5v_in",), "host", "module"),
    (("sys", "5v"), "soc", "rail"),
    (("gpu", "cpu"), "soc", "cpu+gpu rail"),
    (("gpu", "soc"), "soc", "rail"),
    (("esocket",), "cpu", "package"),
    (("ecore",), "cpu", "core"),
    (("gpu",), "gpu", "rail"),
    (("cpu",), "cpu", "rail"),
    (("dram",), "dram", "rail"),
    (("ddr",), "dram", "rail"),
    (("dimm",), "dram", "rail"),
    (("vddq",), "dram", "rail"),
    (("vddrq",), "dram", "rail"),
    (("soc",), "soc", "rail"),
    (("system",), "host", "machine"),
    (("psu",), "host", "supply"),
    (("power total",), "host", "machine"),
    (("cv",), "soc", "rail"),
)
_CHIPS: dict[str, tuple[Component, str]] = {
    "power_meter": ("host", "machine"),  # acpi_power_meter
    "fam15h_power": ("cpu", "package"),
    "amd_hsmp_hwmon": ("cpu", "package"),
    "nouveau": ("gpu", "board"),
}
_MAY_SLEEP = frozenset(("nouveau",))
"""Of the chips that are read here, those whose device the kernel suspends and a reading wakes."""
_UNIDENTIFIED = "unidentified rail"


class SysfsFile:
    """A small file kept open: a ``pread`` costs about 1 µs, opening the file each time 9 µs."""

    __slots__ = ("_fd",)

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def text(self) -> str | None:
        """The stripped content now, or None where the read fails (a device that is gone gives ENODEV)."""
        if self._fd < 0:
            return None
        try:
            return os.pread(self._fd, 128, 0).decode("ascii", "replace").strip()
        except OSError:
            return None

    def number(self) -> int | None:
        """The integer in the file now, or None."""
        text = self.text()
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def close(self) -> None:
        """Give the descriptor back; reads are None from now on."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Meter(NamedTuple):
    """A channel and the files it is read from: one in µJ or µW, or two in mA and mV whose product is µW."""

    channel: Channel
    paths: tuple[str, ...]
    factor: float = 1.0
    """To µJ or µW."""


class Gauge(NamedTuple):
    """A side series, the file it is read from, and what to multiply the integer there with."""

    series: Series
    path: str
    factor: float = 1.0


class HwmonSource:
    """Meters and gauges read from sysfs, each file kept open."""

    def __init__(
        self,
        name: str,
        meters: Sequence[Meter],
        gauges: Sequence[Gauge] = (),
        period_s: float = 0.01,
        device: str = "",
    ) -> None:
        """Open every file; :class:`~wattmark.errors.SourceGone` if one cannot be opened.

        device: the folder of the device that all of them belong to, which is not read while it sleeps; "" for one that
        cannot.
        """
        self.name = name
        self.channels: Sequence[Channel] = tuple(meter.channel for meter in meters)
        self.series: Sequence[Series] = tuple(gauge.series for gauge in gauges)
        self.period_s = period_s
        self._sleep = Sleep(device, self.channels) if device else None
        self.events = self._sleep.events if self._sleep is not None else []
        self._meters: list[tuple[float | None, list[SysfsFile]]] = []
        self._gauges: list[tuple[float, SysfsFile]] = []
        try:
            for meter in meters:
                files: list[SysfsFile] = []
                self._meters.append((1e-6 * meter.factor if meter.channel.kind == "power" else None, files))
                files.extend(SysfsFile(path) for path in meter.paths)
            for gauge in gauges:
                self._gauges.append((gauge.factor, SysfsFile(gauge.path)))
        except OSError as error:
            self.close()
            raise SourceGone(f"{name}: {error.filename or 'a sensor'}: {error.strerror}") from error

    def read(self) -> Sequence[float | None]:
        """µJ of energy meters (int), W of power meters (float), then the gauges; None where a file fails."""
        asleep = self._sleep.values() if self._sleep is not None else None
        if asleep is not None:
            return [*asleep, *(None for _ in self._gauges)]
        values: list[float | None] = []
        for to_watts, files in self._meters:
            value = files[0].number()
            if len(files) == 2 and value is not None:
                other = files[1].number()
                value = None if other is None else value * other
            # A current sensor at no load shows its offset, which may be just below 0.
            values.append(max(value, 0) * to_watts if to_watts and value is not None else value)
        if self._sleep is not None:
            values = self._sleep.awake(values)
        for factor, file in self._gauges:
            number = file.number()
            values.append(None if number is None else number * factor)
        return values

    def close(self) -> None:
        """Close all files."""
        for _, files in self._meters:
            for file in files:
                file.close()
        for _, file in self._gauges:
            file.close()
        if self._sleep is not None:
            self._sleep.close()


def numbered(folder: str, prefix: str, suffix: str = "") -> list[tuple[int, str]]:
    """``(number, name)`` of the entries ``<prefix><number><suffix>`` of a folder, in order."""
    found: list[tuple[int, str]] = []
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    for name in names:
        middle = name[len(prefix) : len(name) - len(suffix)]
        if name.startswith(prefix) and name.endswith(suffix) and middle.isascii() and middle.isdigit():
            found.append((int(middle), name))
    return sorted(found)


def finding(
    name: str,
    what: str,
    meters: Iterable[Meter],
    gauges: Iterable[Gauge] = (),
    period_s: float = 0.01,
    device: str = "",
) -> Finding:
    """The finding for some meters: usable, or why their files may not be read and what to do."""
    all_meters, all_gauges = tuple(meters), tuple(g for g in gauges if os.access(g.path, os.R_OK))
    channels = tuple(meter.channel for meter in all_meters)
    locked = [path for meter in all_meters for path in meter.paths if not os.access(path, os.R_OK)]
    if locked:
        return Finding(
            name,
            what,
            channels,
            problem=f"This user may not read {locked[0]}.",
            fix=f"Let everybody read it until the next boot: sudo chmod a+r {' '.join(locked)}",
        )
    series = tuple(gauge.series for gauge in all_gauges)
    return Finding(
        name, what, channels, series, lambda: HwmonSource(name, all_meters, all_gauges, period_s, device)
    )


def power_beside(meters: Iterable[Meter]) -> Iterator[Meter]:
    """The power sensors of energy counters' devices (same number, same chip), which stand in for the counters."""
    for channel, (path, *_), _ in meters:
        folder, file = os.path.split(path)
        stem = file.replace("energy", "power", 1).removesuffix("_input")
        readable = (f"{folder}/{stem}_{end}" for end in ("average", "input") if channel.kind == "energy")
        sensor = next((one for one in readable if os.access(one, os.R_OK)), None)
        if sensor is not None:
            power = channel._replace(
                id=f"{channel.id}-power", kind="power", method="integrated", resolution_uj=1.0,
                update_period_s=max(channel.update_period_s, 0.1), stands_in_for=(channel.id,),
            )  # fmt: skip
            yield Meter(power, (sensor,))


def with_power_beside(counters: Finding, meters: Sequence[Meter], device: str = "") -> list[Finding]:
    """The finding of some meters, and one of the power sensors that stand in for the counters among them."""
    beside = tuple(power_beside(meters)) if counters.usable else ()
    if not beside:
        return [counters]
    return [counters, finding(counters.source, f"power of {counters.what}", beside, device=device)]


def probe(host: Host) -> list[Finding]:
    """Every hwmon chip without another owner that shows energy, power, or (INA) current and voltage."""
    root = host.sys("class", "hwmon")
    taken: dict[str, int] = {}
    chips: list[tuple[str, list[Meter], str]] = []
    for _, entry in numbered(root, "hwmon"):
        folder = f"{root}/{entry}"
        chip = read_text(f"{folder}/name") or entry
        if chip.startswith(_OWNED_ELSEWHERE) or read_text(f"{folder}/device/type") in _POWER_SUPPLIES:
            continue
        meters = list(_meters(host, folder, chip, taken))
        if meters:
            sleeps = f"{folder}/device" if chip in _MAY_SLEEP else ""
            chips.append((f"{chip} at {folder}", meters, sleeps))
    chips += [(what, meters, "") for what, meters in _industrial_chips(host, taken)]
    channels = [meter.channel for _, meters, _ in chips for meter in meters]
    wrong = {key: name for key, name in host.option(NAME, "components", {}).items() if name not in COMPONENTS}
    complaints = [
        Finding(
            NAME,
            f"the option hwmon.components of {label!r}",
            problem=f"{name!r} is no component.",
            fix=f"Use one of: {', '.join(COMPONENTS)}.",
        )
        for label, name in wrong.items()
    ]
    for what, bare, device in chips:
        meters = [m._replace(channel=m.channel._replace(inside=_holders(m.channel, channels))) for m in bare]
        complaints += with_power_beside(finding(NAME, what, meters, device=device), meters, device)
    return complaints


def _meters(host: Host, folder: str, chip: str, taken: dict[str, int]) -> Iterator[Meter]:
    """The meters of one chip; energy is preferred to power where both have the same number."""
    seen: set[int] = set()
    for suffix, kind in (("energy", "energy"), ("power", "power")):
        for ending in ("_input",) if suffix == "energy" else ("_average", "_input"):
            for number, file in numbered(folder, suffix, ending):
                if number in seen:
                    continue
                seen.add(number)
                label = _label(folder, f"{suffix}{number}")
                method = "counter" if kind == "energy" else "integrated"
                base = _describe(host, folder, chip, label, number, taken)
                yield Meter(base._replace(kind=kind, method=method), (f"{folder}/{file}",))
    if not seen and chip.startswith("ina"):
        # ina3221: inputs 1 to 3 are bus voltages, 4 to 6 the shunts' (docs.kernel.org/hwmon/ina3221.html)
        for number, file in numbered(folder, "curr", "_input"):
            voltage = f"{folder}/in{number}_input"
            if number > 3 or read_int(f"{folder}/in{number}_enable") == 0 or not os.path.exists(voltage):
                continue
            label = _label(folder, f"in{number}")
            if label.upper() != "NC":
                base = _describe(host, folder, chip, label, number, taken)
                yield Meter(base, (f"{folder}/{file}", voltage))


def _industrial_chips(host: Host, taken: dict[str, int]) -> Iterator[tuple[str, list[Meter]]]:
    """Monitors of JetPack 4 (kernel 4.9), industrial I/O devices with ``rail_name_N`` beside power in mW.

    The unit: Documentation/ABI/testing/sysfs-bus-iio, in_powerY_input; the names: drivers/iio/adc/ina3221.c of L4T.
    """
    root = host.sys("bus", "iio", "devices")
    for _, entry in numbered(root, "iio:device"):
        folder = f"{root}/{entry}"
        chip = read_text(f"{folder}/name") or entry
        meters: list[Meter] = []
        for number, file in numbered(folder, "in_power", "_input"):
            label = (
                read_text(f"{folder}/rail_name_{number}")
                or read_text(f"{folder}/in_power{number}_label")
                or ""
            )
            if label.upper() != "NC":
                channel = _describe(host, folder, chip, label, number, taken)
                meters.append(Meter(channel, (f"{folder}/{file}",), 1e3))
        if meters:
            yield f"{chip} at {folder}", meters


def _label(folder: str, stem: str) -> str:
    return read_text(f"{folder}/{stem}_label") or read_text(f"{folder}/{stem}_oem_info") or ""


def _describe(host: Host, folder: str, chip: str, label: str, number: int, taken: dict[str, int]) -> Channel:
    """The channel of one rail, as a power reading; the caller mends kind and method for energy counters."""
    component, scope = what_it_feeds(chip, label)
    chosen = host.option(NAME, "components", {}).get(label or chip)
    if chosen in COMPONENTS:
        component, scope = chosen, "rail"
    stem = "_".join((label or f"{chip}_{number}").lower().split())
    taken[stem] = taken.get(stem, -1) + 1
    unique = f"{stem}_{taken[stem]}" if taken[stem] else stem
    interval_ms = read_int(f"{folder}/power{number}_average_interval")
    return Channel(
        f"hwmon/{unique}",
        component,
        NAME,
        "integrated",
        scope,
        "power",
        _accuracy(folder, chip, number),
        resolution_uj=1.0,
        max_power_w=_bound_w(host, component),
        update_period_s=interval_ms / 1e3 if interval_ms else 0.1,
        counted=scope != _UNIDENTIFIED,
        label=f"{chip} {label or number}",
    )


def _bound_w(host: Host, component: Component) -> float:
    """The most that a rail of this component can carry."""
    if component == "host":
        return HOST_MAX_W
    known = processor_bound_w(host, threads_of_package(host)) if component == "cpu" else None
    return min(CHIP_MAX_W, known or CHIP_MAX_W)


def what_it_feeds(chip: str, label: str) -> tuple[Component, str]:
    """``(component, scope)`` of a rail, from its label or, without one, from the driver that shows it."""
    words = label.lower()
    if words:
        for needed, component, scope in _LABELS:
            if all(word in words for word in needed):
                return component, scope
    return _CHIPS.get(chip) or ("host", _UNIDENTIFIED)


def _accuracy(folder: str, chip: str, number: int) -> Accuracy:
    if chip.startswith("ina3221"):
        return INA3221
    stated = (read_text(f"{folder}/power{number}_accuracy") or "").rstrip("%")
    try:
        percent = float(stated)
    except ValueError:
        return UNVALIDATED
    # Firmware states it either way round ("97.5%" or "2.5%"), so the error is taken as the smaller part.
    error = min(percent, 100.0 - percent) / 100.0
    if error <= 0:
        return UNVALIDATED
    return Accuracy(
        error,
        error,
        0.0,
        f"stated by the meter's firmware in {folder}/power{number}_accuracy (ACPI _PMC)",
        error / 4,
        error / 4,
    )


def _holders(channel: Channel, channels: Sequence[Channel]) -> tuple[str, ...]:
    """The rails that hold this one: Grace sockets hold their rails, a module holds everything on it."""
    names: list[str] = []
    for other in channels:
        if other.id == channel.id:
            continue
        same_socket = other.id.rpartition("_")[2] == channel.id.rpartition("_")[2]
        in_socket = other.scope == "socket+dram" and channel.scope == "rail" and same_socket
        in_module = other.scope == "module" and channel.scope in ("rail", "cpu+gpu rail", "socket+dram")
        # The memory rail of AGX Orin is taken as fed from the 5 V system rail, which is metered as well.
        in_5v = "vin_sys_5v" in other.id and "vddq" in channel.id
        in_package = other.scope == "package" and channel.scope == "core"
        if in_socket or in_module or in_5v or in_package:
            names.append(other.id)
    return tuple(names)

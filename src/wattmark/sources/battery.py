"""battery: what a laptop draws while it runs on its battery, from ``/sys/class/power_supply``.

Files and units: https://docs.kernel.org/power/power_supply_class.html (``power_now`` in µW, or
``current_now`` in µA times ``voltage_now`` in µV; some drivers give a discharge current a minus sign). It
is the whole machine with its screen, and only while it discharges: on mains a battery does not say what is
drawn.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from wattmark.errors import SourceGone
from wattmark.sources.base import Accuracy, Channel, Finding, Host, Series, read_text
from wattmark.sources.hwmon import SysfsFile

NAME = "battery"

_CHANNEL = Channel(
    "battery",
    "host",
    NAME,
    "integrated",
    "machine",
    "power",
    Accuracy(
        0.10,
        0.10,
        0.0,
        "https://docs.kernel.org/power/power_supply_class.html states units but no accuracy, and gauges "
        "differ: 10 % is assumed, a third of it as dependent on the work",
        0.033,
        0.033,
    ),
    resolution_uj=1.0,
    # Gauges are polled; smart batteries refresh their registers about once a second.
    update_period_s=1.0,
    max_power_w=500.0,
    label="all batteries of this machine",
)


class _Battery(NamedTuple):
    status: SysfsFile
    power: tuple[SysfsFile, ...]


class BatterySource:
    """The sum over all batteries that discharge."""

    name = NAME
    series: Sequence[Series] = ()
    period_s = 0.2

    def __init__(self, batteries: Sequence[str], mains: Sequence[str]) -> None:
        """Open the files of these supplies; :class:`~wattmark.errors.SourceGone` if one cannot be."""
        self.channels: Sequence[Channel] = (_CHANNEL,)
        self._files: list[SysfsFile] = []
        try:
            self._batteries = [
                _Battery(
                    self._open(f"{folder}/status"), tuple(self._open(path) for path in _power_files(folder))
                )
                for folder in batteries
            ]
            self._mains = [self._open(f"{folder}/online") for folder in mains]
        except OSError as error:
            self.close()
            raise SourceGone(f"battery: {error.filename}: {error.strerror}") from error

    def _open(self, path: str) -> SysfsFile:
        file = SysfsFile(path)
        self._files.append(file)
        return file

    def read(self) -> Sequence[float | None]:
        """Watts drawn from the batteries, or None on mains and where a reading fails."""
        if any(file.number() == 1 for file in self._mains):
            return (None,)
        total: float | None = None
        for battery in self._batteries:
            if battery.status.text() != "Discharging":
                continue
            numbers = [file.number() for file in battery.power]
            watts = 1.0
            for number in numbers:
                if number is None:
                    return (None,)
                watts *= abs(number) * 1e-6
            total = (total or 0.0) + watts
        return (total,)

    def close(self) -> None:
        """Close all files."""
        for file in self._files:
            file.close()


def probe(host: Host) -> list[Finding]:
    """One finding for all batteries of the machine together; none where there is no battery."""
    root = host.sys("class", "power_supply")
    batteries: list[str] = []
    mains: list[str] = []
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return []
    for name in names:
        folder = f"{root}/{name}"
        kind = read_text(f"{folder}/type")
        # scope "Device" is the battery of a mouse or a headset
        if kind == "Battery" and read_text(f"{folder}/scope") != "Device":
            batteries.append(folder)
        elif kind == "Mains" and os.path.exists(f"{folder}/online"):
            mains.append(folder)
    if not batteries:
        return []
    what = " and ".join(os.path.basename(folder) for folder in batteries)
    metered = [folder for folder in batteries if _power_files(folder)]
    if not metered:
        return [
            Finding(
                NAME,
                what,
                problem="The battery shows neither its power nor its current and voltage.",
                fix="Nothing can be done in software: its gauge or driver does not offer them.",
            )
        ]
    on_mains = any(read_text(f"{folder}/online") == "1" for folder in mains)
    if on_mains or not any(read_text(f"{folder}/status") == "Discharging" for folder in metered):
        return [
            Finding(
                NAME,
                what,
                (_CHANNEL,),
                problem="The machine does not run on its battery, so it cannot say what is drawn.",
                fix="Unplug the machine and start again, if the whole machine's power is wanted.",
            )
        ]
    return [Finding(NAME, what, (_CHANNEL,), open=lambda: BatterySource(metered, mains))]


def _power_files(folder: str) -> tuple[str, ...]:
    power, current, voltage = (f"{folder}/{name}_now" for name in ("power", "current", "voltage"))
    if os.path.exists(power):
        return (power,)
    return (current, voltage) if os.path.exists(current) and os.path.exists(voltage) else ()

"""A machine whose power caps act: a tree of sysfs in which power and speed follow the limits that are written into it.

``python -m wattmark.testing.machines.capped serve ROOT --cpu --amd`` keeps its counters going until it is ended; ``ROOT``
then stands in for /sys (``WATTMARK_SYSFS=ROOT``). ``... work ROOT --seconds 2`` is a command that takes 2 s without a cap,
and longer under one; ``--steps N`` prints its progress. In a test: ``CappedMachine(root).cpu()`` and ``step(dt_s)``.

The power of a device is what its work wants (:class:`Law`), or its cap where that is less; its speed is the cube root of
what is left above idle, as clock and voltage fall together. Drivers round what is written: RAPL to 1/8 W, amdgpu to whole
watts within its range. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NamedTuple

LAWS = "capped-laws.json"
_RANGE_UJ = 262_143_328_850


class Law(NamedTuple):
    """demand_w: what the work draws without a cap; idle_w: what the device draws anyway."""

    demand_w: float = 120.0
    idle_w: float = 40.0

    def watts(self, cap_w: float | None) -> float:
        """Power under a cap in W (None: no limit); never below idle and a little."""
        return self.demand_w if cap_w is None else min(self.demand_w, max(cap_w, 1.05 * self.idle_w))

    def speed(self, cap_w: float | None) -> float:
        """Work done a second, 1 without a cap."""
        return ((self.watts(cap_w) - self.idle_w) / (self.demand_w - self.idle_w)) ** (1 / 3)

    def joules(self, cap_w: float | None) -> float:
        """J for a second's work."""
        return self.watts(cap_w) / self.speed(cap_w)


@dataclass(slots=True)
class _Device:
    """One capped device: the files of its limits, those of its readings, and its law."""

    kind: str
    folder: Path
    caps: tuple[str, ...]
    law: Law
    most_w: float
    used_uj: float = 1_000_000.0
    fds: dict[str, int] = field(default_factory=dict[str, int])

    def cap_w(self) -> float | None:
        """The least limit in force; None where there is none."""
        if (_number(self.folder / "enabled") or 1) == 0:
            return None
        values = [value for name in self.caps if (value := _number(self.folder / name))]
        return min(values) / 1e6 if values else None

    def round_caps(self) -> None:
        """Make of what was written what the driver would."""
        for name in self.caps:
            value = _number(self.folder / name)
            if value is None:
                continue
            unit = 125_000 if self.kind == "cpu" else 1_000_000
            rounded = value // unit * unit
            if self.kind == "amd":
                rounded = min(max(rounded, round(0.25e6 * self.most_w)), round(1e6 * self.most_w))
            if rounded != value and value:
                (self.folder / name).write_text(f"{rounded}\n")


class CappedMachine:
    """``root`` stands in for /sys. Add devices, then ``step(dt_s)`` as time goes by."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.devices: dict[str, _Device] = {}

    def cpu(self, number: int = 0, law: Law | None = None, most_w: float = 125.0) -> Path:
        """A CPU package with a long-term limit and one for bursts, a fifth above; its folder."""
        name = f"intel-rapl:{number}"
        folder = self.root / "devices/virtual/powercap/intel-rapl" / name
        _write(
            folder,
            name=f"package-{number}",
            max_energy_range_uj=_RANGE_UJ,
            enabled=1,
            constraint_0_name="long_term",
            constraint_0_power_limit_uw=round(most_w * 1e6),
            constraint_0_max_power_uw=round(most_w * 1e6),
            constraint_0_time_window_us=999_424,
            constraint_1_name="short_term",
            constraint_1_power_limit_uw=round(1.2e6 * most_w),
            constraint_1_max_power_uw=0,
            constraint_1_time_window_us=2_440,
        )
        links = self.root / "class/powercap"
        links.mkdir(parents=True, exist_ok=True)
        (links / name).symlink_to(folder)
        caps = ("constraint_0_power_limit_uw", "constraint_1_power_limit_uw")
        return self._add(f"cpu{number}", _Device("cpu", folder, caps, law or Law(), most_w))

    def amd(self, number: int = 0, law: Law | None = None, most_w: float = 250.0) -> Path:
        """An AMD card; its hwmon folder."""
        folder = self._card(number, "0x1002", "0x744c", f"hwmon{number + 3}")
        cap = round(most_w * 1e6)
        _write(
            folder,
            name="amdgpu",
            power1_cap=cap,
            power1_cap_max=cap,
            power1_cap_min=round(0.25 * cap),
            power1_average=0,
        )
        return self._add(
            f"amdgpu{number}", _Device("amd", folder, ("power1_cap",), law or Law(220.0, 70.0), most_w)
        )

    def intel(self, number: int = 0, law: Law | None = None, most_w: float = 190.0) -> Path:
        """An Intel card; its hwmon folder."""
        folder = self._card(number, "0x8086", "0x56a0", f"hwmon{number + 5}")
        cap = round(most_w * 1e6)
        _write(folder, name="xe", power1_max=cap, power1_rated_max=cap, energy1_label="card")
        return self._add(
            f"intelgpu{number}", _Device("intel", folder, ("power1_max",), law or Law(170.0, 50.0), most_w)
        )

    def step(self, dt_s: float) -> None:
        """Let ``dt_s`` seconds pass."""
        for device in self.devices.values():
            device.round_caps()
            watts = device.law.watts(device.cap_w())
            device.used_uj += watts * dt_s * 1e6
            self._show(device, watts)

    def caps_w(self) -> dict[str, float | None]:
        """The limit in force of every device, in W."""
        return {name: device.cap_w() for name, device in self.devices.items()}

    def limits(self) -> dict[str, int]:
        """What stands in every limit's file, by its path under the root."""
        found: dict[str, int] = {}
        for device in self.devices.values():
            for name in (*device.caps, "enabled"):
                value = _number(device.folder / name)
                if value is not None:
                    found[str((device.folder / name).relative_to(self.root))] = value
        return found

    def _add(self, name: str, device: _Device) -> Path:
        self.devices[name] = device
        self._show(device, device.law.watts(None))
        laws = [
            {
                "folder": str(one.folder.relative_to(self.root)),
                "caps": one.caps,
                "demand_w": one.law.demand_w,
                "idle_w": one.law.idle_w,
            }
            for one in self.devices.values()
        ]
        (self.root / f"{LAWS}.new").write_text(json.dumps(laws))
        (self.root / f"{LAWS}.new").replace(self.root / LAWS)
        return device.folder

    def _card(self, number: int, vendor: str, device: str, chip: str) -> Path:
        pci = self.root / "devices" / f"0000:0{number + 1}:00.0"
        _write(pci, vendor=vendor, device=device)
        card = self.root / "class/drm" / f"card{number}"
        card.mkdir(parents=True)
        (card / "device").symlink_to(pci)
        return pci / "hwmon" / chip

    def _show(self, device: _Device, watts: float) -> None:
        if device.kind == "amd":
            _in_place(device, "power1_average", round(watts * 1e6))
            return
        name = "energy_uj" if device.kind == "cpu" else "energy1_input"
        used = int(device.used_uj)
        _in_place(device, name, used % (_RANGE_UJ + 1) if device.kind == "cpu" else used)


def work(root: str | Path, seconds: float, steps: int = 0, device: str = "") -> None:
    """Work that takes ``seconds`` s where nothing is capped. device: part of the folder that it runs on (default: the first
    one); steps: print so many steps as they are done."""
    laws = json.loads((Path(root) / LAWS).read_text())
    row = next(one for one in laws if device in one["folder"])
    folder, law = Path(root) / row["folder"], Law(row["demand_w"], row["idle_w"])
    part = _Device("work", folder, tuple(row["caps"]), law, 0.0)
    done, told, last = 0.0, 0, time.monotonic()
    speed = 1.0
    while done < seconds:
        time.sleep(0.002)
        now = time.monotonic()
        speed = law.speed(part.cap_w())
        done += speed * (now - last)
        last = now
        while steps and told < steps and done >= (told + 1) * seconds / steps:
            told += 1
            sys.stdout.write(f"step {told}/{steps}\n")
            sys.stdout.flush()


def _write(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


def _in_place(device: _Device, name: str, value: int) -> None:
    """One write of one width: no reader sees a torn number."""
    fd = device.fds.get(name)
    if fd is None:
        fd = device.fds[name] = os.open(device.folder / name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    os.pwrite(fd, f"{value:<20}\n".encode(), 0)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def main(words: Sequence[str] | None = None) -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description="A machine whose power caps act.")
    commands = parser.add_subparsers(dest="do", required=True)
    serve = commands.add_parser("serve", help="keep the counters going until SIGTERM")
    serve.add_argument("root")
    for name in ("cpu", "amd", "intel"):
        serve.add_argument(f"--{name}", nargs="?", const=1, default=0, type=int, metavar="N")
    serve.add_argument("--tick-ms", type=float, default=1.0)
    doing = commands.add_parser("work", help="work whose speed follows the cap")
    doing.add_argument("root")
    doing.add_argument("--seconds", type=float, default=1.0)
    doing.add_argument("--steps", type=int, default=0)
    doing.add_argument(
        "--device", default="", help="part of the device's folder, such as powercap or 0000:01"
    )
    args = parser.parse_args(words)
    if args.do == "work":
        work(args.root, args.seconds, args.steps, args.device)
        return 0
    machine = CappedMachine(args.root)
    for number in range(args.cpu):
        machine.cpu(number)
    for number in range(args.amd):
        machine.amd(number)
    for number in range(args.intel):
        machine.intel(args.amd + number)
    signal.signal(signal.SIGTERM, _end)
    sys.stdout.write(json.dumps({"event": "ready", "limits": machine.limits()}) + "\n")
    sys.stdout.flush()
    last = time.monotonic()
    while True:
        time.sleep(args.tick_ms / 1e3)
        now = time.monotonic()
        machine.step(now - last)
        last = now


if __name__ == "__main__":
    sys.exit(main())

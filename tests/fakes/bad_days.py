"""Machines whose sensors lie: each source on a fake /sys and /proc, its readings rewritten all the time by a rule.

A rule is a function of a :class:`Moment`, and gives what the file says then. ``Machine.measure`` runs a piece of work under
``wattmark run`` on that machine and gives the run's JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from fakes.nvml.nvml_fake import FakeNvml

CPUS = 4
WIDTH = 32

_ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith("WATTMARK")}
"""Taken once: several threads measure while each test sets variables of its own."""


class Moment(NamedTuple):
    """Seconds since the machine began, since the work began (below 0 before), and whether the work is about to end."""

    t_s: float
    work_s: float
    ending: bool


Rule = Callable[[Moment], object]


class Kind(NamedTuple):
    """What a machine is: the name of its CPU, family and model, its sockets, and settings in its ``pyproject.toml``."""

    name: str
    model: int
    sockets: int = 1
    settings: str = ""

    def cpuinfo(self) -> str:
        """Its ``/proc/cpuinfo``."""
        each = CPUS // self.sockets
        return "\n".join(
            f"processor\t: {cpu}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: {self.model}\n"
            f"stepping\t: 4\nmodel name\t: {self.name}\nphysical id\t: {cpu // each}\nsiblings\t: {each}\n"
            f"cpu cores\t: {max(1, each // 2)}\nflags\t\t: fpu\n"
            for cpu in range(CPUS)
        )


LAPTOP = Kind("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", 142)
DUAL = LAPTOP._replace(sockets=2)
SERVER = Kind(
    "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz",
    85,
    1,
    '[tool.wattmark.options.cpu-model]\nscope = "host-share"\n',
)


class Machine:
    """A folder with ``sys`` and ``proc``, whose files follow their rules while the machine is entered."""

    def __init__(self, root: Path, kind: Kind = LAPTOP) -> None:
        self.root, self.sys, self.proc = root, root / "sys", root / "proc"
        self.environ: dict[str, str] = {}
        self._files: list[tuple[int, Rule, int]] = []
        self._actions: list[Callable[[Moment], None]] = []
        self._stop = threading.Event()
        self._settings = kind.settings
        (self.sys / "class").mkdir(parents=True)
        self.proc.mkdir()
        (root / "flags").mkdir()
        put(self.proc / "cpuinfo", kind.cpuinfo())
        put(self.proc / "meminfo", "MemTotal:       16384000 kB\nMemAvailable:    8192000 kB")
        self.stat = self.rule(self.proc / "stat", half_busy, 512)

    def rule(self, path: Path, rule: Rule, width: int = WIDTH) -> int:
        """Let a file follow a rule; a later one for the same number replaces it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._text(rule(Moment(0.0, -1.0, False)), width))
        self._files.append((os.open(path, os.O_WRONLY), rule, width))
        return len(self._files) - 1

    def replace(self, number: int, rule: Rule) -> None:
        """Another rule for a file."""
        fd, _, width = self._files[number]
        self._files[number] = (fd, rule, width)
        os.pwrite(fd, self._text(rule(Moment(0.0, -1.0, False)), width).encode(), 0)

    def act(self, action: Callable[[Moment], None]) -> None:
        """Something else that follows the time."""
        self._actions.append(action)

    @staticmethod
    def _text(value: object, width: int) -> str:
        return f"{int(value) if isinstance(value, float) else value}".ljust(width) + "\n"

    def __enter__(self) -> Machine:
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        for fd, _, _ in self._files:
            os.close(fd)

    def _live(self) -> None:
        start_s = time.monotonic()
        began, ended = self.root / "flags/began", self.root / "flags/ended"
        began_s: float | None = None
        while not self._stop.is_set():
            now_s = time.monotonic()
            if began_s is None and began.exists():
                began_s = now_s
            moment = Moment(now_s - start_s, -1.0 if began_s is None else now_s - began_s, ended.exists())
            for fd, rule, width in self._files:
                os.pwrite(fd, self._text(rule(moment), width).encode(), 0)
            for action in self._actions:
                action(moment)
            time.sleep(0.005)

    def measure(self, seconds: float, *options: str, home: Path | None = None) -> dict[str, Any]:
        """The run's ``--json`` object of work of so many seconds, which says when it is about to end."""
        flags = self.root / "flags"
        work = f": > {flags}/began; sleep {seconds}; : > {flags}/ended; sleep 0.15"
        environ = dict(_ENVIRON)
        environ |= {
            "WATTMARK_SYSFS": str(self.sys),
            "WATTMARK_PROCFS": str(self.proc),
            "WATTMARK_DATA_DIR": str(home or self.root / "data"),
        }
        (self.root / "pyproject.toml").write_text(self._settings)
        done = subprocess.run(
            [
                *(sys.executable, "-c", "from wattmark.cli.entry import main; main()", "run", "--json", "-"),
                *options,
                *("--", "/bin/sh", "-c", work),
            ],
            cwd=self.root,
            env={**environ, **self.environ},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def put(path: Path, text: object) -> Path:
    """A small file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")
    return path


def half_busy(moment: Moment, share: float = 0.5) -> str:
    """``/proc/stat`` of CPUs that are busy half the time."""
    ticks = 100_000 + 100 * moment.t_s
    busy, idle = int(ticks * share), int(ticks * (1 - share))
    single = "\n".join(f"cpu{cpu} {busy} 0 0 {idle} 0 0 0 0 0 0" for cpu in range(CPUS))
    return f"cpu  {CPUS * busy} 0 0 {CPUS * idle} 0 0 0 0 0 0\n{single}\nbtime 1700000000"


class Sensor(NamedTuple):
    """One source of the table. build: puts it on a machine with what it says as a rule (µJ or W); the id of its channel;
    watts: what it really draws; counter: whether it counts energy."""

    build: Callable[[Machine, Rule], None]
    channel: str
    watts: float
    counter: bool


def _rapl(machine: Machine, rule: Rule) -> None:
    zone(machine, 0, rule)


def zone(machine: Machine, number: int, rule: Rule) -> None:
    """A package of powercap."""
    folder = machine.sys / f"devices/virtual/powercap/intel-rapl/intel-rapl:{number}"
    put(folder / "name", f"package-{number}")
    put(folder / "max_energy_range_uj", 262_143_328_850)
    machine.rule(folder / "energy_uj", rule)
    links = machine.sys / "class/powercap"
    links.mkdir(parents=True, exist_ok=True)
    (links / f"intel-rapl:{number}").symlink_to(folder)


def pci_card(machine: Machine, vendor: str, device: str) -> Path:
    """The folder of a graphics card's PCI device."""
    pci = machine.sys / "devices/0000:03:00.0"
    for name, value in {"vendor": vendor, "device": device, "class": "0x030000"}.items():
        put(pci / name, value)
    (machine.sys / "class/drm/card0").mkdir(parents=True)
    (machine.sys / "class/drm/card0/device").symlink_to(pci)
    (machine.sys / "bus/pci/devices").mkdir(parents=True)
    (machine.sys / "bus/pci/devices/0000:03:00.0").symlink_to(pci)
    return pci


def _watts(rule: Rule, factor: float) -> Rule:
    """A rule in watts as an integer of smaller units; what is no number stays."""

    def scaled(moment: Moment) -> object:
        value = rule(moment)
        return int(value * factor) if isinstance(value, int | float) else value

    return scaled


def _amdgpu(machine: Machine, rule: Rule) -> None:
    folder = pci_card(machine, "0x1002", "0x744c") / "hwmon/hwmon3"
    put(folder / "name", "amdgpu")
    machine.rule(folder / "power1_average", _watts(rule, 1e6))


def _intelgpu(machine: Machine, rule: Rule) -> None:
    folder = pci_card(machine, "0x8086", "0xe223") / "hwmon/hwmon5"
    put(folder / "name", "xe")
    put(folder / "energy1_label", "card")
    machine.rule(folder / "energy1_input", rule)


def _hwmon_power(machine: Machine, rule: Rule) -> None:
    folder = machine.sys / "class/hwmon/hwmon0"
    put(folder / "name", "power_meter")
    machine.rule(folder / "power1_average", _watts(rule, 1e6))


def _hwmon_energy(machine: Machine, rule: Rule) -> None:
    folder = machine.sys / "class/hwmon/hwmon0"
    put(folder / "name", "amd_energy")
    put(folder / "energy1_label", "Esocket0")
    machine.rule(folder / "energy1_input", rule)


def _battery(machine: Machine, rule: Rule) -> None:
    folder = machine.sys / "class/power_supply/BAT0"
    put(folder / "type", "Battery")
    put(folder / "status", "Discharging")
    machine.rule(folder / "power_now", _watts(rule, 1e6))


SENSORS: dict[str, Sensor] = {
    "rapl": Sensor(_rapl, "cpu0/package", 30.0, True),
    "intelgpu": Sensor(_intelgpu, "intelgpu0/card", 40.0, True),
    "hwmon energy": Sensor(_hwmon_energy, "hwmon/esocket0", 20.0, True),
    "hwmon power": Sensor(_hwmon_power, "hwmon/power_meter_1", 200.0, False),
    "amdgpu": Sensor(_amdgpu, "amdgpu0/package", 90.0, False),
    "battery": Sensor(_battery, "battery", 12.0, False),
}
NVML_CHANNEL, NVML_W = "gpu0/board", 100.0


def nvml(machine: Machine, *lines: str) -> FakeNvml:
    """The fake NVIDIA driver on a machine, beside a package that is measured."""
    fake = FakeNvml(machine.root)
    fake.state(*lines)
    machine.environ.update(fake.environ)
    return fake

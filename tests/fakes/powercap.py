"""A powercap tree in a folder, laid out as Linux does, and a writer that makes it count known watts.

In a test, without sleeping: ``tree = PowercapTree(root)``, ``tree.add_package(0)``,
``tree.set("intel-rapl:0", 5_000_000)``, or ``Writer(tree, Square(10, 90, 1.0), shares)`` with
``writer.step(t_s)``. For shows and benchmarks, as a process::

    python tests/fakes/powercap.py ROOT --watts 50 --seconds 20

``ROOT`` then stands in for /sys (``WATTMARK_SYSFS=ROOT``). It prints a line of JSON when the tree is ready
and one with the true energy when it ends (also on SIGTERM). Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time

RANGE_UJ = 262_143_328_850
"""max_energy_range_uj of a package whose energy unit is 2^-14 J, as the kernel rounds it."""
WIDTH = 20


class Constant:
    """Always the same power."""

    def __init__(self, watts: float) -> None:
        self.watts = watts

    def energy_uj(self, t_s: float) -> float:
        return self.watts * t_s * 1e6


class Square:
    """Half a period low, half a period high; exact at every moment."""

    def __init__(self, low_w: float, high_w: float, period_s: float) -> None:
        self.low_w, self.high_w, self.period_s = low_w, high_w, period_s

    def energy_uj(self, t_s: float) -> float:
        whole, rest = divmod(t_s, self.period_s)
        half = self.period_s / 2
        energy_j = whole * half * (self.low_w + self.high_w)
        energy_j += min(rest, half) * self.low_w + max(rest - half, 0.0) * self.high_w
        return energy_j * 1e6


class PowercapTree:
    """``root`` stands in for /sys. Zones are named as by the kernel: ``intel-rapl:0:1``."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.fspath(root)
        self.real = os.path.join(self.root, "devices", "virtual", "powercap")
        self.links = os.path.join(self.root, "class", "powercap")
        self.zones: dict[str, str] = {}
        self.ranges: dict[str, int] = {}
        self._fds: dict[str, int] = {}
        os.makedirs(self.links, exist_ok=True)

    def add(
        self,
        zone: str,
        name: str,
        uj: int = 1_000_000,
        range_uj: int = RANGE_UJ,
        max_power_uw: int | None = None,
        enabled: bool = True,
        link: bool = True,
    ) -> str:
        """Make a zone and give its folder; ``link=False`` leaves out the flat entry (a nested layout)."""
        kind, *numbers = zone.split(":")
        parts = [":".join([kind, *numbers[: i + 1]]) for i in range(len(numbers))]
        folder = os.path.join(self.real, kind, *parts)
        os.makedirs(folder, exist_ok=True)
        self.zones[zone] = folder
        self.ranges[zone] = range_uj
        files = {"name": name, "max_energy_range_uj": range_uj, "enabled": int(enabled)}
        if max_power_uw is not None:
            files |= {
                "constraint_0_name": "long_term",
                "constraint_0_max_power_uw": max_power_uw,
                "constraint_0_power_limit_uw": max_power_uw,
                "constraint_0_time_window_us": 976,
            }
        for file, value in files.items():
            with open(os.path.join(folder, file), "w") as out:
                out.write(f"{value}\n")
        self.set(zone, uj)
        for entry, target in ((kind, os.path.join(self.real, kind)), (zone, folder)):
            path = os.path.join(self.links, entry)
            if (link or entry == kind) and not os.path.lexists(path):
                os.symlink(os.path.relpath(target, self.links), path)
        return folder

    def add_package(
        self,
        number: int,
        domains: tuple[str, ...] = ("core", "dram"),
        die: int | None = None,
        zone: int | None = None,
        **more: int,
    ) -> str:
        """A package with its sub-domains; gives its zone."""
        top = f"intel-rapl:{number if zone is None else zone}"
        self.add(top, f"package-{number}" + ("" if die is None else f"-die-{die}"), **more)
        for i, domain in enumerate(domains):
            self.add(f"{top}:{i}", domain, **more)
        return top

    def path(self, zone: str) -> str:
        return os.path.join(self.zones[zone], "energy_uj")

    def set(self, zone: str, uj: int) -> None:
        """Write a counter in place, in one system call of one width, so that no reader sees a torn number."""
        fd = self._fds.get(zone)
        if fd is None:
            fd = self._fds[zone] = os.open(self.path(zone), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.pwrite(fd, f"{uj:<{WIDTH}}\n".encode(), 0)

    def replace(self, zone: str, content: str) -> None:
        """A new file in the place of the old one (another inode)."""
        self._close(zone)
        with open(self.path(zone) + ".new", "w") as out:
            out.write(content)
        os.replace(self.path(zone) + ".new", self.path(zone))

    def make_unreadable(self, zone: str) -> None:
        """Nobody can read it, root included: for root a file mode is no hindrance, a directory is."""
        self._close(zone)
        if os.geteuid():
            os.chmod(self.path(zone), 0)
        else:
            os.remove(self.path(zone))
            os.mkdir(self.path(zone))

    def vanish(self) -> None:
        """The whole tree goes; open file descriptors of others stay valid and stale."""
        for zone in list(self._fds):
            self._close(zone)
        shutil.rmtree(self.real, ignore_errors=True)
        shutil.rmtree(self.links, ignore_errors=True)

    def close(self) -> None:
        for zone in list(self._fds):
            self._close(zone)

    def __enter__(self) -> PowercapTree:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _close(self, zone: str) -> None:
        fd = self._fds.pop(zone, None)
        if fd is not None:
            os.close(fd)


class Writer:
    """Counters that follow a waveform: each zone takes its share of it, starts at ``start_uj`` and wraps."""

    def __init__(
        self, tree: PowercapTree, wave: Constant | Square, shares: dict[str, float], start_uj: int = 0
    ) -> None:
        self.tree, self.wave, self.shares, self.start_uj = tree, wave, shares, start_uj
        self.true_uj = dict.fromkeys(shares, 0)

    def step(self, t_s: float) -> None:
        """Bring all counters to time ``t_s`` since the start."""
        energy = self.wave.energy_uj(t_s)
        for zone, share in self.shares.items():
            uj = self.true_uj[zone] = int(energy * share)
            if os.path.isdir(self.tree.path(zone)):
                continue
            self.tree.set(zone, (self.start_uj + uj) % (self.tree.ranges[zone] + 1))


def write_cpuinfo(
    proc: str | os.PathLike[str], vendor: str, family: int = 6, hypervisor: bool = False
) -> None:
    """A /proc/cpuinfo of one processor."""
    os.makedirs(proc, exist_ok=True)
    flags = "fpu sse2" + (" hypervisor" if hypervisor else "")
    with open(os.path.join(proc, "cpuinfo"), "w") as out:
        out.write(
            f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\n"
            f"model\t\t: 85\nflags\t\t: {flags}\n\n"
        )


SHARES = {"package": 1.0, "core": 0.7, "uncore": 0.1, "dram": 0.1}


def build(args: argparse.Namespace) -> tuple[PowercapTree, dict[str, float]]:
    """The tree that the command line asks for, and each zone's share of the waveform."""
    tree = PowercapTree(args.root)
    domains = args.domains.split(",")
    more = {"uj": args.start_uj, "range_uj": args.wrap_at}
    shares: dict[str, float] = {}
    inner = tuple(d for d in domains if d not in ("package", "psys"))
    for zone in range(args.packages * args.dies):
        package, die = divmod(zone, args.dies)
        top = tree.add_package(package, inner, die if args.dies > 1 else None, zone, **more)
        shares[top] = 1.0
        shares |= {f"{top}:{i}": SHARES[domain] for i, domain in enumerate(inner)}
    if "psys" in domains:
        psys = f"intel-rapl:{args.packages * args.dies}"
        tree.add(psys, "psys", **more)
        shares[psys] = 1.5 * args.packages
    return tree, shares


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A fake powercap tree whose counters count known watts.")
    parser.add_argument("root", help="the folder that stands in for /sys")
    parser.add_argument(
        "--watts", type=float, default=50.0, help="of each package; dram takes a tenth of it on top"
    )
    parser.add_argument("--square", metavar="LOW,HIGH,PERIOD", help="instead of --watts, such as 10,90,1.0")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--domains", default="package,core,dram", help="of package,core,uncore,dram,psys")
    parser.add_argument("--packages", type=int, default=1)
    parser.add_argument(
        "--dies", type=int, default=1, help="mirrored counters, one for each die of a package"
    )
    parser.add_argument("--start-uj", type=int, default=1_000_000)
    parser.add_argument("--wrap-at", type=int, default=RANGE_UJ, help="max_energy_range_uj")
    parser.add_argument("--tick-ms", type=float, default=1.0)
    parser.add_argument("--vanish-after", type=float, help="seconds until the tree is removed")
    parser.add_argument("--unreadable", action="store_true", help="energy_uj cannot be read")
    args = parser.parse_args(argv)

    wave = Square(*map(float, args.square.split(","))) if args.square else Constant(args.watts)
    tree, shares = build(args)
    writer = Writer(tree, wave, shares, args.start_uj)
    if args.unreadable:
        for zone in shares:
            tree.make_unreadable(zone)
        writer.shares = {}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    start_ns = time.monotonic_ns()
    print(json.dumps({"event": "ready", "start_ns": start_ns, "zones": sorted(shares)}), flush=True)
    t_s, vanished_s = 0.0, None
    try:
        while t_s < args.seconds:
            if vanished_s is None:
                writer.step(t_s)
                if args.vanish_after is not None and t_s >= args.vanish_after:
                    tree.vanish()
                    vanished_s = t_s
            time.sleep(args.tick_ms / 1e3)
            t_s = (time.monotonic_ns() - start_ns) / 1e9
    except KeyboardInterrupt:
        pass
    finally:
        end = {"event": "end", "start_ns": start_ns, "end_ns": time.monotonic_ns(), "vanished_s": vanished_s}
        print(json.dumps(end | {"true_uj": writer.true_uj}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

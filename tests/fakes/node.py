"""A node in a folder: processes with CPU times, cgroups with their own counters, and packages that count."""

from __future__ import annotations

from pathlib import Path

from fakes.powercap import PowercapTree
from wattmark.sources.base import Host

SOURCES = ("rapl", "!cpu-model", "!dram-model")
"""No model stands in while a counter of tests has not moved yet."""


class FakeNode:
    """``root/proc`` and ``root/sys``; ``host`` is how the agent sees them."""

    def __init__(self, root: Path) -> None:
        self.proc, self.sys = root / "proc", root / "sys"
        self.proc.mkdir(parents=True)
        self.tree = PowercapTree(self.sys)
        self.tree.add_package(0, ())
        self.uj = 1_000_000
        self.tree.set("intel-rapl:0", self.uj)
        self.busy(0)
        (self.proc / "cpuinfo").write_text("processor : 0\n")
        (self.proc / "meminfo").write_text("MemTotal: 1000000 kB\n")

    @property
    def host(self) -> Host:
        return Host(str(self.sys), str(self.proc))

    def busy(self, ticks: int) -> None:
        """The host's busy ticks since boot."""
        (self.proc / "stat").write_text(f"cpu  {ticks} 0 0 1000000 0 0 0 0 0 0\n")

    def used(self, joules: float) -> None:
        """The package counts on."""
        self.uj += round(joules * 1e6)
        self.tree.set("intel-rapl:0", self.uj)

    def process(self, pid: int, ticks: int, cgroup: str = "/", start: int = 5, command: str = "work") -> None:
        """A process with so many ticks of its own."""
        folder = self.proc / str(pid)
        folder.mkdir(exist_ok=True)
        fields = ["S", "1", *["0"] * 9, str(ticks), "0", *["0"] * 6, str(start), *["0"] * 5]
        (folder / "stat").write_text(f"{pid} (a ) b) {' '.join(fields)}\n")
        (folder / "cgroup").write_text(f"0::{cgroup}\n")
        (folder / "cmdline").write_bytes(b"\0".join(command.encode().split(b" ")) + b"\0")

    def ended(self, pid: int) -> None:
        folder = self.proc / str(pid)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()

    def usage(self, cgroup: str, seconds: float) -> None:
        """The cgroup's own counter."""
        folder = self.sys / "fs/cgroup" / cgroup.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.stat").write_text(f"usage_usec {round(seconds * 1e6)}\nuser_usec 0\n")

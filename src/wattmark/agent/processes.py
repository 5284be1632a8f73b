"""Which processes ran: CPU time of every process of the node since the last look, at a cost that stays small.

After the first looks, a process that did not run is looked at again only at every tenth, a tenth of them at each; what it
did meanwhile is then counted at once. Processes that began and ended between two looks are not seen; their unit's own
counter has them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from wattmark.sources.base import Host

TURNS = 10
CGROUP_LOOKS = 30
"""A process may be moved to another cgroup; its own is read again so seldom."""


@dataclass(slots=True)
class Process:
    """One process. start: ticks after boot, which tells it from an older one of the same pid."""

    pid: int
    start: int
    uid: int
    cgroup: str
    ticks: int
    looked: int = 0


class ProcessTable:
    """All processes under ``host.procfs``."""

    def __init__(self, host: Host) -> None:
        self._procfs = host.proc().rstrip("/")
        self._known: dict[int, Process] = {}
        self._members: dict[str, int] = {}
        self.ended: list[tuple[int, int]] = []
        """Pid and start of the processes that the last look missed."""
        self._active: set[int] = set()
        self._names: set[str] = set()
        self._turns: list[set[int]] = [set() for _ in range(TURNS)]
        self._look = -1
        self.look()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, pid: int) -> Process | None:
        """What is known of a process that was there at the last look."""
        return self._known.get(pid)

    def cgroups(self) -> set[str]:
        """The cgroups that hold them."""
        return set(self._members)

    def look(self) -> dict[int, int]:
        """Ticks (of 10 ms, as a rule) that each process ran since it was last looked at, of those that did."""
        self._look += 1
        ran: dict[int, int] = {}
        self.ended = []
        # Most processes sleep: sets tell who is new or gone without a step of Python for each.
        names = set(filter(str.isdigit, os.listdir(self._procfs)))  # noqa: PTH208  a Path for each would cost more
        new, gone = names - self._names, self._names - names
        self._names = names
        for name in gone:
            pid = int(name)
            self._turns[pid % TURNS].discard(pid)
            if pid in self._known:
                self._drop(pid)
        due = set(map(int, new))
        for pid in due:
            self._turns[pid % TURNS].add(pid)
        due |= self._turns[self._look % TURNS] if self._look >= TURNS else set[int]().union(*self._turns)
        due |= self._active
        for pid in due:
            known = self._known.get(pid)
            stat = _stat(self._procfs, pid)
            if stat is None:
                continue
            start, ticks = stat
            if known is None or known.start != start:
                if known is not None:
                    self._drop(pid)
                known = self._new(pid, start, ticks)
                if known is None:
                    continue
                if self._look:  # it began since the last look, so all of its time is new
                    ran[pid] = ticks
            else:
                if ticks > known.ticks:
                    ran[pid] = ticks - known.ticks
                    known.ticks = ticks
                if self._look - known.looked >= CGROUP_LOOKS:
                    self._leave(known.cgroup)
                    known.cgroup, known.looked = self._cgroup(pid) or known.cgroup, self._look
                    self._members[known.cgroup] = self._members.get(known.cgroup, 0) + 1
        self._active = {pid for pid, ticks in ran.items() if ticks}
        return {pid: ticks for pid, ticks in ran.items() if ticks}

    def _new(self, pid: int, start: int, ticks: int) -> Process | None:
        try:
            uid = os.stat(f"{self._procfs}/{pid}").st_uid  # noqa: PTH116
        except OSError:
            return None
        process = Process(pid, start, uid, self._cgroup(pid) or "/", ticks, self._look)
        self._known[pid] = process
        self._members[process.cgroup] = self._members.get(process.cgroup, 0) + 1
        return process

    def _drop(self, pid: int) -> None:
        process = self._known.pop(pid)
        self.ended.append((pid, process.start))
        self._leave(process.cgroup)

    def _leave(self, cgroup: str) -> None:
        left = self._members[cgroup] - 1
        if left:
            self._members[cgroup] = left
        else:
            del self._members[cgroup]

    def _cgroup(self, pid: int) -> str | None:
        """The path of its cgroup: version 2's, else that of CPU accounting."""
        try:
            text = _read(f"{self._procfs}/{pid}/cgroup", 8192).decode("utf-8", "replace")
        except OSError:
            return None
        if text.startswith(
            "0::"
        ):  # version 2 alone, as most machines have it: short-lived processes make this dear
            return text[3:].partition("\n")[0] or None
        paths = dict(line.split(":", 2)[1:] for line in text.splitlines() if line.count(":") >= 2)
        if paths.get(""):
            return paths[""]
        return next((path for names, path in paths.items() if "cpuacct" in names.split(",")), None)

    def command_line(self, process: Process) -> list[str]:
        """Its words as the kernel has them; none if it is gone, or its pid or user is another's by now."""
        folder = f"{self._procfs}/{process.pid}"
        try:
            with open(f"{folder}/cmdline", "rb") as file:
                words = file.read(4096).rstrip(b"\0").split(b"\0")
            uid = os.stat(folder).st_uid  # noqa: PTH116
        except OSError:
            return []
        now = _stat(self._procfs, process.pid)
        if now is None or now[0] != process.start or uid != process.uid:
            return []
        return [word.decode("utf-8", "replace") for word in words]


def _stat(procfs: str, pid: int) -> tuple[int, int] | None:
    """Start and own CPU time, in ticks (proc_pid_stat(5), fields 22, 14 and 15)."""
    try:
        fields = _read(f"{procfs}/{pid}/stat", 1024).rpartition(b")")[2].split()
        return int(fields[19]), int(fields[11]) + int(fields[12])
    except (OSError, IndexError, ValueError):
        return None


def _read(path: str, most: int) -> bytes:
    """The beginning of a file, at half the cost of a file object. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, most)
    finally:
        os.close(fd)

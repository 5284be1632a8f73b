"""CPU time of a process tree, exited children included, read from procfs at a cost that stays negligible.

A child's time moves to its parent's ``cutime`` when the parent collects it, and is lost where nobody does (an
ignored SIGCHLD, a parent that died first). The walk therefore keeps what it last knew of every process and counts
each second once. Standard library only.
"""

from __future__ import annotations

import os

_TICKS_PER_S = float(os.sysconf("SC_CLK_TCK"))


class _Known:
    __slots__ = ("children_s", "own_s", "parent", "start")

    def __init__(self, parent: int, start: int) -> None:
        self.parent = parent
        self.start = start
        self.own_s = 0.0
        self.children_s = 0.0


class ProcessTree:
    """Cumulative CPU seconds of ``roots`` and all that they start, since this object was made.

    Processes that lose their parent are followed on. ``skip`` holds pids that do not count (the recorder's own).
    """

    def __init__(self, roots: list[int], skip: set[int], procfs: str = "/proc") -> None:
        self._roots = list(roots)
        self._skip = skip
        self._procfs = procfs
        self._known: dict[int, _Known] = {}
        self._total_s = 0.0
        self._scan(first=True)

    def add_root(self, pid: int) -> None:
        """Follow another process; all of its time so far counts."""
        self._roots.append(pid)

    def drop_root(self, pid: int) -> None:
        """No longer follow a process by itself (its children, once known, are followed on)."""
        self._roots = [root for root in self._roots if root != pid]
        self._known.pop(pid, None)
        self._skip.add(pid)

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the tree at the last look."""
        return tuple(self._known)

    def cpu_s(self) -> float:
        """Look again and give the cumulative CPU seconds."""
        self._scan(first=False)
        return self._total_s

    def _scan(self, *, first: bool) -> None:
        seen: set[int] = set()
        collected: dict[int, float] = {}
        waiting = [*self._roots, *self._known]
        while waiting:
            pid = waiting.pop()
            if pid in seen or pid in self._skip:
                continue
            stat = _stat(self._procfs, pid)
            known = self._known.get(pid)
            if stat is None or (known is not None and known.start != stat[1]):
                continue
            seen.add(pid)
            parent, start, own_s, children_s = stat
            if known is None:
                known = self._known[pid] = _Known(parent, start)
                if first:
                    known.own_s, known.children_s = own_s, children_s
            self._total_s += max(0.0, own_s - known.own_s)
            if children_s > known.children_s:
                collected[pid] = children_s - known.children_s
            known.own_s, known.children_s, known.parent = own_s, children_s, parent
            waiting.extend(children_of(pid, self._procfs))
        for pid in [pid for pid in self._known if pid not in seen]:
            gone = self._known.pop(pid)
            if gone.parent in collected:
                collected[gone.parent] -= gone.own_s + gone.children_s
        self._total_s += sum(max(0.0, extra) for extra in collected.values())


def _stat(procfs: str, pid: int) -> tuple[int, int, float, float] | None:
    """Parent, start ticks, own CPU seconds and collected children's CPU seconds, or None when it is gone."""
    try:
        with open(f"{procfs}/{pid}/stat", "rb", buffering=0) as file:
            text = file.read(4096)
    except OSError:
        return None
    fields = text[text.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    own = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    collected = (int(fields[13]) + int(fields[14])) / _TICKS_PER_S
    return int(fields[1]), int(fields[19]), own, collected


def start_ticks(pid: int, procfs: str = "/proc") -> int | None:
    """When a process started, in ticks since boot; with the pid it names a process for good. None: no such process."""
    stat = _stat(procfs, pid)
    return None if stat is None else stat[1]


def is_alive(pid: int, ticks: int | None, procfs: str = "/proc") -> bool:
    """Whether the process that had ``pid`` and started at ``ticks`` still runs (a zombie does not)."""
    try:
        with open(f"{procfs}/{pid}/stat", "rb", buffering=0) as file:
            fields = file.read(4096).rpartition(b")")[2].split()
    except OSError:
        return False
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return False
    return ticks is None or int(fields[19]) == ticks


def is_stopped(pid: int, procfs: str = "/proc") -> bool:
    """Whether a process does not run because somebody stopped it (SIGSTOP, a debugger)."""
    try:
        with open(f"{procfs}/{pid}/stat", "rb", buffering=0) as file:
            return file.read(4096).rpartition(b")")[2].split()[:1] in ([b"T"], [b"t"])
    except OSError:
        return False


def children_of(pid: int, procfs: str = "/proc") -> list[int]:
    """The processes that a process has started and that are its children now."""
    found: list[int] = []
    try:
        for task in os.listdir(f"{procfs}/{pid}/task"):
            with open(f"{procfs}/{pid}/task/{task}/children", "rb", buffering=0) as file:
                found.extend(map(int, file.read(65536).split()))
    except OSError:
        return found
    return found


def host_busy_s(procfs: str = "/proc") -> float | None:
    """Busy CPU seconds of the whole host since boot (all but idle, iowait and steal), or None."""
    try:
        with open(f"{procfs}/stat", "rb", buffering=0) as file:
            fields = file.read(512).split(b"\n", 1)[0].split()
    except OSError:
        return None
    if len(fields) < 8 or fields[0] != b"cpu" or not all(field.isdigit() for field in fields[1:8]):
        return None
    user, nice, system, _idle, _iowait, irq, softirq = map(int, fields[1:8])
    return (user + nice + system + irq + softirq) / _TICKS_PER_S

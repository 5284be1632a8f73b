"""Watching other processes from outside: who they are, their CPU time and memory, and when they read a file."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import signal
import struct
import threading
import time
from pathlib import Path

TOKEN = "WATTMARK_BENCH_TOKEN"
_ACCESS = 0x1
_libc = ctypes.CDLL(None, use_errno=True)


def family(token: str, root: int | None = None) -> set[int]:
    """Living processes that carry ``token`` in their environment, and descendants of ``root``."""
    mark = f"{TOKEN}={token}".encode()
    parents: dict[int, int] = {}
    found = {root} if root else set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
            if stat[0] in "ZX":
                found.discard(int(entry))
                continue
            parents[int(entry)] = int(stat[1])
            if mark in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                found.add(int(entry))
        except OSError:
            continue
    grew = True
    while grew:
        children = {pid for pid, parent in parents.items() if parent in found}
        grew = not children <= found
        found |= children
    return {pid for pid in found if pid in parents}


def end(pids: set[int]) -> None:
    """Kill these processes, by id."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def cpu_s(pids: set[int]) -> dict[int, float]:
    """CPU seconds of each process with its ended threads, to the nanosecond (POSIX CPU-time clocks)."""
    found: dict[int, float] = {}
    for pid in pids:
        try:
            found[pid] = time.clock_gettime((~pid << 3) | 2)  # as clock_getcpuclockid(3) makes it
        except OSError:
            continue
    return found


def memory_mb(pids: set[int]) -> float:
    """Proportional set size of all of them: shared pages are counted once."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1000


class ReadWatch:
    """Moments (monotonic ns) at which anybody reads from a file, seen through inotify.

    The same for a thread, another process, an open descriptor or a file opened anew, so no peer needs a patch.
    """

    def __init__(self, path: str) -> None:
        self.times_ns: list[int] = []
        self._fd = _libc.inotify_init1(os.O_CLOEXEC)
        if self._fd < 0 or _libc.inotify_add_watch(self._fd, path.encode(), _ACCESS) < 0:
            raise OSError(ctypes.get_errno(), "inotify", path)
        self._path = path
        self._stop = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        with contextlib.suppress(PermissionError):
            # this thread only: events that are not read at once are merged by the kernel
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -15)
        size = struct.calcsize("iIII")
        while not self._stop:
            events = len(os.read(self._fd, 4096)) // size
            self.times_ns.extend([time.monotonic_ns()] * events)

    def close(self) -> list[int]:
        """The times; one reading of our own wakes the thread and is not among them."""
        self._stop = True
        Path(self._path).read_text()
        self._thread.join(1.0)
        os.close(self._fd)
        return self.times_ns


def on_schedule(times_ns: list[int], begin_ns: int, end_ns: int, period_s: float) -> dict[str, float]:
    """Share of the readings due in an interval that were made, and the longest time without one.

    Readings closer than a quarter of a period count as one (some tools read a counter twice). ``on_schedule`` is the
    share of the slots of one period, counted from the first reading, in which there is a reading; a reading that is
    late by less than half a period is in its slot.
    """
    period = period_s * 1e9
    kept: list[int] = []
    for t in times_ns:
        if begin_ns <= t <= end_ns and (not kept or t - kept[-1] >= period / 4):
            kept.append(t)
    due = (end_ns - begin_ns) / period
    edges = [begin_ns, *kept, end_ns]
    gaps = [b - a for a, b in itertools.pairwise(edges)]
    slots = {round((t - kept[0]) / period) for t in kept} if kept else set()
    return {
        "readings": len(kept),
        "due": due,
        "rate": len(kept) / due,
        "on_schedule": min(1.0, len(slots) / due),
        "longest_gap_ms": max(gaps) / 1e6,
    }

"""The first line of ``/proc/stat``: cumulative CPU time of all CPUs."""

from __future__ import annotations

from typing import NamedTuple


class Ticks(NamedTuple):
    """Cumulative CPU time of all CPUs, in ticks."""

    busy: int
    idle: int
    stolen: int


def parse_stat(line: bytes) -> Ticks | None:
    """The first line of ``/proc/stat``: user nice system idle iowait irq softirq steal; guest time is already
    in user.

    Waiting for a disk is idle for the CPU. Stolen time is wall time in which other guests ran: part of the
    time, not busy.
    """
    fields = line.split()
    if len(fields) < 5 or fields[0] != b"cpu" or not all(f.isdigit() for f in fields[1:]):
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = ([int(f) for f in fields[1:9]] + [0] * 8)[:8]
    return Ticks(user + nice + system + irq + softirq, idle + iowait, steal)

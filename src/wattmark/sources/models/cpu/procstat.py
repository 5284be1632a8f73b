"""CPU times in ``/proc/stat``, and what they are worth: containers show zeros (gVisor), a line of zeros before the real
one, or an idle time that stands still or is nonsense (lxcfs). So they are held against the time that passed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

TICKS_A_S = os.sysconf("SC_CLK_TCK")
LEAST_SHARE, MOST_SHARE = 0.7, 1.3
"""CPU times add up if they are this much of the elapsed time x CPUs, give or take a few ticks of each CPU. An unplugged CPU
or a throttled guest may take away some; more than the time that there was cannot be."""
SLACK_TICKS = 1.5


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


def by_cpu(stat: bytes) -> dict[int, Ticks]:
    """The time of each CPU that the file has a line for."""
    found: dict[int, Ticks] = {}
    for line in stat.split(b"\n"):
        if line[:3] == b"cpu" and line[3:4].isdigit():
            name, _, rest = line.partition(b" ")
            ticks = parse_stat(b"cpu " + rest)
            if ticks and name[3:].isdigit():
                found[int(name[3:])] = ticks
    return found


def busy_cpus(
    before: Mapping[int, Ticks], after: Mapping[int, Ticks], cpus: Sequence[int], elapsed_s: float
) -> float | None:
    """How many of some CPUs were busy, on average; None where their times do not add up."""
    mine = [cpu for cpu in cpus if cpu in before and cpu in after]
    if not mine:
        return None
    sums = [Ticks(*map(sum, zip(*(seen[cpu] for cpu in mine), strict=True))) for seen in (before, after)]
    share = share_busy(sums[0], sums[1], elapsed_s, len(mine))
    return None if share is None else share * len(mine)


def candidates(stat: bytes) -> dict[str, Ticks]:
    """What the file offers as the time of all CPUs: each line that begins with ``cpu``, and the sum of the single CPUs."""
    lines = stat.split(b"\n")
    single = [
        ticks
        for line in lines
        if line[:3] == b"cpu"
        and line[3:4].isdigit()
        and (ticks := parse_stat(b"cpu " + line.partition(b" ")[2]))
    ]
    whole = [ticks for line in lines if line[:4] == b"cpu " and (ticks := parse_stat(line))]
    found = {f"line {number}": ticks for number, ticks in enumerate(whole)}
    if single:
        found["sum"] = Ticks(*(sum(column) for column in zip(*single, strict=True)))
    return found


def share_busy(before: Ticks, after: Ticks, elapsed_s: float, cpus: int) -> float | None:
    """Utilisation (0..1) between two readings ``elapsed_s`` apart, or None where the times do not add up.

    Each counter may step back a little (iowait does, by design, and all do when a CPU is unplugged).
    """
    busy = max(0, after.busy - before.busy)
    total = busy + max(0, after.idle - before.idle) + max(0, after.stolen - before.stolen)
    expected, slack = elapsed_s * TICKS_A_S * cpus, SLACK_TICKS * cpus
    if not LEAST_SHARE * expected - slack <= total <= MOST_SHARE * expected + slack or total <= 0:
        return None
    return busy / total


def utilisation(
    before: dict[str, Ticks], after: dict[str, Ticks], elapsed_s: float, cpus: int
) -> float | None:
    """:func:`share_busy` of the first candidate that adds up; None if none does."""
    shares: Sequence[float | None] = [
        share_busy(before[name], ticks, elapsed_s, cpus) for name, ticks in after.items() if name in before
    ]
    return next((share for share in shares if share is not None), None)

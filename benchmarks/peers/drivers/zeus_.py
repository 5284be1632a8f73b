"""Zeus: ``ZeusMonitor`` with ``begin_window`` and ``end_window``; it has no sampler for CPUs and no period."""

from __future__ import annotations

import time
from pathlib import Path

MODULE = "zeus.monitor"
SAMPLES = False
SETTINGS = "ZeusMonitor(gpu_indices=[]), CPU and DRAM energies summed; no sampler, no period"


def monitor(folder):
    from zeus.monitor import ZeusMonitor

    return ZeusMonitor(gpu_indices=[], log_file=folder + "/zeus.csv")


def joules(measurement):
    parts = [measurement.cpu_energy or {}, measurement.dram_energy or {}]
    return float(sum(sum(part.values()) for part in parts))


def measure(work, period_s, folder):
    meter = monitor(folder)
    meter.begin_window("work", sync_execution=False)
    work()
    return joules(meter.end_window("work", sync_execution=False))


def windows(n, folder):
    meter = monitor(folder)
    seconds = []
    for i in range(n + 1):
        begin = time.perf_counter()
        meter.begin_window(str(i), sync_execution=False)
        meter.end_window(str(i), sync_execution=False)
        if i:
            seconds.append(time.perf_counter() - begin)
    return seconds


def spans(n, folder):
    found = windows(min(n, 300), folder)
    return sum(found) / len(found)


def saved(folder):
    """Its log has a line for every window that ended, with the energies of GPUs only."""
    lines = [line for path in Path(folder).glob("zeus.csv") for line in path.read_text().splitlines()]
    return None if len(lines) < 2 else 0.0

"""Eco2AI: ``Tracker``; it reads no counters: a TDP of the CPU times the measured process's own share of it."""

from __future__ import annotations

import csv
import glob
import time

MODULE = "eco2ai"
SETTINGS = "Tracker(measure_period=period, alpha_2_code='FR', cpu_processes='current')"


def tracker(period_s, folder):
    from eco2ai import Tracker

    return Tracker(
        project_name="bench",
        experiment_description="bench",
        file_name=folder + "/emission.csv",
        measure_period=period_s,
        alpha_2_code="FR",
        ignore_warnings=True,
    )


def measure(work, period_s, folder):
    meter = tracker(period_s, folder)
    meter.start()
    work()
    meter.stop()
    return meter.consumption() * 3.6e6 or saved(folder)


def windows(n, folder):
    meter = tracker(1.0, folder)
    seconds = []
    for i in range(n + 1):
        begin = time.perf_counter()
        meter.start()
        meter.stop()
        if i:
            seconds.append(time.perf_counter() - begin)
    return seconds


def saved(folder):
    for path in glob.glob(folder + "/emission.csv"):
        with open(path) as file:
            rows = list(csv.DictReader(file))
        if rows:
            return float(rows[-1]["power_consumption(kWh)"]) * 3.6e6
    return None

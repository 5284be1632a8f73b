"""What metrics of power and energy mean: those of well-known exporters by name, others by the unit that ends their name.

Names: DCGM field identifiers (docs.nvidia.com/datacenter/dcgm: ``POWER_USAGE`` in W, ``TOTAL_ENERGY_CONSUMPTION`` in mJ
since the driver was loaded), node_exporter (collectors rapl, hwmon), utkuozdemir/nvidia_gpu_exporter, Kepler, Scaphandre,
ipmi_exporter, amd_smi_exporter, Prometheus's "Metric and label naming" (base units as endings).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from wattmark.errors import ConfigError
from wattmark.sources.base import Accuracy, Component

_UNKNOWN = "the exporter says nothing of its accuracy: 10 % is assumed, as of power sensors of servers without a validation"
_NVML = (
    "NVML's own (documented +-5 %), and part of the time only on A100 and H100 (Yang, Adamek and Armour 2024)"
)
ASSUMED = Accuracy(0.10, 0.10, 0.0, _UNKNOWN, 0.03, 0.03)
_GPU = Accuracy(0.10, 0.10, 0.0, _NVML, 0.087, 0.087)
_RAPL = Accuracy(
    0.10, 0.15, 2.0, "RAPL of a processor that is not known here: the widest of the usual ones", 0.08, 0.10
)


class Meaning(NamedTuple):
    """scale: joules (of a counter) or watts (of a gauge) that 1 stands for. counter: it counts energy and only grows. live:
    it is read when it is asked for; else it may be as old as the time between two samples."""

    scale: float
    counter: bool
    component: Component
    accuracy: Accuracy = ASSUMED
    live: bool = False


KNOWN: dict[str, Meaning] = {
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": Meaning(1e-3, True, "gpu", _GPU),
    "DCGM_FI_DEV_POWER_USAGE": Meaning(1.0, False, "gpu", _GPU),
    "DCGM_FI_DEV_POWER_USAGE_INSTANT": Meaning(1.0, False, "gpu", _GPU),
    "nvidia_smi_power_draw_watts": Meaning(1.0, False, "gpu", _GPU, live=True),
    "nvidia_gpu_power_usage_milliwatts": Meaning(1e-3, False, "gpu", _GPU),
    "amd_gpu_power": Meaning(1e-6, False, "gpu"),
    "gpu_package_power": Meaning(1.0, False, "gpu"),
    "node_rapl_package_joules_total": Meaning(1.0, True, "cpu", _RAPL, live=True),
    "node_rapl_dram_joules_total": Meaning(1.0, True, "dram", _RAPL, live=True),
    "kepler_node_cpu_joules_total": Meaning(1.0, True, "cpu", _RAPL),
    "kepler_node_platform_joules_total": Meaning(1.0, True, "host"),
    "ipmi_dcmi_power_consumption_watts": Meaning(1.0, False, "host", live=True),
    "scaph_host_power_microwatts": Meaning(1e-6, False, "host"),
}
"""The first of a component is taken where an exporter has several: counters before gauges."""
_UNITS: dict[str, tuple[float, bool]] = {
    "J": (1.0, True), "kJ": (1e3, True), "mJ": (1e-3, True), "uJ": (1e-6, True), "Wh": (3.6e3, True), "kWh": (3.6e6, True),
    "W": (1.0, False), "kW": (1e3, False), "mW": (1e-3, False), "uW": (1e-6, False),
}  # fmt: skip
_ENDINGS = {
    "microjoules": "uJ", "millijoules": "mJ", "kilojoules": "kJ", "joules": "J", "kwh": "kWh", "watt_hours": "Wh",
    "microwatts": "uW", "milliwatts": "mW", "kilowatts": "kW", "watts": "W", "watt": "W",
}  # fmt: skip
_RATE = re.compile(r"\b(?:i?rate|deriv)\s*\(")
_NAME = re.compile(r"[a-zA-Z_:][\w:]*")


def meaning_of(expression: str, unit: str | None = None, component: str | None = None) -> Meaning:
    """What the numbers of a metric, or of an expression over one, are. unit: as the user named it, one of :data:`_UNITS`.

    Raises ConfigError where nothing tells the unit.
    """
    found = next((KNOWN[name] for name in _NAME.findall(expression) if name in KNOWN), None)
    if unit is not None:
        if unit not in _UNITS:
            raise ConfigError(f"{unit!r} is no unit of energy or power", hint=f"one of {', '.join(_UNITS)}")
        scale, counter = _UNITS[unit]
    elif found is not None:
        scale, counter = found.scale, found.counter
    else:
        ending = next((own for name in _NAME.findall(expression) if (own := _ending(name)) is not None), None)
        if ending is None:
            raise ConfigError(
                f"the unit of {expression!r} is not known",
                hint="add &unit=W (a gauge) or &unit=J (a counter)",
            )
        scale, counter = _UNITS[ending]
    if counter and unit is None and _RATE.search(expression):  # joules a second
        counter = False
    known: Component = found.component if found is not None else _component(expression)
    accuracy, live = (ASSUMED, False) if found is None else (found.accuracy, found.live)
    return Meaning(scale, counter, _named(component) or known, accuracy, live)


def _ending(name: str) -> str | None:
    plain = name.removesuffix("_total").removesuffix("_sum")
    return next((unit for ending, unit in _ENDINGS.items() if plain.lower().endswith(ending)), None)


def _component(expression: str) -> Component:
    """By the words in the name: a whole machine unless it says otherwise."""
    text = expression.lower()
    if "gpu" in text or "accelerator" in text or "nvidia" in text:
        return "gpu"
    return "dram" if "dram" in text else "cpu" if "cpu" in text or "package" in text else "host"


def _named(component: str | None) -> Component | None:
    if component is None:
        return None
    for known in ("cpu", "gpu", "dram", "soc", "host"):
        if component == known:
            return known
    raise ConfigError(f"{component!r} is no component", hint="one of cpu, gpu, dram, soc, host")

"""Watts of a CPU package at a given utilisation, for CPUs that cannot be asked.

The model (docs/science/cpu-model.md):

    P(u) = softmin(idle + wake * (1 - exp(-u * threads)) + cores * core_w * (GHz / 2.7)^2 * f(u),  limit)
    f(u) = (1 - exp(-k * u)) / (1 - exp(-k))

``idle`` is the package asleep; ``wake`` is what its fabric, caches and memory controllers add as soon as one
thread runs; the cores' share f is concave because one busy hyper-thread already draws most of its core's
watts and because few busy cores clock higher; ``limit`` is the sustained power limit, a multiple of thermal
design power (TDP). Only parts with many or fast cores for their TDP reach the limit: an 8-core 90 W server
part draws about 50 W at full load.

The parameters are in ``CURVES``; ``tools/fit_cpu_curves.py`` fits them to measurements of the package (RAPL
and equivalent) and prints the table. Standard library only.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from wattmark.sources.models.cpu.names import CpuPart, Match

REFERENCE_GHZ = 2.7
_SHARPNESS = 6  # of the bend at the power limit: 11 % below it where demand equals it


class Curve(NamedTuple):
    """Parameters of one kind of CPU; ``*_share`` are fractions of TDP, ``core_w`` is watts per busy core at
    2.7 GHz."""

    idle_share: float
    wake_share: float
    core_w: float
    curvature: float
    limit: float


class Estimate(NamedTuple):
    """Watts with an interval that should hold the truth nine times in ten."""

    value: float
    low: float
    high: float


class HostWatts(NamedTuple):
    """Watts of a whole server per thread, idle and full, and how far single servers are from them."""

    idle_w: float
    full_w: float
    spread_low: float
    spread_high: float


# --- fitted: paste the output of tools/fit_cpu_curves.py ----------------------------------------
CURVES: dict[str, Curve] = {
    "intel-ep": Curve(0.088, 0.048, 5.51, 1.35, 1.00),
    "intel-mesh": Curve(0.177, 0.054, 6.50, 1.49, 1.00),
    "intel-10nm": Curve(0.230, 0.053, 4.67, 1.51, 1.00),
    "intel-new": Curve(0.230, 0.053, 3.63, 1.51, 1.00),
    "intel-hedt": Curve(0.093, 0.054, 5.93, 1.51, 1.20),
    "intel-client": Curve(0.026, 0.043, 5.98, 1.40, 1.25),
    "intel-client-hybrid": Curve(0.028, 0.044, 4.67, 1.51, 1.80),
    "intel-client-xeon": Curve(0.037, 0.044, 5.71, 1.51, 1.10),
    "intel-mobile": Curve(0.083, 0.053, 4.67, 1.51, 1.10),
    "intel-atom": Curve(0.138, 0.053, 1.56, 1.51, 1.00),
    "amd-old": Curve(0.184, 0.053, 6.23, 1.51, 1.00),
    "amd-epyc-zen1": Curve(0.230, 0.089, 4.67, 1.51, 1.00),
    "amd-epyc": Curve(0.241, 0.087, 3.19, 1.55, 1.00),
    "amd-hedt": Curve(0.184, 0.071, 4.15, 1.51, 1.00),
    "amd-zen1": Curve(0.148, 0.074, 5.42, 1.51, 1.35),
    "amd-am4": Curve(0.202, 0.071, 3.43, 1.51, 1.35),
    "amd-am5": Curve(0.147, 0.069, 2.86, 1.51, 1.35),
    "amd-apu": Curve(0.110, 0.071, 3.43, 1.51, 1.35),
    "amd-mobile": Curve(0.110, 0.071, 3.11, 1.51, 1.20),
    "arm-server": Curve(0.184, 0.053, 1.87, 1.51, 1.00),
    "arm-small": Curve(0.230, 0.053, 1.25, 1.51, 1.00),
    "apple": Curve(0.018, 0.027, 2.60, 1.51, 1.20),
    "generic": Curve(0.156, 0.071, 4.36, 1.51, 1.05),
}

# --- fitted: paste the output of tools/fit_specpower.py ----------------------------------------
# Medians of SPECpower_ssj2008 results 2007-2026 (spec.org/power_ssj2008; rows collected by ccf-coefficients
# b0032d9).
HOST_WATTS: dict[str, HostWatts] = {
    "epyc-1": HostWatts(0.74, 2.32, 0.90, 1.22),  # 10 results
    "epyc-2": HostWatts(0.44, 1.66, 0.89, 1.17),  # 36 results
    "epyc-3": HostWatts(0.42, 1.92, 0.83, 1.18),  # 28 results
    "epyc-4": HostWatts(0.32, 1.65, 0.72, 2.13),  # 72 results
    "epyc-5": HostWatts(0.21, 1.17, 0.93, 1.70),  # 41 results
    "amd-client": HostWatts(1.13, 4.35, 0.80, 1.00),  # 4 results
    "opteron": HostWatts(3.72, 11.62, 0.77, 2.88),  # 65 results
    "arm": HostWatts(0.62, 1.92, 0.57, 1.02),  # 7 results
    "xeon-6": HostWatts(0.64, 2.66, 0.43, 1.15),  # 50 results
    "xeon-client": HostWatts(2.16, 7.38, 0.38, 4.27),  # 112 results
    "xeon-d": HostWatts(1.62, 4.23, 0.99, 1.00),  # 4 results
    "xeon-4-5": HostWatts(0.86, 3.81, 0.68, 1.57),  # 101 results
    "xeon-3": HostWatts(0.92, 4.12, 0.78, 1.23),  # 51 results
    "xeon-1-2": HostWatts(0.55, 4.08, 0.77, 1.12),  # 155 results
    "xeon-v3-v4": HostWatts(0.60, 3.76, 0.74, 1.18),  # 33 results
    "xeon-v1-v2": HostWatts(1.75, 7.88, 0.71, 1.62),  # 123 results
    "xeon-old": HostWatts(4.27, 12.21, 0.68, 4.79),  # 193 results
    "other": HostWatts(1.12, 4.45, 0.30, 6.85),  # 1088 results
}

# The family (label in data/cpu_families.tsv) starts with one of these.
_HOST_KINDS = (
    ("AMD EPYC Naples", "epyc-1"),
    ("Hygon", "epyc-1"),
    ("AMD EPYC Rome", "epyc-2"),
    ("AMD EPYC Milan", "epyc-3"),
    ("AMD EPYC Genoa", "epyc-4"),
    ("AMD EPYC Bergamo", "epyc-4"),
    ("AMD EPYC Turin", "epyc-5"),
    ("AMD Bulldozer", "opteron"),
    ("AMD K10", "opteron"),
    ("AMD", "amd-client"),
    ("Arm", "arm"),
    ("Ampere", "arm"),
    ("Intel Granite", "xeon-6"),
    ("Intel Sierra", "xeon-6"),
    ("Intel Sapphire", "xeon-4-5"),
    ("Intel Emerald", "xeon-4-5"),
    ("Intel Ice Lake-SP", "xeon-3"),
    ("Intel Cooper", "xeon-3"),
    ("Intel Cascade", "xeon-1-2"),
    ("Intel Skylake-SP", "xeon-1-2"),
    ("Intel Broadwell-EP", "xeon-v3-v4"),
    ("Intel Haswell-EP", "xeon-v3-v4"),
    ("Intel Broadwell-DE", "xeon-d"),
    ("Intel Ice Lake-D", "xeon-d"),
    ("Intel Sandy Bridge-EP", "xeon-v1-v2"),
    ("Intel Ivy Bridge-EP", "xeon-v1-v2"),
    ("Intel Nehalem", "xeon-old"),
    ("Intel Westmere", "xeon-old"),
    ("Intel CPU", "other"),
    ("Intel", "xeon-client"),
)

# How far the truth may be from the model, as fractions of the model, by how well the part is known: (low,
# high). The first is the spread of leave-one-CPU-out errors (benchmarks/cpu_model_accuracy.py counts how
# often it holds: 94 %). The others add what not knowing the part costs: in data/cpu_parts.tsv one standard
# deviation of TDP is a factor 1.3 within a generation of servers, 1.7 within EPYC or Xeon and 2.6 over all
# parts.
_SPREAD: dict[Match, tuple[float, float]] = {
    "part": (0.45, 0.50),
    "family": (0.50, 0.80),
    "vendor": (0.70, 1.90),
    "generic": (0.80, 3.00),
}
CHARACTER = (0.21, 0.28)
"""What of the spread depends on the work (low, high): sd 0.13 of ln watts between loads of one machine."""
_SPECIMEN = (0.27, 0.37)
"""And on this machine's configuration (boost, power limit, sleep states): sd 0.17 between machines with one part."""
_ABSOLUTE_SHARE = 0.03
"""Of TDP, both ways: idle power depends on firmware settings more than on the part."""


def package_power_w(part: CpuPart, utilisation: float) -> Estimate:
    """Watts of one package of ``part`` at ``utilisation`` (0..1 of its threads; clamped): what RAPL's package
    domain would say.

    Examples: ``package_power_w(identify(parse_cpuinfo(text)), 0.5)``.
    """
    value = curve_power_w(CURVES[part.curve], part, utilisation)
    low, high, absolute_w = package_spread(part)
    return Estimate(value, max(0.0, value * (1 - low) - absolute_w), value * (1 + high) + absolute_w)


def curve_share(low: float, high: float) -> tuple[float, float]:
    """What of the spread ``low``, ``high`` is common to all machines with one part."""
    rest = (
        whole**2 - character**2 - specimen**2
        for whole, character, specimen in zip((low, high), CHARACTER, _SPECIMEN, strict=True)
    )
    below, above = (math.sqrt(max(0.0, part)) for part in rest)
    return below, above


def package_spread(part: CpuPart) -> tuple[float, float, float]:
    """Relative low, relative high and absolute watts (one package) of the interval of
    :func:`package_power_w`."""
    low, high = _SPREAD[part.match]
    return low, high, _ABSOLUTE_SHARE * part.tdp_w


def host_share_power_w(part: CpuPart, utilisation: float) -> Estimate:
    """Watts of a whole server (at the wall, power supply included) for the threads of one package of
    ``part``.

    Linear between idle and full: only the two ends are in the data at hand.
    """
    host = HOST_WATTS[host_kind(part)]
    u = min(1.0, max(0.0, utilisation))
    value = part.threads * (host.idle_w + (host.full_w - host.idle_w) * u)
    low, high, _ = host_spread(part)
    return Estimate(value, value * (1 - low), value * (1 + high))


def host_spread(part: CpuPart) -> tuple[float, float, float]:
    """Relative low, relative high and absolute watts of the interval of :func:`host_share_power_w`.

    SPECpower results are of servers tuned and stripped for the benchmark, so the high side gets 50 % more.
    """
    host = HOST_WATTS[host_kind(part)]
    return max(0.2, 1 - host.spread_low), max(0.2, host.spread_high - 1) + 0.5, 0.0


def host_kind(part: CpuPart) -> str:
    """The row of :data:`HOST_WATTS` for the part's family."""
    return next((kind for start, kind in _HOST_KINDS if part.family.startswith(start)), "other")


def curve_power_w(curve: Curve, part: CpuPart, utilisation: float) -> float:
    """The formula at the top of this file."""
    u = min(1.0, max(0.0, utilisation))
    # Without hyper-threading a busy logical CPU is a whole core, so the cores' share is nearly linear.
    k = curve.curvature if part.threads_per_core > 1 else curve.curvature / 3
    wake = curve.wake_share * part.tdp_w * (1 - math.exp(-u * part.threads))
    busy = (1 - math.exp(-k * u)) / (1 - math.exp(-k))
    cores = part.cores * curve.core_w * (part.all_core_ghz / REFERENCE_GHZ) ** 2 * busy
    demand = curve.idle_share * part.tdp_w + wake + cores
    limit = curve.limit * part.tdp_w
    return (demand**-_SHARPNESS + limit**-_SHARPNESS) ** (-1 / _SHARPNESS)

"""Watts of a CPU package at a given utilisation and clock, for CPUs that cannot be asked.

The model (docs/science/cpu-model.md):

    P(u) = softmin(idle + wake * (1 - exp(-u * threads)) + cores * core_w * g * (f(u) + s * (1 - f(u))),  limit)
    f(u) = (1 - exp(-k * u)) / (1 - exp(-k)),   g = (nominal GHz / 2.7)^2 * r * max(r, 1/2)^(q - 1),   r = GHz / nominal GHz

``idle`` is the package asleep; ``wake`` is what its fabric, caches and memory controllers add as soon as one
thread runs; the cores' share f is concave because one busy hyper-thread already draws most of its core's
watts and because few busy cores clock higher; ``limit`` is the sustained power limit, a multiple of thermal
design power (TDP). Only parts with many or fast cores for their TDP reach the limit: an 8-core 90 W server
part draws about 50 W at full load. ``r`` is 1 where the clock is not read; where it is, f is less concave, as
the boost of few cores is seen. Voltage goes down with the clock until it reaches its floor (half the nominal
clock here). ``s`` is what an idle core draws of a busy one where the kernel may not let it sleep.

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
    2.7 GHz, ``clock_exponent`` is q: desktop parts run at the steep end of their voltage curve."""

    idle_share: float
    wake_share: float
    core_w: float
    curvature: float
    limit: float
    clock_exponent: float


class Estimate(NamedTuple):
    """Watts with an interval that should hold the truth nineteen times in twenty."""

    value: float
    low: float
    high: float


class HostWatts(NamedTuple):
    """Watts of a whole server per thread, idle and full, and how far single servers are from them."""

    idle_w: float
    full_w: float
    spread_low: float
    spread_high: float


_VOLTAGE_FLOOR = 0.5
DEEP_SLEEP_US = 20.0
"""Exit latency (µs) above which a sleeping core draws nothing to speak of."""

# --- fitted: paste the output of tools/fit_cpu_curves.py ----------------------------------------
IDLE_IN_C1, IDLE_IN_C1E, CURVATURE_WITH_CLOCK = 0.50, 0.24, 0.79
CURVES: dict[str, Curve] = {
    "intel-ep": Curve(0.117, 0.057, 6.46, 1.17, 1.00, 1.7),
    "intel-mesh": Curve(0.155, 0.084, 4.95, 1.10, 1.00, 1.7),
    "intel-10nm": Curve(0.247, 0.049, 4.64, 1.22, 1.00, 1.7),
    "intel-new": Curve(0.238, 0.049, 3.57, 1.24, 1.00, 1.7),
    "intel-hedt": Curve(0.172, 0.121, 5.65, 1.32, 1.20, 3.5),
    "intel-client": Curve(0.016, 0.030, 6.51, 1.03, 1.25, 3.5),
    "intel-client-hybrid": Curve(0.029, 0.041, 4.60, 1.24, 1.80, 3.5),
    "intel-client-xeon": Curve(0.037, 0.040, 4.91, 1.20, 1.10, 3.5),
    "intel-mobile": Curve(0.086, 0.049, 4.60, 1.24, 1.10, 1.7),
    "intel-atom": Curve(0.143, 0.049, 1.53, 1.24, 1.00, 1.7),
    "amd-old": Curve(0.191, 0.049, 6.13, 1.24, 1.00, 1.7),
    "amd-epyc-zen1": Curve(0.238, 0.082, 4.60, 1.24, 1.00, 1.7),
    "amd-epyc": Curve(0.258, 0.084, 3.02, 1.27, 1.00, 1.7),
    "amd-hedt": Curve(0.198, 0.066, 4.21, 1.24, 1.00, 3.5),
    "amd-zen1": Curve(0.158, 0.068, 5.56, 1.24, 1.35, 3.5),
    "amd-am4": Curve(0.153, 0.059, 3.16, 1.18, 1.35, 3.5),
    "amd-am5": Curve(0.162, 0.065, 3.06, 1.24, 1.35, 3.5),
    "amd-apu": Curve(0.114, 0.065, 3.37, 1.24, 1.35, 3.5),
    "amd-mobile": Curve(0.114, 0.065, 3.06, 1.24, 1.20, 1.7),
    "arm-server": Curve(0.191, 0.049, 1.84, 1.24, 1.00, 1.7),
    "arm-small": Curve(0.238, 0.049, 1.23, 1.24, 1.00, 1.7),
    "apple": Curve(0.019, 0.025, 2.55, 1.24, 1.20, 1.7),
    "generic": Curve(0.162, 0.065, 4.29, 1.24, 1.05, 1.7),
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

DESKTOP_REST_W, DESKTOP_SUPPLY = 38.0, 1.2
"""A desktop at the plug is 38 W and 1.2 times its package. Two machines with both readings: an i5-10600K (40.0 W at the
plug with 1.85 W in the package, 179.5 W with 125 W: 38 W, 1.13; D. Smythies, Ubuntu forums, 6 July 2023) and a
Threadripper 1950X (125 W with 68 W, 256 W with 169.8 W: 37 W, 1.29; CodeCarbon, docs/methodology). Without a graphics
card at work."""
_DESKTOP_CURVES = frozenset(
    (
        "intel-client",
        "intel-client-hybrid",
        "intel-hedt",
        "amd-hedt",
        "amd-zen1",
        "amd-am4",
        "amd-am5",
        "amd-apu",
    )
)
NO_HOST_DATA = frozenset(("intel-mobile", "intel-atom", "amd-mobile", "arm-small", "apple"))
"""Kinds of laptops and small boards: what their plug says besides the CPU is not known, so host-share refuses."""

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
# high), nineteen times in twenty. The first is the spread of leave-one-CPU-out errors, without and with the
# clock (benchmarks/cpu_model_accuracy.py counts how often it holds). The others add what not knowing the part costs: in
# data/cpu_parts.tsv one standard deviation of TDP is a factor 1.3 within a generation of servers, 1.7 within
# EPYC or Xeon and 2.6 over all parts.
_SPREAD: dict[Match, tuple[float, float]] = {
    "part": (0.48, 0.70),
    "family": (0.55, 1.00),
    "vendor": (0.70, 1.90),
    "generic": (0.80, 3.00),
}
_SPREAD_WITH_CLOCK = (0.42, 0.65)
SPREAD_WITH_ENDS = (0.28, 0.38)
"""Where idle and full watts are given: what is left is the shape between them, and the work's own character."""
CHARACTER = (0.27, 0.37)
"""What of the spread depends on the work: standard deviation 0.16 of ln watts between loads of one machine (ibid.)."""
_ABSOLUTE_SHARE = 0.03
"""Of TDP, both ways: idle power depends on firmware settings more than on the part."""


def package_power_w(
    part: CpuPart, utilisation: float, clock_ghz: float | None = None, idle_core_share: float = 0.0
) -> Estimate:
    """Watts of one package of ``part`` at ``utilisation`` (0..1 of its threads; clamped): what RAPL's package
    domain would say.

    clock_ghz: mean clock of the busy threads, None where it cannot be read. idle_core_share: see :func:`idle_core_share`.

    Examples: ``package_power_w(identify(parse_cpuinfo(text)), 0.5)``.
    """
    value = curve_power_w(CURVES[part.curve], part, utilisation, clock_ghz, idle_core_share)
    low, high, absolute_w = package_spread(part, clock=clock_ghz is not None)
    return Estimate(value, max(0.0, value * (1 - low) - absolute_w), value * (1 + high) + absolute_w)


def idle_core_share(latency_us: float | None) -> float:
    """What an idle core draws of a busy one, by the exit latency of the deepest sleep state that the kernel may
    use (µs; None: not known, taken as deep).

    C1 (up to 2 µs) stops the clock only; C1E (about 10 µs) lowers the voltage too; from C3 on the core is off.
    """
    if latency_us is None or latency_us > DEEP_SLEEP_US:
        return 0.0
    return IDLE_IN_C1 if latency_us <= 2 else IDLE_IN_C1E


def curve_share(low: float, high: float) -> tuple[float, float]:
    """What of the spread ``low``, ``high`` is common to all machines with one part: what not knowing the part adds.

    Of a known part nothing is: its machines differ by as much as is left beside the work (configuration).
    """
    base_low, base_high = _SPREAD["part"]
    return math.sqrt(max(0.0, low**2 - base_low**2)), math.sqrt(max(0.0, high**2 - base_high**2))


def package_spread(part: CpuPart, *, clock: bool = False) -> tuple[float, float, float]:
    """Relative low, relative high and absolute watts (one package) of the interval of
    :func:`package_power_w`; ``clock``: the clock is read."""
    low, high = _SPREAD[part.match]
    if clock and part.match == "part":
        low, high = _SPREAD_WITH_CLOCK
    return low, high, _ABSOLUTE_SHARE * part.tdp_w


def host_share_power_w(
    part: CpuPart, utilisation: float, clock_ghz: float | None = None, idle_core_share: float = 0.0
) -> Estimate:
    """Watts of a whole machine (at the wall, power supply included) for the threads of one package of ``part``.

    Servers: linear between idle and full, as only the two ends are in SPECpower's results. Desktop parts: the package's
    watts through the supply, and the board's (:data:`DESKTOP_REST_W`). Raises ValueError for parts of :data:`NO_HOST_DATA`.
    """
    if part.curve in NO_HOST_DATA:
        raise ValueError(f"no published figures of whole machines with {part.label}")
    if is_desktop(part):
        package = package_power_w(part, utilisation, clock_ghz, idle_core_share)
        value = DESKTOP_REST_W + DESKTOP_SUPPLY * package.value
    else:
        host = HOST_WATTS[host_kind(part)]
        u = min(1.0, max(0.0, utilisation))
        value = part.threads * (host.idle_w + (host.full_w - host.idle_w) * u)
    low, high, absolute_w = host_spread(part)
    return Estimate(value, max(0.0, value * (1 - low) - absolute_w), value * (1 + high) + absolute_w)


def host_spread(part: CpuPart) -> tuple[float, float, float]:
    """Relative low, relative high and absolute watts of the interval of :func:`host_share_power_w`.

    SPECpower results are of servers tuned and stripped for the benchmark, so the high side gets 50 % more. A
    desktop has the package's spread and a board that may draw half more or less than the usual.
    """
    if is_desktop(part):
        low, high, absolute_w = package_spread(part)
        return low, high, absolute_w + DESKTOP_REST_W / 2
    host = HOST_WATTS[host_kind(part)]
    return max(0.2, 1 - host.spread_low), max(0.2, host.spread_high - 1) + 0.5, 0.0


def is_desktop(part: CpuPart) -> bool:
    """Whether the part sits in desktops and workstations, which SPECpower does not measure."""
    return part.curve in _DESKTOP_CURVES and not part.label.casefold().startswith(("amd epyc", "epyc"))


def host_kind(part: CpuPart) -> str:
    """The row of :data:`HOST_WATTS` for the part's family."""
    return next((kind for start, kind in _HOST_KINDS if part.family.startswith(start)), "other")


def curve_power_w(
    curve: Curve,
    part: CpuPart,
    utilisation: float,
    clock_ghz: float | None = None,
    idle_core_share: float = 0.0,
    curvature_with_clock: float | None = None,
) -> float:
    """The formula at the top of this file."""
    u = min(1.0, max(0.0, utilisation))
    # Without hyper-threading a busy logical CPU is a whole core, so the cores' share is nearly linear.
    k = curve.curvature if part.threads_per_core > 1 else curve.curvature / 3
    r = 1.0
    if clock_ghz is not None:
        k *= CURVATURE_WITH_CLOCK if curvature_with_clock is None else curvature_with_clock
        r = min(1.3, max(0.25, clock_ghz / part.all_core_ghz))
    busy = (1 - math.exp(-k * u)) / (1 - math.exp(-k))
    speed = (
        (part.all_core_ghz / REFERENCE_GHZ) ** 2 * r * max(r, _VOLTAGE_FLOOR) ** (curve.clock_exponent - 1)
    )
    cores = part.cores * curve.core_w * speed * (busy + idle_core_share * (1 - busy))
    wake = curve.wake_share * part.tdp_w * (1 - math.exp(-u * part.threads))
    demand = curve.idle_share * part.tdp_w + wake + cores
    limit = curve.limit * part.tdp_w
    return (demand**-_SHARPNESS + limit**-_SHARPNESS) ** (-1 / _SHARPNESS)

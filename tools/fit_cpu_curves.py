# ruff: noqa: D101, D103, E402
# pyright: basic
"""Fits the parameters of wattmark.sources.models.cpu.curves to measured package power, and prints what to paste there.

    python tools/fit_cpu_curves.py [../shared/data/hardware/cpu_load_profiling]

Two kinds of data:
- 44 rows of load against RAPL on two machines (CodeCarbon, MIT). Power is energy / duration of the row: the column
  ``rapl_power`` lags by one row (row 2's power is row 1's energy over its duration), so it is not used. ``cpu_freq`` is
  the mean over all CPUs, busy or not, so it is taken as the clock of the busy ones only where all are loaded.
- readings of the package's own counter published by others (tools/data/package_readings.csv, sources in SOURCE.txt), some
  with the clock of the busy CPUs and with the sleep states in use.

The starting values (PRIORS) come from data sheets and from the readings' order of magnitude; the fit moves them by maximum
a posteriori: residuals are log(model / measured), every CPU counts alike however many rows it has, parameters are shared
shifts plus deviations of each kind of CPU, both drawn to zero. A kind without data keeps its prior plus the shared shift.
"""

from __future__ import annotations

import csv
import math
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from wattmark.sources.models.cpu import curves as model
from wattmark.sources.models.cpu.curves import Curve
from wattmark.sources.models.cpu.names import CpuInfo, CpuPart, identify

PROFILES = ROOT.parent / "shared/data/hardware/cpu_load_profiling"
READINGS = ROOT / "tools/data/package_readings.csv"
INTEL, AMD = "GenuineIntel", "AuthenticAMD"


class Point(NamedTuple):
    cpu: CpuInfo
    utilisation: float
    power_w: float
    """Of all packages of the machine."""
    source: str
    host: str = ""
    work: str = ""
    clock_ghz: float | None = None
    idle_state: str = ""
    """Deepest sleep state in use: c1, c1e, deep, or empty where it is not known."""
    codecarbon_w: float | None = None


class Globals(NamedTuple):
    """What all kinds share: q of desktop and of other parts, curvature with a known clock, idle cores in C1 and C1E."""

    desktop_exponent: float
    exponent: float
    curvature_with_clock: float
    idle_in_c1: float
    idle_in_c1e: float


EPYC_8024P = CpuInfo(AMD, 25, 160, 0, "AMD EPYC 8024P 8-Core Processor", 16, 1, 8)
E5_2620V3 = CpuInfo(INTEL, 6, 63, 0, "Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz", 24, 2, 6)

#        idle   wake  core  curvature limit
PRIORS = {
    "intel-ep": (0.11, 0.06, 5.5, 1.8, 1.00),
    "intel-mesh": (0.16, 0.13, 5.2, 1.8, 1.00),
    "intel-10nm": (0.25, 0.06, 4.5, 1.8, 1.00),
    "intel-new": (0.25, 0.06, 3.5, 1.8, 1.00),
    "intel-hedt": (0.13, 0.12, 5.5, 1.8, 1.20),
    "intel-client": (0.03, 0.05, 5.5, 1.8, 1.25),
    "intel-client-hybrid": (0.03, 0.05, 4.5, 1.8, 1.80),
    "intel-client-xeon": (0.04, 0.05, 5.5, 1.8, 1.10),
    "intel-mobile": (0.09, 0.06, 4.5, 1.8, 1.10),
    "intel-atom": (0.15, 0.06, 1.5, 1.8, 1.00),
    "amd-old": (0.20, 0.06, 6.0, 1.8, 1.00),
    "amd-epyc-zen1": (0.25, 0.10, 4.5, 1.8, 1.00),
    "amd-epyc": (0.25, 0.10, 3.3, 1.8, 1.00),
    "amd-hedt": (0.20, 0.08, 4.0, 1.8, 1.00),
    "amd-zen1": (0.15, 0.08, 5.0, 1.8, 1.35),
    "amd-am4": (0.22, 0.08, 3.3, 1.8, 1.35),
    "amd-am5": (0.17, 0.08, 3.0, 1.8, 1.35),
    "amd-apu": (0.12, 0.08, 3.3, 1.8, 1.35),
    "amd-mobile": (0.12, 0.08, 3.0, 1.8, 1.20),
    "arm-server": (0.20, 0.06, 1.8, 1.8, 1.00),
    "arm-small": (0.25, 0.06, 1.2, 1.8, 1.00),
    "apple": (0.02, 0.03, 2.5, 1.8, 1.20),
    "generic": (0.17, 0.08, 4.2, 1.8, 1.05),
}
DESKTOP = {
    "intel-hedt", "intel-client", "intel-client-hybrid", "intel-client-xeon",
    "amd-hedt", "amd-zen1", "amd-am4", "amd-am5", "amd-apu",
}  # fmt: skip
GLOBAL_PRIOR, GLOBAL_SD = Globals(3.3, 2.0, 0.7, 0.45, 0.25), np.array([0.2, 0.2, 0.3, 0.4, 0.4])
# One standard deviation of ln(parameter): idle, wake, core, curvature; of the shift shared by all, and of one kind of CPU.
SHARED_SD = np.array([0.2, 0.4, 0.15, 0.3])
KIND_SD = np.array([0.4, 0.4, 0.2, 0.3])
NOISE_SD, IDLE_NOISE_SD = (
    0.2,
    0.4,
)  # idle differs more between machines (sleep states, firmware) than load does


def profile_points(folder: Path = PROFILES) -> list[Point]:
    points: list[Point] = []
    for path in sorted(folder.glob("*.csv")):
        with open(path, encoding="utf-8") as file:
            for row in csv.DictReader(file):
                which = EPYC_8024P if "8024P" in row["cpu_name"] else E5_2620V3
                own_w, codecarbon_w = (
                    float(row[c]) * 3.6e6 / float(row["duration"])
                    for c in ("rapl_energy", "estimated_energy")
                )
                load = float(row["cpu_load"]) / 100
                seen = row["load_type"] == "all_cores" or load > 0.9
                clock = float(row["cpu_freq"]) / 1000 if seen else None
                points.append(
                    Point(
                        which,
                        load,
                        own_w,
                        "CodeCarbon",
                        which.name,
                        row["load_type"],
                        clock,
                        "",
                        codecarbon_w,
                    )
                )
    return points


def published_points(path: Path = READINGS) -> list[Point]:
    points: list[Point] = []
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            family, number, stepping = (int(text) for text in row["family"].split("/"))
            sockets = int(row["sockets"])
            vendor = AMD if row["cpu"].startswith("AMD") else INTEL
            which = CpuInfo(
                vendor,
                family,
                number,
                stepping,
                row["cpu"],
                int(row["threads"]) * sockets,
                sockets,
                int(row["cores"]),
            )
            clock = float(row["clock_ghz"]) if row["clock_ghz"] else None
            points.append(
                Point(
                    which, float(row["utilisation"]), float(row["package_w"]), row["source"], row["host"], row["work"],
                    clock, row["idle_state"],
                )
            )  # fmt: skip
    return points


def all_points(folder: Path = PROFILES) -> list[Point]:
    return profile_points(folder) + published_points()


@cache
def part_of(cpu: CpuInfo) -> CpuPart:
    return identify(cpu)


def modelled_w(point: Point, table: dict[str, Curve], shared: Globals, *, clock: bool = True) -> float:
    """Watts of all packages. clock: with the clock and the sleep states, as a machine with cpufreq and cpuidle has them."""
    part = part_of(point.cpu)
    share = {"c1": shared.idle_in_c1, "c1e": shared.idle_in_c1e}.get(point.idle_state, 0.0) if clock else 0.0
    ghz = point.clock_ghz if clock else None
    watts = model.curve_power_w(
        table[part.curve],
        part,
        point.utilisation,
        ghz,
        share,
        curvature_with_clock=shared.curvature_with_clock,
    )
    return watts * point.cpu.sockets


def fit(points: list[Point], *, clock: bool = True) -> tuple[dict[str, Curve], Globals]:
    """Maximum a posteriori by damped Gauss-Newton steps with a numerical Jacobian."""
    kinds = sorted({part_of(p.cpu).curve for p in points})
    names = [p.cpu.name for p in points]
    count = {name: names.count(name) for name in set(names)}
    # A CPU with many rows counts as at most eight independent readings.
    noise = np.array([IDLE_NOISE_SD if p.utilisation < 0.03 else NOISE_SD for p in points])
    weight = np.array([math.sqrt(min(8, count[name]) / count[name]) for name in names]) / noise
    measured = np.array([p.power_w for p in points])
    first = 4 + len(GLOBAL_PRIOR)

    def parameters(x: np.ndarray) -> tuple[dict[str, Curve], Globals]:
        shared = Globals(*(float(v) for v in np.array(GLOBAL_PRIOR) * np.exp(x[4:first] * GLOBAL_SD)))
        out: dict[str, Curve] = {}
        for kind, (*values, limit) in PRIORS.items():
            shift = x[:4] * SHARED_SD
            if kind in kinds:
                at = first + 4 * kinds.index(kind)
                shift = shift + x[at : at + 4] * KIND_SD
            idle, wake, core, curvature = (float(v) for v in np.array(values) * np.exp(shift))
            exponent = shared.desktop_exponent if kind in DESKTOP else shared.exponent
            out[kind] = Curve(idle, wake, core, curvature, limit, exponent)
        return out, shared

    def residuals(x: np.ndarray) -> np.ndarray:
        table, shared = parameters(x)
        modelled = np.array([modelled_w(p, table, shared, clock=clock) for p in points])
        return np.concatenate([weight * np.log(modelled / measured), x])

    x = np.zeros(first + 4 * len(kinds))
    for _ in range(14):
        r = residuals(x)
        jacobian = np.column_stack([(residuals(x + 1e-4 * e) - r) / 1e-4 for e in np.eye(len(x))])
        x = x - 0.7 * np.linalg.solve(jacobian.T @ jacobian, jacobian.T @ r)
    return parameters(x)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PROFILES
    table, shared = fit(all_points(folder))
    print(
        f"IDLE_IN_C1, IDLE_IN_C1E, CURVATURE_WITH_CLOCK = {shared.idle_in_c1:.2f}, {shared.idle_in_c1e:.2f}, "
        f"{shared.curvature_with_clock:.2f}"
    )
    print("CURVES: dict[str, Curve] = {")
    for kind, c in table.items():
        print(
            f'    "{kind}": Curve({c.idle_share:.3f}, {c.wake_share:.3f}, {c.core_w:.2f}, {c.curvature:.2f}, '
            f"{c.limit:.2f}, {c.clock_exponent:.1f}),"
        )
    print("}")


if __name__ == "__main__":
    main()

# ruff: noqa: D101, D103, E402, E501
# pyright: basic
"""Fits the parameters of wattmark.sources.models.cpu.curves.CURVES to measured package power, and prints the table to paste there.

    python tools/fit_cpu_curves.py [../shared/data/hardware/cpu_load_profiling]

Two kinds of data:
- 44 rows of load against RAPL on two machines (CodeCarbon, MIT). Power is energy / duration of the row: the column
  ``rapl_power`` lags by one row (row 2's power is row 1's energy over its duration), so it is not used.
- single published readings of the package's own counter, each with its source (LITERATURE).

The starting values (PRIORS) come from data sheets and from the readings' order of magnitude; the fit moves them by maximum
a posteriori: residuals are log(model / measured), every CPU counts alike however many rows it has, parameters are shared
shifts plus deviations of each kind of CPU, both drawn to zero. A kind without data keeps its prior plus the shared shift.
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from wattmark.sources.models.cpu.curves import Curve, curve_power_w
from wattmark.sources.models.cpu.names import CpuInfo, identify

PROFILES = ROOT.parent / "shared/data/hardware/cpu_load_profiling"


class Point(NamedTuple):
    cpu: CpuInfo
    utilisation: float
    power_w: float
    """Of all packages of the machine."""
    source: str
    codecarbon_w: float | None = None


def cpu(
    vendor: str, family: int, model: int, name: str, cores: int, threads: int, sockets: int = 1
) -> CpuInfo:
    return CpuInfo(vendor, family, model, 0, name, threads * sockets, sockets, cores)


INTEL, AMD = "GenuineIntel", "AuthenticAMD"
EPYC_8024P = cpu(AMD, 25, 160, "AMD EPYC 8024P 8-Core Processor", 8, 16)
E5_2620V3 = cpu(INTEL, 6, 63, "Intel(R) Xeon(R) CPU E5-2620 v3 @ 2.40GHz", 6, 12, 2)

ANAND_R3 = "AnandTech 11658 (Ryzen 3 review, 2017), package counter, Prime95"
ANAND_8700K = "AnandTech 11859 (Coffee Lake review, 2017), package counter, full load"
ANAND_7980XE = "AnandTech 11839 (Core i9-7980XE review, 2017), package counter, full load"
# That review's 100 and 111 W for idle Milan parts are left out: it withdrew its figures as of a pre-production platform.
ANAND_MILAN = "AnandTech 16529 (EPYC Milan review, 2021), package counter, idle"
LITERATURE = [
    Point(cpu(AMD, 23, 1, "AMD Ryzen 3 1200", 4, 4), 1.0, 40.43, ANAND_R3),
    Point(cpu(AMD, 23, 1, "AMD Ryzen 3 1300X", 4, 4), 1.0, 64.2, ANAND_R3),
    Point(cpu(AMD, 23, 1, "AMD Ryzen 5 1500X", 4, 8), 1.0, 68.79, ANAND_R3),
    Point(cpu(AMD, 23, 1, "AMD Ryzen 7 1700X", 8, 16), 1.0, 81.51, ANAND_R3),
    Point(cpu(INTEL, 6, 158, "Intel Core i7-8700K", 6, 12), 1.0, 86.2, ANAND_8700K),
    Point(cpu(INTEL, 6, 158, "Intel Core i5-8400", 6, 6), 1.0, 49.3, ANAND_8700K),
    Point(cpu(INTEL, 6, 158, "Intel Core i7-7700K", 4, 8), 1.0, 91.0, ANAND_8700K + " ('pretty much exactly the TDP')"),
    Point(cpu(INTEL, 6, 158, "Intel Core i5-7600K", 4, 4), 1.0, 61.0, ANAND_7980XE),
    Point(cpu(INTEL, 6, 85, "Intel Core i9-7900X", 10, 20), 1.0, 149.0, ANAND_7980XE),
    Point(cpu(INTEL, 6, 79, "Intel Core i7-6950X", 10, 20), 1.0, 111.0, ANAND_7980XE),
    Point(
        cpu(INTEL, 6, 158, "Intel Core i7-8700K", 6, 12), 0.01, 2.29,
        "C. Siebenmann, utcc.utoronto.ca/~cks/space/blog/tech/TDPAndPowerDraw (2019), RAPL, light use",
    ),
    Point(
        cpu(AMD, 25, 97, "AMD Ryzen 9 7950X", 16, 32), 0.9965, 152.59,
        "github.com/flightlessmango/MangoHud issue 1390 (2024), turbostat PkgWatt at 99.65 % busy",
    ),
    Point(cpu(AMD, 23, 49, "AMD EPYC 7742", 64, 128), 0.0, 65.0, ANAND_MILAN),
    Point(
        cpu(INTEL, 6, 85, "Intel Xeon Gold 5218", 16, 32, 2), 0.0159, 91.7,
        "linux-pm, turbostat of a Grid'5000 'troll' node (2021): 459.78 J in 5.01 s at 1.59 % busy",
    ),
]  # fmt: skip

# Boavizta's published consumption profile P = a ln(b (load% + c)) + d, fitted by them to turbostress runs (RAPL) on bare metal.
# Only "Xeon Platinum" is used, taken as AWS's 24-core 240 W parts, on which the runs were made; which parts are behind
# their other ranges is not known.
BOAVIZTA = {
    cpu(INTEL, 6, 85, "Intel Xeon Platinum 8275CL", 24, 48): (171.1813, 0.0354, 36.8953, -10.1336),
}

#        idle   wake  core  curvature limit
PRIORS = {
    "intel-ep": (0.11, 0.06, 5.5, 1.8, 1.00),
    "intel-mesh": (0.18, 0.06, 5.5, 1.8, 1.00),
    "intel-10nm": (0.25, 0.06, 4.5, 1.8, 1.00),
    "intel-new": (0.25, 0.06, 3.5, 1.8, 1.00),
    "intel-hedt": (0.10, 0.06, 5.5, 1.8, 1.20),
    "intel-client": (0.04, 0.05, 5.5, 1.8, 1.25),
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
                watts = [
                    float(row[c]) * 3.6e6 / float(row["duration"])
                    for c in ("rapl_energy", "estimated_energy")
                ]
                points.append(
                    Point(
                        which,
                        float(row["cpu_load"]) / 100,
                        watts[0],
                        f"CodeCarbon {row['load_type']}",
                        watts[1],
                    )
                )
    return points


def all_points(folder: Path = PROFILES) -> list[Point]:
    points = profile_points(folder) + LITERATURE
    for which, (a, b, c, d) in BOAVIZTA.items():
        for load in (0, 10, 25, 50, 75, 100):
            watts = a * math.log(b * (load + c)) + d
            points.append(
                Point(which, load / 100, watts, "Boavizta boaviztapi cpu_profile.csv (by range of models)")
            )
    return points


def fit(points: list[Point]) -> dict[str, Curve]:
    """Maximum a posteriori by damped Gauss-Newton steps with a numerical Jacobian."""
    parts = [identify(p.cpu) for p in points]
    kinds = sorted({part.curve for part in parts})
    count = {p.cpu.name: sum(q.cpu.name == p.cpu.name for q in points) for p in points}
    # A CPU with many rows counts as at most eight independent readings.
    noise = np.array([IDLE_NOISE_SD if p.utilisation < 0.03 else NOISE_SD for p in points])
    weight = np.array([math.sqrt(min(8, count[p.cpu.name]) / count[p.cpu.name]) for p in points]) / noise

    def curves(x: np.ndarray) -> dict[str, Curve]:
        out: dict[str, Curve] = {}
        for kind, (*values, limit) in PRIORS.items():
            shift = x[:4] * SHARED_SD
            if kind in kinds:
                at = 4 + 4 * kinds.index(kind)
                shift = shift + x[at : at + 4] * KIND_SD
            idle, wake, core, curvature = np.array(values) * np.exp(shift)
            out[kind] = Curve(float(idle), float(wake), float(core), float(curvature), limit)
        return out

    def residuals(x: np.ndarray) -> np.ndarray:
        table = curves(x)
        model = [
            curve_power_w(table[k.curve], k, p.utilisation) * p.cpu.sockets
            for p, k in zip(points, parts, strict=True)
        ]
        return np.concatenate([weight * np.log(np.array(model) / [p.power_w for p in points]), x])

    x = np.zeros(4 + 4 * len(kinds))
    for _ in range(25):
        r = residuals(x)
        jacobian = np.column_stack([(residuals(x + 1e-4 * e) - r) / 1e-4 for e in np.eye(len(x))])
        x = x - 0.7 * np.linalg.solve(jacobian.T @ jacobian, jacobian.T @ r)
    return curves(x)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PROFILES
    print("CURVES: dict[str, Curve] = {")
    for kind, c in fit(all_points(folder)).items():
        print(
            f'    "{kind}": Curve({c.idle_share:.3f}, {c.wake_share:.3f}, {c.core_w:.2f}, {c.curvature:.2f}, {c.limit:.2f}),'
        )
    print("}")


if __name__ == "__main__":
    main()

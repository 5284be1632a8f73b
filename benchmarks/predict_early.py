"""How well does the first part of a run tell its total, on a machine that the model was not fitted on?

    python benchmarks/predict_early.py [--data ../shared/data/gaissa]

The traces of benchmarks/short_profiling.py (60 trainings, 5 networks, an RTX 3090 and an RTX 3070; CC BY 4.0). The warm-up
model of wattmark.predict.early is fitted on one machine and judged on the other, in turn; the length of the run is given.
Error: mean of |estimate / truth - 1|; held: share of totals within the 90 % interval. And runs with stalls
(checkpoints), made
up, which no fit has seen.

M3 and M4 (arXiv 2307.05520) of the same traces: an epoch is the trace's length by the number of epochs that the data set's
table has for the run; the settled epoch is found by Wattmark's rule in the first 25 epochs, or given
as the 20th. Beside them what is computed from
data sheets: TDP x usage + DRAM (0.375 W/GB), and TDP x time. Writes benchmarks/results/predict_early.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from short_profiling import Trace, read, stalled_traces  # noqa: E402

from wattmark.predict import early  # noqa: E402
from wattmark.predict.profile import cumulative_j, extrapolate, first_part, settled_block  # noqa: E402

TDP_W = {"cloud": 350.0, "local-v2": 240.0}
ENVIRONMENT = {"cloud": "Cloud", "local-v2": "Local ML Engineer/Gamer"}
PROFILED_EPOCHS = 25


def truth(trace: Trace) -> float:
    return float(cumulative_j(trace.t_s, trace.power_w)[-1])


def judge(model: early.WarmUp, traces: list[Trace], share: float) -> list[tuple[float, bool, float]]:
    """(relative error, whether the interval held, its width over the truth) of each trace."""
    rows = []
    for trace in traces:
        total_s, joules = float(trace.t_s[-1]), truth(trace)
        part = first_part(trace.t_s, trace.power_w, share * total_s)
        found = model.predict(early.FirstPart(*part, total_s)).energy
        low, high = found.interval(0.9)
        rows.append((found.value / joules - 1, low <= joules <= high, (high - low) / joules))
    return rows


def rule_error(trace: Trace, share: float) -> float:
    total_s = float(trace.t_s[-1])
    part = first_part(trace.t_s, trace.power_w, share * total_s)
    return extrapolate(*part, total_s).total_j.value / truth(trace) - 1


def by_epochs(traces: list[Trace], table: list[dict[str, str]], given: int | None) -> dict[str, Any]:
    """RMSE (kJ) and MAPE of M3, M4 and the data sheets. given: the settled epoch, from 0; None: by Wattmark's rule."""
    errors: dict[str, list[tuple[float, float]]] = {}
    unmatched = 0
    for trace in traces:
        total_s, joules = float(trace.t_s[-1]), truth(trace)
        own = [
            row
            for row in table
            if row["training environment"] == ENVIRONMENT[trace.machine]
            and row["architecture"] == trace.network
        ]
        row = min(own, key=lambda row: abs(float(row["training duration (h)"]) * 3600 - total_s))
        if abs(float(row["training duration (h)"]) * 3600 - total_s) > 10:
            unmatched += 1
            continue
        count = int(float(row["trained epochs"]))
        edges = np.linspace(0, total_s, count + 1)
        energies = np.diff(np.interp(edges, trace.t_s, cumulative_j(trace.t_s, trace.power_w)))[
            :PROFILED_EPOCHS
        ]
        by_rule = min(settled_block(energies) or 0, len(energies) - early.SETTLED_EPOCHS)
        settled = by_rule if given is None else given
        durations = np.full(len(energies), total_s / count)
        tdp = TDP_W[trace.machine]
        dram_w = 0.375 * float(row["average memory used (MB)"]) / 1024
        for name, value in {
            "M3": early.mean_power_of_settled(energies, durations, settled, total_s),
            "M4": early.energy_of_settled(energies, settled, count),
            "TDP x usage + DRAM": (tdp * float(row["gpu usage (%)"]) / 100 + dram_w) * total_s,
            "TDP x time": tdp * total_s,
        }.items():
            errors.setdefault(name, []).append((value - joules, value / joules - 1))
    return {
        "runs": len(traces) - unmatched,
        "unmatched": unmatched,
        **{
            name: {
                "rmse_kj": float(np.sqrt(np.mean([e[0] ** 2 for e in rows]))) / 1e3,
                "mape": float(np.mean([abs(e[1]) for e in rows])),
            }
            for name, rows in errors.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "gaissa")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "predict_early.json")
    options = parser.parse_args()
    traces = [read(path) for path in sorted(options.data.glob("raw/*/*/gpu-power-*.csv.gz"))]
    if not traces:
        sys.exit(f"no traces under {options.data}")
    machines = sorted({trace.machine for trace in traces})
    plain = {m: [early.Trace(t.t_s, t.power_w) for t in traces if t.machine == m] for m in machines}
    elsewhere = {
        m: early.WarmUp.fit([t for other in machines if other != m for t in plain[other]]) for m in machines
    }
    shipped = early.WarmUp.fit([t for m in machines for t in plain[m]])
    rows = []
    print(
        f"{'share':>6} {'rule':>6} {'ours':>6} {'held':>6} {'width':>6}   by machine (error, held); stalls (error, held)"
    )
    for share in early.WINDOWS:
        per = {m: judge(elsewhere[m], [t for t in traces if t.machine == m], share) for m in machines}
        stalls = judge(shipped, stalled_traces(), share)
        everything = [row for m in machines for row in per[m]]

        def told(found: list[tuple[float, bool, float]]) -> dict[str, float]:
            return {
                "mean_error": float(np.mean([abs(row[0]) for row in found])),
                "held": float(np.mean([row[1] for row in found])),
                "median_width": float(np.median([row[2] for row in found])),
            }

        row = {
            "share": share,
            "rule_mean_error": float(np.mean([abs(rule_error(t, share)) for t in traces])),
            **told(everything),
            "by_machine": {m: told(per[m]) for m in machines},
            "stalls": told(stalls),
        }
        rows.append(row)
        print(
            f"{share:6.1%} {row['rule_mean_error']:6.2%} {row['mean_error']:6.2%} {row['held']:6.0%} "
            f"{row['median_width']:6.1%}   "
            + ", ".join(
                f"{m} {one['mean_error']:.2%} {one['held']:.0%}" for m, one in row["by_machine"].items()
            )
            + f"; {row['stalls']['mean_error']:.1%} {row['stalls']['held']:.0%}"
        )
    with next(options.data.glob("*.csv")).open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    methods = {
        "settled epoch by the rule": by_epochs(traces, table, None),
        "settled epoch 20": by_epochs(traces, table, PROFILED_EPOCHS - early.SETTLED_EPOCHS),
    }
    print(json.dumps(methods, indent=1))
    print("fitted on both:", shipped)
    result = {
        "data": "https://github.com/GAISSA-UPC/seaa2023_ect at 6fa5af6ffedd988110d02eb6954c0401d0b7a75c, CC BY 4.0",
        "runs": len(traces),
        "rise": {"shipped": shipped.rise, **{f"for {m}": elsewhere[m].rise for m in machines}},
        "shares": rows,
        "by_epochs": methods,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

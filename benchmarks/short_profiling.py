"""How well does the first part of a training run tell the energy of the whole run?

    python benchmarks/short_profiling.py [--data ../shared/data/gaissa]

60 GPU power traces of training runs (5 networks, 6 runs each on an RTX 3090 and an RTX 3070, arXiv 2307.05520;
https://github.com/GAISSA-UPC/seaa2023_ect, CC BY 4.0). From the first 2 to 50 % of each trace the total is extrapolated,
knowing the length of the run, in three ways:

- naive: the mean power of everything seen so far, times the length;
- rule: wattmark.predict.profile as shipped (energy seen so far, the settled part's mean for the rest). Its
  numbers are the middle of the grid below, but the grid was seen on these traces before they were fixed;
- chosen elsewhere: the rule's three numbers picked from the grid by the mean error at 10 to 15 % on the other machine. No
  trace of the machine that is scored took part in the choice: this is the error to quote.

And runs with periodic stalls (checkpoints), made up: 60 s at 80 W in every 210 s at 300 W, at 14 phases of the period. The
interval of the total is counted too: how often it holds the truth.

Beside it the fixed window from 10 to 15 % of the run, for comparison with what others report.
Errors are means of |estimate / truth - 1|. Writes benchmarks/results/short_profiling.json.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from dataclasses import asdict
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from wattmark.predict.profile import (  # noqa: E402
    RULE,
    Rule,
    cumulative_j,
    extrapolate,
    first_part,
    summary,
    window_errors,
)

Float64 = NDArray[np.float64]
WINDOWS = (0.02, 0.03, 0.05, 0.075, 0.10, 0.125, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50)
CHOSEN_BY = (0.10, 0.125, 0.15)
GRID = [Rule(*numbers) for numbers in product((20, 40), (0.10, 0.15, 0.25), (0.02, 0.05, 0.10))]


class Trace(NamedTuple):
    machine: str
    network: str
    t_s: Float64
    power_w: Float64


def read(path: Path) -> Trace:
    """One trace. Two dialects: ``gpu_power_draw`` with ISO times, and nvidia-smi's own ``power.draw [W]``.

    A line that was cut off (the last one of some files) has too few fields or no unit, and is left out.
    """
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        lines = csv.reader(file, skipinitialspace=True)
        names = next(lines)
        power = next(
            i
            for i, name in enumerate(names)
            if name.replace("_", ".").endswith(("power.draw", "power.draw [W]"))
        )
        rows = [line for line in lines if len(line) == len(names) and line[power].endswith(" W")]
    t = np.array([datetime.fromisoformat(row[0].replace("/", "-")).timestamp() for row in rows])
    watts = np.array([float(row[power].removesuffix(" W")) for row in rows])
    return Trace(path.parts[-3], path.parts[-2], t - t[0], watts)


def errors(traces: list[Trace], window: float, rule: Rule) -> list[tuple[float, float]]:
    return [window_errors(trace.t_s, trace.power_w, window, rule) for trace in traces]


def held(traces: list[Trace], window: float) -> float:
    """Share of traces whose total lies in the interval."""
    hits: list[bool] = []
    for trace in traces:
        total_s = float(trace.t_s[-1])
        found = extrapolate(*first_part(trace.t_s, trace.power_w, window * total_s), total_s).total_j
        hits.append(found.low <= float(cumulative_j(trace.t_s, trace.power_w)[-1]) <= found.high)
    return float(np.mean(hits))


def stalled_traces() -> list[Trace]:
    t = np.arange(0.0, 3001.0)
    return [
        Trace("made up", "stalls", t, np.where((t + phase) % 210 < 60, 80.0, 300.0))
        for phase in range(0, 210, 15)
    ]


def choose(traces: list[Trace]) -> Rule:
    def score(rule: Rule) -> float:
        return float(np.mean([abs(e) for w in CHOSEN_BY for e, _ in errors(traces, w, rule)]))

    return min(GRID, key=score)


def fixed_window(traces: list[Trace], start: float, end: float) -> float:
    """Mean absolute error of the mean power between two points of the run, taken for the whole run."""
    found = []
    for trace in traces:
        curve = cumulative_j(trace.t_s, trace.power_w)
        a, b = np.interp(np.array([start, end]) * trace.t_s[-1], trace.t_s, curve)
        found.append(abs((b - a) / (end - start) / curve[-1] - 1))
    return float(np.mean(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "gaissa")
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks" / "results" / "short_profiling.json"
    )
    options = parser.parse_args()
    traces = [read(path) for path in sorted(options.data.glob("raw/*/*/gpu-power-*.csv.gz"))]
    if not traces:
        sys.exit(f"no traces under {options.data}")
    machines = sorted({trace.machine for trace in traces})
    chosen = {m: choose([t for t in traces if t.machine != m]) for m in machines}
    stalled = stalled_traces()
    rows: list[dict[str, Any]] = []
    for window in WINDOWS:
        shipped = asdict(summary(window, "time", errors(traces, window, RULE)))
        unseen = [
            e for m in machines for e in errors([t for t in traces if t.machine == m], window, chosen[m])
        ]
        by_machine = {
            m: summary(window, "time", errors([t for t in traces if t.machine == m], window, RULE)).mean
            for m in machines
        }
        rows.append(
            {
                **shipped,
                "chosen_on_other_machine_mean": summary(window, "time", unseen).mean,
                "by_machine": by_machine,
                "held": held(traces, window),
                "stalls": asdict(summary(window, "time", errors(stalled, window, RULE))),
                "stalls_held": held(stalled, window),
            }
        )
    print(f"{len(traces)} runs; mean |error| of the total, %")
    print(
        f"{'window':>8} {'naive':>7} {'rule':>7} {'median':>7} {'90th':>7} {'bias':>7} {'chosen elsewhere':>17}"
    )
    for row in rows:
        parts = [
            row[k] * 100
            for k in ("naive_mean", "mean", "median", "p90", "bias", "chosen_on_other_machine_mean")
        ]
        stalls = row["stalls"]
        print(
            f"{row['window']:8.1%} " + " ".join(f"{v:7.1f}" for v in parts[:-1]) + f" {parts[-1]:17.1f}"
            f"  held {row['held']:.0%}; stalls {stalls['mean']:.1%} (naive {stalls['naive_mean']:.1%}) "
            f"held {row['stalls_held']:.0%}"
        )
    windows = {
        f"{a:.0%} to {b:.0%}": fixed_window(traces, a, b)
        for a, b in ((0.0, 0.05), (0.05, 0.10), (0.10, 0.15))
    }
    for name, value in windows.items():
        print(f"mean power from {name}: {value:.1%}")
    result = {
        "data": "https://github.com/GAISSA-UPC/seaa2023_ect at 6fa5af6ffedd988110d02eb6954c0401d0b7a75c, CC BY 4.0",
        "runs": len(traces),
        "networks": sorted({trace.network for trace in traces}),
        "machines": {m: sum(t.machine == m for t in traces) for m in machines},
        "rule": RULE._asdict(),
        "chosen_for": {m: rule._asdict() for m, rule in chosen.items()},
        "windows": rows,
        "fixed_windows_mean_error": windows,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How well is the total of a run that goes on predicted, and how often does the interval hold?

    python benchmarks/predict_early.py [--data ../shared/data/gaissa]

The 60 GPU traces of benchmarks/short_profiling.py (5 networks, an RTX 3090 and an RTX 3070, arXiv 2307.05520). The
model of wattmark.predict.early is fitted on one machine and judged on the other, in turn: percentile, fading and rise by
the total's error on the first machine, widths by its networks left out in turn. Three ways to know the length: given; by
the number of epochs, which are taken to be equally long (the traces have no marks); not at all, but that the epochs of
the other machine's runs were so many.

Beside it: the settled part alone (the block rule); the settled part as FLUSS finds it (Gharghabi et al., ICDM 2017, on
the matrix profile of z-normalised subsequences, written from the definition), as in 2307.05520; the last third of the
window; the whole window's mean power. And two kinds of made-up runs, which no fit has seen: long stalls, and steady work
that goes up and down.

M3 and M4 (arXiv 2307.05520) of the same traces: an epoch is the trace's length by the number of epochs that the data
set's table has for the run; 20 epochs are seen. How the settled epoch is found is chosen on the other machine among 36
rules, by M4. Beside them what is computed from data sheets: TDP x usage + DRAM (0.375 W/GB), and TDP x time. Writes
benchmarks/results/predict_early.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from short_profiling import Trace, read, stalled_traces  # noqa: E402

from wattmark.predict import early  # noqa: E402
from wattmark.predict.live.length import length_like, length_of  # noqa: E402
from wattmark.predict.live.progress import Progress  # noqa: E402
from wattmark.predict.profile import Rule, cumulative_j, extrapolate, first_part, settled_block  # noqa: E402
from wattmark.quantity import Quantity  # noqa: E402
from wattmark.statistics import Float64  # noqa: E402

TDP_W = {"cloud": 350.0, "local-v2": 240.0}
ENVIRONMENT = {"cloud": "Cloud", "local-v2": "Local ML Engineer/Gamer"}
PROFILED_EPOCHS = 20
RULES = [
    (tolerance, smallest, unsettled)
    for tolerance, smallest, unsettled in product(
        (0.02, 0.03, 0.05, 0.08), (0.05, 0.1, 0.15), ("first", "last", "change")
    )
]
Length = Callable[[Trace, float], Quantity | float]


def truth(trace: Trace) -> float:
    return float(cumulative_j(trace.t_s, trace.power_w)[-1])


def judge(
    models: dict[str, early.WarmUp], traces: list[Trace], share: float, length: Length
) -> dict[str, float]:
    rows = []
    for trace in traces:
        joules = truth(trace)
        part = first_part(trace.t_s, trace.power_w, share * float(trace.t_s[-1]))
        found = models[trace.machine].predict(early.FirstPart(*part, length(trace, share))).energy
        low, high = found.interval(0.9)
        rows.append((abs(found.value / joules - 1), low <= joules <= high, (high - low) / joules))
    errors, held, widths = zip(*rows, strict=True)
    return {
        "mean_error": float(np.mean(errors)),
        "held": float(np.mean(held)),
        "median_width": float(np.median(widths)),
        "largest_width": float(np.max(widths)),
    }


def fluss(power: Float64, m: int) -> int:
    """Where the regime changes: the least corrected arc crossings of the matrix profile's neighbours."""
    windows = np.lib.stride_tricks.sliding_window_view(power, m)
    centred = windows - windows.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(centred, axis=1)
    unit = centred / np.maximum(norms, 1e-9)[:, None]
    alike = unit @ unit.T
    n = len(unit)
    near = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) < max(1, m // 4)
    alike[near] = -np.inf
    nearest = alike.argmax(axis=1)
    marks = np.zeros(n + 1)
    np.add.at(marks, np.minimum(np.arange(n), nearest), 1)
    np.add.at(marks, np.maximum(np.arange(n), nearest), -1)
    arcs = np.cumsum(marks)[:n]
    place = np.arange(n)
    ideal = 2 * place * (n - place) / n
    corrected = np.minimum(1.0, arcs / np.maximum(ideal, 1e-9))
    edge = min(m, n // 4)
    corrected[:edge] = corrected[n - edge :] = 1.0
    return int(corrected.argmin())


def rivals(trace: Trace, share: float) -> dict[str, float]:
    """Absolute relative errors of the total, the rest drawing the mean power of ..."""
    total_s, joules = float(trace.t_s[-1]), truth(trace)
    t, watts = first_part(trace.t_s, trace.power_w, share * total_s)
    curve = cumulative_j(t, watts)
    rest_s = total_s - t[-1]

    def with_rest(power: float) -> float:
        return abs((float(curve[-1]) + power * rest_s) / joules - 1)

    start = fluss(watts, max(4, min(30, len(watts) // 8)))
    third = np.searchsorted(t, t[-1] * 2 / 3)
    return {
        "block rule": abs(extrapolate(t, watts, total_s).total_j.value / joules - 1),
        "FLUSS": with_rest(float((curve[-1] - curve[start]) / (t[-1] - t[start]))),
        "last third": with_rest(float((curve[-1] - curve[third]) / (t[-1] - t[third]))),
        "whole window": with_rest(float(curve[-1] / t[-1])),
    }


def steady_traces() -> list[Trace]:
    random = np.random.default_rng(5)
    return [
        Trace("made up", "steady", np.arange(2000.0), np.repeat(100 * random.lognormal(0, 0.25, 200), 10))
        for _ in range(40)
    ]


def settled(energies: Float64, rule: tuple[float, float, str]) -> int:
    tolerance, smallest, unsettled = rule
    latest = len(energies) - early.SETTLED_EPOCHS
    block = settled_block(energies, Rule(tolerance=tolerance, smallest=smallest))
    if block is None:
        if unsettled == "change":
            return min(latest, int(np.argmax(np.abs(np.diff(energies)))) + 1)
        return latest if unsettled == "last" else 0
    return min(block, latest)


def epochs_of(trace: Trace, table: list[dict[str, str]]) -> tuple[int, dict[str, str]] | None:
    total_s = float(trace.t_s[-1])
    own = [
        row
        for row in table
        if row["training environment"] == ENVIRONMENT[trace.machine] and row["architecture"] == trace.network
    ]
    row = min(own, key=lambda row: abs(float(row["training duration (h)"]) * 3600 - total_s))
    if abs(float(row["training duration (h)"]) * 3600 - total_s) > 10:
        return None
    return int(float(row["trained epochs"])), row


def by_epochs(traces: list[Trace], table: list[dict[str, str]]) -> dict[str, Any]:
    """RMSE (kJ) and MAPE of M3, M4 and the data sheets."""
    runs: list[tuple[Trace, int, dict[str, str], Float64]] = []
    for trace in traces:
        matched = epochs_of(trace, table)
        if matched is not None:
            edges = np.linspace(0, float(trace.t_s[-1]), matched[0] + 1)
            curve = cumulative_j(trace.t_s, trace.power_w)
            runs.append((trace, *matched, np.diff(np.interp(edges, trace.t_s, curve))[:PROFILED_EPOCHS]))

    def of(name: str, run: tuple[Trace, int, dict[str, str], Float64], epoch: int) -> float:
        trace, count, row, energies = run
        total_s, tdp = float(trace.t_s[-1]), TDP_W[trace.machine]
        seconds = np.full(len(energies), total_s / count)
        if name == "M3":
            return early.mean_power_of_settled(energies, seconds, epoch, total_s)
        if name == "M3, what was seen kept":
            power = early.mean_power_of_settled(energies, seconds, epoch, 1.0)
            return float(energies.sum()) + power * (total_s - float(seconds.sum()))
        if name == "M4":
            return early.energy_of_settled(energies, epoch, count)
        dram_w = 0.375 * float(row["average memory used (MB)"]) / 1024
        usage = float(row["gpu usage (%)"]) / 100 if "usage" in name else 1.0
        return (tdp * usage + (dram_w if "DRAM" in name else 0.0)) * total_s

    def errors(name: str, chosen: list[tuple[Trace, int, dict[str, str], Float64]], rule: Any) -> Float64:
        def epoch(energies: Float64) -> int:
            if rule is None:
                return early.settled_epoch(energies)
            return rule if isinstance(rule, int) else settled(energies, rule)

        return np.array([of(name, run, epoch(run[3])) - truth(run[0]) for run in chosen])

    def told(values: Float64) -> dict[str, float]:
        totals = np.array([truth(run[0]) for run in runs])
        return {
            "rmse_kj": float(np.sqrt(np.mean(values**2))) / 1e3,
            "mape": float(np.mean(np.abs(values) / totals)),
        }

    nested: dict[str, Float64] = {
        name: np.zeros(len(runs)) for name in ("M3", "M3, what was seen kept", "M4")
    }
    choices: dict[str, Any] = {}
    for machine in TDP_W:
        elsewhere = [run for run in runs if run[0].machine != machine]
        here = np.array([run[0].machine == machine for run in runs])
        rule = min(RULES, key=lambda rule: float((errors("M4", elsewhere, rule) ** 2).sum()))
        choices[machine] = rule
        for name, values in nested.items():
            values[here] = errors(name, [run for run in runs if run[0].machine == machine], rule)
    return {
        "runs": len(runs),
        "unmatched": len(traces) - len(runs),
        "epochs_seen": PROFILED_EPOCHS,
        "rule_chosen_for": choices,
        "rule chosen on the other machine": {name: told(values) for name, values in nested.items()},
        "shipped rule": {name: told(errors(name, runs, None)) for name in nested},
        "best fixed epoch, in hindsight": {
            name: min((told(errors(name, runs, s))["rmse_kj"], s) for s in range(PROFILED_EPOCHS - 4))
            for name in ("M3", "M4")
        },
        "from data sheets": {
            name: told(errors(name, runs, None)) for name in ("TDP x usage + DRAM", "TDP x time")
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
    with next(options.data.glob("*.csv")).open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    machines = sorted({trace.machine for trace in traces})

    def fitted(chosen: list[Trace], kinds: list[str]) -> early.WarmUp:
        return early.WarmUp.fit([early.Trace(t.t_s, t.power_w) for t in chosen], kinds=kinds)

    models: dict[str, early.WarmUp] = {}
    for machine in machines:
        others = [trace for trace in traces if trace.machine != machine]
        models[machine] = fitted(others, [trace.network for trace in others])
    shipped = fitted(traces, [trace.machine for trace in traces])
    models["made up"] = shipped
    counted = [trace for trace in traces if epochs_of(trace, table) is not None]
    epochs = {id(trace): (epochs_of(trace, table) or (0,))[0] for trace in counted}
    seen_elsewhere = {m: [float(epochs[id(t)]) for t in counted if t.machine != m] for m in machines}

    def given(trace: Trace, _: float) -> float:
        return float(trace.t_s[-1])

    def by_steps(trace: Trace, share: float) -> Quantity:
        count, total_s = epochs[id(trace)], float(trace.t_s[-1])
        progress = Progress("epochs", float(count))
        for done in range(1, int(share * count) + 1):
            progress.mark(done * total_s / count, float(done))
        if not progress.marks:  # the bar inside the epoch
            progress.mark(share * total_s, share * count)
        return length_of(progress, share * total_s)[0]

    def unknown(trace: Trace, share: float) -> Quantity:
        count, total_s = epochs[id(trace)], float(trace.t_s[-1])
        like = length_like(seen_elsewhere[trace.machine], share * count)
        if like is None:  # none of those had so many
            now_s = share * total_s
            return Quantity(1.05 * now_s, now_s, 2 * now_s, "s")
        each_s = total_s / count
        return Quantity(
            like.value * each_s,
            unit="s",
            terms={name: (down * each_s, up * each_s) for name, (down, up) in like.terms.items()},
            at_least=share * total_s,
        )

    rows = []
    print(
        f"{'share':>6} {'rule':>6} {'FLUSS':>6} {'ours':>6} {'held':>5} {'width':>6} | steps known, unknown: held | made up"
    )
    for share in early.WINDOWS:
        beside = [rivals(trace, share) for trace in traces]
        row: dict[str, Any] = {
            "share": share,
            "rivals_mean_error": {name: float(np.mean([one[name] for one in beside])) for name in beside[0]},
            **judge(models, traces, share, given),
            "by_machine": {
                m: judge(models, [t for t in traces if t.machine == m], share, given) for m in machines
            },
            "number_of_steps_known": judge(models, counted, share, by_steps),
            "number_of_steps_unknown": judge(models, counted, share, unknown),
            "stalls": judge(models, [t._replace(machine="made up") for t in stalled_traces()], share, given),
            "steady": judge(models, steady_traces(), share, given),
        }
        rows.append(row)
        known, open_ended = row["number_of_steps_known"], row["number_of_steps_unknown"]
        print(
            f"{share:6.1%} {row['rivals_mean_error']['block rule']:6.2%} {row['rivals_mean_error']['FLUSS']:6.2%} "
            f"{row['mean_error']:6.2%} {row['held']:5.0%} {row['median_width']:6.1%} | "
            f"{known['held']:.0%} ({known['median_width']:.0%}) {open_ended['held']:.0%} ({open_ended['median_width']:.0%}, "
            f"error {open_ended['mean_error']:.0%}) | stalls {row['stalls']['held']:.0%} steady {row['steady']['held']:.0%}"
        )
    methods = by_epochs(traces, table)
    print(json.dumps(methods, indent=1))
    print("fitted on both:", shipped)
    result = {
        "data": "https://github.com/GAISSA-UPC/seaa2023_ect at 6fa5af6ffedd988110d02eb6954c0401d0b7a75c, CC BY 4.0",
        "runs": len(traces),
        "forms": {m: model.form._asdict() for m, model in models.items()},
        "shares": rows,
        "by_epochs": methods,
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

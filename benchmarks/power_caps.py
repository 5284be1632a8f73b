"""Power caps chosen from four windows, against the best cap there is: the traces of Zeus.

    python benchmarks/power_caps.py [--data ../shared/data/zeus_traces]

Data: You, Chung and Chowdhury, Zeus (NSDI 2023), Apache-2.0: seconds and watts of an epoch by workload, batch size and power
limit on V100, A40, P100 and RTX 6000; those with five limits or more (217). Each is profiled at four limits, a limit is
chosen, and its energy is held against the least. Beside ours: FROST's score fit (arXiv 2310.11131) on four limits spread
evenly, the lowest limit that keeps the slow-down, the middle one, and no cap at all.

The form of ours (three limits first, and which, then one more) was chosen on these traces: expect worse elsewhere. A half
of the workloads by GPU (V100 and RTX 6000, A40 and P100) is told apart for that.
Results: benchmarks/results/power_caps.json.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wattmark.advise.cap import CapCurve, CapSearch, Goal, Window
from wattmark.advise.cap.curve import frost_score
from wattmark.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
RESULTS = Path(__file__).parent / "results" / "power_caps.json"
GPUS = ("v100", "a40", "p100", "rtx6000")
Trace = list[Window]


def traces(folder: Path) -> dict[tuple[str, ...], Trace]:
    found: dict[tuple[str, ...], Trace] = defaultdict(list)
    for gpu in GPUS:
        with (folder / f"summary_power_{gpu}.csv").open() as file:
            for row in csv.DictReader(file):
                key = (gpu, row["dataset"], row["network"], row["batch_size"], row["optimizer"])
                found[key].append(
                    Window(
                        float(row["power_limit"]), float(row["time_per_epoch"]), float(row["average_power"])
                    )
                )
    return {key: sorted(trace) for key, trace in found.items()}


def ours(trace: Trace, goal: Goal) -> float:
    search = CapSearch([one.cap_w for one in trace], goal)
    by_cap = {one.cap_w: one for one in trace}
    while (cap := search.next()) is not None:
        search.add(by_cap[cap])
    return search.choice().cap_w


def frost(trace: Trace, goal: Goal) -> float:
    places = sorted({round((len(trace) - 1) * share) for share in (0, 1 / 3, 2 / 3, 1)})
    tried = [trace[place] for place in places]
    caps = np.array([one.cap_w for one in trace])
    score = frost_score(
        np.array([one.cap_w for one in tried]),
        np.array([one.joules * one.seconds**goal.delay for one in tried]),
    )(caps)
    if goal.slowdown is not None:  # FROST has no limit: the curve of time is lent to it
        curve = CapCurve(tried)
        score = np.where(curve.seconds(caps) <= goal.slowdown * trace[-1].seconds, score, np.inf)
    return float(caps[int(np.argmin(score))])


def lowest(trace: Trace, goal: Goal) -> float:
    if goal.slowdown is None:
        return trace[0].cap_w
    return next(one.cap_w for one in trace if one.seconds <= goal.slowdown * trace[-1].seconds)


RIVALS: dict[str, Callable[[Trace, Goal], float]] = {
    "ours": ours,
    "FROST's fit": frost,
    "lowest cap within the limit (all caps known)": lowest,
    "the middle cap": lambda trace, _: trace[len(trace) // 2].cap_w,
    "no cap": lambda trace, _: trace[-1].cap_w,
}


def judge(found: list[Trace], goal: Goal, way: Callable[[Trace, Goal], float]) -> dict[str, float]:
    regrets, times, savings = [], [], []
    for trace in found:
        top = trace[-1]
        try:
            cap = way(trace, goal)
        except ConfigError:
            cap = top.cap_w
        got = next(one for one in trace if one.cap_w == cap)
        fair = [one for one in trace if goal.slowdown is None or one.seconds <= goal.slowdown * top.seconds]
        regrets.append(got.joules / min(one.joules for one in fair) - 1)
        times.append(got.seconds / top.seconds)
        savings.append(1 - got.joules / top.joules)
    limit = goal.slowdown or np.inf
    return {
        "regret_median_percent": round(100 * float(np.median(regrets)), 2),
        "regret_p95_percent": round(100 * float(np.quantile(regrets, 0.95)), 2),
        "regret_most_percent": round(100 * float(np.max(regrets)), 2),
        "limit_kept_percent": round(100 * float(np.mean(np.array(times) <= limit + 1e-9)), 1),
        "saving_mean_percent": round(100 * float(np.mean(savings)), 1),
        "time_mean": round(float(np.mean(times)), 3),
    }


def beside_frost(found: list[Trace]) -> dict[str, dict[str, dict[str, float]]]:
    """Savings against no cap, percent: FROST's paper says up to 26.4 % without a significant delay, on cards of its own."""
    rows: dict[str, dict[str, dict[str, float]]] = {}
    for title, goal in (("no limit", Goal()), ("slow-down of a tenth", Goal(slowdown=1.1))):
        limit = goal.slowdown or np.inf
        saved: dict[str, list[float]] = {"ours": [], "the best cap (all caps known)": []}
        for trace in found:
            top = trace[-1]
            try:
                cap = ours(trace, goal)
            except ConfigError:
                cap = top.cap_w
            got = next(one for one in trace if one.cap_w == cap)
            least = min(one.joules for one in trace if one.seconds <= limit * top.seconds)
            for name, joules in zip(saved, (got.joules, least), strict=True):
                saved[name].append(100 * (1 - joules / top.joules))
        rows[title] = {
            name: {
                "mean": round(float(np.mean(each)), 1),
                "median": round(float(np.median(each)), 1),
                "most": round(max(each), 1),
            }
            for name, each in saved.items()
        }
    return rows


def largest_saving(found: dict[tuple[str, ...], Trace], data: str) -> float:
    """What the best cap saves of an epoch's joules on a V100, at the batch size where that is most."""
    mine = [trace for key, trace in found.items() if key[0] == "v100" and key[1] == data]
    return round(100 * max(1 - min(one.joules for one in trace) / trace[-1].joules for trace in mine), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Power caps from four windows.")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "zeus_traces")
    args = parser.parse_args()
    found = traces(args.data)
    usable = {key: trace for key, trace in found.items() if len(trace) >= 5}
    results: dict[str, Any] = {"workloads": len(usable)}
    groups = {
        "all": list(usable.values()),
        "v100, rtx6000": [trace for key, trace in usable.items() if key[0] in ("v100", "rtx6000")],
        "a40, p100": [trace for key, trace in usable.items() if key[0] in ("a40", "p100")],
    }
    for title, goal in (
        ("least energy", Goal()),
        ("slow-down of a tenth", Goal(slowdown=1.1)),
        ("E x D", Goal(delay=1)),
    ):
        results[title] = {
            group: {name: judge(members, goal, way) for name, way in RIVALS.items()}
            for group, members in groups.items()
        }
        if title == "E x D":  # its regret is in energy and would mislead
            for ways in results[title].values():
                for figures in ways.values():
                    for key in [key for key in figures if key.startswith("regret")]:
                        del figures[key]
    sets = sorted({key[1] for key in found})
    results["v100, best cap against none at the best batch, percent of an epoch's joules"] = {
        data: largest_saving(found, data) for data in sets
    }
    results["savings beside FROST's 26.4 %"] = beside_frost(groups["all"])
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(
        json.dumps(
            {k: v["all"] if isinstance(v, dict) and "all" in v else v for k, v in results.items()}, indent=1
        )
    )


if __name__ == "__main__":
    main()

"""Plans on a real series of a grid: what they save against starting at once, with perfect knowledge and without.

    python benchmarks/planning.py [--data FILE.csv] [--starts 1000]

Data: WattTime's marginal intensity of California North, 8 June to 8 July 2023, 5-minute steps, as the Vessim project
ships it (MIT; datasets/watttime_example.csv). Two jobs: 4 h within 24 h and 24 h within 72 h. Starts are spread evenly,
for plans that need a past after its 14 days. Each way: the share of all grams together that it saves ("whole") and the
mean over the starts of each one's share ("each").

- known: the exact optimum, in one piece and in pieces;
- seasonal mean: a plan made once by the mean of the same time of 14 days (the rival);
- forecast: ours, made once; step by step: ours, decided at each step with the value of now.

Results: benchmarks/results/planning.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from wattmark.impact.series import read_series
from wattmark.plan.backtest import all_starts, along
from wattmark.plan.forecast import season
from wattmark.plan.grid import on_grid
from wattmark.plan.schedule import best_pieces, best_start

RESULTS = Path(__file__).parent / "results" / "planning.json"
DATA = Path("../shared/data/carbon/vessim_traces/watttime_example.csv")
DAY, PAST = 288, 14 * 288


def saved(planned: list[float], at_once: list[float]) -> dict[str, float]:
    ours, now = np.array(planned), np.array(at_once)
    each = 1 - ours / np.maximum(now, 1e-9)
    return {
        "whole_percent": round(100 * float(1 - ours.sum() / now.sum()), 2),
        "each_percent": round(100 * float(each.mean()), 2),
        "worse_than_at_once_percent": round(100 * float((ours > now + 1e-9).mean()), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What plans save on a real series.")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--starts", type=int, default=1000)
    args = parser.parse_args()
    series = read_series(args.data, signal="marginal")
    values = on_grid(series, series.start_s, series.end_s, 300.0)
    values = np.where(np.isfinite(values), values, np.nanmean(values))
    jobs: dict[str, Any] = {}
    for name, steps, window in (("4 h within 24 h", 48, 288), ("24 h within 72 h", 288, 864)):
        begun = time.perf_counter()
        known = all_starts(values, steps, window)
        seconds = time.perf_counter() - begun
        rows: dict[str, list[float]] = {}
        for at in np.linspace(PAST, len(values) - window - 1, args.starts).astype(int):
            past, future = values[at - PAST : at], values[at : at + window]
            mean = np.resize(past.reshape(14, DAY).mean(axis=0), window)
            model = season(past, 300.0)
            ours = model.ahead(float(past[-1]), window)
            found = {
                "at once": float(future[:steps].mean()),
                "known, one piece": float(known.one[at]),
                "known, pieces": float(known.pieces[at]),
                "seasonal mean, one piece": float(future[best_start(mean, steps).running].mean()),
                "seasonal mean, pieces": float(future[best_pieces(mean, steps).running].mean()),
                "forecast, one piece": float(future[best_start(ours, steps).running].mean()),
                "forecast, pieces": float(future[best_pieces(ours, steps).running].mean()),
                "step by step, one piece": along(model, future, steps, pausable=False)[0],
                "step by step, pieces": along(model, future, steps, pausable=True)[0],
            }
            for way, value in found.items():
                rows.setdefault(way, []).append(value)
        every = np.linspace(0, len(known.one) - 1, args.starts).astype(int)
        jobs[name] = {
            "starts": args.starts,
            "known_from_any_start": {
                "one piece": saved(known.one[every].tolist(), known.at_once[every].tolist()),
                "pieces": saved(known.pieces[every].tolist(), known.at_once[every].tolist()),
            },
            "after_14_days": {
                way: saved(planned, rows["at once"]) for way, planned in rows.items() if way != "at once"
            },
            "exact_plans_a_second": round(2 * len(known.one) / seconds),
        }
        print(name, json.dumps(jobs[name], indent=1))
    machine = {"processor": platform.processor() or platform.machine(), "cpus": os.cpu_count()}
    RESULTS.write_text(json.dumps({"machine": machine, "jobs": jobs}, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Are cells of a study told apart too easily where their repeats are taken to scatter alike?

    python benchmarks/pooled_scatter.py [--studies 4000]

Simulated studies of nine cells with two, three or five repeats: the same cost in all, or 20 % more in one. Cells
scatter alike, or by factors that spread log-normally over the cells. Counted is how often two equal cells are called
different, and how often the dearer one is found: by the scatter of all cells (as :meth:`StudyData.difference` does,
unless an F test says that these two scatter more), and by that of the two alone (Welch).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from statistics import fmean

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from wattmark.statistics import Pooled, difference_of_means  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "pooled_scatter.json"
CELLS, SCATTER, DEARER = 9, 0.05, math.log(1.2)


def simulate(studies: int, repeats: int, spread: float) -> dict[str, float]:
    rng = np.random.default_rng(1)
    counts = dict.fromkeys(("alarm", "alarm_welch", "power", "power_welch"), 0)
    for _ in range(studies):
        deviations = SCATTER * np.exp(rng.normal(0, spread, CELLS))
        cells = [rng.normal(0, deviation, repeats).tolist() for deviation in deviations]
        pooled, first, second = Pooled.of(cells), cells[0], cells[1]
        alone = difference_of_means(first, second)[1]
        common = None if pooled is None else pooled.half_width(first, second)
        half = alone if common is None else common
        gap = fmean(second) - fmean(first)
        counts["alarm"] += abs(gap) > half
        counts["alarm_welch"] += abs(gap) > alone
        counts["power"] += gap + DEARER > half
        counts["power_welch"] += gap + DEARER > alone
    return {name: round(count / studies, 4) for name, count in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=4_000)
    options = parser.parse_args()
    rows = [
        {"repeats": repeats, "spread_of_scatter": spread, **simulate(options.studies, repeats, spread)}
        for repeats in (2, 3, 5)
        for spread in (0.0, 0.5, 1.0)
    ]
    RESULTS.write_text(
        json.dumps({"studies": options.studies, "cells": CELLS, "rows": rows}, indent=1) + "\n"
    )
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()

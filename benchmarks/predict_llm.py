"""How well are joules of a served token predicted for a model, or a GPU, that was not in the fit?

    python benchmarks/predict_llm.py [--data ../shared/data/mlenergy_v2]

A ridge on twelve logarithmic features is the rival that learns everything from the rows. 356 servers of the ML.ENERGY
leaderboard v2 (Apache-2.0; A100 and H100, 29 models). Each model, then each GPU, is left out of the fit; the width of
its interval too comes from the other models only. Beside it EcoLogits' formula with the true batch as we wrote it down
(its package was not run, and the figure is not reconciled with others'), and the roofline with all factors 1. Curve: a
+ b / batch by least squares within a series. Writes benchmarks/results/predict_llm.json.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattmark.predict.conformal import local_width
from wattmark.predict.llm import physics
from wattmark.predict.llm.mlenergy import observations
from wattmark.predict.llm.predictor import Observation, factors, left_out
from wattmark.predict.llm.subject import Serving

ROOT = Path(__file__).resolve().parent.parent
Floats = NDArray[np.float64]


def score(prediction: Floats, truth: Floats) -> dict[str, float]:
    error = np.abs(prediction / truth - 1)
    return {"mape": float(error.mean()), "median": float(np.median(error))}


def ridge(rows: list[Observation], truth: Floats, groups: list[str]) -> Floats:
    """Joules a token of a linear fit of their logarithm on twelve logarithms, each standardised, with a penalty of 1;
    group left out."""

    def features(s: Serving) -> list[float]:
        m, hardware = s.model, s.hardware
        return [
            m.active, m.parameters, m.layers, m.hidden, m.kv_heads * m.head_dim, m.vocabulary, s.concurrency, s.prompt,
            s.output, s.accelerators, hardware.bandwidth_gb_s or 1.0, hardware.tdp_w or 1.0,
        ]  # fmt: skip

    table = np.log([features(row.subject) for row in rows])
    names, target, told = np.array(groups), np.log(truth), np.empty(len(rows))
    for name in sorted(set(groups)):
        test = names == name
        mean, spread = table[~test].mean(axis=0), table[~test].std(axis=0)
        x = (table - mean) / np.where(spread > 0, spread, 1.0)
        middle = target[~test].mean()
        weights = np.linalg.solve(
            x[~test].T @ x[~test] + np.eye(x.shape[1]), x[~test].T @ (target[~test] - middle)
        )
        told[test] = middle + x[test] @ weights
    return np.exp(told)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/mlenergy_v2")
    rows = observations(parser.parse_args().data)
    times = np.array([physics.seconds(row.subject) for row in rows])
    parts = times * np.array([physics.watts(row.subject) for row in rows])
    truth = np.array([row.joules for row in rows])
    models = np.array([row.subject.model.name for row in rows])
    gpus = [row.subject.hardware.id for row in rows]
    errors = left_out(parts, truth, models.tolist())
    held = np.zeros(len(rows), bool)
    sizes = np.log([row.subject.model.active for row in rows])
    for name in sorted(set(models)):
        test = models == name
        rest = models[~test].tolist()
        unit, likeness = local_width(left_out(parts[~test], truth[~test], rest), rest, sizes[~test])
        held[test] = np.abs(errors[test]) <= unit * likeness.at(float(sizes[test][0]))
    coverage = {name: float(held[models == name].mean()) for name in sorted(set(models))}
    seconds = np.array([row.seconds for row in rows])
    late = left_out(times, seconds, models.tolist(), physics.LEAST)
    roofline = np.maximum(times[:, 0] + times[:, 1], times[:, 2] + times[:, 3]) * parts[:, 0] / times[:, 0]
    # EcoLogits 0.8 (docs: methodology/llm_inference): Wh a token = 1.17e-6 x exp(-1.12e-2 x batch) x active 1e9 + 4.05e-5
    eco = np.array(
        [
            3600 * (1.17e-6 * math.exp(-1.12e-2 * s.concurrency) * s.model.active / 1e9 + 4.05e-5)
            for s in (row.subject for row in rows)
        ]
    )
    series: dict[Any, list[int]] = defaultdict(list)
    for i, row in enumerate(rows):
        s = row.subject
        series[s.model.name, s.hardware.id, s.accelerators].append(i)
    curve: list[float] = []
    for places in series.values():
        if len(places) > 2:
            batch = np.array([rows[i].subject.concurrency for i in places])
            design = np.column_stack([np.ones(len(places)), 1 / batch])
            curve.extend(np.abs(design @ factors(design, truth[places]) / truth[places] - 1))
    result = {
        "rows": len(rows),
        "model left out": score(np.exp(errors) * truth, truth),
        "GPU left out": score(np.exp(left_out(parts, truth, gpus)) * truth, truth),
        "seconds, model left out": score(np.exp(late) * seconds, seconds),
        "coverage of 90 %": float(held.mean()),
        "models below 60 %": {name: value for name, value in coverage.items() if value < 0.6},
        "curve a + b/batch": float(np.mean(curve)),
        "roofline alone": score(roofline, truth),
        "EcoLogits, true batch": score(eco, truth),
        "ridge on twelve features, model left out": score(ridge(rows, truth, models.tolist()), truth),
        "ridge on twelve features, GPU left out": score(ridge(rows, truth, gpus), truth),
    }
    text = json.dumps(result, indent=1) + "\n"
    (ROOT / "benchmarks/results/predict_llm.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

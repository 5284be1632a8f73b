"""Joules of a search until its front is as good: with trials stopped by WattmarkPruner, and without.

    python benchmarks/optuna_pruning.py [--seeds 20] [--trials 40]

A real search: multilayer perceptrons on scikit-learn's handwritten digits (numpy, one hidden layer), over width, learning
rate, batch size and L2; 12 epochs a trial; objectives are the accuracy on held-out digits (to be large) and the joules of
the training (to be small). Joules are the process's CPU seconds times 10 W, as nothing measures joules here: both searches
are judged by the same. Same sampler (NSGA-II of Optuna) and seed with and without; the front is judged by its hypervolume
over log joules and accuracy, after each trial, at the joules spent so far, those of stopped trials included. Target of a
seed: 99 % of the smaller of the two final hypervolumes. Writes benchmarks/results/optuna_pruning.json and .md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path
from statistics import median

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
import numpy as np
import optuna
from sklearn.datasets import load_digits

from wattmark.integrations.optuna import JOULES, WattmarkPruner

RESULT = Path(__file__).resolve().parent / "results/optuna_pruning.json"
EPOCHS, WATTS = 12, 10.0
WORST = (0.1, 20.0)
"""The reference point: accuracy, joules."""
Row = tuple[float, float | None, float | None]
"""Of a trial: joules spent, accuracy and joules of what it came to (None where it was stopped)."""


def data() -> tuple[np.ndarray, ...]:
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    x, y = x[order] / 16, y[order]
    return x[:1200], y[:1200], x[1200:], y[1200:]


def search(seed: int, trials: int, pruned: bool, digits: tuple[np.ndarray, ...]) -> list[Row]:
    train_x, train_y, test_x, test_y = digits
    pruner = WattmarkPruner(EPOCHS, least_trials=8 if pruned else 10**9)

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        width = trial.suggest_int("width", 4, 256, log=True)
        rate = trial.suggest_float("rate", 1e-3, 1.0, log=True)
        batch = trial.suggest_categorical("batch", [8, 16, 32, 64, 128])
        decay = trial.suggest_float("decay", 1e-6, 1e-1, log=True)
        rng = np.random.default_rng(trial.number)
        a, b = rng.normal(0, 0.1, (64, width)), rng.normal(0, 0.1, (width, 10))
        watch = pruner.watch(trial)
        began = time.process_time()
        accuracy = 0.0
        for epoch in range(1, EPOCHS + 1):
            order = rng.permutation(len(train_y))
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                hidden = np.maximum(train_x[rows] @ a, 0)
                out = hidden @ b
                share = np.exp(out - out.max(axis=1, keepdims=True))
                share /= share.sum(axis=1, keepdims=True)
                share[np.arange(len(rows)), train_y[rows]] -= 1
                share /= len(rows)
                back = (share @ b.T) * (hidden > 0)
                b -= rate * (hidden.T @ share + decay * b)
                a -= rate * (train_x[rows].T @ back + decay * a)
            told = np.maximum(test_x @ a, 0) @ b
            accuracy = float((told.argmax(axis=1) == test_y).mean()) if np.isfinite(told).all() else 0.0
            watch.report(epoch, quality=accuracy, energy_j=(time.process_time() - began) * WATTS)
        return accuracy, watch.energy_j

    sampler = optuna.samplers.NSGAIISampler(seed=seed, population_size=10)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    with np.errstate(all="ignore"):
        study.optimize(objective, n_trials=trials)
    rows: list[Row] = []
    for trial in study.trials:
        done = trial.state.name == "COMPLETE"
        rows.append(
            (
                trial.user_attrs[JOULES][-1],
                trial.values[0] if done else None,
                trial.values[1] if done else None,
            )
        )
    return rows


def volume(points: list[tuple[float, float]]) -> float:
    """Hypervolume over accuracy and the logarithm of joules, up to the reference point."""
    inside = sorted((math.log(j), a) for a, j in points if a > WORST[0] and 0 < j < WORST[1])
    edge, best, area = math.log(WORST[1]), WORST[0], 0.0
    for log_j, accuracy in inside:
        if accuracy > best:
            area += (accuracy - best) * (edge - log_j)
            best = accuracy
    return area


def course(rows: list[Row]) -> list[tuple[float, float]]:
    """(joules spent, hypervolume) after each trial."""
    spent, points, found = 0.0, [], []
    for joules, accuracy, own in rows:
        spent += joules
        if accuracy is not None and own is not None:
            points.append((accuracy, own))
        found.append((spent, volume(points)))
    return found


def first(steps: list[tuple[float, float]], target: float) -> float | None:
    return next((spent for spent, reached in steps if reached >= target), None)


def words(summary: dict) -> str:
    """The summary in a few lines."""
    seeds = summary["seeds"]
    rows = [
        ("joules to the same hypervolume, stopped / not", summary["ratio_to_target"]),
        ("joules of all trials, stopped / not", summary["ratio_all_trials"]),
    ]
    lines = [f"{name:50} {value:.2f} [{low:.2f}, {high:.2f}]" for name, (value, low, high) in rows]
    middle, least, most = summary["hypervolume_ratio"]
    lines.append(
        f"{'hypervolume in the end, stopped / not, median':50} {middle:.2f} ({least:.2f} to {most:.2f})"
    )
    lines.append(f"{'trials stopped, median':50} {summary['stopped_of_trials']:.0f}")
    lines.append(f"{'seeds in which it took fewer joules':50} {summary['fewer']} of {len(seeds)}")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=40)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    digits = data()
    results = []
    for seed in range(options.seeds):
        order = (False, True) if seed % 2 == 0 else (True, False)
        rows = {pruned: search(seed, options.trials, pruned, digits) for pruned in order}
        plain, stopped = course(rows[False]), course(rows[True])
        target = 0.99 * min(plain[-1][1], stopped[-1][1])
        joules = first(plain, target), first(stopped, target)
        results.append(
            {
                "seed": seed, "hypervolume": [plain[-1][1], stopped[-1][1]], "joules_to_target": joules,
                "joules": [plain[-1][0], stopped[-1][0]], "stopped": sum(one[1] is None for one in rows[True]),
            }
        )  # fmt: skip
        print(results[-1], file=sys.stderr, flush=True)
    to_target = [math.log(one["joules_to_target"][1] / one["joules_to_target"][0]) for one in results]
    whole = [math.log(one["joules"][1] / one["joules"][0]) for one in results]
    lost = [one["hypervolume"][1] / one["hypervolume"][0] for one in results]
    rng = np.random.default_rng(0)
    ends = [
        np.exp(
            np.quantile([np.mean(rng.choice(logs, len(logs))) for _ in range(4000)], (0.025, 0.975))
        ).tolist()
        for logs in (to_target, whole)
    ]
    summary = {
        "load": os.getloadavg(),
        "ratio_to_target": [math.exp(np.mean(to_target)), *ends[0]],
        "ratio_all_trials": [math.exp(np.mean(whole)), *ends[1]],
        "hypervolume_ratio": [median(lost), min(lost), max(lost)],
        "stopped_of_trials": median(one["stopped"] for one in results),
        "fewer": sum(log < 0 for log in to_target),
        "seeds": results,
    }
    RESULT.with_suffix(".md").write_text(words(summary), encoding="utf-8")
    RESULT.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print({key: value for key, value in summary.items() if key != "seeds"})
    return 0


if __name__ == "__main__":
    sys.exit(main())

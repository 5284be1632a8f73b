"""How well are the power and the energy of a training predicted from its network and its machine alone?

    python benchmarks/predict_training.py [--data ../shared/data/gaissa/dl-training-energy-consumption-dataset.csv]

369 trainings of five image classifiers on three GPUs (arXiv 2307.05520; CC BY 4.0). M1: mean power (W), M2: joules of an
epoch. Ten random folds, as in the paper; then, harder, each network and each GPU left out in turn. Beside them the
straight line in the plain features (MACs, parameters, depth, the board's power, its operations per second) of the plain
target. Savings: the epoch of the cheapest network beside that of the dearest, on each machine, at equal data. Coverage of
90 % intervals is of the groups left out, the width from the others. The features for what is new were chosen on these
data.
Writes benchmarks/results/predict_training.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattmark.predict import conformal
from wattmark.predict.environment.features import Target, features
from wattmark.predict.environment.gaissa import trainings
from wattmark.predict.environment.predictor import (
    Model,
    errors_left_out,
    machine_of,
    network_of,
    truth,
)  # fmt: skip
from wattmark.predict.environment.subject import TrainingRun

ROOT = Path(__file__).resolve().parent.parent
PLAIN = ("MACs", "parameters", "depth", "maximum power", "operations per second")
Floats = NDArray[np.float64]
Group = Callable[[TrainingRun], Hashable]


def score(guess: Floats, true: Floats) -> dict[str, float]:
    error = guess - true
    return {
        "R2": float(1 - (error**2).sum() / ((true - true.mean()) ** 2).sum()),
        "mape": float(np.abs(error / true).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
    }


def line(target: Target, train: Sequence[TrainingRun], test: Sequence[TrainingRun]) -> Floats:
    def design(runs: Sequence[TrainingRun]) -> Floats:
        plain = np.exp([features(run.subject, PLAIN) for run in runs])
        return np.column_stack([np.ones(len(runs)), plain])

    x = design(train)
    scale = x.max(axis=0)
    solved = np.linalg.lstsq(x / scale, np.array([truth(target, run) for run in train]), rcond=None)[0]
    return design(test) / scale @ solved


def random_folds(target: Target, runs: Sequence[TrainingRun]) -> dict[str, Any]:
    order = np.random.default_rng(0).permutation(len(runs))
    guess, straight = np.empty(len(runs)), np.empty(len(runs))
    chosen: list[str] = []
    for fold in np.array_split(order, 10):
        rest = [runs[place] for place in sorted(set(order.tolist()) - set(fold.tolist()))]
        model = Model.fit(target, rest, None)
        chosen.append(model.family)
        some = [runs[place] for place in fold]
        guess[fold] = [model.predict(run.subject, known=False) for run in some]
        straight[fold] = line(target, rest, some)
    true = np.array([truth(target, run) for run in runs])
    return {"ours": score(guess, true), "families": sorted(set(chosen)), "line": score(straight, true)}


def left_out(target: Target, runs: Sequence[TrainingRun], group: Group) -> dict[str, Any]:
    true = np.array([truth(target, run) for run in runs])
    errors = errors_left_out(target, runs, group)
    names = np.array([str(group(run)) for run in runs])
    straight = np.empty(len(runs))
    held = np.zeros(len(runs), bool)
    for name in dict.fromkeys(names.tolist()):
        test = names == name
        rest = [run for run, out in zip(runs, test, strict=True) if not out]
        straight[test] = line(target, rest, [run for run, out in zip(runs, test, strict=True) if out])
        groups = [group(run) for run in rest]
        if len(set(groups)) > 2:
            reach = conformal.width(errors_left_out(target, rest, group), groups)
            held[test] = np.abs(errors[test]) <= reach
    size = np.abs(np.exp(errors) - 1)
    return {
        "ours": score(np.exp(errors) * true, true) | {"median": float(np.median(size))},
        "by group": {name: float(size[names == name].mean()) for name in dict.fromkeys(names.tolist())},
        "coverage of 90 %": float(held.mean()) if held.any() else None,
        "line": score(straight, true),
    }


def savings(runs: Sequence[TrainingRun]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for gpu in dict.fromkeys(str(machine_of(run)) for run in runs):
        here = [run for run in runs if machine_of(run) == gpu]
        means = {
            str(name): float(np.mean([run.epoch_j for run in here if network_of(run) == name]))
            for name in dict.fromkeys(map(network_of, here))
        }
        low, high = min(means, key=lambda name: means[name]), max(means, key=lambda name: means[name])
        cheap = [run.epoch_j for run in here if network_of(run) == low]
        dear = [run.epoch_j for run in here if network_of(run) == high]
        rng = np.random.default_rng(0)
        shares = [1 - rng.choice(cheap) / rng.choice(dear) for _ in range(4000)]
        found[gpu] = {
            "from": high,
            "to": low,
            "saving": 1 - means[low] / means[high],
            "central 90 % of pairs of runs": [float(np.quantile(shares, q)) for q in (0.05, 0.95)],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--data",
        type=Path,
        default=ROOT.parent / "shared/data/gaissa/dl-training-energy-consumption-dataset.csv",
    )
    runs = trainings(parser.parse_args().data)
    targets: dict[str, Target] = {"M1, watts": "power", "M2, joules of an epoch": "energy"}
    result: dict[str, Any] = {"rows": len(runs)}
    for name, target in targets.items():
        result[name] = {
            "random folds": random_folds(target, runs),
            "network left out": left_out(target, runs, network_of),
            "GPU left out": left_out(target, runs, machine_of),
        }
    result["savings"] = savings(runs)
    text = json.dumps(result, indent=1) + "\n"
    (ROOT / "benchmarks/results/predict_training.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

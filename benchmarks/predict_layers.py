"""How well are a network's joules and seconds of training predicted as the sum of its layers?

    OMP_NUM_THREADS=1 python benchmarks/predict_layers.py [--device simulated|cpu] [--budget 5min] [--networks 60]

Profiles the layers (THOR, arXiv 2501.16397, as wattmark.predict.layers has it), then holds random networks that were not
seen (multi-layer perceptrons, convolutional networks, small transformers; a third each, fixed seeds) against their truth: on
the simulated device exactly known, on the CPU measured after the profile, one step of training each, repeated. Beside it two
straight lines on the same networks, each fitted on all others of them (more than THOR is given): in operations, and in
(operations, parameters, activations), by relative least squares and by plain ones, the better of the two. The zoo is not
part of what calibrates the intervals: how the twelve networks of it that are small enough do is told apart.
Writes benchmarks/results/predict_layers_DEVICE.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattmark.predict.layers import storage
from wattmark.predict.layers.calls import Cost, Training
from wattmark.predict.layers.device import Network
from wattmark.predict.layers.kinds import KINDS
from wattmark.predict.layers.networks import FAMILIES, random_network
from wattmark.predict.layers.predictor import LayerPredictor
from wattmark.predict.layers.profiler import Profile, profile
from wattmark.predict.layers.question import budget_of, calibration_networks
from wattmark.predict.llm.predictor import factors

ROOT = Path(__file__).resolve().parent.parent
Floats = NDArray[np.float64]
ZOO = ("LeNet", "ResNet18", "GoogLeNet", "MobileNet", "MobileNetV2", "SENet18", "EfficientNetB0", "RegNetX_200MF",
       "DPN26", "ResNeXt29_2x64d", "SimpleDLA", "PreActResNet18")  # fmt: skip
ZOO_BATCH = 8


def held_out(count: int) -> list[Network]:
    return [random_network(FAMILIES[place % 3], place // 3) for place in range(count)]


def zoo() -> list[Network]:
    from wattmark.workloads.vision.zoo import build

    return [Network(name, lambda name=name: build(name), (3, 32, 32), ZOO_BATCH) for name in ZOO]


def sizes(training: Training) -> list[float]:
    """Operations, parameters, activations of a step."""
    works = [KINDS[call.kind].work_of(call.sizes) for call in training.trace.calls]
    return [
        sum(work.flops for work in works),
        float(sum(n for _, n in training.trace.parameters)),
        sum(work.activations for work in works),
    ]


def kendall(a: Floats, b: Floats) -> float:
    """Kendall's tau-a: the share of pairs in the same order less that of the others."""
    upper = np.triu_indices(len(a), 1)
    agree = np.sign(a[:, None] - a[None, :])[upper] * np.sign(b[:, None] - b[None, :])[upper]
    return float(agree.mean())


def line(features: Floats, truth: Floats) -> Floats:
    """Each row by a line fitted on all others, by the better of relative and plain least squares."""
    found: list[Floats] = []
    design = np.column_stack([np.ones(len(truth)), features])
    scale = design.max(axis=0)
    for relative in (True, False):
        guess = np.empty(len(truth))
        for row in range(len(truth)):
            rest = np.arange(len(truth)) != row
            if relative:
                guess[row] = design[row] @ factors(design[rest], truth[rest])
            else:
                solved = np.linalg.lstsq(design[rest] / scale, truth[rest], rcond=None)[0]
                guess[row] = max(design[row] / scale @ solved, truth.min())
        found.append(guess)
    return min(found, key=lambda guess: np.abs(guess / truth - 1).mean())


def score(guess: Floats, truth: Floats) -> dict[str, float]:
    error = np.abs(guess / truth - 1)
    return {
        "mape": float(error.mean()),
        "median": float(np.median(error)),
        "p90": float(np.quantile(error, 0.9)),
        "bias": float((guess / truth - 1).mean()),
        "kendall": kendall(guess, truth),
    }


def judged(predictor: LayerPredictor, trainings: list[Training], truths: list[Cost]) -> dict[str, Any]:
    predictions = [predictor.predict(training) for training in trainings]
    table: dict[str, Any] = {}
    for target, guesses, truth in (
        ("joules", [p.energy for p in predictions], np.array([t.joules for t in truths])),
        ("seconds", [p.time for p in predictions], np.array([t.seconds for t in truths])),
    ):
        guess = np.array([one.value for one in guesses])
        ends = np.array([one.interval(0.9) for one in guesses])
        features = np.array([sizes(training) for training in trainings])
        table[target] = {
            "layers": score(guess, truth),
            "coverage of 90 %": float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()),
            "width of 90 %": float(np.median(ends[:, 1] / ends[:, 0])),
            "families": {
                family: score(guess[places], truth[places])["mape"]
                for family in FAMILIES
                if len(places := [i for i, one in enumerate(trainings) if one.trace.name.startswith(family)])
                > 1
            },
            "line in operations": score(line(features[:, :1], truth), truth),
            "line in operations, parameters, activations": score(line(features, truth), truth),
        }
    return table


def rows(predictor: LayerPredictor, trainings: list[Training], truths: list[Cost]) -> list[dict[str, Any]]:
    return [
        {
            "network": training.trace.name,
            "predicted_j": predictor.predict(training).energy.value,
            "joules": truth.joules,
            "predicted_s": predictor.predict(training).time.value,
            "seconds": truth.seconds,
        }
        for training, truth in zip(trainings, truths, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", choices=("simulated", "cpu"), default="simulated")
    parser.add_argument("--budget", default="5min")
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--profile", type=Path, help="one that was kept, instead of measuring")
    parser.add_argument(
        "--truths", type=Path, action="append", default=[],
        help="results of earlier calls: judge --profile by what they re-measured, instead of measuring",
    )  # fmt: skip
    parser.add_argument("--keep", type=Path, help="where to put the profile")
    options = parser.parse_args()
    networks, known = held_out(options.networks), zoo()
    trainings = [network.training() for network in networks]
    zoo_trainings = [network.training() for network in known]
    began_s = time.process_time(), time.monotonic()
    if options.device == "simulated":
        from wattmark.testing.simulated_device import SimulatedDevice

        device = SimulatedDevice()
        done = profile(device, calibration_networks(), budget_of(options.budget))
        truths = [device.step(training) for training in trainings]
        zoo_truths = [device.step(training) for training in zoo_trainings]
        spent_s = time.process_time() - began_s[0], time.monotonic() - began_s[1]
        device_name = "simulated"
    else:
        from wattmark.predict.layers.machine import Machine

        if options.profile is None:
            with Machine() as machine:
                done = profile(machine, calibration_networks(), budget_of(options.budget), progress=tell)
            if options.keep is not None:
                options.keep.write_text(as_text(done), encoding="utf-8")
        else:
            done = storage.read(options.profile)
        if options.truths:
            judge_again(done, options.truths, trainings, zoo_trainings)
            return
        spent_s = time.process_time() - began_s[0], time.monotonic() - began_s[1]
        with Machine() as machine:
            measured = [
                machine.whole(network, training)
                for network, training in zip([*networks, *known], [*trainings, *zoo_trainings], strict=True)
            ]
            _, measured = machine.finished([], measured)
        truths = [one.cost for one in measured[: len(networks)]]
        zoo_truths = [one.cost for one in measured[len(networks) :]]
        device_name = done.device
    predictor = LayerPredictor.fit((*done.layers, *done.wholes), done.device)
    result = {
        "device": device_name,
        "profile": {
            "layers": len(done.layers),
            "networks": len(done.wholes),
            "cpu_s": spent_s[0],
            "wall_s": spent_s[1],
            "device_s": done.seconds,
            "additivity": done.additivity,
            "correction": predictor.correction,
            "unsure": done.unsure,
        },
        "networks": len(networks),
        "held out": judged(predictor, trainings, truths),
        "zoo": judged(predictor, zoo_trainings, zoo_truths),
        "rows": rows(predictor, [*trainings, *zoo_trainings], [*truths, *zoo_truths]),
    }
    path = ROOT / f"benchmarks/results/predict_layers_{options.device}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=1))


def judge_again(done: Profile, files: list[Path], trainings: list[Training], known: list[Training]) -> None:
    """A kept profile against networks that were re-measured several times, and how far these differ themselves."""
    predictor = LayerPredictor.fit((*done.layers, *done.wholes), done.device)
    measured: list[dict[str, Cost]] = []
    for file in files:
        kept = json.loads(file.read_text(encoding="utf-8"))["rows"]
        measured.append({row["network"]: Cost(row["joules"], row["seconds"]) for row in kept})

    def mean(name: str) -> Cost:
        logs = [np.log([truth[name].joules, truth[name].seconds]) for truth in measured]
        joules, seconds = np.exp(np.mean(logs, axis=0))
        return Cost(float(joules), float(seconds))

    result: dict[str, Any] = {
        "device": done.device,
        "profile": {
            "layers": len(done.layers),
            "networks": len(done.wholes),
            "device_s": done.seconds,
            "additivity": done.additivity,
            "correction": predictor.correction,
            "unsure": done.unsure,
        },
        "networks": len(trainings),
    }
    for name, some in (("held out", trainings), ("zoo", known)):
        for number, truth in enumerate(measured, start=1):
            truths = [truth[training.trace.name] for training in some]
            result[f"{name}, measurement {number}"] = judged(predictor, some, truths)
        result[f"{name}, mean of both"] = judged(
            predictor, some, [mean(training.trace.name) for training in some]
        )
    apart = np.log([measured[1][t.trace.name].seconds / measured[0][t.trace.name].seconds for t in trainings])
    result["the two measurements differ by"] = {
        "median": float(np.exp(np.median(apart)) - 1),
        "mean absolute, about it": float(np.abs(apart - np.median(apart)).mean()),
    }
    result["rows"] = rows(predictor, [*trainings, *known], [mean(t.trace.name) for t in (*trainings, *known)])
    path = ROOT / "benchmarks/results/predict_layers_cpu.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in result.items() if key != "rows"}, indent=1))


def tell(what: str, share: float) -> None:
    print(f"{share:.0%} {what}", file=sys.stderr, flush=True)


def as_text(done: Profile) -> str:
    from dataclasses import asdict

    return json.dumps({"version": storage.VERSION, **asdict(done)}) + "\n"


if __name__ == "__main__":
    main()

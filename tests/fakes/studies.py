"""Synthetic study results with planted effects, as a runner would have written them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from wattmark.studies.results import Stage, StudyResults, TrialResult

Effect = Callable[[Mapping[str, Any]], float]


def bounds(value: float, relative: float) -> dict[str, float]:
    return {"value": value, "low": value * (1 - relative), "high": value * (1 + relative)}


def trial(
    factors: Mapping[str, Any],
    *,
    training_j: float = 1000.0,
    inference_j: float = 100.0,
    accuracy: float = 0.9,
    epochs: int = 2,
    repeat: int = 0,
    accuracy_of_measurement: float = 0.02,
    metrics: Mapping[str, float] | None = None,
    **changes: Any,
) -> TrialResult:
    """A trial of 10 s epochs on a machine with a CPU (a quarter of the joules) and one GPU (the rest)."""
    relative = accuracy_of_measurement
    series = {"cpu/utilisation": 40.0, "gpu0/utilisation": 80.0, "gpu0/temperature": 60.0}

    def stage(name: str, path: str, start: float, seconds: float, joules: float, **more: Any) -> Stage:
        parts = {"cpu": joules / 4, "gpu": joules * 3 / 4}
        return Stage(name, path, start, seconds, bounds(joules, relative), parts, series=series, **more)

    each = training_j / epochs
    stages = [stage("data", "data", 0.0, 1.0, 10.0), stage("train", "train", 1.0, 10.0 * epochs, training_j)]
    for number in range(epochs):
        counts = {"samples": 1000, "steps": 10}
        attrs = {"epoch": number, "loss": 1 / (1 + number), "accuracy": accuracy}
        stages.append(
            stage("epoch", "train/epoch", 1.0 + 10 * number, 10.0, each, counts=counts, attrs=attrs)
        )
    seconds = 1.0 + 10 * epochs
    stages.append(
        stage("inference", "inference", seconds, 2.0, inference_j, counts={"samples": 1000, "steps": 10})
    )
    total = 10 + training_j + inference_j
    name = "-".join(str(level) for level in factors.values())
    given: dict[str, Any] = {
        "trial_id": f"{name}-{repeat}",
        "index": 0,
        "repeat": repeat,
        "factors": dict(factors),
        "status": "completed",
        "duration_s": seconds + 2,
        "energy_j": {
            "total": bounds(total, relative),
            "cpu": bounds(total / 4, relative),
            "gpu": bounds(total * 3 / 4, relative),
        },
        "methods": {"cpu": "counter", "gpu": "integrated"},
        "metrics": {"accuracy": accuracy, **(metrics or {})},
        "stages": tuple(stages),
        "series": series,
        "host": "lab",
    }
    return TrialResult(**{**given, **changes})


def study(
    factors: Mapping[str, Sequence[Any]],
    repeats: int,
    *,
    seed: int = 0,
    noise: float = 0.02,
    energy: Effect = lambda levels: 1000.0,
    accuracy: Effect = lambda levels: 0.9,
    accuracy_noise: float = 0.002,
    metrics: Callable[[Mapping[str, Any]], Mapping[str, float]] = lambda levels: {},
    epochs: int = 2,
    accuracy_of_measurement: float = 0.02,
) -> StudyResults:
    """A full factorial design: ``energy`` gives a cell's training joules (inference a tenth), with log-normal noise."""
    rng = np.random.default_rng(seed)
    trials = [
        trial(
            levels,
            training_j=energy(levels) * float(np.exp(rng.normal(0, noise))),
            inference_j=energy(levels) / 10 * float(np.exp(rng.normal(0, noise))),
            accuracy=accuracy(levels) + float(rng.normal(0, accuracy_noise)),
            epochs=epochs,
            repeat=repeat,
            metrics=metrics(levels),
            accuracy_of_measurement=accuracy_of_measurement,
        )
        for combination in product(*factors.values())
        for levels in [dict(zip(factors, combination, strict=True))]
        for repeat in range(repeats)
    ]
    return StudyResults("planted", "A planted study", {"factors": dict(factors)}, trials)

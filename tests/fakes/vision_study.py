"""A made-up study of fourteen image classifiers, whole enough to fill every figure of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wattmark.studies.results import Stage, StudyResults, TrialResult

# name: parameters, MACs, accuracy (made up)
NETWORKS: dict[str, tuple[int, int, float]] = {
    "LeNet": (62006, 651720, 0.712), "SimpleDLA": (15142970, 913495040, 0.941), "VGG19": (20040522, 398136320, 0.918),
    "ResNet18": (11173962, 555422720, 0.937), "PreActResNet18": (11171146, 555422720, 0.939),
    "GoogLeNet": (6166250, 1521756160, 0.935), "DenseNet121": (6956298, 888350720, 0.945),
    "ResNeXt29_2x64d": (9128778, 1409492992, 0.943), "MobileNet": (3217226, 46354432, 0.902),
    "MobileNetV2": (2296922, 91154944, 0.931), "SENet18": (11260354, 555509760, 0.936),
    "EfficientNetB0": (3599686, 30331392, 0.897), "RegNetX_200MF": (2321946, 223317600, 0.929),
    "DPN26": (11574842, 665050880, 0.942),
}  # fmt: skip

ENVIRONMENT: dict[str, Any] = {
    "cpu": {"model": ["Intel(R) Xeon(R) Gold 6338"], "sockets": 2, "cores": 64, "threads": 128, "governor": "performance"},
    "memory_bytes": 256 * 2**30,
    "gpus": ["NVIDIA A100-SXM4-40GB"],
    "os": "Debian GNU/Linux 12",
    "kernel": "Linux 6.1.0",
    "python": "3.11.2",
    "packages": {"torch": "2.5.1", "numpy": "2.4.6"},
    "git": {"commit": "0123456789abcdef0123", "dirty": False},
    "channels": [
        {"id": "cpu0/package", "component": "cpu", "source": "rapl", "method": "counter", "counted": True,
         "accuracy": {"relative_low": 0.02, "relative_high": 0.02, "absolute_w": 0.5,
                      "citation": "Khan et al. 2018, ACM TOMPECS 3(2)"}},
        {"id": "gpu0/board", "component": "gpu", "source": "nvml", "method": "counter", "counted": True,
         "accuracy": {"relative_low": 0.05, "relative_high": 0.05, "absolute_w": 5.0,
                      "citation": "NVML reference, nvmlDeviceGetPowerUsage"}},
        {"id": "dram", "component": "dram", "source": "dram-model", "method": "modelled", "counted": True,
         "accuracy": {"relative_low": 0.5, "relative_high": 0.8, "absolute_w": 0.0,
                      "citation": "Lannelongue et al. 2021, Advanced Science 8"}},
    ],
}  # fmt: skip
METHODS = {"cpu": "counter", "gpu": "counter", "dram": "modelled"}


def vision_study(
    networks: Sequence[str] = tuple(NETWORKS),
    batches: Sequence[int] = (32, 64, 128, 256),
    *,
    repeats: int = 3,
    epochs: int = 10,
    gpu: bool = True,
    failed: bool = True,
    seed: int = 1,
    **changes: Any,
) -> StudyResults:
    """gpu: with an NVIDIA GPU; without, CPU and DRAM are both modelled. changes: fields of every trial."""
    rng = np.random.default_rng(seed)
    trials: list[TrialResult] = []
    for repeat in range(repeats):
        for network in networks:
            for batch in batches:
                factors = {"model": network, "batch_size": batch}
                trials.append(_trial(rng, factors, len(trials), repeat, epochs, gpu, changes))
    if failed:
        lost = trials[-1]
        trials[-1] = TrialResult(
            lost.trial_id, lost.index, lost.repeat, lost.factors, "out-of-memory", host="lab-1",
            error="torch.OutOfMemoryError: CUDA out of memory",
            log='Traceback (most recent call last):\n  File "train.py", line 12\ntorch.OutOfMemoryError\n',
        )  # fmt: skip
    design = {
        "name": "vision", "title": "Fourteen image classifiers", "workload": "vision", "combinations": "full",
        "factors": {"model": list(networks), "batch_size": list(batches)}, "fixed": {"epochs": epochs, "data": "cifar10"},
        "repeats": repeats, "seed": 7, "timeout_s": 3600,
        "quiet": {"baseline_s": 5.0, "cooldown_within_pct": 10.0, "cooldown_max_s": 30.0},
    }  # fmt: skip
    return StudyResults(
        "vision", "Fourteen image classifiers", design, trials, {"lab-1": ENVIRONMENT if gpu else {}}
    )


def _trial(
    rng: np.random.Generator, factors: Mapping[str, Any], index: int, repeat: int, epochs: int, gpu: bool,
    changes: Mapping[str, Any],
) -> TrialResult:  # fmt: skip
    parameters, macs, best = NETWORKS[factors["model"]]
    samples = 5000
    batch = factors.get("batch_size", 128)
    seconds = samples * (macs / 6e12 + 2e-5 + 2e-3 / batch) * float(np.exp(rng.normal(0, 0.02)))
    busy = float(np.clip(25 + 8 * max(0.0, np.log10(macs / 1e6)) ** 1.6 + rng.normal(0, 1.5), 5, 99))
    watts = {"cpu": 60 + 0.4 * (100 - busy), "gpu": 55 + 2.6 * busy + float(rng.normal(0, 3)), "dram": 18.0}
    methods = METHODS
    if not gpu:
        del watts["gpu"]
        methods = {"cpu": "modelled", "dram": "modelled"}
    series = {"cpu/utilisation": 100 - 0.7 * busy, "cpu/temperature": 55.0, "memory/used": 9e9 + 1e6 * batch}
    if gpu:
        series |= {
            "gpu0/utilisation": busy,
            "gpu0/memory_used": 1e9 + parameters * 16 + 9e6 * batch,
            "gpu0/temperature": 61.0,
        }

    def energy(duration: float) -> tuple[dict[str, float], dict[str, float]]:
        parts = {name: power * duration for name, power in watts.items()}
        total = sum(parts.values())
        return {"value": total, "low": total * 0.96, "high": total * 1.06}, parts

    def stage(name: str, path: str, start: float, duration: float, **more: Any) -> Stage:
        total, parts = energy(duration)
        return Stage(name, path, start, duration, total, parts, series=series, **more)

    counts = {"samples": samples, "steps": -(-samples // batch)}
    stages = [stage("data", "data", 0.0, 3.0), stage("warmup", "warmup", 3.0, 1.0)]
    now = 4.0
    stages.append(stage("train", "train", now, seconds * epochs))
    for number in range(epochs):
        learnt = 1 - np.exp(-(number + 1.2) / (epochs / 4))
        accuracy = float(best * learnt + rng.normal(0, 0.004))
        attrs = {
            "epoch": number,
            "loss": float(2.3 * (1 - learnt) + 0.12 + abs(rng.normal(0, 0.02))),
            "accuracy": accuracy,
        }
        wobble = float(np.exp(rng.normal(0, 0.01)))
        stages.append(stage("epoch", "train/epoch", now, seconds * wobble, counts=counts, attrs=attrs))
        now += seconds
    stages.append(stage("inference", "inference", now, seconds * 0.31, counts=counts))
    duration = now + seconds * 0.31
    total, parts = energy(duration)
    t = np.linspace(0, duration, 120)
    profile = (t.tolist(), (sum(watts.values()) * (1 - 0.5 * np.exp(-t / 2))).tolist())
    given: dict[str, Any] = {
        "trial_id": f"{index:04d}", "index": index, "repeat": repeat, "factors": dict(factors), "status": "completed",
        "started_at": f"2026-11-20T10:{index % 60:02d}:00+00:00", "duration_s": duration,
        "energy_j": {"total": total} | {k: {"value": v, "low": v * 0.97, "high": v * 1.04} for k, v in parts.items()},
        "methods": methods, "power_w": {"mean": sum(watts.values()), "peak": 1.2 * sum(watts.values())},
        "idle_w": {"cpu": 48.0, "gpu": 52.0} if gpu else {"cpu": 48.0}, "coverage": 0.999,
        "metrics": {"accuracy": best + float(rng.normal(0, 0.003)), "parameters": parameters,
                    "trainable_parameters": parameters, "macs": macs, "model_bytes": parameters * 4},
        "stages": tuple(stages), "series": series, "power_profile": profile,
        "contention": 0.01 + 0.02 * float(rng.random()),
        "host": "lab-1",
    }  # fmt: skip
    return TrialResult(**{**given, **changes})

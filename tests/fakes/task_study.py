"""A study of tasks with planted costs: joules of a round are as they are told here, nothing else scatters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wattmark.studies.results import Stage, StudyResults, TrialResult

ROUNDS, PER_ROUND = 5, 20


@dataclass(frozen=True)
class Cell:
    """j: of one inference. training_j: of its training, None for none. quality: None for random weights."""

    task: str
    model: str
    j: float
    quality: float | None = 0.9
    general: bool = False
    training_j: float | None = None
    gpu_j: float | None = None
    outputs: float = 1.0
    idle_w: float | None = None


def ends(value: float, error: float = 0.1) -> dict[str, float]:
    return {"value": value, "low": value * (1 - error), "high": value * (1 + error)}


def trial(cell: Cell, index: int, repeat: int, wobble: Sequence[float]) -> TrialResult:
    words = {"input_unit": "token", "output_unit": "token", "quality_metric": "accuracy"}

    def stage(name: str, joules: float, samples: int, attrs: Mapping[str, Any]) -> Stage:
        gpu = None if cell.gpu_j is None else cell.gpu_j * samples
        parts = {"cpu": joules - (gpu or 0.0), **({} if gpu is None else {"gpu": gpu})}
        return Stage(
            name, name, 0.0, 1.0, ends(joules), by_component_j=parts, counts={"samples": samples}, attrs=attrs
        )  # fmt: skip

    stages = [
        stage("inference", cell.j * PER_ROUND * wobble[place % len(wobble)], PER_ROUND, words)
        for place in range(ROUNDS)
    ]
    if cell.training_j is not None:
        stages.insert(0, stage("train", cell.training_j, 32, {}))
    total = sum(one.energy_j["value"] for one in stages if one.energy_j)
    gpu_total = None if cell.gpu_j is None else cell.gpu_j * PER_ROUND * ROUNDS
    metrics: dict[str, float] = {
        "inferences": ROUNDS * PER_ROUND, "inferences_per_s": 20.0, "batch_used": 1, "input_units": 12.0,
        "output_units": cell.outputs, "parameters": 1e6, "model_bytes": 4e6, "general": float(cell.general),
        "random_weights": float(cell.quality is None),
    }  # fmt: skip
    if cell.quality is not None:
        metrics |= {
            "task_quality": cell.quality, "task_quality_low": cell.quality - 0.1, "task_quality_high": cell.quality + 0.05,
            "chance": 0.5, "scored_inputs": 40,
        }  # fmt: skip
    return TrialResult(
        trial_id=f"t{index}-{repeat}",
        index=index,
        repeat=repeat,
        factors={"task": cell.task, "model": cell.model, "batch_size": 1},
        status="completed",
        duration_s=float(ROUNDS),
        energy_j={
            "total": ends(total), "cpu": ends(total - (gpu_total or 0.0)),
            **({} if gpu_total is None else {"gpu": ends(gpu_total)}),
        },
        methods={"cpu": "counter", **({} if gpu_total is None else {"gpu": "counter"})},
        idle_w=None if cell.idle_w is None else {"cpu": cell.idle_w},
        coverage=1.0,
        metrics=metrics,
        stages=stages,
        host="here",
    )  # fmt: skip


def task_study(cells: Sequence[Cell], repeats: int = 1, wobble: Sequence[float] = (1.0,)) -> StudyResults:
    """``repeats`` trials of each cell; wobble: of the rounds, as factors."""
    trials = [
        trial(cell, place, repeat, wobble) for place, cell in enumerate(cells) for repeat in range(repeats)
    ]
    rows = [{"task": cell.task, "model": cell.model, "batch_size": 1} for cell in cells]
    design: dict[str, Any] = {
        "name": "planted", "workload": "tasks", "combinations": "listed", "repeats": repeats, "trial": rows,
        "fixed": {"inferences": ROUNDS * PER_ROUND},
    }  # fmt: skip
    return StudyResults("planted", "Planted", design, trials, {"here": {}})


SENTIMENT = (
    Cell("text-classification", "small", 0.1, training_j=50.0),
    Cell("text-classification", "large", 3.0, quality=0.8, general=True),
)

"""A task as the work of a study: warm-up, then rounds of inferences, each round a stage; and how good the answers were.

The protocol is that of arXiv 2311.16863 and of the AI Energy Score: a thousand inferences in ten rounds, in batches of
one; ``batch_size = "best"`` takes the batch with which the warm-up answered most a second.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import cycle, islice
from math import inf
from typing import Any

from wattmark.errors import ConfigError
from wattmark.workloads.registry import Config, Factor, SpanMaker
from wattmark.workloads.tasks.base import Answer, Model, Settings, Trained
from wattmark.workloads.tasks.catalogue import AnyTask, find_task, is_general, names, open_model

BEST = "best"
BATCHES = (1, 2, 4, 8, 16, 32)
"""Tried for the best one."""
_TRIED_S = 2.0
"""So long each batch is tried at most, after one that does not count."""
_GAIN = 1.02
"""A larger batch must be faster by this much; else the smaller one answers sooner for the same work."""


class TasksWorkload:
    """One task with one model."""

    def __init__(self) -> None:
        self._model: Model[Any, Any] | None = None
        self._batch = 1

    @cached_property
    def factors(self) -> Mapping[str, Factor]:
        """What can be set."""
        return {
            "task": Factor(
                "text-classification",
                "what is done; or package.module:NAME of a task of one's own",
                choices=names(),
                pattern=r"[\w.]+:\w+",
            ),
            "model": Factor(
                "",
                "a model of the task by name; default: its first; or hf:OWNER/NAME, onnx:FILE, gguf:FILE where the task "
                "can use one",
            ),
            "batch_size": Factor(1, "inputs at a time, or best: the one that is fastest here", also=(str,)),
            "inferences": Factor(1_000, "of all rounds together; the inputs come again and again"),
            "rounds": Factor(10, "stages that the inferences are spread over"),
            "seconds": Factor(0.0, "no further batch begins after so long; 0 for no limit"),
            "output": Factor(0, "tokens that are written at most; 0 for what the task says"),
            "threads": Factor(0, "of the model; 0 for the cores less one"),
            "device": Factor("cpu", "cpu, cuda, cuda:1"),
            "seed": Factor(0, "of what is drawn: random weights, random inputs"),
        }

    def warm_up(self, config: Config) -> None:
        """Load the model, train what is trained here, answer a batch, and look for the best one if that was asked for.
        Raises ConfigError for levels that cannot be used."""
        task = _task(config)
        inputs = task.inputs()
        model = self._open(task, config)
        if isinstance(model, Trained):
            model.train()
        wanted = config["batch_size"]
        self._batch = _best_batch(model, inputs) if wanted == BEST else int(wanted)
        model.infer(_some(inputs, self._batch))

    def run(self, config: Config, span: SpanMaker) -> dict[str, Any]:
        """Stages ``train`` (of models that are made here) and ``inference``, one a round; the figures of :func:`figures`."""
        task = _task(config)
        model = self._model or self._open(task, config)
        try:
            return _run(task, model, config, self._batch, span)
        finally:
            model.close()
            self._model = None

    def _open(self, task: AnyTask, config: Config) -> Model[Any, Any]:
        wanted = config["batch_size"]
        settings = Settings(
            device=str(config["device"]),
            threads=int(config["threads"]),
            batch=max(BATCHES) if wanted == BEST else int(wanted),
            output=int(config["output"]),
            seed=int(config["seed"]),
        )
        self._model = open_model(task, str(config["model"]), settings)
        return self._model


def _task(config: Config) -> AnyTask:
    wanted = config["batch_size"]
    if isinstance(wanted, str) and wanted != BEST:
        raise ConfigError(f"batch_size cannot be {wanted!r}", hint="a number from 1 on, or best")
    for name, least in (
        ("batch_size", 1),
        ("inferences", 1),
        ("rounds", 1),
        ("seconds", 0),
        ("output", 0),
        ("threads", 0),
    ):
        value = config[name]
        if not isinstance(value, str) and value < least:
            raise ConfigError(f"{name} must be at least {least}, not {value}")
    if config["rounds"] > config["inferences"]:
        raise ConfigError(f"{config['inferences']} inferences do not fill {config['rounds']} rounds")
    return find_task(str(config["task"]))


def _run(
    task: AnyTask, model: Model[Any, Any], config: Config, batch: int, span: SpanMaker
) -> dict[str, Any]:
    inputs = task.inputs()
    trained: dict[str, Any] = {}
    if isinstance(model, Trained):
        with span("train") as stage:
            examples = model.train()
            stage.add(samples=examples)
        trained["train_samples"] = examples
    rounds, whole = int(config["rounds"]), int(config["inferences"])
    until = time.perf_counter() + (float(config["seconds"]) or inf)
    places = cycle(range(len(inputs)))
    first: dict[int, Any] = {}
    sizes: list[tuple[float, float]] = []
    busy_s, begun_rounds = 0.0, 0
    for number in range(rounds):
        count = whole * (number + 1) // rounds - whole * number // rounds
        begun = time.perf_counter()
        if number and begun >= until:
            break
        done = 0
        with span("inference") as stage:
            while done < count and (not done or time.perf_counter() < until):
                taken = list(islice(places, min(batch, count - done)))
                answers: Sequence[Answer[Any]] = model.infer([inputs[place] for place in taken])
                for place, answer in zip(taken, answers, strict=True):
                    first.setdefault(place, answer.output)
                    sizes.append((answer.inputs, answer.outputs))
                done += len(taken)
            stage.add(samples=done)
        busy_s += time.perf_counter() - begun
        begun_rounds += 1
    return {
        **trained,
        **figures(task, model, str(config["model"]), batch, first, sizes, busy_s, begun_rounds),
    }


def figures(
    task: AnyTask,
    model: Model[Any, Any],
    name: str,
    batch: int,
    first: Mapping[int, Any],
    sizes: Sequence[tuple[float, float]],
    busy_s: float,
    rounds: int = 1,
) -> dict[str, Any]:
    """Numbers of a trial, and what describes its rounds. first: by the place of an input, the first answer to it; sizes: of
    every inference, units in and out.

    input_units, output_units: means of an inference. task_quality: 0..1 with ``_low`` and ``_high``; chance: what is had
    without looking; left out where weights are random or the task has no right answers. general: 1 for a model that is made
    for everything. random_weights: 1 if the answers mean nothing.
    """
    facts = model.facts
    values: dict[str, float | None] = {
        "inferences": len(sizes),
        "inferences_per_s": len(sizes) / busy_s if busy_s > 0 else None,
        "batch_used": batch,
        "input_units": sum(one for one, _ in sizes) / len(sizes),
        "output_units": sum(two for _, two in sizes) / len(sizes),
        "parameters": facts.parameters,
        "model_bytes": facts.weight_bytes,
        "random_weights": float(facts.random),
        "general": float(is_general(task, name or next(iter(task.models), ""))),
    }
    if task.score is not None and not facts.random:
        answered = [
            first[place] for place in sorted(first)
        ]  # the first ones, in order: inputs come in their order
        score = task.score(answered)
        values |= {
            "task_quality": score.value,
            "task_quality_low": score.low,
            "task_quality_high": score.high,
            "chance": score.chance,
            "scored_inputs": len(answered),
        }
    words = {
        "input_unit": task.input_unit,
        "output_unit": task.output_unit,
        "quality_metric": task.metric,
    }
    known = {key: float(value) for key, value in values.items() if value is not None}
    return {**known, "inference": [words] * rounds}


def _some(inputs: Sequence[Any], count: int) -> list[Any]:
    return list(islice(cycle(inputs), count))


def _best_batch(model: Model[Any, Any], inputs: Sequence[Any]) -> int:
    """The batch that answers most a second; the smaller one of two that are alike."""
    best, most = 1, 0.0
    for batch in BATCHES:
        chosen = _some(inputs, batch)
        model.infer(chosen)
        begun = time.perf_counter()
        done = 0
        while not done or time.perf_counter() - begun < _TRIED_S:
            model.infer(chosen)
            done += batch
        rate = done / (time.perf_counter() - begun)
        if rate > most * _GAIN:
            best, most = batch, rate
        elif rate < most / 2:
            break
    return best

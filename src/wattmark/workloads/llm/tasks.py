"""Reasoning tasks in a serving trial: which problems are asked, of which model, and what a right answer cost.

``trained:0.5m`` as a model is a small one that is trained here on the task, once, before the first trial.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.reasoning.modes import Mode, Style
from wattmark.reasoning.tasks import GROUPS, TASKS
from wattmark.runs.attribution import attributed
from wattmark.serving.bench import BenchResult
from wattmark.serving.prompts.reasoning import ReasoningWorkload
from wattmark.serving.server.gguf import NumberFormat
from wattmark.serving.server.trained import (
    TrainedModel,
    ensure_trained,
    is_resumed,
    keep_energy,
    trained_file,
)
from wattmark.tracker.measure import measure
from wattmark.workloads.registry import Config, Factor

if TYPE_CHECKING:
    from wattmark.reasoning.training import Plan, TrainingProgress

NO_TASK = "none"
TRAINED = "trained:"
PROBLEMS = 100
"""Asked in a closed loop unless ``requests`` says how many; at a rate it is rate x seconds."""

FACTORS: dict[str, Factor] = {
    "task": Factor(NO_TASK, "what is asked: random words, or problems to solve", choices=(NO_TASK, *TASKS)),
    "level": Factor(3, "how hard the problems are (digits, bits, numbers)"),
    "mode": Factor("answer", "how much is written out: answer, steps, budget:16"),
    "style": Factor(
        "auto",
        "of the prompts; auto: compact for models trained here, chat for all others",
        choices=("auto", "chat", "compact"),
    ),
    "train_on": Factor(
        "", "what trained:SIZE is trained on; default: the task", choices=("", *TASKS, *GROUPS)
    ),
    "train_steps": Factor(800, "training steps of trained:SIZE"),
    "train_batch": Factor(32, "problems a training step"),
    "train_seed": Factor(0, "of the training"),
}


def is_trained(config: Config) -> bool:
    """Whether the model is one that is trained here."""
    return str(config["model"]).startswith(TRAINED)


def training_plan(config: Config) -> Plan:
    """How the model of ``trained:SIZE`` is trained. Raises ConfigError, and MissingExtra without torch."""
    from wattmark.serving.server.trained import need_packages

    task = str(config["train_on"] or config["task"])
    if task == NO_TASK:
        raise ConfigError(
            f"{config['model']} needs a task to be trained on", hint='set task = "addition", or train_on'
        )
    need_packages()
    from wattmark.reasoning.training import Plan

    size = str(config["model"]).removeprefix(TRAINED)
    return Plan(
        task,
        size,
        int(config["train_steps"]),
        seed=int(config["train_seed"]),
        batch=int(config["train_batch"]),
    )


def problems_of(config: Config, seed: int) -> ReasoningWorkload | None:
    """The problems that a trial's levels ask for; None without a task. Raises ConfigError for what there is none of."""
    if config["task"] == NO_TASK:
        if is_trained(config):
            raise ConfigError(f"{config['model']} knows a task only", hint='set task = "addition"')
        return None
    count = config["requests"]
    if count is None:
        rate = config["rate"]
        count = PROBLEMS if rate is None else max(1, math.floor(float(rate) * float(config["seconds"])))
    mode = Mode.parse(str(config["mode"]))
    return ReasoningWorkload(
        str(config["task"]), int(config["level"]), mode, int(count), style_of(config), seed
    )


def style_of(config: Config) -> Style:
    """The words of the prompts."""
    style = config["style"]
    if style == "auto":
        name = str(config["model"]).rpartition("/")[2]
        return "compact" if is_trained(config) or name.startswith("trained-llama-") else "chat"
    return "compact" if style == "compact" else "chat"


def needed(config: Config, number_format: NumberFormat) -> str | None:
    """What must be trained before a trial with these levels, in words; None if nothing is missing."""
    if not is_trained(config):
        return None
    plan = training_plan(config)
    if trained_file(plan, number_format) is not None:
        return None
    return f"train {plan.size} on {plan.task}, {plan.length}, seed {plan.seed}, {number_format}"


def train(
    config: Config, number_format: NumberFormat, on_progress: Callable[[float, str], None] | None = None
) -> TrainedModel:
    """The trained model of these levels; its training, if it has to be done, is a measured run of its own."""
    plan = training_plan(config)
    there = trained_file(plan, number_format)
    if there is not None:
        return there
    goes_on = is_resumed(plan)

    def tell(now: TrainingProgress) -> None:
        if on_progress is not None:
            on_progress(now.share, f"loss {now.loss:.3f}")

    with measure(f"training {plan.size} on {plan.task}", tags={"kind": "training"}) as run:
        model = ensure_trained(plan, number_format, on_progress=tell)
    share = attributed(run.view)
    # What an earlier, interrupted part used is not known here, and half of the joules would pass for all.
    if goes_on or share is None:
        return model
    return keep_energy(model, share.energy, run.id)


def figures(problems: ReasoningWorkload, result: BenchResult) -> dict[str, float | None]:
    """What the answers were worth. accuracy: 0..1 of the answered problems, ``_low`` and ``_high`` by Wilson;
    j_per_correct: J of everything, idle included, over the right answers; ``_own`` without idle."""
    serving = result.serving
    with_idle = serving.with_idle.energy_j if serving and serving.with_idle else None
    own = None
    if serving is not None and serving.without_idle is not None and serving.idle_share is not None:
        own = serving.without_idle.energy_j
    score = problems.score(result.load.records, with_idle)
    return {
        "asked": score.asked,
        "answered": score.answered,
        "correct": score.correct,
        **quantity("accuracy", score.accuracy),
        "answer_tokens": score.tokens_mean,
        **quantity("j_per_correct", score.joules_per_correct),
        **quantity("j_per_correct_own", problems.score(result.load.records, own).joules_per_correct),
    }


def quantity(name: str, figure: Quantity | None) -> dict[str, float | None]:
    """A figure and the ends of its interval as a trial reports them."""
    return (
        {} if figure is None else {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    )

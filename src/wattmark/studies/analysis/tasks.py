"""Studies of tasks: what a thousand inferences of each model cost, what a model made for a task saves beside a general one,
and after how many inferences its training has paid.

Everything here reads what the workload ``tasks`` reports (:mod:`wattmark.workloads.tasks.workload`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from wattmark.documents import mapping
from wattmark.quantity import SCATTER, Quantity
from wattmark.statistics import mean_half_width, mean_of
from wattmark.studies.analysis.data.errors import energy_of, with_errors_of
from wattmark.studies.analysis.data.plain import plain_mapping
from wattmark.studies.analysis.data.study_data import Group, StudyData
from wattmark.studies.results import Stage, TrialResult

PER = 1_000
"""Inferences that costs are told for."""
INFERENCE, TRAINING = "inference", "train"
STAR_COUNT = 5


@dataclass(frozen=True, slots=True)
class TaskCost:
    """A cell of a study of tasks. energy: J of a thousand inferences, None where none was measured.

    gpu: of the GPUs alone, None unless all models of its task and batch know it. quality: 0..1 with the interval of the
    inputs, None where weights are random; chance: what is had without looking; scored: inputs that were answered for it.
    input_units, output_units: of an inference, in input_unit and output_unit. idle_share: 0..1 of the energy, None where
    it is not known. training: J of what was trained here, None where nothing was. batch: as used. inferences_per_s: mean.
    """

    label: str
    task: str
    model: str
    batch_asked: str
    batch: float | None
    trials: int
    inferences: int
    energy: Quantity | None
    modelled: float | None
    gpu: Quantity | None
    input_units: float | None
    output_units: float | None
    input_unit: str
    output_unit: str
    metric: str
    quality: Quantity | None
    chance: float | None
    scored: float | None
    idle_share: float | None
    training: Quantity | None
    parameters: float | None
    model_bytes: float | None
    inferences_per_s: float | None
    random: bool
    general: bool
    group: Group

    @property
    def per_input(self) -> Quantity | None:
        """J of one unit that goes in."""
        return _shared(self.energy, self.input_units)

    @property
    def per_output(self) -> Quantity | None:
        """J of one unit that comes out."""
        return _shared(self.energy, self.output_units)

    @property
    def above_chance(self) -> bool | None:
        """Whether the quality is above chance beyond its interval; None where there is none."""
        if self.quality is None or self.chance is None:
            return None
        return self.quality.low > self.chance


@dataclass(frozen=True, slots=True)
class SpecificAgainstGeneral:
    """A model made for a task and one made for everything, on the same inputs. ratio: joules of the general one over those
    of the other. pays_after: inferences after which the training of the specific one has paid for itself, None where nothing
    was trained here, or it never does."""

    task: str
    specific: TaskCost
    general: TaskCost
    ratio: Quantity
    pays_after: Quantity | None


def is_task_study(data: StudyData) -> bool:
    """Whether a study's trials are those of the workload ``tasks``."""
    return "input_units" in data.reported and "batch_used" in data.reported


def task_costs(data: StudyData) -> list[TaskCost]:
    """One for each cell, in the order of the design; none of another study."""
    costs = [_cost(data, cell) for cell in data.cells] if is_task_study(data) else []
    blind = {_compared(cost) for cost in costs if cost.energy is not None and cost.gpu is None}
    return [replace(cost, gpu=None) if _compared(cost) in blind else cost for cost in costs]


def against_general(costs: Sequence[TaskCost]) -> list[SpecificAgainstGeneral]:
    """Every specific model beside every general one of its task, where both ran with the same batch."""
    found: list[SpecificAgainstGeneral] = []
    for general in costs:
        for specific in costs:
            same = (specific.task, specific.batch_asked) == (general.task, general.batch_asked)
            if not same or not general.general or specific.general or specific.random or general.random:
                continue
            if general.energy is None or specific.energy is None or specific.energy.value <= 0:
                continue
            saved = (general.energy - specific.energy) / PER
            pays = None
            if specific.training is not None and saved.low > 0:
                pays = (specific.training / saved).with_unit("inferences").bounded(0.0, inf)
            ratio = (general.energy / specific.energy).with_unit("")
            found.append(SpecificAgainstGeneral(general.task, specific, general, ratio, pays))
    return found


def stars(energies: Sequence[float]) -> list[int]:
    """Stars of models by their energy on one task and one machine: the range from the least to the most is cut into five
    equal parts, of which the lowest has five stars and the highest one (the rule of
    the AI Energy Score, huggingface.github.io/AIEnergyScore). A single model, or several that are alike, have
    five."""
    if not energies:
        return []
    least, most = min(energies), max(energies)
    part = (most - least) / STAR_COUNT
    if part <= 0:
        return [STAR_COUNT] * len(energies)
    return [STAR_COUNT - min(STAR_COUNT - 1, int((energy - least) / part)) for energy in energies]


def rated(costs: Iterable[TaskCost]) -> list[tuple[TaskCost, int]]:
    """Costs with their stars among those of the same task and batch; by the energy of the GPUs where all of a task know it,
    else by all energy. Models whose energy is not known are left out."""
    groups: dict[tuple[str, str], list[TaskCost]] = {}
    for cost in costs:
        if cost.energy is not None:
            groups.setdefault(_compared(cost), []).append(cost)
    found: list[tuple[TaskCost, int]] = []
    for group in groups.values():
        known = [energy for cost in group if (energy := cost.gpu or cost.energy) is not None]
        found += zip(group, stars([energy.value for energy in known]), strict=True)
    return found


def _compared(cost: TaskCost) -> tuple[str, str]:
    """Cells of which this is equal are set beside one another."""
    return cost.task, cost.batch_asked


def _cost(data: StudyData, cell: Group) -> TaskCost:
    rows: list[int] = cell.rows.tolist()
    trials = [data.trials[row] for row in rows]
    levels = {**plain_mapping(data.results.design.get("fixed")), **trials[0].factors}
    rounds = [stage.attrs for trial in trials for stage in trial.stages_named(INFERENCE) if stage.attrs]
    words = rounds[0] if rounds else mapping(None)

    def metric(name: str) -> float | None:
        return mean_of(trial.metrics.get(name) for trial in trials)

    batch = metric("batch_used")
    return TaskCost(
        label=cell.label,
        task=str(levels.get("task", "text-classification")),
        model=str(levels.get("model") or "default"),
        batch_asked=str(levels.get("batch_size", 1)),
        batch=batch,
        trials=len(trials),
        inferences=sum(int(trial.metrics.get("inferences", 0)) for trial in trials),
        energy=_per_thousand(data, cell, trials),
        modelled=data.modelled_share("total", cell),
        gpu=_gpu(trials),
        input_units=metric("input_units"),
        output_units=metric("output_units"),
        input_unit=str(words.get("input_unit", "unit")),
        output_unit=str(words.get("output_unit", "unit")),
        metric=str(words.get("quality_metric", "")),
        quality=_quality(trials),
        chance=metric("chance"),
        scored=max((trial.metrics.get("scored_inputs", 0) for trial in trials), default=0) or None,
        idle_share=None if data.results.scope == "tree" else mean_of(map(_idle_share, trials)),
        training=data.mean(cell, "training_energy_j")
        if all(t.stages_named(TRAINING) for t in trials)
        else None,
        parameters=metric("parameters"),
        model_bytes=metric("model_bytes"),
        inferences_per_s=metric("inferences_per_s"),
        random=bool(metric("random_weights")),
        general=bool(metric("general")),
        group=cell,
    )


def _per_thousand(data: StudyData, cell: Group, trials: Sequence[TrialResult]) -> Quantity | None:
    """From the stages of the rounds; of a single trial with the scatter of its rounds."""
    mean = data.mean(cell, "inference_energy_per_sample")
    if mean is None:
        return None
    whole = (mean * PER).with_unit("J")
    if len(trials) > 1:
        return whole
    rounds = [one for stage in trials[0].stages_named(INFERENCE) if (one := _of_round(stage)) is not None]
    half = mean_half_width(rounds)
    return whole if half is None else whole.with_error(f"{SCATTER}/{trials[0].trial_id}/rounds", half * PER)


def _of_round(stage: Stage) -> float | None:
    count = stage.counts.get("samples")
    return None if stage.energy_j is None or not count else stage.energy_j["value"] / count


def _gpu(trials: Sequence[TrialResult]) -> Quantity | None:
    """J of the GPUs alone for a thousand inferences."""
    found: list[Quantity] = []
    for trial in trials:
        stages = trial.stages_named(INFERENCE)
        parts = [part for stage in stages if (part := stage.by_component_j.get("gpu")) is not None]
        count = sum(stage.counts.get("samples", 0) for stage in stages)
        whole = energy_of(trial, "gpu")
        if whole is not None and count and len(parts) == len(stages):
            found.append(with_errors_of(whole, sum(parts) / count * PER, "J"))
    if not found or len(found) < len(trials):
        return None
    return sum(found[1:], found[0]) / len(found)


def _quality(trials: Sequence[TrialResult]) -> Quantity | None:
    """Of the trial that answered the most inputs: repeats answer the same ones."""
    known = [trial.metrics for trial in trials if "task_quality" in trial.metrics]
    if not known:
        return None
    best = max(known, key=lambda metrics: metrics.get("scored_inputs", 0))
    value = float(best["task_quality"])
    low, high = (float(best.get(f"task_quality_{end}", value)) for end in ("low", "high"))
    return Quantity(value, min(low, value), max(high, value), "").bounded(0.0, 1.0)


def _idle_share(trial: TrialResult) -> float | None:
    """What the machine draws at rest over the time of the inferences, as a share of their energy."""
    stages = trial.stages_named(INFERENCE)
    energies = [stage.energy_j["value"] for stage in stages if stage.energy_j is not None]
    whole = sum(energies)
    if not trial.idle_w or not stages or len(energies) < len(stages) or whole <= 0:
        return None
    idle_w = sum(watts for name, watts in trial.idle_w.items() if name in stages[0].by_component_j)
    seconds = sum(stage.duration_s for stage in stages)
    return float(np.clip(idle_w * seconds / whole, 0.0, 1.0))


def _shared(energy: Quantity | None, units: float | None) -> Quantity | None:
    return None if energy is None or not units else (energy / (units * PER)).with_unit("J")


def labelled(costs: Sequence[TaskCost]) -> list[TaskCost]:
    """With names of use in a figure of several tasks: the task and the model, and the batch where it was varied."""
    varied = len({cost.batch_asked for cost in costs}) > 1
    return [
        replace(
            cost,
            label=f"{cost.task}, {cost.model}" + (f", batch {cost.batch_asked}" if varied else ""),
        )
        for cost in costs
    ]

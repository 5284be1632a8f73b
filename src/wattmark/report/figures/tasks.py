"""Figures of studies of tasks, those of arXiv 2311.16863: energy by task, by model, by size, by length, and what a model
made for its task saves beside a general one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import bars, dots, points
from wattmark.report.drawing.marks import Drawing, Part, Point
from wattmark.report.drawing.style import BLUE, GREEN, ORANGE, SERIES
from wattmark.report.figures.training import MOST_ROWS, Figure, Panel, scaled
from wattmark.studies.analysis.data.study_data import StudyData, shorten
from wattmark.studies.analysis.tasks import (
    PER,
    SpecificAgainstGeneral,
    TaskCost,
    against_general,
    labelled,
    task_costs,
)

_AXIS = f"energy of {PER:,} inferences (J)"


def figures(data: StudyData) -> list[Figure]:
    """All figures of a study of tasks; none of any other study."""
    costs = [cost for cost in labelled(task_costs(data)) if cost.energy is not None]
    if not costs:
        return []
    return [
        _by_task(costs),
        _by_model(costs),
        _quality(costs),
        _by_size(costs),
        _by_length(costs),
        _ratios(costs),
    ]


def _by_task(costs: Sequence[TaskCost]) -> Figure:
    shown = sorted(costs, key=_joules)[:MOST_ROWS]
    panel = Panel(
        "tasks-energy",
        f"Energy of {PER:,} inferences",
        "Dots on a logarithmic axis: joules of a thousand inferences by task and model, with 95 % intervals",
        lambda: dots(
            [_name(cost) for cost in shown],
            [cost.energy for cost in shown],
            _AXIS,
            log=True,
            modelled=[cost.modelled for cost in shown],
            wide=True,
        ),
        wide=True,
    )
    random = [cost.label for cost in costs if cost.random]
    lead = f"Cheapest first, on a logarithmic axis; {_runs(costs)}."
    if random:
        lead += f" With random weights, which cost what real ones do and answer nothing: {'; '.join(random)}."
    return Figure("tasks-energy", "What a thousand inferences cost, by task", lead, [panel])


def _by_model(costs: Sequence[TaskCost]) -> Figure:
    key, title = "tasks-models", "By model within a task"
    by_task: dict[str, list[TaskCost]] = {}
    for cost in costs:
        by_task.setdefault(cost.task, []).append(cost)
    several = {task: own for task, own in by_task.items() if len(own) > 1}
    if not several:
        return Figure(
            key, title, "", absent="no task was done by more than one model, or with more than one batch"
        )
    panels = [
        Panel(
            f"{key}-{task}",
            task.capitalize(),
            f"Bars: energy of a thousand inferences of {task} by model",
            _bars(own),
        )
        for task, own in several.items()
    ]
    return Figure(key, title, f"Tasks that several models did; {_runs(costs)}.", panels)


def _bars(costs: Sequence[TaskCost]) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        shown = sorted(costs, key=_joules)[:MOST_ROWS]
        means, unit = scaled([cost.energy for cost in shown], "J")
        names = [_in_task(cost) for cost in shown]
        return bars(
            names, [Part("", means, BLUE, [cost.modelled for cost in shown])], f"{PER:,} inferences ({unit})"
        )

    return draw


def _quality(costs: Sequence[TaskCost]) -> Figure:
    key, title = "tasks-quality", "How good the answers were"
    known = [cost for cost in costs if cost.quality is not None]
    if not known:
        return Figure(key, title, "", absent="no model had real weights and inputs with right answers")
    chances = [None if cost.chance is None else Quantity.exact(cost.chance, "") for cost in known]
    names = [_name(cost) for cost in known]
    panels = [
        Panel(
            f"{key}-answers",
            "Quality",
            "Dots: quality of the answers, 0 to 1, with 95 % intervals over the inputs",
            lambda: dots(names, [cost.quality for cost in known], "quality (0 to 1)", GREEN),
        ),
        Panel(
            f"{key}-chance",
            "Chance",
            "Dots: what is had without looking at the input",
            lambda: dots(names, chances, "quality by chance (0 to 1)", ORANGE),
        ),
    ]
    metrics = "; ".join(dict.fromkeys(f"{cost.task}: {cost.metric}" for cost in known))
    return Figure(key, title, f"Small data sets: they say that a model works, no more. {metrics}.", panels)


def _by_size(costs: Sequence[TaskCost]) -> Figure:
    key, title = "tasks-size", "Against the size of the model"
    sized = [(cost, cost.model_bytes) for cost in costs if cost.model_bytes]
    if len(sized) < 2:
        return Figure(key, title, "", absent="the size of fewer than two models is known")
    tasks = list(dict.fromkeys(cost.task for cost in costs))
    items = [
        Point(_name(cost), Quantity.exact(size / 1e6, "MB"), cost.energy, cost.modelled, _colour(tasks, cost))
        for cost, size in sized
        if cost.energy is not None
    ]
    panel = Panel(
        key,
        "Energy against size",
        "Points: joules of a thousand inferences by megabytes of weights, both on logarithmic axes",
        lambda: points(items, "weights (MB)", _AXIS, log="xy", wide=True),
        wide=True,
    )
    return Figure(key, title, f"One colour for each task; {_runs(costs)}.", [panel])


def _by_length(costs: Sequence[TaskCost]) -> Figure:
    key, title = "tasks-length", "Against the length of the answer"
    written = [
        (cost, cost.output_units) for cost in costs if cost.output_unit == "token" and cost.output_units
    ]
    if len({round(units, 1) for _, units in written}) < 2:
        return Figure(key, title, "", absent="the answers are all of one length")
    tasks = list(dict.fromkeys(cost.task for cost in costs))
    items = [
        Point(_name(cost), Quantity.exact(units, "token"), cost.energy, cost.modelled, _colour(tasks, cost))
        for cost, units in written
        if cost.energy is not None
    ]
    panel = Panel(
        key,
        "Energy against the length of the answer",
        "Points: joules of a thousand inferences by tokens of an answer, both on logarithmic axes",
        lambda: points(items, "tokens of an answer", _AXIS, log="xy", wide=True),
        wide=True,
    )
    return Figure(key, title, f"A label counts as one token; {_runs(costs)}.", [panel])


def _ratios(costs: Sequence[TaskCost]) -> Figure:
    key, title = "tasks-general", "Made for the task, or made for everything"
    found = against_general(costs)
    if not found:
        return Figure(key, title, "", absent="no task was done by a model made for it and by a general one")
    panel = Panel(
        key,
        "Joules of the general model over those of the specific one",
        "Dots on a logarithmic axis: how many times the energy a general model takes for the same inputs",
        lambda: dots(
            [_pair(one) for one in found],
            [one.ratio for one in found],
            "times",
            log=True,
            against=1.0,
            wide=True,
        ),
        wide=True,
    )
    pays = [
        f"{_pair(one)}: {max(1.0, one.pays_after.value):,.0f}" for one in found if one.pays_after is not None
    ]
    lead = "The same inputs through both."
    if pays:
        lead += f" What was trained here has paid for its own training after so many inferences: {'; '.join(pays)}."
    return Figure(key, title, lead, [panel])


def _pair(one: SpecificAgainstGeneral) -> str:
    return shorten(f"{one.task}: {one.general.model} over {one.specific.model}", 48)


def _name(cost: TaskCost) -> str:
    return shorten(cost.label, 44)


def _in_task(cost: TaskCost) -> str:
    return shorten(cost.label.removeprefix(f"{cost.task}, "))


def _joules(cost: TaskCost) -> float:
    return cost.energy.value if cost.energy is not None else float("inf")


def _colour(tasks: Sequence[str], cost: TaskCost) -> str:
    return SERIES[tasks.index(cost.task) % len(SERIES)]


def _runs(costs: Sequence[TaskCost]) -> str:
    return f"{sum(cost.trials for cost in costs)} runs, {sum(cost.inferences for cost in costs):,} inferences"

"""The figures of a study (those of arXiv 2503.23934 and a few more), each drawn only if its data are there.

A :class:`Figure` is a question with one or more panels that answer it; ``absent`` is the one line that stands in its
place where the study has not the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import bars, dots, points
from wattmark.report.drawing.marks import Drawing, Part, Point
from wattmark.report.drawing.style import BLUE, COMPONENT, GREEN, SERIES
from wattmark.studies.analysis.data.study_data import Group, StudyData

MOST_ROWS = 40
MOST_POINTS = 400


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart. key: unique, for ids and file names. alt: what it shows, in words."""

    key: str
    title: str
    alt: str
    draw: Callable[[], Drawing]
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A question and the panels that answer it. lead: how to read them, with the number of runs."""

    key: str
    title: str
    lead: str
    panels: Sequence[Panel] = ()
    absent: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit that suits a set of numbers, such as mJ for thousandths of a joule."""

    factor: float
    unit: str

    def to(self, quantity: Quantity) -> Quantity:
        """The quantity in this unit."""
        return (quantity * self.factor).with_unit(self.unit)


_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))


def scale_for(values: Sequence[float], unit: str) -> Scale:
    """The step of a thousand in which the largest value reads well; units that are no base units stay as they are."""
    top = max((abs(value) for value in values if np.isfinite(value)), default=0.0)
    if unit not in ("J", "W", "s", "B", "Wh") or top == 0 or (unit == "s" and top >= 1):
        return Scale(1.0, unit)
    for size, prefix in _STEPS:
        if top >= size:
            return Scale(1 / size, prefix + unit)
    return Scale(1.0, unit)


def scaled(quantities: Sequence[Quantity | None], unit: str) -> tuple[list[Quantity | None], str]:
    """The quantities in one unit that reads well, and its name."""
    scale = scale_for([quantity.high for quantity in quantities if quantity], unit)
    return [quantity and scale.to(quantity) for quantity in quantities], scale.unit


def by_model(data: StudyData) -> str:
    """How the rows of a figure are called: ``by model``."""
    return f"by {data.subject}" if data.subject else "of the study"


def runs(data: StudyData, groups: Sequence[Group]) -> str:
    """The number of runs behind a figure, and what their means run over, in words."""
    counts = sorted({group.count for group in groups})
    if not counts:
        return "No runs."
    each = f"{counts[0]} for each" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} for each"
    held = set(groups[0].levels)
    others = [name for name in data.factors if name not in held]
    over = f" Means and intervals run over all levels of {', '.join(others)}." if others else ""
    what = "cell" if held == set(data.factors) and len(held) != 1 else " ".join(held) or "study"
    return f"{sum(group.count for group in groups)} runs, {each} {what}.{over}"


def metric_bars(
    data: StudyData,
    name: str,
    unit: str,
    axis: str,
    groups: Sequence[Group],
    component: str | None = None,
    colour: str = BLUE,
) -> Drawing:
    """One metric as bars with intervals. component: the component whose joules these are, None if they are none."""
    shown = groups[:MOST_ROWS]
    means, unit = scaled([data.mean(group, name) for group in shown], unit)
    modelled = [data.modelled_share(component, group) for group in shown] if component else ()
    part = Part("", means, colour, modelled)
    return bars([group.label for group in shown], [part], f"{axis} ({unit})" if unit else axis)


def has(data: StudyData, name: str) -> bool:
    """Whether a metric is known for any completed trial."""
    return bool(np.isfinite(data.values(name)).any())


def quality_and_duration(data: StudyData) -> Figure:
    """Accuracy and durations by model."""
    groups = data.models
    key, title = (
        "quality-duration",
        f"{(data.quality or 'Accuracy').capitalize()} and duration {by_model(data)}",
    )
    panels: list[Panel] = []
    if data.quality:
        name = data.quality
        panels.append(
            Panel(
                f"{key}-quality",
                name.capitalize(),
                f"Dots: {name} {by_model(data)} with 95 % intervals",
                lambda: dots(
                    [group.label for group in groups[:MOST_ROWS]],
                    [data.mean(group, name) for group in groups[:MOST_ROWS]],
                    f"{name} (share, 0 to 1)",
                    GREEN,
                ),
            )
        )
    if has(data, "epoch_duration") and has(data, "inference_energy_j"):
        panels.append(
            Panel(
                f"{key}-epoch",
                "Duration of a training epoch",
                f"Bars: seconds of a training epoch {by_model(data)}",
                lambda: metric_bars(
                    data, "epoch_duration", "s", "duration of an epoch", groups, colour=SERIES[4]
                ),
            )
        )
    panels.append(
        Panel(
            f"{key}-total",
            "Duration of a run",
            f"Bars: seconds of a whole run {by_model(data)}",
            lambda: metric_bars(data, "total_duration_s", "s", "duration of a run", groups, colour=SERIES[4]),
        )
    )
    return Figure(key, title, f"Cheapest first. {runs(data, groups)}", panels)


def power(data: StudyData) -> Figure:
    """Average power of each component, by model."""
    key, title = "power", f"Average power {by_model(data)}"
    groups = data.models[:MOST_ROWS]
    panels = [
        Panel(
            f"{key}-{component}",
            f"{component.upper()} power, {data.method_words(component)}",
            f"Bars: mean {component.upper()} power in training {by_model(data)}, with 95 % intervals",
            _power_of(data, component, groups),
        )
        for component in data.components
        if component in ("cpu", "gpu", "dram") and has(data, f"{component}_power")
    ]
    if not panels:
        return Figure(key, title, "", absent="no trial knows the power of its CPU or GPU")
    return Figure(key, title, f"Mean over the training of a run. {runs(data, groups)}", panels)


def _power_of(data: StudyData, component: str, groups: Sequence[Group]) -> Callable[[], Drawing]:
    return lambda: metric_bars(
        data, f"{component}_power", "W", f"{component.upper()} power", groups, component, COMPONENT[component]
    )


def against(
    data: StudyData,
    x: str,
    y: str,
    x_label: str,
    y_label: str,
    *,
    log: Any = "",
    component: str | None = "total",
    groups: Sequence[Group] | None = None,
    fixed: bool = False,
    colour: str = BLUE,
) -> Drawing:
    """One metric against another, a point per model with intervals. fixed: the axes keep the units given."""
    shown = data.models if groups is None else groups
    pairs = [(group, data.mean(group, x), data.mean(group, y)) for group in shown[:MOST_POINTS]]
    known = [(group, a, b) for group, a, b in pairs if a is not None and b is not None]
    if "x" in log:
        known = [item for item in known if item[1].value > 0]
    if "y" in log:
        known = [item for item in known if item[2].value > 0]
    items = [
        Point(group.label, a, b, data.modelled_share(component, group) if component else None, colour)
        for group, a, b in known
    ]
    return points(items, x_label, y_label, log=log if len(items) > 1 else "")


def utilisation(data: StudyData) -> Figure:
    """Power against utilisation and memory, one point a cell."""
    key, title = "utilisation", "Power against utilisation and memory"
    pairs = [
        ("cpu_utilisation", "cpu_power", "CPU utilisation (%)", "CPU power (W)", "cpu"),
        ("gpu_utilisation", "gpu_power", "GPU utilisation (%)", "GPU power (W)", "gpu"),
        ("memory_used", "power", "memory in use (B)", "power (W)", "total"),
        ("gpu_memory", "gpu_power", "GPU memory in use (B)", "GPU power (W)", "gpu"),
    ]
    panels = [
        Panel(
            f"{key}-{x}",
            f"{b} against {a}",
            f"Points: {b} against {a}, one for each cell of the design",
            _against(data, x, y, a, b, component, data.cells),
        )
        for x, y, a, b, component in pairs
        if has(data, x) and has(data, y)
    ]
    if not panels:
        return Figure(key, title, "", absent="no trial recorded utilisation or memory beside its power")
    return Figure(key, title, f"One point for each cell of the design. {runs(data, data.cells)}", panels)


def _against(
    data: StudyData,
    x: str,
    y: str,
    a: str,
    b: str,
    component: str | None,
    groups: Sequence[Group],
    log: str = "",
    colour: str = BLUE,
) -> Callable[[], Drawing]:
    return lambda: against(data, x, y, a, b, component=component, groups=groups, log=log, colour=colour)


_MAKEUP = (
    ("model_bytes", "size of the model (B)", "xy"),
    ("parameters", "parameters", "xy"),
    ("macs", "MACs of one sample", "xy"),
    ("macs_param", "MACs per parameter", "xy"),
)


def makeup(data: StudyData) -> Figure:
    """Training energy and utilisation against what the models are made of, and against accuracy."""
    key, title = "makeup", "Energy and utilisation against what the models are made of"
    traits = [item for item in _MAKEUP if has(data, item[0])]
    if not traits:
        return Figure(key, title, "", absent="no trial reported parameters, MACs or a model's size")
    if data.quality:
        traits.append((data.quality, data.quality, "y"))
    panels: list[Panel] = []
    if has(data, "energy_per_sample"):
        panels += [
            Panel(
                f"{key}-energy-{trait}",
                f"Energy against {axis}",
                f"Points: training energy per sample against {axis}",
                _against(
                    data,
                    trait,
                    "energy_per_sample",
                    axis,
                    "training energy (J/sample)",
                    "total",
                    data.models,
                    log,
                ),
            )
            for trait, axis, log in traits
        ]
    busy = next((name for name in ("gpu_utilisation", "cpu_utilisation") if has(data, name)), None)
    if busy:
        what = f"{busy[:3].upper()} utilisation (%)"
        panels += [
            Panel(
                f"{key}-utilisation-{trait}",
                f"{busy[:3].upper()} utilisation against {axis}",
                f"Points: {what} against {axis}",
                _against(data, trait, busy, axis, what, None, data.models, log.replace("y", ""), GREEN),
            )
            for trait, axis, log in traits
        ]
    return Figure(
        key, title, f"One point {by_model(data)}, mean over its runs. {runs(data, data.models)}", panels
    )


def training_and_inference(data: StudyData) -> Figure:
    """Training against inference energy, per sample."""
    key, title = "train-inference", "Training against inference energy"
    if not (has(data, "energy_per_sample") and has(data, "inference_energy_per_sample")):
        return Figure(
            key,
            title,
            "",
            absent="no trial has both training epochs and an inference stage with their samples",
        )
    panels = [
        Panel(
            f"{key}-sample",
            "Per sample",
            f"Points: inference against training energy per sample {by_model(data)}",
            _against(
                data,
                "energy_per_sample",
                "inference_energy_per_sample",
                "training (J/sample)",
                "inference (J/sample)",
                "total",
                data.models,
                "xy",
            ),
        ),
        Panel(
            f"{key}-run",
            "Per run",
            f"Bars: training and inference energy of a run {by_model(data)}",
            lambda: _pair_of_bars(data),
        ),
    ]
    return Figure(key, title, f"Mean over the runs of each row. {runs(data, data.models)}", panels)


def _pair_of_bars(data: StudyData) -> Drawing:
    groups = data.models[:MOST_ROWS]
    training = [data.mean(group, "training_energy_j") for group in groups]
    inference = [data.mean(group, "inference_energy_j") for group in groups]
    both, unit = scaled([*training, *inference], "J")
    hows = [data.modelled_share("total", group) for group in groups]
    parts = [
        Part("training", both[: len(groups)], BLUE, hows),
        Part("inference", both[len(groups) :], SERIES[3], hows),
    ]
    return bars([group.label for group in groups], parts, f"energy ({unit})")

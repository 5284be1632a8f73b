"""Figures of batch size, and of components and stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import heat_map, lines, stacks
from wattmark.report.drawing.marks import Drawing, Line, Part
from wattmark.report.drawing.style import BLUE, COMPONENT, MUTED, SERIES
from wattmark.report.figures.training import (
    MOST_ROWS,
    Figure,
    Panel,
    by_model,
    has,
    metric_bars,
    runs,
    scale_for,
    scaled,
)
from wattmark.statistics import Int64, mean_interval
from wattmark.studies.analysis.data.plain import plain_mapping
from wattmark.studies.analysis.data.study_data import Group, StudyData, shorten

BATCHES = ("batch_size", "batch")


def batch_size(data: StudyData) -> Figure:
    """Energy by batch size; where it was not varied, the one size there is."""
    key, title = "batch", "Energy by batch size"
    wanted = [
        (name, what, axis)
        for name, what, axis in (
            ("energy_per_sample", "Training", "training energy (J/sample)"),
            ("inference_energy_per_sample", "Inference", "inference energy (J/sample)"),
            ("epoch_duration", "Duration of an epoch", "duration of an epoch (s)"),
        )
        if has(data, name)
    ] or [("total_energy", "Energy of a run", "energy of a run (J)")]
    factor = next((name for name in BATCHES if name in data.factors), None)
    if factor is None:
        return _one_size(data, key, title, wanted)
    panels = [
        Panel(
            f"{key}-{name}",
            what,
            f"{what} by batch size {by_model(data)}",
            _batch_panel(data, factor, name, axis),
        )
        for name, what, axis in wanted
    ]
    lead = f"Mean over the runs of each cell; bands are 95 % intervals. {runs(data, data.cells)}"
    return Figure(key, title, lead, panels)


def _one_size(data: StudyData, key: str, title: str, wanted: Sequence[tuple[str, str, str]]) -> Figure:
    """The one batch size that the study has; a trend would be made up."""
    fixed = plain_mapping(data.results.design.get("fixed"))
    sizes = {str(fixed[name]) for name in BATCHES if name in fixed}
    sizes |= {str(trial.factors[name]) for trial in data.trials for name in BATCHES if name in trial.factors}
    if len(sizes) != 1:
        return Figure(key, title, "", absent="the design names no batch size, neither varied nor fixed")
    (size,) = sizes
    units = {
        "energy_per_sample": "J",
        "inference_energy_per_sample": "J",
        "epoch_duration": "s",
        "total_energy": "J",
    }
    panels = [
        Panel(
            f"{key}-{name}",
            f"{what}, batch size {size}",
            f"Bars: {what.lower()} at batch size {size} {by_model(data)}",
            _size_bars(
                data, name, units[name], axis.rsplit(" (", 1)[0] + (" per sample" if "sample" in name else "")
            ),
        )
        for name, what, axis in wanted
    ]
    lead = f"Batch size was not varied: all runs used {size}, so this shows that size and no trend."
    return Figure(key, title, f"{lead} {runs(data, data.models)}", panels)


def _size_bars(data: StudyData, name: str, unit: str, axis: str) -> Callable[[], Drawing]:
    component = None if unit == "s" else "total"
    colour = SERIES[4] if unit == "s" else BLUE
    return lambda: metric_bars(data, name, unit, axis, data.models, component, colour)


def _batch_panel(data: StudyData, factor: str, name: str, axis: str) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        groups = data.models if data.subject != factor else []
        levels = sorted({trial.factors[factor] for trial in data.trials if factor in trial.factors})
        batches = [trial.factors.get(factor) for trial in data.trials]
        rows = [(group.label, group.rows) for group in groups] or [("all", np.arange(len(batches)))]
        table = [[_mean_at(data, name, part, batches, level) for level in levels] for _, part in rows]
        unit = "s" if name == "epoch_duration" else "J"
        scale = scale_for([cell.value for row in table for cell in row if cell], unit)
        table = [[cell and scale.to(cell) for cell in row] for row in table]
        label_y = axis.replace(f"({unit}", f"({scale.unit}")
        if len(rows) > 8:
            values = [[np.nan if cell is None else cell.value for cell in row] for row in table[:MOST_ROWS]]
            columns = [str(level) for level in levels]
            labels = [label for label, _ in rows[:MOST_ROWS]]
            return heat_map(
                labels, columns, values, diverging=False, axis=f"{factor.replace('_', ' ')}; {label_y}"
            )
        items = [
            _batch_line(data, label, part, levels, cells)
            for (label, part), cells in zip(rows, table, strict=True)
        ]
        return lines(
            [item for item in items if item.x], factor.replace("_", " "), label_y, log="x", zero=True
        )

    return draw


def _mean_at(
    data: StudyData, name: str, rows: Int64, batches: Sequence[object], level: object
) -> Quantity | None:
    here = np.array([row for row in rows.tolist() if batches[row] == level], np.int64)
    return data.mean(Group("", {}, here), name) if len(here) else None


def _batch_line(
    data: StudyData,
    label: str,
    rows: Int64,
    levels: Sequence[float],
    cells: Sequence[Quantity | None],
) -> Line:
    known = [(float(level), cell) for level, cell in zip(levels, cells, strict=True) if cell is not None]
    return Line(
        label,
        [level for level, _ in known],
        [cell for _, cell in known],
        data.modelled_share("total", Group("", {}, rows)),
    )


def composition(data: StudyData) -> Figure:
    """Energy by component and by stage."""
    key, title = "composition", "Energy by component and stage"
    if not data.components:
        return Figure(key, title, "", absent="no trial knows its energy by component")
    groups = data.models
    panels = [
        Panel(
            f"{key}-component",
            "By component",
            f"Stacked bars: energy of a run by component {by_model(data)}",
            lambda: _by_component(data, groups),
        )
    ]
    stages = _stages(data)
    if stages:
        panels.append(
            Panel(
                f"{key}-stage",
                "By stage",
                f"Stacked bars: share of each stage in the energy of a run {by_model(data)}",
                lambda: _by_stage(data, groups, stages),
            )
        )
    return Figure(key, title, f"Whole runs, mean over the runs of each row. {runs(data, groups)}", panels)


def _by_component(data: StudyData, groups: Sequence[Group]) -> Drawing:
    shown = groups[:MOST_ROWS]
    table = [[data.mean_component(group, name) for group in shown] for name in data.components]
    flat, unit = scaled([cell for row in table for cell in row], "J")
    parts = [
        Part(
            name.upper() if len(name) < 5 else name,
            flat[number * len(shown) : (number + 1) * len(shown)],
            COMPONENT.get(name, MUTED),
            [data.modelled_share(name, group) for group in shown],
        )
        for number, name in enumerate(data.components)
    ]
    return stacks([group.label for group in shown], parts, f"energy of a run ({unit})")


def _stages(data: StudyData) -> list[str]:
    """The names of the stages that tile a run: leaves of the span tree with energy, those with most joules first."""
    joules: dict[str, float] = {}
    parents: set[str] = set()
    for trial in data.trials:
        for stage in trial.stages:
            parents.update(stage.path.split("/")[:-1])
            if stage.energy_j is not None:
                joules[stage.name] = joules.get(stage.name, 0.0) + stage.energy_j["value"]
    return sorted((name for name in joules if name not in parents), key=lambda name: -joules[name])[:6]


def _by_stage(data: StudyData, groups: Sequence[Group], stages: Sequence[str]) -> Drawing:
    shown = groups[:MOST_ROWS]
    shares = np.array([_stage_shares(data, row, stages) for row in range(len(data.trials))])
    parts: list[Part] = []
    for number, name in enumerate((*stages, "rest")):
        colour = MUTED if name == "rest" else SERIES[number]
        means = [mean_interval(shares[group.rows, number], unit="%") for group in shown]
        parts.append(
            Part(shorten(name, 16), means, colour, [data.modelled_share("total", group) for group in shown])
        )
    return stacks([group.label for group in shown], parts, "share of a run's energy (%)")


def _stage_shares(data: StudyData, row: int, stages: Sequence[str]) -> list[float]:
    """Per cent of the trial's energy in each of the stages and in the rest; NaN where the total is not known."""
    trial = data.trials[row]
    if not trial.total_j:
        return [np.nan] * (len(stages) + 1)
    joules = dict.fromkeys(stages, 0.0)
    for stage in trial.stages:
        if stage.name in joules and stage.energy_j is not None:
            joules[stage.name] += stage.energy_j["value"]
    shares = [100 * value / trial.total_j for value in joules.values()]
    return [*shares, max(0.0, 100 - sum(shares))]

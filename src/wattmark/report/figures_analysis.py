"""Figures of what the analysis found: correlation maps, the Pareto front, short profiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wattmark.report.charts import heat_map, lines, points
from wattmark.report.data import StudyData
from wattmark.report.figures import MOST_POINTS, Figure, Panel, runs, scale_for
from wattmark.report.marks import Drawing, Line, Point
from wattmark.report.style import BLUE, MUTED
from wattmark.studies.analysis.cells import label
from wattmark.studies.analysis.correlate import SHOWN_FROM, CorrelationMap
from wattmark.studies.analysis.pareto import ParetoPoint
from wattmark.studies.analysis.profiling import ProfilingError
from wattmark.units import format_energy

MOST_METRICS = 16
_USUAL = (
    "e_tr", "e_in", "energy_per_sample", "epoch_duration", "power", "cpu_power", "gpu_power", "cpu_utilisation",
    "gpu_utilisation", "gpu_memory", "accuracy", "loss", "parameters", "macs", "macs_param", "model_bytes", "work_done",
    "work_per_unit_energy", "total_energy", "overall_efficiency", "system_efficiency", "inference_energy_per_sample",
)  # fmt: skip
_NAMES = {
    "e_tr": "training energy",
    "e_in": "inference energy",
    "macs": "MACs",
    "macs_param": "MACs per param.",
}
_SHORT = {
    "inference": "inf.",
    "efficiency": "eff.",
    "utilisation": "util.",
    "parameters": "param.",
    "duration": "dur.",
    "cpu": "CPU",
    "gpu": "GPU",
}


def correlations(maps: Sequence[CorrelationMap]) -> Figure:
    """Correlation maps, by Pearson and Spearman, over models and over epochs, of all and of the GPUs' energy."""
    key, title = "correlations", "What goes with what"
    drawn = [one for one in maps if len(one.names) > 1 and np.isfinite(one.r).any()]
    if not drawn:
        return Figure(
            key, title, "", absent="correlations need at least four cells in which two metrics differ"
        )
    panels = [
        Panel(f"{key}-{one.kind}-{one.per}-{one.scope}", _map_title(one),
              f"Map of {one.kind.capitalize()} coefficients between metrics, {_map_title(one)}", _map(one), wide=True)
        for one in drawn
    ]  # fmt: skip
    most = max(int(one.cells.max()) for one in drawn)
    lead = (
        f"Coefficients of at least {SHOWN_FROM:g} in size are bold and coloured: blue goes together, orange against. "
        f"Up to {most} cells; repeats and epochs of one cell count as one. Metrics that are made from one another go "
        "together by definition."
    )
    return Figure(key, title, lead, panels)


def _map_title(one: CorrelationMap) -> str:
    per = "mean of each cell" if one.per == "model" else "every epoch"
    return f"{one.kind.capitalize()}, {per}, {'GPU energy only' if one.scope == 'gpu' else 'all energy'}"


def _map(one: CorrelationMap) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        order = sorted(
            range(len(one.names)), key=lambda i: _USUAL.index(one.names[i]) if one.names[i] in _USUAL else 99
        )
        order = order[:MOST_METRICS]
        names = [_short(one.names[i]) for i in order]
        table = np.where(np.tri(len(order), k=-1, dtype=bool), one.r[np.ix_(order, order)], np.nan)
        return heat_map(names[1:], names[:-1], table[1:, :-1], strong=SHOWN_FROM)

    return draw


def _short(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    return " ".join(_SHORT.get(word, word) for word in name.split("_"))


def pareto(data: StudyData, found: Sequence[ParetoPoint], metric: str) -> Figure:
    """Energy against accuracy, with the cells that no other beats in both."""
    key, title = "pareto", "The Pareto front: energy against accuracy"
    if len(found) < 2:
        return Figure(
            key, title, "", absent="it needs two cells that know both their energy and their accuracy"
        )
    best = ", ".join(sorted({one.cell for one in found if one.on_front}))
    alt = f"Points: {_what(metric)} against accuracy; on the front are {best}"
    panel = Panel(key, "Energy against accuracy", alt, lambda: _front(data, found, metric), wide=True)
    lead = f"On the dashed line no cell is both cheaper and better.{_dearest_step(found)} {runs(data, data.cells)}"
    return Figure(key, title, lead, [panel])


def _dearest_step(found: Sequence[ParetoPoint]) -> str:
    steps = [(one.joules_per_point, one) for one in found if one.joules_per_point is not None]
    if not steps:
        return ""
    cost, one = max(steps, key=lambda step: step[0])
    low, high = one.joules_per_point_low, one.joules_per_point_high
    interval = ""
    if low is not None and high is not None:
        interval = f" (95 % interval {format_energy(low)} to {format_energy(high)})"
    return f" Its dearest step, to {one.cell}, costs {format_energy(cost)}{interval} for each further point of accuracy."


def _front(data: StudyData, found: Sequence[ParetoPoint], metric: str) -> Drawing:
    scale = scale_for([one.energy_j for one in found], "J")
    own = {label(cell.levels): cell for cell in data.cells}
    items: list[Point] = []
    for one in sorted(found, key=lambda point: not point.on_front)[:MOST_POINTS]:
        cell = own[one.cell]
        energy, quality = data.mean(cell, metric), data.mean(cell, "accuracy")
        if energy is not None and quality is not None:
            colour = BLUE if one.on_front else MUTED
            items.append(
                Point(
                    cell.label,
                    scale.to(energy),
                    quality,
                    data.modelled_share("total", cell),
                    colour,
                    one.on_front,
                )
            )
    front = sorted((one.energy_j * scale.factor, one.accuracy) for one in found if one.on_front)
    spread = max(one.energy_j for one in found) / max(min(one.energy_j for one in found), 1e-12)
    return points(
        items,
        f"{_what(metric)} ({scale.unit})",
        "accuracy",
        log="x" if spread > 20 else "",
        front=front,
        wide=True,
    )


def _what(metric: str) -> str:
    return "training energy of a run" if metric == "e_tr" else "energy of a run"


def profiling(found: Sequence[ProfilingError]) -> Figure:
    """How well a run's first part foretells its whole energy."""
    key, title = "profiling", "Short profiling: the whole from its first part"
    if not found:
        return Figure(key, title, "", absent="no trial kept a profile of its power long enough")
    most = max(one.trials for one in found)
    panel = Panel(key, "Error of the extrapolated total", "Lines: mean error by the share of a run that was profiled",
                  lambda: _profile_lines(found))  # fmt: skip
    return Figure(
        key,
        title,
        f"Mean absolute error of the total energy that would have been foretold. {most} runs.",
        [panel],
    )


def _profile_lines(found: Sequence[ProfilingError]) -> Drawing:
    items: list[Line] = []
    for by in ("time", "epochs"):
        own = sorted((one for one in found if one.by == by), key=lambda one: one.window)
        if own:
            items.append(Line(f"by {by}", [100 * one.window for one in own], [100 * one.mean for one in own]))
    return lines(items, "share of the run that was profiled (%)", "mean error of the total (%)", zero=True)

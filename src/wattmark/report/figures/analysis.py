"""Figures of what the analysis found: correlation maps, the Pareto front, short profiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wattmark.predict.profile import ProfilingError
from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import heat_map, lines, points
from wattmark.report.drawing.marks import Drawing, Line, Point
from wattmark.report.drawing.style import BLUE, MUTED
from wattmark.report.figures.training import MOST_POINTS, Figure, Panel, runs, scale_for
from wattmark.studies.analysis.correlate import SHOWN_FROM, CorrelationMap
from wattmark.studies.analysis.data.cells import label
from wattmark.studies.analysis.data.quality import Quality
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.analysis.pareto import ParetoPoint
from wattmark.units import format_energy

MOST_METRICS = 16
SURE_FROM = 0.9
"""Share of the draws from which a cell counts as surely on the front."""
_DRAWN = "Drawn anew from what scatter and sensors leave open between them"
_USUAL = (
    "training_energy_j", "inference_energy_j",
    "energy_per_sample", "epoch_duration", "power", "cpu_power", "gpu_power", "cpu_utilisation",
    "gpu_utilisation", "gpu_memory", "accuracy", "loss", "parameters", "macs", "macs_param", "model_bytes", "work_done",
    "work_per_unit_energy", "total_energy", "overall_efficiency", "system_efficiency", "inference_energy_per_sample",
)  # fmt: skip
_NAMES = {
    "training_energy_j": "training energy",
    "inference_energy_j": "inference energy",
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
        Panel(
            f"{key}-{one.kind}-{one.per}-{one.scope}",
            _map_title(one),
            f"Map of {one.kind.capitalize()} coefficients between metrics, {_map_title(one)}",
            _map(one),
            wide=True,
        )
        for one in drawn
    ]
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
    """Energy against the quality of the outcome, with the cells that no other beats in both."""
    outcome = data.outcome
    quality = outcome.name if outcome else "accuracy"
    key, title = "pareto", f"The Pareto front: energy against {quality}"
    if outcome is None or len(found) < 2:
        return Figure(
            key, title, "", absent=f"it needs two cells that know both their energy and their {quality}"
        )
    if len({one.quality for one in found}) == 1:
        return Figure(
            key, title, "", absent=f"all cells have the same {quality}, so the cheapest is the front"
        )
    best = ", ".join(sorted({one.cell for one in found if one.on_front}))
    alt = f"Points: {_what(metric)} against {quality}; on the front are {best}"
    panel = Panel(
        key, f"Energy against {quality}", alt, lambda: _front(data, found, metric, outcome), wide=True
    )
    lead = (
        f"On the dashed line no cell is both cheaper and better{'' if outcome.higher_is_better else ' (lower is better)'}."
        f"{_how_sure(found)}{_dearest_step(found, outcome)} {runs(data, data.cells)}"
    )
    return Figure(key, title, lead, [panel])


def _how_sure(found: Sequence[ParetoPoint]) -> str:
    """Which cells of the front the repeats do not make sure of."""
    known = [one for one in found if one.on_front and one.on_front_share is not None and one.trials > 1]
    unsure = [one for one in known if (one.on_front_share or 0.0) < SURE_FROM]
    if not known:
        return " Without repeats it is not known how sure the front is."
    if not unsure:
        return f" {_DRAWN}, its cells stay on it in {SURE_FROM:.0%} of the draws or more."
    told = ", ".join(f"{one.cell} ({one.on_front_share or 0.0:.0%})" for one in unsure[:4])
    more = f" and {len(unsure) - 4} more" if len(unsure) > 4 else ""
    return f" {_DRAWN}, these are on it less often: {told}{more}."


def _dearest_step(found: Sequence[ParetoPoint], outcome: Quality) -> str:
    steps = [(one.joules_per_point or 0.0, one) for one in found if one.joules_per_point_low is not None]
    if not steps:
        unsure = any(one.joules_per_point is not None for one in found)
        return f" No step along it gains {outcome.name} beyond noise, so none is priced." if unsure else ""
    cost, one = max(steps, key=lambda step: step[0])
    low, high = one.joules_per_point_low or 0.0, one.joules_per_point_high or 0.0
    interval = f" (95 % interval {format_energy(low)} to {format_energy(high)})"
    each = "point" if outcome.share else "1"
    gained = f"{each} of {outcome.name} gained"
    return f" Its dearest step, to {one.cell}, costs {format_energy(cost)}{interval} for each {gained}."


def _front(data: StudyData, found: Sequence[ParetoPoint], metric: str, outcome: Quality) -> Drawing:
    scale = scale_for([one.energy_j for one in found], "J")
    own = {label(cell.levels): cell for cell in data.cells}
    items: list[Point] = []
    for one in sorted(found, key=lambda point: not point.on_front)[:MOST_POINTS]:
        cell = own[one.cell]
        energy, quality = data.mean(cell, metric), data.mean(cell, outcome.name)
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
    front = sorted((one.energy_j * scale.factor, one.quality) for one in found if one.on_front)
    spread = max(one.energy_j for one in found) / max(min(one.energy_j for one in found), 1e-12)
    return points(
        items,
        f"{_what(metric)} ({scale.unit})",
        outcome.name if outcome.higher_is_better else f"{outcome.name} (lower is better)",
        log="x" if spread > 20 else "",
        front=front,
        wide=True,
    )


def _what(metric: str) -> str:
    return "training energy of a run" if metric == "training_energy_j" else "energy of a run"


def profiling(found: Sequence[ProfilingError]) -> Figure:
    """How well a run's first part foretells its whole energy."""
    key, title = "profiling", "Short profiling: the whole from its first part"
    if not found:
        return Figure(key, title, "", absent="no trial kept a profile of its power long enough")
    most = max(one.trials for one in found)
    panel = Panel(
        key,
        "Error of the extrapolated total",
        "Lines: mean error by the share of a run that was profiled",
        lambda: _profile_lines(found),
    )
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
            errors = [Quantity.exact(100 * one.mean, "%") for one in own]
            items.append(Line(f"by {by}", [100 * one.window for one in own], errors))
    return lines(items, "share of the run that was profiled (%)", "mean error of the total (%)", zero=True)

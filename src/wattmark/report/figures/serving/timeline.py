"""Power over the time of a load, with the requests in flight beneath it."""

from __future__ import annotations

from typing import Any

import numpy as np

from wattmark.report.drawing.marks import BOTTOM_PT, LEFT_PT, Drawing, finish, marker_face, origin_legend
from wattmark.report.drawing.style import SERIES, fit, new_figure, styled
from wattmark.report.figures.serving.cells import text_cells
from wattmark.report.figures.training import Figure, Panel
from wattmark.studies.analysis.data.study_data import Group, StudyData
from wattmark.studies.analysis.serving import load_factor
from wattmark.studies.results import Stage, TrialResult

MOST_MODELS = 3


def time_figure(data: StudyData) -> Figure:
    """One run of each model at its highest load, with the idle machine before it."""
    key, title = "serving-time", "Energy over time, and the requests in flight"
    shown = [(label, trial, stage) for label, trial in _examples(data) if (stage := _load(trial)) is not None]
    if not shown:
        return Figure(key, title, "", absent="no trial kept its requests over time")
    panel = Panel(
        key,
        "Power, and requests in flight",
        "Lines: watts, and beneath them requests in flight, by seconds since the first request",
        lambda: _drawn(data, shown),
        wide=True,
    )
    lead = (
        "The first run of each model at its highest load; time 0 is the first request, before it the machine is idle with "
        f"the model loaded. Watts are of the whole machine, {data.method_words('total')}; the area below them is the energy."
    )
    return Figure(key, title, lead, [panel])


def _examples(data: StudyData) -> list[tuple[str, TrialResult]]:
    """A trial of each model at its highest load, largest models first."""
    load = load_factor(data.results)
    best: dict[str, Group] = {}
    for cell in text_cells(data):
        model = str(cell.levels.get("model", ""))
        if model not in best or (load and float(cell.levels[load]) > float(best[model].levels[load])):
            best[model] = cell
    order = sorted(
        best.values(), key=lambda cell: -float(np.nan_to_num(data.values("parameters")[cell.rows[0]]))
    )
    return [(cell.label, data.trials[int(cell.rows[0])]) for cell in order[:MOST_MODELS]]


def _load(trial: TrialResult) -> Stage | None:
    times, _ = trial.power_profile
    stages = [stage for stage in trial.stages_named("load") if stage.attrs.get("in_flight_s")]
    return stages[0] if stages and len(times) else None


def _drawn(data: StudyData, shown: list[tuple[str, TrialResult, Stage]]) -> Drawing:
    figure, upper = new_figure(wide=True)
    drawing = Drawing(figure)
    modelled = data.modelled_share("total")
    with styled():
        grid = figure.add_gridspec(2, 1, height_ratios=(3, 2), hspace=0.14)
        upper.set_subplotspec(grid[0])
        lower = figure.add_subplot(grid[1], sharex=upper)
        handles: list[Any] = []
        for number, (label, trial, stage) in enumerate(shown):
            colour = SERIES[number % len(SERIES)]
            t_s, watts = (np.asarray(column, float) for column in trial.power_profile)
            (line,) = upper.plot(
                t_s - stage.start_s,
                watts,
                color=colour,
                linewidth=1.0,
                gid=f"power-{number}",
                label=label,
                markevery=max(1, len(t_s) // 12),
                markersize=3.2,
                **marker_face(colour, modelled),
            )
            handles.append(line)
            sent_s, count = (np.asarray(stage.attrs[name], float) for name in ("in_flight_s", "in_flight"))
            # The number stands until the next request comes or goes.
            lower.step(
                np.concatenate(([0.0], sent_s)),
                np.concatenate(([0.0], count)),
                where="post",
                color=colour,
                linewidth=1.0,
                gid=f"flight-{number}",
            )
            drawing.tips[f"power-{number}"] = drawing.tips[f"flight-{number}"] = label
        for axes, axis in ((upper, "W"), (lower, "requests in flight")):
            axes.set_ylim(bottom=0)
            finish(axes, "", axis, grid="both")
        upper.tick_params(labelbottom=False)
        lower.set_xlabel("s since the first request")
        figure.align_ylabels([upper, lower])
        handles += origin_legend([modelled])
    fit(figure, 3.2, LEFT_PT, BOTTOM_PT, handles)
    return drawing

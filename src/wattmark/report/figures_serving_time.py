"""Power over the time of a load, with the requests in flight beneath it."""

from __future__ import annotations

import numpy as np

from wattmark.report.charts import lines
from wattmark.report.data import Group, StudyData
from wattmark.report.figures import Figure, Panel
from wattmark.report.figures_serving_cells import text_cells
from wattmark.report.marks import Drawing, Line
from wattmark.studies.analysis.serving import load_factor
from wattmark.studies.analysis.statistics import Float64
from wattmark.studies.results import Stage, TrialResult

MOST_MODELS = 3


def time_figure(data: StudyData) -> Figure:
    """One run of each model at its highest load, with the idle machine before it."""
    key, title = "serving-time", "Energy over time, and the requests in flight"
    shown = [(label, trial, stage) for label, trial in _examples(data) if (stage := _load(trial)) is not None]
    if not shown:
        return Figure(key, title, "", absent="no trial kept its requests over time")
    panels = [
        Panel(f"{key}-power", "Power", "Lines: watts by seconds since the first request", lambda: _power(data, shown)),
        Panel(f"{key}-requests", "Requests in flight", "Lines: requests in flight by seconds since the first request",
              lambda: _requests(shown)),
    ]  # fmt: skip
    lead = (
        "The first run of each model at its highest load; time 0 is the first request, before it the machine is idle with "
        f"the model loaded. Watts are of the whole machine, {data.how('total')}; the area below them is the energy."
    )
    return Figure(key, title, lead, panels)


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


def _power(data: StudyData, shown: list[tuple[str, TrialResult, Stage]]) -> Drawing:
    items: list[Line] = []
    for label, trial, stage in shown:
        t_s, watts = (np.asarray(column, float) for column in trial.power_profile)
        items.append(
            Line(label, (t_s - stage.start_s).tolist(), watts.tolist(), modelled=data.modelled_share("total"))
        )
    return lines(items, "s since the first request", "W", zero=True)


def _requests(shown: list[tuple[str, TrialResult, Stage]]) -> Drawing:
    items: list[Line] = []
    for label, _, stage in shown:
        t_s, count = (np.asarray(stage.attrs[name], float) for name in ("in_flight_s", "in_flight"))
        # The number stands until it changes: a step at every request that comes or goes.
        x: Float64 = np.concatenate(([0.0], np.repeat(t_s, 2)))
        y: Float64 = np.concatenate(([0.0], [0.0], np.repeat(count, 2)[:-1]))
        items.append(Line(label, x.tolist(), y.tolist()))
    return lines(items, "s since the first request", "requests in flight", zero=True)

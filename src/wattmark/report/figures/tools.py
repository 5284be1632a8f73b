"""What measuring costs: the same work with and without tools, what each tool reports, and Wattmark's own recorder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import bars, dots
from wattmark.report.drawing.marks import Drawing, Part
from wattmark.report.drawing.style import BLUE, ORANGE, PURPLE, SERIES
from wattmark.report.figures.training import (
    MOST_ROWS,
    Figure,
    Panel,
    by_model,
    has,
    metric_bars,
    runs,
    scaled,
)
from wattmark.statistics import Float64, mean_interval
from wattmark.studies.analysis.data.plain import plain_mapping
from wattmark.studies.analysis.data.study_data import Group, StudyData, show_level
from wattmark.units import J_PER_WH

WITHOUT = "none"
"""The level of the factor ``tool`` that stands for no tool at all."""
_ADDED = (
    ("whole_s", "Added runtime", "added wall time (s)"),
    ("cpu_s", "Added processor time", "added CPU time (s)"),
)


def overhead(data: StudyData) -> Figure:
    """Runtime and energy with and without measuring tools; without such a comparison, what the recorder itself took."""
    return _with_and_without(data) if "tool" in data.factors else _recorder(data)


def _with_and_without(data: StudyData) -> Figure:
    key, title = "overhead", "Runtime with and without tools"
    groups = _tools(data)
    runtime = "whole_s" if has(data, "whole_s") else "total_duration_s"
    panels = [
        Panel(
            f"{key}-runtime",
            "Runtime",
            "Bars: seconds of the whole work by tool, with 95 % intervals",
            lambda: metric_bars(data, runtime, "s", "runtime of the whole process", groups, colour=SERIES[4]),
        )
    ]
    tested = [group for group in groups if str(group.levels["tool"]) != WITHOUT]
    for name, what, axis in (*_ADDED, ("total_duration_s", "Added runtime", "added wall time (s)")):
        if (name != "total_duration_s" or not has(data, "whole_s")) and _pairs(data, tested, name):
            panels.append(
                Panel(
                    f"{key}-added-{name}",
                    f"{what}, against no tool in the same repeat",
                    f"Dots: {axis} of each tool, with 95 % intervals",
                    _added(data, tested, name, axis),
                )
            )
    if has(data, "tool_energy_j"):
        panels.append(
            Panel(
                f"{key}-reported",
                "Energy of the training, as each tool reports it",
                "Bars: watt-hours that each tool reports for the training, with 95 % intervals",
                lambda: _reported(data, groups),
            )
        )
    panels.append(
        Panel(
            f"{key}-energy",
            "Energy of the whole process, as Wattmark saw it from outside",
            "Bars: watt-hours of a run by tool, with 95 % intervals",
            lambda: _outside(data, groups),
        )
    )
    lead = "The same work under each tool, and under none."
    if has(data, "tool_energy_j"):
        lead += (
            " What the tools report is not one quantity: some add a PUE, the memory or a part of the machine, some count "
            "this process alone. Their bars carry the scatter of the runs only; no tool states an error here. The outer "
            "measurement holds the interpreter's start and the tool itself too."
        )
    return Figure(key, title, f"{lead} {runs(data, groups)}", panels)


def _tools(data: StudyData) -> list[Group]:
    """The tools in the order of the design, no tool first."""
    groups = data.by_factor("tool")
    given = [str(level) for level in plain_mapping(data.results.design.get("factors")).get("tool", ())]
    order = {name: place for place, name in enumerate(given)}
    return sorted(
        groups, key=lambda g: (str(g.levels["tool"]) != WITHOUT, order.get(str(g.levels["tool"]), len(order)))
    )


def _differences(data: StudyData, group: Group, name: str) -> Float64:
    """A tool's runs less the run without a tool in the same repeat and at the same levels of all other factors."""
    values = data.values(name)
    others = [factor for factor in data.factors if factor != "tool"]

    def place(row: int) -> tuple[str, ...]:
        trial = data.trials[row]
        return (str(trial.repeat), *(str(trial.factors.get(factor)) for factor in others))

    plain = {
        place(row): values[row]
        for row, trial in enumerate(data.trials)
        if str(trial.factors.get("tool")) == WITHOUT
    }
    return np.array([values[row] - plain.get(place(row), np.nan) for row in group.rows.tolist()], np.float64)


def _pairs(data: StudyData, groups: Sequence[Group], name: str) -> bool:
    return has(data, name) and any(np.isfinite(_differences(data, group, name)).any() for group in groups)


def _added(data: StudyData, groups: Sequence[Group], name: str, axis: str) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        means = [mean_interval(_differences(data, group, name), unit="s", signed=True) for group in groups]
        return dots([group.label for group in groups], means, axis, SERIES[4], against=0.0)

    return draw


def _in_wh(means: Sequence[Quantity | None]) -> tuple[list[Quantity | None], str]:
    return scaled([mean and (mean * (1 / J_PER_WH)).with_unit("Wh") for mean in means], "Wh")


def _reported(data: StudyData, groups: Sequence[Group]) -> Drawing:
    own = [group for group in groups if np.isfinite(data.values("tool_energy_j")[group.rows]).any()]
    means, unit = _in_wh([data.mean(group, "tool_energy_j") for group in own])
    return bars([group.label for group in own], [Part("", means, PURPLE)], f"reported energy ({unit})")


def _outside(data: StudyData, groups: Sequence[Group]) -> Drawing:
    means, unit = _in_wh([data.mean(group, "total_energy") for group in groups])
    modelled = [data.modelled_share("total", group) for group in groups]
    return bars(
        [group.label for group in groups], [Part("", means, BLUE, modelled)], f"energy of a run ({unit})"
    )


# --- the recorder's own cost ---


def _recorder(data: StudyData) -> Figure:
    key, title = "overhead", "What measuring took: the recorder's own cost"
    lead = (
        "This study has no factor tool, so runtimes with and without tools were not compared (the study tools does that). "
        "Known is what the recorder itself took, a process beside the work: processor time, as a share of one CPU."
    )
    used = np.array([trial.recorder.get("cpu_s", np.nan) for trial in data.trials])
    over = np.array([trial.recorder.get("over_s", np.nan) for trial in data.trials])
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 100 * used / over
    if np.isfinite(share).any():
        groups = [group for group in data.models[:MOST_ROWS] if np.isfinite(share[group.rows]).any()]
        panels = [
            Panel(
                f"{key}-share",
                "Share of one CPU",
                f"Bars: the recorder's share of one CPU {by_model(data)}",
                _of_runs(groups, share, "%", "recorder's processor time (% of one CPU)"),
            ),
            Panel(
                f"{key}-cpu",
                "Processor time of a run",
                f"Bars: the recorder's CPU seconds of a run {by_model(data)}",
                _of_runs(groups, used, "s", "recorder's processor time"),
            ),
        ]
        return Figure(key, title, f"{lead} {runs(data, groups)}", panels)
    hosts = [
        (host, plain_mapping(plain_mapping(facts).get("recorder")))
        for host, facts in data.results.environment.items()
    ]
    known = [
        (host, cost["cpu_s"], cost["over_s"])
        for host, cost in hosts
        if cost.get("over_s") and "cpu_s" in cost
    ]
    if not known:
        return Figure(key, title, "", absent="no factor is called tool, and the recorder's cost was not kept")
    lead += " Of these trials only the last one of each machine kept it."
    rows = [f"{show_level(host)}, one run of {over:.3g} s" for host, _, over in known]
    panel = Panel(
        f"{key}-share",
        "Share of one CPU",
        "Bars: the recorder's share of one CPU in a run of each machine",
        lambda: bars(
            rows,
            [Part("", [Quantity.exact(100 * cpu / over, "%") for _, cpu, over in known], ORANGE)],
            "recorder's processor time (% of one CPU)",
        ),
    )
    return Figure(key, title, lead, [panel])


def _of_runs(groups: Sequence[Group], values: Float64, unit: str, axis: str) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        means, shown = scaled([mean_interval(values[group.rows], unit=unit) for group in groups], unit)
        label = axis if unit == "%" else f"{axis} ({shown})"
        return bars([group.label for group in groups], [Part("", means, ORANGE)], label)

    return draw

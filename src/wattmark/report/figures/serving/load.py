"""Figures of serving studies: joules per token and request over load, idle, power, latency; and all the others of them.

All of them read what the workload ``llm`` reports; a study of anything else has none of these figures. Where the idle watts
of some trials are known, the others are left out: their joules hold other work of the machine, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from wattmark.report.drawing.charts import lines, points
from wattmark.report.drawing.marks import Drawing, Line, Point
from wattmark.report.drawing.style import MUTED, SERIES
from wattmark.report.figures.serving.cells import (
    cell_quantity,
    left_out_words,
    mean_of,
    name_of,
    runs_of,
    setting,
    text_cells,
)
from wattmark.report.figures.serving.crossing import crossing_figure
from wattmark.report.figures.serving.lengths import lengths_figure
from wattmark.report.figures.serving.tasks import tasks_figure
from wattmark.report.figures.serving.timeline import time_figure
from wattmark.report.figures.training import MOST_POINTS, Figure, Panel, has, scale_for
from wattmark.studies.analysis.data.study_data import Group, StudyData, shorten
from wattmark.studies.analysis.serving import LOADS, load_factor

MOST_LINES = 14


def figures(data: StudyData) -> list[Figure]:
    """All figures of a serving study; none of any other study."""
    if not has(data, "j_per_token"):
        return []
    cells = text_cells(data)
    load = load_factor(data.results)
    if not cells:
        return [tasks_figure(data)]
    return [
        _over_load(
            data,
            cells,
            load,
            "serving-energy",
            "What a token and a request cost by load",
            (
                ("j_per_token", "J", "per output token", "Energy of an output token"),
                ("j_per_request", "J", "per request", "Energy of a request"),
            ),
            _energy_lead(data),
        ),
        _over_load(
            data,
            cells,
            load,
            "serving-idle",
            "The share of idle by load",
            (("idle_share", "", "idle, share of the energy (0 to 1)", "Idle share of the energy"),),
            "What the machine draws with the model loaded and no request, as a share of all its energy.",
        ),
        crossing_figure(data),
        tasks_figure(data),
        _power(data, cells),
        _latency(data, cells),
        lengths_figure(data),
        time_figure(data),
    ]


def _over_load(
    data: StudyData,
    cells: list[Group],
    load: str | None,
    key: str,
    title: str,
    wanted: Sequence[tuple[str, str, str, str]],
    lead: str,
) -> Figure:
    if load is None:
        return Figure(key, title, "", absent="the load was not varied (rate or concurrency)")
    there = [one for one in wanted if has(data, one[0])]
    if not there:
        return Figure(key, title, "", absent="the idle watts are not known")
    panels = [
        Panel(
            f"{key}-{name}",
            panel,
            f"Lines: {panel.lower()} by {LOADS[load]}, a line for each model",
            _drawn(data, cells, load, name, unit, axis),
        )
        for name, unit, axis, panel in there
    ]
    return Figure(key, title, _words(lead, left_out_words(data), runs_of(cells)), panels)


def _drawn(
    data: StudyData, cells: list[Group], load: str, name: str, unit: str, axis: str
) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        scale = scale_for([mean_of(data, cell, name) for cell in cells], unit) if unit else None
        items: list[Line] = []
        for label, own in _series(data, cells, load)[:MOST_LINES]:
            known = [(float(cell.levels[load]), cell_quantity(data, cell, name)) for cell in own]
            shown = [(x, scale.to(y) if scale else y) for x, y in known if y is not None]
            if shown:
                modelled = data.modelled_share("total", own[0]) if unit else None
                items.append(
                    Line(
                        label,
                        [x for x, _ in shown],
                        [y for _, y in shown],
                        modelled,
                    )
                )
        log: Literal["x", "xy"] = "xy" if unit else "x"
        return lines(items, LOADS[load], f"{scale.unit} {axis}" if scale else axis, log=log, zero=not unit)

    return draw


def _series(data: StudyData, cells: list[Group], load: str) -> list[tuple[str, list[Group]]]:
    """The cells of each line: all that differ in load only, by load; smaller models first."""
    found: dict[str, list[Group]] = {}
    for cell in cells:
        levels = {name: level for name, level in cell.levels.items() if name != load}
        found.setdefault(shorten(name_of(data, levels)), []).append(cell)
    for own in found.values():
        own.sort(key=lambda cell: float(cell.levels[load]))
    return sorted(found.items(), key=lambda item: np.nan_to_num(mean_of(data, item[1][0], "parameters")))


def _power(data: StudyData, cells: list[Group]) -> Figure:
    key, title = "serving-power", "Power by requests in flight"
    panel = Panel(
        key,
        "Power against utilisation",
        "Points: mean power by mean requests in flight, one for each cell",
        lambda: _scatter(data, cells, "in_flight", "serving_w", "requests in flight, mean", "W", log="x"),
        wide=True,
    )
    lead = "Power of the machine without the load client's part and other work."
    return Figure(key, title, _words(lead, left_out_words(data), runs_of(cells)), [panel])


def _latency(data: StudyData, cells: list[Group]) -> Figure:
    key, title = "serving-latency", "Latency against energy"
    if not has(data, "ttft_p95_s"):
        return Figure(
            key, title, "", absent="no answer was streamed, so the time to the first token is not known"
        )
    wanted = [
        (key, "Time to the first token", "ttft_p95_s", "s to the first token (p95)", "ttft_limit_s"),
        (f"{key}-tpot", "Time per further token", "tpot_p95_s", "s per further token (p95)", "tpot_limit_s"),
    ]
    panels = [
        Panel(
            name,
            panel,
            f"Points: {axis} by joules per request, one for each cell",
            _with_limit(data, cells, metric, axis, setting(data, cells[0], limit)),
            wide=True,
        )
        for name, panel, metric, axis, limit in wanted
        if has(data, metric) and (name == key or setting(data, cells[0], limit) is not None)
    ]
    if has(data, "goodput"):
        panels.append(
            Panel(
                f"{key}-goodput",
                "Goodput",
                "Points: answers a second that keep within the limits by joules per request",
                lambda: _scatter(
                    data, cells, "j_per_request", "goodput", "J per request", "good answers/s", log="x"
                ),
                wide=True,
            )
        )
    limits = [
        f"{setting(data, cells[0], name)} s {words}"
        for name, words in (("ttft_limit_s", "to the first token"), ("tpot_limit_s", "per further token"))
        if setting(data, cells[0], name) is not None
    ]
    lead = "Lower left is better in both; idle is included in the joules."
    if limits:
        lead += f" Dashed: the stated limits of a good answer, {' and '.join(limits)}."
    return Figure(key, title, _words(lead, left_out_words(data), runs_of(cells)), panels)


def _with_limit(
    data: StudyData, cells: list[Group], metric: str, axis: str, limit: float | None
) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        drawing = _scatter(data, cells, "j_per_request", metric, "J per request", axis, log="xy")
        if limit is not None:
            drawing.figure.axes[0].axhline(limit, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
        return drawing

    return draw


def _scatter(
    data: StudyData,
    cells: list[Group],
    x: str,
    y: str,
    x_axis: str,
    y_axis: str,
    *,
    log: Literal["", "x", "y", "xy"],
) -> Drawing:
    models = list(dict.fromkeys(str(setting(data, cell, "model")) for cell in cells))
    items: list[Point] = []
    for cell in cells[:MOST_POINTS]:
        across, up = cell_quantity(data, cell, x), cell_quantity(data, cell, y)
        if (
            across is None
            or up is None
            or ("x" in log and across.value <= 0)
            or ("y" in log and up.value <= 0)
        ):
            continue
        colour = SERIES[models.index(str(setting(data, cell, "model"))) % len(SERIES)]
        items.append(
            Point(
                cell.label,
                across,
                up,
                data.modelled_share("total", cell),
                colour,
            )
        )
    return points(items, x_axis, y_axis, log=log, wide=True)


def _energy_lead(data: StudyData) -> str:
    method = data.method_words("total")
    return f"Idle included; the joules are {method}. Intervals that reach below a tenth of the value are cut there."


def _words(*parts: str) -> str:
    return " ".join(part for part in parts if part)

"""Loss, accuracy and power by epoch; where a run has one epoch, that one, and the power within it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import dots, lines
from wattmark.report.drawing.marks import Drawing, Line
from wattmark.report.drawing.style import BLUE, GREEN, SERIES
from wattmark.report.figures.training import MOST_ROWS, Figure, Panel, by_model, runs
from wattmark.statistics import Float64, Int64, mean_interval
from wattmark.studies.analysis.data.quality import UNIT_SHARES
from wattmark.studies.analysis.data.study_data import StudyData

MOST_LINES = 14
MOST_EPOCHS = 100
WITHIN_POINTS = 40
FEWEST_READINGS = 5


def epochs(data: StudyData) -> Figure:
    """Loss, accuracy and power by epoch."""
    key, title = "epochs", "Loss, accuracy and power by epoch"
    numbers = _epoch_numbers(data)
    if not len(numbers):
        return Figure(key, title, "", absent="no trial has training epochs (stages called epoch)")
    with np.errstate(divide="ignore", invalid="ignore"):
        watts = data.epochs["energy_j"] / data.epochs["duration_s"]
    known = [
        (name, values, axis, colour)
        for name, values, axis, colour in (
            ("loss", data.epochs["loss"], "loss", SERIES[1]),
            ("accuracy", data.epochs["accuracy"], "accuracy", GREEN),
            ("power", watts, "mean power (W)", BLUE),
        )
        if np.isfinite(values).any()
    ]
    if not known:
        return Figure(key, title, "", absent="no epoch reported a loss, an accuracy or its energy")
    left_out = len(data.models) - MOST_LINES
    more = f" The {MOST_LINES} cheapest of {len(data.models)} are drawn." if left_out > 0 else ""
    if int(numbers.max()) < 1:
        panels = [
            Panel(
                f"{key}-{name}",
                f"{name.capitalize()} of the one epoch",
                f"Dots: {name} of the epoch {by_model(data)}",
                _one_epoch(data, values, axis, colour),
            )
            for name, values, axis, colour in known
        ]
        within = _within(data)
        if within:
            panels.append(
                Panel(
                    f"{key}-within",
                    "Power within the epoch",
                    f"Lines: power over the epoch {by_model(data)}",
                    lambda: lines(within, "share of the epoch (%)", "power (W)", zero=True),
                )
            )
        lead = f"Each run has one epoch, so there is no course over epochs.{more} {runs(data, data.models)}"
        return Figure(key, title, lead, panels)
    panels = [
        Panel(
            f"{key}-{name}",
            name.capitalize(),
            f"Lines: {name} by epoch {by_model(data)}",
            _epoch_panel(data, numbers, values, axis, name == "power"),
        )
        for name, values, axis, _ in known
    ]
    lead = f"Mean over the runs of each row; bands hold the smallest and the largest run.{more} {runs(data, data.models)}"
    return Figure(key, title, lead, panels)


def _epoch_numbers(data: StudyData) -> Int64:
    starts = np.flatnonzero(np.diff(data.owner, prepend=-1))
    lengths = np.diff(np.append(starts, len(data.owner)))
    return np.arange(len(data.owner)) - np.repeat(starts, lengths)


def _one_epoch(data: StudyData, values: Float64, axis: str, colour: str) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        groups = data.models[:MOST_ROWS]
        means = [mean_interval(values[np.isin(data.owner, group.rows)]) for group in groups]
        if axis in UNIT_SHARES:
            means = [mean and mean.bounded(0.0, 1.0) for mean in means]
        return dots([group.label for group in groups], means, axis, colour)

    return draw


def _within(data: StudyData) -> list[Line]:
    """Power over the share of the one epoch, from the power profiles of the runs that have readings enough in it."""
    share = (np.arange(WITHIN_POINTS) + 0.5) / WITHIN_POINTS
    curves: dict[int, Float64] = {}
    for row, trial in enumerate(data.trials):
        t, watts = (np.array(part, np.float64) for part in trial.power_profile)
        for stage in trial.stages_named("epoch"):
            inside = (t >= stage.start_s) & (t <= stage.start_s + stage.duration_s)
            if inside.sum() >= FEWEST_READINGS:
                curves[row] = np.interp(stage.start_s + share * stage.duration_s, t[inside], watts[inside])
    found: list[Line] = []
    for group in data.models[:MOST_LINES]:
        own = [curves[row] for row in group.rows.tolist() if row in curves]
        if own:
            table = np.stack(own)
            found.append(
                Line(
                    group.label,
                    (100 * share).tolist(),
                    _between(table.min(axis=0), table.mean(axis=0), table.max(axis=0)),
                    data.modelled_share("total", group),
                )
            )
    return found


def _between(low: Float64, mean: Float64, high: Float64) -> list[Quantity]:
    """Means with the smallest and the largest run as their ends, (k,) each."""
    return [
        Quantity(value, min(least, value), max(most, value), "")
        for least, value, most in zip(low.tolist(), mean.tolist(), high.tolist(), strict=True)
    ]


def _epoch_panel(
    data: StudyData, numbers: Int64, values: Float64, axis: str, energy: bool
) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        length = int(numbers.max()) + 1
        kept = np.unique(np.linspace(0, length - 1, min(length, MOST_EPOCHS)).astype(int))
        items: list[Line] = []
        for group in data.models[:MOST_LINES]:
            rows = np.isin(data.owner, group.rows) & np.isfinite(values)
            if not rows.any():
                continue
            at, here = numbers[rows], values[rows]
            count = np.bincount(at, minlength=length)[kept]
            with np.errstate(invalid="ignore", divide="ignore"):
                mean = np.bincount(at, here, minlength=length)[kept] / count
            low, high = np.full(length, np.inf), np.full(length, -np.inf)
            np.minimum.at(low, at, here)
            np.maximum.at(high, at, here)
            x, known = (kept + 1).astype(float), count > 0
            items.append(
                Line(
                    group.label,
                    x[known].tolist(),
                    _between(low[kept][known], mean[known], high[kept][known]),
                    data.modelled_share("total", group) if energy else None,
                )
            )
        return lines(items, "epoch", axis)

    return draw

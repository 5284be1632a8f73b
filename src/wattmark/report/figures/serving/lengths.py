"""Energy of a request against the lengths of prompt and answer: the planes of prefill and decode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import heat_map, lines
from wattmark.report.drawing.marks import Drawing, Line
from wattmark.report.figures.serving.cells import (
    cell_quantity,
    left_out_words,
    runs_of,
    setting,
    text_cells,
)
from wattmark.report.figures.training import Figure, Panel, has, scale_for
from wattmark.statistics import Float64, t_quantile
from wattmark.studies.analysis.data.study_data import Group, StudyData, show_level
from wattmark.units import significant

MOST_MODELS = 4
_FEWEST = 5
"""Trials that a plane needs: three coefficients, and two to tell how far they are off."""


class Plane(NamedTuple):
    """J per request = on + prefill x tokens of the prompt + decode x tokens of the answer, with 95 % intervals."""

    on_j: Quantity
    prefill_j: Quantity
    decode_j: Quantity


def lengths_figure(data: StudyData) -> Figure:
    """A map over both lengths for each model, or a line over the one that was varied."""
    key, title = "serving-lengths", "Energy against input and output length"
    varied = [name for name in ("input", "output") if name in data.factors]
    if not varied:
        return Figure(key, title, "", absent="neither input nor output length was varied")
    metric = "j_per_request_own" if has(data, "j_per_request_own") else "j_per_request"
    cells = text_cells(data)
    models = _by_model(data, cells)
    if len(varied) == 2:
        panels = [
            Panel(
                f"{key}-{number}",
                f"{model}: J per request",
                "Map: joules per request by tokens of prompt and of answer",
                _map(data, own, metric),
            )
            for number, (model, own) in enumerate(list(models.items())[:MOST_MODELS])
        ]
    else:
        panels = [
            Panel(
                key,
                f"J per request by {varied[0]} tokens",
                f"Lines: joules per request by {varied[0]} tokens",
                _lines(data, models, varied[0], metric),
            )
        ]
    idle = "without idle" if metric.endswith("own") else "idle included"
    words = [f"Joules per request, {idle}, {data.method_words('total')}."]
    for model, own in models.items():
        plane = plane_of(data, own, metric) if len(varied) == 2 else None
        if plane is not None:
            words.append(f"{model}: {_words(plane)}.")
    return Figure(key, title, " ".join(filter(None, [*words, left_out_words(data), runs_of(cells)])), panels)


def plane_of(data: StudyData, cells: list[Group], metric: str) -> Plane | None:
    """Least squares over the trials; None where there are too few, or their lengths do not span a plane.

    Every trial counts by its relative error (weights 1 / value), as long requests scatter by more joules.
    """
    rows = np.concatenate([cell.rows for cell in cells])
    table = np.stack([data.values(name)[rows] for name in ("input_tokens", "output_tokens", metric)])
    given, made, joules = table[:, np.isfinite(table).all(axis=0) & (table[2] > 0)]
    if len(joules) < _FEWEST:
        return None
    design: Float64 = np.stack([np.ones_like(given), given, made], axis=1) / joules[:, None]
    if np.linalg.matrix_rank(design) < 3:
        return None
    inverse = np.asarray(np.linalg.inv(design.T @ design), np.float64)
    solved: Float64 = inverse @ design.T.sum(axis=1)
    freedom = len(joules) - 3
    rest: Float64 = 1 - design @ solved
    errors: Float64 = np.sqrt(np.diag(inverse) * float(rest @ rest) / freedom)
    reach = t_quantile(freedom) * errors
    on, prefill, decode = (
        Quantity(value, value - far, value + far, "J")
        for value, far in zip(solved.tolist(), reach.tolist(), strict=True)
    )
    return Plane(on, prefill, decode)


def _words(plane: Plane) -> str:
    parts = [
        f"{_mj(quantity)} {what}"
        for quantity, what in (
            (plane.prefill_j, "a token of the prompt"),
            (plane.decode_j, "a token of the answer"),
            (plane.on_j, "a request besides"),
        )
    ]
    return ", ".join(parts)


def _mj(quantity: Quantity) -> str:
    value, low, high = (significant(1e3 * one, 2) for one in (quantity.value, quantity.low, quantity.high))
    if quantity.low <= 0:  # not told apart from nothing
        return f"up to {high} mJ" if quantity.high > 0 else "nothing that could be told"
    return f"{value} mJ ({low} to {high})"


def _by_model(data: StudyData, cells: list[Group]) -> dict[str, list[Group]]:
    found: dict[str, list[Group]] = {}
    for cell in cells:
        found.setdefault(show_level(setting(data, cell, "model", data.results.name)), []).append(cell)
    return found


def _map(data: StudyData, cells: list[Group], metric: str) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        inputs, outputs = (_levels(cells, name) for name in ("input", "output"))
        table = np.full((len(outputs), len(inputs)), np.nan)
        for row, made in enumerate(outputs):
            for column, given in enumerate(inputs):
                here = [c for c in cells if (c.levels["input"], c.levels["output"]) == (given, made)]
                values = [q.value for c in here if (q := cell_quantity(data, c, metric)) is not None]
                if values:
                    table[row, column] = float(np.mean(values))
        scale = scale_for(table.ravel().tolist(), "J")
        rows = [f"{made} out" for made in outputs]
        return heat_map(
            rows,
            [str(given) for given in inputs],
            table * scale.factor,
            diverging=False,
            axis=f"tokens of the prompt; {scale.unit} per request",
        )

    return draw


def _lines(
    data: StudyData, models: dict[str, list[Group]], factor: str, metric: str
) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        items: list[Line] = []
        for model, cells in models.items():
            known = [
                (float(data.values(f"{factor}_tokens")[cell.rows].mean()), cell_quantity(data, cell, metric))
                for cell in cells
            ]
            shown = sorted((x, y) for x, y in known if y is not None)
            items.append(
                Line(
                    model,
                    [x for x, _ in shown],
                    [y for _, y in shown],
                    data.modelled_share("total"),
                )
            )
        return lines(items, f"{factor} tokens", "J per request", log="xy")

    return draw


def _levels(cells: list[Group], name: str) -> list[Any]:
    found = list(dict.fromkeys(cell.levels[name] for cell in cells))
    return sorted(
        found,
        key=lambda level: (not str(level).isdigit(), int(level) if str(level).isdigit() else 0, str(level)),
    )

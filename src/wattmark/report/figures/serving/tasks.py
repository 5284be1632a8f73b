"""What a right answer costs: accuracy against joules per correct answer, by size and by how much is written out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wattmark.quantity import Quantity
from wattmark.reasoning.scoring import wilson
from wattmark.report.drawing.charts import lines, points
from wattmark.report.drawing.marks import Drawing, Line, Point
from wattmark.report.drawing.style import SERIES
from wattmark.report.figures.serving.cells import (
    cell_quantity,
    mean_of,
    name_of,
    runs_of,
    setting,
    task_cells,
)
from wattmark.report.figures.training import Figure, Panel, has
from wattmark.studies.analysis.data.study_data import Group, StudyData, show_level
from wattmark.units import format_energy

MOST_LINES = 14


def tasks_figure(data: StudyData) -> Figure:
    """Accuracy against joules per correct answer; by difficulty too, where that was varied."""
    key, title = "serving-tasks", "What a right answer costs"
    cells = task_cells(data)
    if not cells or not has(data, "accuracy"):
        return Figure(key, title, "", absent="no problems with right answers were asked (factor task)")
    panels: list[Panel] = []
    if has(data, "j_per_correct"):
        panels.append(
            Panel(
                key,
                "Accuracy against joules per correct answer",
                "Points: share of right answers by joules per right answer, one for each size and mode",
                lambda: _against(data, cells),
                wide=True,
            )
        )
    if "level" in data.factors:
        panels += [
            Panel(
                f"{key}-{name}",
                panel,
                f"Lines: {panel.lower()}, a line for each size and mode",
                _by_level(data, cells, name, axis),
            )
            for name, panel, axis in (
                ("accuracy", "Accuracy by difficulty", "right answers, share"),
                ("j_per_correct", "Joules per correct answer by difficulty", "J per correct answer"),
            )
            if has(data, name)
        ]
    if not panels:
        return Figure(key, title, "", absent="no answer was right")
    return Figure(key, title, _lead(data, cells), panels)


def accuracy(data: StudyData, cell: Group) -> Quantity | None:
    """Right answers of all answers of the cell's trials together, with Wilson's 95 % interval."""
    right, answered = (data.values(name)[cell.rows] for name in ("correct", "answered"))
    known = np.isfinite(right) & np.isfinite(answered)
    total = int(answered[known].sum())
    return wilson(int(right[known].sum()), total) if total else None


def _against(data: StudyData, cells: list[Group]) -> Drawing:
    models = list(dict.fromkeys(str(setting(data, cell, "model")) for cell in cells))
    items: list[Point] = []
    for cell in cells:
        share, cost = accuracy(data, cell), cell_quantity(data, cell, "j_per_correct")
        if share is not None and cost is not None:
            colour = SERIES[models.index(str(setting(data, cell, "model"))) % len(SERIES)]
            items.append(Point(cell.label, cost, share, data.modelled_share("total", cell), colour))
    drawing = points(items, "J per correct answer, idle included", "right answers, share", log="x", wide=True)
    drawing.figure.axes[0].set_ylim(-0.05, 1.08)
    return drawing


def _by_level(data: StudyData, cells: list[Group], name: str, axis: str) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        found: dict[str, list[tuple[float, Quantity]]] = {}
        for cell in cells:
            value = accuracy(data, cell) if name == "accuracy" else cell_quantity(data, cell, name)
            levels = {k: v for k, v in cell.levels.items() if k in ("model", "mode", "task", "number_format")}
            if value is not None:
                found.setdefault(name_of(data, levels), []).append((float(cell.levels["level"]), value))
        items: list[Line] = []
        for label, pairs in list(found.items())[:MOST_LINES]:
            shown = sorted(pairs)
            items.append(
                Line(
                    label,
                    [x for x, _ in shown],
                    [y for _, y in shown],
                    None if name == "accuracy" else data.modelled_share("total"),
                )
            )
        drawing = lines(items, "level of difficulty", axis, log="" if name == "accuracy" else "y")
        drawing.figure.axes[0].set_xticks(sorted({x for pairs in found.values() for x, _ in pairs}))
        return drawing

    return draw


def _lead(data: StudyData, cells: list[Group]) -> str:
    task = "/".join(dict.fromkeys(show_level(setting(data, cell, "task")) for cell in cells))
    words = [
        f"Task {task}; accuracy over all repeats with Wilson's 95 % interval; joules, idle included, are "
        f"{data.method_words('total')}. Upper left is better."
    ]
    none = [cell.label for cell in cells if (share := accuracy(data, cell)) and share.value == 0]
    if none:
        words.append(f"Without any right answer, so without a price: {'; '.join(none)}.")
    trained = {
        str(setting(data, cell, "model")): mean_of(data, cell, "model_training_j")
        for cell in cells
        if np.isfinite(mean_of(data, cell, "model_training_j"))
    }
    if trained:
        told = ", ".join(
            f"{model.removeprefix('trained:')} {format_energy(j)}" for model, j in trained.items()
        )
        words.append(f"Training them took, once and not in these figures: {told}.")
    return " ".join([*words, runs_of(cells)])

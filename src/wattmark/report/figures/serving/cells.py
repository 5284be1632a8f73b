"""What all figures of serving studies share: their cells with names of use, and a cell's numbers with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from wattmark.quantity import Quantity
from wattmark.studies.analysis.data.study_data import Group, StudyData, shorten, show_level
from wattmark.studies.analysis.serving import NO_TASK

_OF_TASKS = ("task", "mode", "level")


def setting(data: StudyData, cell: Group, name: str, missing: Any = None) -> Any:
    """A level of the cell, varied or not."""
    fixed: Mapping[str, Any] = data.results.design.get("fixed") or {}
    return {**fixed, **data.trials[int(cell.rows[0])].factors}.get(name, missing)


def text_cells(data: StudyData) -> list[Group]:
    """The cells in which plain prompts were sent, with the trials whose idle is known (with all, if none is)."""
    known = np.isfinite(data.values("idle_share"))
    found: list[Group] = []
    for cell in data.cells:
        if setting(data, cell, "task", NO_TASK) != NO_TASK:
            continue
        rows = cell.rows[known[cell.rows]] if known.any() else cell.rows
        if len(rows):
            levels = {name: level for name, level in cell.levels.items() if name not in _OF_TASKS}
            found.append(Group(name_of(data, levels), levels, rows))
    return found


def task_cells(data: StudyData) -> list[Group]:
    """The cells in which problems were asked; a factor that is the same in all of them is not in their names."""
    cells = [cell for cell in data.cells if setting(data, cell, "task", NO_TASK) != NO_TASK]
    varied = [name for name in data.factors if len({str(cell.levels[name]) for cell in cells}) > 1]
    return [
        Group(name_of(data, {k: cell.levels[k] for k in varied}), cell.levels, cell.rows) for cell in cells
    ]


def left_out_words(data: StudyData) -> str:
    """How many trials the figures leave out for want of idle watts."""
    known = np.isfinite(data.values("idle_share"))
    of_use = np.isfinite(data.values("j_per_token"))
    count = int((of_use & ~known).sum())
    if not count or not known.any():
        return ""
    return (
        f"{count} of {int(of_use.sum())} runs are left out: the machine was busy before them, so their idle watts are not "
        "known."
    )


def name_of(data: StudyData, levels: dict[str, Any]) -> str:
    """The model by its level alone, a mode and a task too, all else with its factor."""
    bare = ("model", "mode", "task")
    words = [
        show_level(level) if name in bare else f"{name} {show_level(level)}" for name, level in levels.items()
    ]
    return shorten(", ".join(words) or data.results.name)


def cell_quantity(data: StudyData, cell: Group, name: str) -> Quantity | None:
    """Mean over the cell's trials, with the scatter and the measured interval of each (``_low``, ``_high``)."""
    return data.mean(cell, name)


def mean_of(data: StudyData, cell: Group, name: str) -> float:
    """Mean over the trials that know it; NaN if none does."""
    values = data.values(name)[cell.rows]
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")


def runs_of(cells: list[Group]) -> str:
    """The number of runs behind a figure, in words."""
    counts = sorted({cell.count for cell in cells})
    each = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"{sum(cell.count for cell in cells)} runs, {each} of each cell."

"""Joules to a quality: what each method had spent when it was good enough, and how quality grew with joules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import bars, lines
from wattmark.report.drawing.marks import Drawing, Line, Part
from wattmark.report.drawing.style import BLUE
from wattmark.report.figures.training import MOST_ROWS, Figure, Panel, runs, scaled
from wattmark.studies.analysis.data.study_data import Group, StudyData
from wattmark.studies.analysis.reach import Course, Reach, course_of, reaches, target_of

MOST_PANELS = 8


def figures(data: StudyData) -> list[Figure]:
    """The figure, where the design says which quality is good enough and trials were evaluated as they learnt."""
    found, outcome = reaches(data), data.outcome
    if not found or outcome is None:
        return []
    key, target = "reach", target_of(data)
    more = "or more" if outcome.higher_is_better else "or less"
    panels = [
        Panel(
            f"{key}-energy",
            f"Energy of learning until {outcome.name} was {target:g} {more}",
            f"Bars: joules of learning until {outcome.name} {target:g}, by cell, with 95 % intervals",
            lambda: _bars(data, found),
        )
    ]
    for number, (levels, groups) in enumerate(_by_others(data)[:MOST_PANELS]):
        where = f", {data.label(levels)}" if levels else ""
        panels.append(
            Panel(
                f"{key}-course-{number}",
                f"{outcome.name} as energy is spent{where}",
                f"Lines: {outcome.name} against joules of learning{where}",
                _courses(data, groups, outcome.name),
            )
        )
    missed = [f"{entry.group.label}: {entry.words}" for entry in found if entry.energy is None]
    lead = (
        "Energy of the learning alone, without evaluations, up to the first evaluation that was good enough; the interval "
        f"reaches down to the evaluation before it. {runs(data, [entry.group for entry in found])}"
    )
    if missed:
        lead += f" Not reached by all runs: {'; '.join(missed[:MOST_ROWS])}."
    return [Figure(key, "Joules to a quality", lead, panels)]


def _bars(data: StudyData, found: Sequence[Reach]) -> Drawing:
    known = [entry for entry in found if entry.energy is not None][:MOST_ROWS]
    energies, unit = scaled([entry.energy for entry in known], "J")
    modelled = [data.modelled_share("total", entry.group) for entry in known]
    rows = [entry.group.label for entry in known]
    return bars(rows, [Part("", energies, BLUE, modelled)], f"energy of learning ({unit})")


def _by_others(data: StudyData) -> list[tuple[Mapping[str, object], list[Group]]]:
    """The cells that differ in the subject only, by the levels of all other factors."""
    found: dict[str, tuple[Mapping[str, object], list[Group]]] = {}
    for cell in data.cells:
        others = {name: level for name, level in cell.levels.items() if name != data.subject}
        found.setdefault(str(others), (others, []))[1].append(cell)
    return list(found.values())


def _courses(data: StudyData, groups: Sequence[Group], quality: str) -> Callable[[], Drawing]:
    def draw() -> Drawing:
        items: list[Line] = []
        for group in groups[:14]:
            rows: list[int] = group.rows.tolist()
            own = [course for row in rows if (course := course_of(data.trials[row], quality)) is not None]
            line = _line(data, group, own)
            if line is not None:
                items.append(line)
        positive = all(value.value > 0 for item in items for value in item.y)
        return lines(items, "energy of learning (J)", quality, log="y" if positive else "")

    return draw


def _line(data: StudyData, group: Group, courses: Sequence[Course]) -> Line | None:
    """Means over the runs of a cell at each evaluation, with the smallest and the largest run."""
    length = min((len(course.quality) for course in courses), default=0)
    if not length:
        return None
    joules = np.stack([course.joules[:length] for course in courses]).mean(axis=0)
    values = np.stack([course.quality[:length] for course in courses])
    known = np.isfinite(values).all(axis=0)
    y = [
        Quantity(float(column.mean()), float(column.min()), float(column.max()), "")
        for column in values[:, known].T
    ]
    return Line(group.label, joules[known].tolist(), y, data.modelled_share("total", group)) if y else None

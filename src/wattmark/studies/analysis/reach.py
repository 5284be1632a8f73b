"""How many joules of learning each cell needs to reach a stated quality.

A design's ``quality.target`` says how good is good enough. A trial has reached it at the first ``evaluation`` stage
whose quality is at the target or better; what it cost is the energy of all ``epoch`` stages up to then. The true moment
lies between that evaluation and the one before it, so the energy has an error down to what had been spent then. A cell of
which some trial never came so far has no mean: how many did, and what the others had spent, is told instead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wattmark.documents import mapping, number
from wattmark.quantity import EDGES, SCATTER, Quantity
from wattmark.runs.differences import mean_with_scatter
from wattmark.statistics import Float64
from wattmark.studies.analysis.data.errors import energy_of, with_errors_of
from wattmark.studies.analysis.data.study_data import Group, StudyData
from wattmark.studies.results import TrialResult


@dataclass(frozen=True, slots=True)
class Course:
    """One trial as it learns. joules: of all learning up to each evaluation, (k,). quality: what it found, (k,)."""

    joules: Float64
    quality: Float64


@dataclass(frozen=True, slots=True)
class Reach:
    """A cell. reached: of its ``group.count`` trials. energy: mean J of learning until then, if all trials reached it.
    spent_j: the least that a trial had spent without reaching it; None where all did."""

    group: Group
    reached: int
    energy: Quantity | None
    spent_j: float | None

    @property
    def words(self) -> str:
        """What a table has in the place of a mean."""
        if self.energy is not None:
            return str(self.energy)
        spent = "" if self.spent_j is None else f"; over {self.spent_j:.3g} J without"
        return f"{self.reached} of {self.group.count} runs{spent}"


def target_of(data: StudyData) -> float | None:
    """The quality that is good enough, as the design has it; None if it says nothing."""
    return number(mapping(data.results.design.get("quality")).get("target"))


def course_of(trial: TrialResult, quality: str) -> Course | None:
    """How a trial came to its quality; None where its epochs have no energy, or no evaluations beside them."""
    epochs, tests = trial.stages_named("epoch"), trial.stages_named("evaluation")
    found = [number(test.attrs.get(quality)) for test in tests]
    energies = [None if epoch.energy_j is None else epoch.energy_j["value"] for epoch in epochs]
    if not tests or len(epochs) != len(tests) or None in energies:
        return None
    joules = np.cumsum(np.array(energies, np.float64))
    return Course(joules, np.array([math.nan if value is None else value for value in found], np.float64))


def reaches(data: StudyData) -> list[Reach]:
    """One entry a cell, in the order of the design; none where the design has no target or no trial has a course."""
    target, outcome = target_of(data), data.outcome
    if target is None or outcome is None:
        return []
    courses = [course_of(trial, outcome.name) for trial in data.trials]
    if not any(courses):
        return []
    found: list[Reach] = []
    for cell in data.cells:
        energies, spent = list[Quantity](), list[float]()
        rows: list[int] = cell.rows.tolist()
        for row in rows:
            course = courses[row]
            if course is None:
                continue
            good = np.flatnonzero(outcome.sign * (course.quality - target) >= 0)
            energy = _until(data.trials[row], course, int(good[0])) if len(good) else None
            if energy is None:
                spent.append(float(course.joules[-1]))
            else:
                energies.append(energy)
        whole = len(energies) == cell.count > 0
        mean = mean_with_scatter(energies, f"{SCATTER}/{cell.label}/reach") if whole else None
        found.append(Reach(cell, len(energies), mean, min(spent, default=None)))
    return found


def _until(trial: TrialResult, course: Course, place: int) -> Quantity | None:
    """J of learning up to an evaluation, with the errors of the trial's energy and of the moment."""
    energy = energy_of(trial)
    if energy is None:
        return None
    value = float(course.joules[place])
    before = float(course.joules[place - 1]) if place else 0.0
    return with_errors_of(energy, value, "J").with_error(
        f"{EDGES}/{trial.trial_id}/reach", value - before, 0.0
    )

"""From a design to trials: their ids, their order, and further repeats while a mean is not known well enough."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wattmark.statistics import mean_half_width, mean_of
from wattmark.studies.designs.design import Design, Stop
from wattmark.studies.results import TrialResult


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of one cell. index: its place in the study's order. repeat: 0 for the first."""

    id: str
    index: int
    repeat: int
    factors: Mapping[str, Any]


def cells(design: Design) -> list[dict[str, Any]]:
    """The combinations of levels, in the order of the file."""
    if design.combinations == "listed":
        return [dict(row) for row in design.trial]
    return [
        dict(zip(design.factors, levels, strict=True))
        for levels in itertools.product(*design.factors.values())
    ]


def plan(design: Design) -> list[Trial]:
    """All trials that the design asks for: in every repeat each cell once, in an order that the seed decides.

    Whole repeats one after the other (randomised complete blocks): a slow drift of the machine falls on all cells
    alike, and a study that is broken off is still balanced.
    """
    trials: list[Trial] = []
    for repeat in range(design.repeats):
        trials += _block(design, cells(design), repeat, len(trials))
    return trials


def further_trials(design: Design, done: Sequence[TrialResult]) -> list[Trial]:
    """One more repeat of every cell whose mean is not known well enough yet; none without a stopping rule."""
    stop = design.stop
    if stop is None:
        return []
    if stop.max_seconds is not None and sum(trial.duration_s for trial in done) >= stop.max_seconds:
        return []
    open_cells: dict[int, list[dict[str, Any]]] = {}
    for cell in cells(design):
        results = [trial for trial in done if dict(trial.factors) == cell]
        repeats = max((trial.repeat for trial in results), default=-1) + 1
        if repeats < stop.max_repeats and not _known(stop, results):
            open_cells.setdefault(repeats, []).append(cell)
    trials: list[Trial] = []
    for repeat, missing in sorted(open_cells.items()):
        trials += _block(design, missing, repeat, len(done) + len(trials))
    return trials


def trial_id(factors: Mapping[str, Any], repeat: int) -> str:
    """Twelve hexadecimal digits that depend on nothing but the levels and the repeat."""
    text = json.dumps([sorted(factors.items()), repeat], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def metric_of(trial: TrialResult, name: str) -> float | None:
    """A trial's number by name: ``energy_j``, ``duration_s``, or what the workload reported."""
    if name == "energy_j":
        return trial.total_j
    return trial.duration_s if name == "duration_s" else trial.metrics.get(name)


def _known(stop: Stop, results: Sequence[TrialResult]) -> bool:
    values = [metric_of(trial, stop.metric) for trial in results if trial.status == "completed"]
    if results and not values:
        return True  # it only ever failed: more of the same tells nothing
    repeats = [value for value in values if value is not None]
    half, mean = mean_half_width(repeats), mean_of(repeats)
    return half is not None and bool(mean) and 100 * half / abs(mean) <= stop.within_pct


def _block(design: Design, block: Sequence[dict[str, Any]], repeat: int, first: int) -> list[Trial]:
    ids = {trial_id(cell, repeat): cell for cell in block}
    order = sorted(ids, key=lambda name: hashlib.sha256(f"{design.seed} {name}".encode()).digest())
    return [Trial(name, first + place, repeat, ids[name]) for place, name in enumerate(order)]

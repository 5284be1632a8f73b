"""Other levels of a study's factors: what the study itself measured, never a model.

The run must be a trial of the study, so that its own levels are known. The answer is the ratio of the medians of two
cells that differ in the asked factors only. Its interval is that of the bootstrap of both medians where each cell has
six trials or more, and from the least to the largest ratio of two trials where there are fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wattmark.predict.whatif.state import State, Step, Unpredictable, fitted, of_one_fit, scaled
from wattmark.quantity import Quantity
from wattmark.statistics import central, resampled
from wattmark.studies.results import StudyResults, TrialResult

_ENOUGH = 6
_RESAMPLES = 2_000


def from_study(
    state: State, study: StudyResults, run_id: str, levels: Mapping[str, Any]
) -> tuple[State, Step] | Unpredictable:
    """The run at other levels of some of the study's factors."""
    own = next((trial for trial in study.trials if trial.run_id == run_id), None)
    if own is None:
        return Unpredictable(
            f"the run is no trial of the study {study.name!r}, so its own levels are not known"
        )
    for factor, level in levels.items():
        tried = {str(trial.factors.get(factor)) for trial in study.completed}
        if factor not in own.factors:
            return Unpredictable(f"the study {study.name!r} has no factor {factor!r}")
        if str(level) not in tried:
            return Unpredictable(
                f"the study did not try {factor}={level}; it tried {', '.join(sorted(tried))}"
            )
    wanted = {**own.factors, **levels}
    before, after = _cell(study, own.factors), _cell(study, wanted)
    if not before or not after:
        return Unpredictable("the study has no completed trial with just these levels")
    if _same(own.factors, wanted):
        one = Quantity.exact(1.0, "", "the same levels")
        return state, Step("levels of the study", "levels", one, one, "the same levels")
    what = ", ".join(f"{name}={level}" for name, level in levels.items())
    source = (
        f"study {study.name}: {len(after)} trials with {what} against {len(before)} with the run's levels"
    )
    time = _ratio(before, after, lambda trial: trial.duration_s or None, source)
    energy = _ratio(before, after, lambda trial: trial.total_j, source)
    if time is None or energy is None:
        return Unpredictable("trials of the study were not measured")
    changed = {
        name: _ratio(before, after, _component(name), source) or energy for name in state.by_component
    }  # fmt: skip
    changed = of_one_fit(source, changed)
    return (
        replace(
            state,
            by_component={n: scaled(q, changed[n], source) for n, q in state.by_component.items()},
            duration_s=None if state.duration_s is None else scaled(state.duration_s, time, source),
        ),
        Step("levels of the study", "levels", energy, time, source),
    )


def levels_of(study: StudyResults, run_id: str) -> dict[str, list[Any]]:
    """What may be asked for this run: the varying factors and their levels; empty where it is no trial of the study."""
    if all(trial.run_id != run_id for trial in study.trials):
        return {}
    found: dict[str, list[Any]] = {}
    for factor in study.factors:
        distinct = {str(trial.factors.get(factor)): trial.factors.get(factor) for trial in study.completed}
        found[factor] = list(distinct.values())
    return found


def _cell(study: StudyResults, factors: Mapping[str, Any]) -> list[TrialResult]:
    return [trial for trial in study.completed if _same(trial.factors, factors)]


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return {key: str(value) for key, value in first.items()} == {
        key: str(value) for key, value in second.items()
    }


def _component(name: str) -> Callable[[TrialResult], float | None]:
    def joules(trial: TrialResult) -> float | None:
        found = (trial.energy_j or {}).get(name)
        return None if found is None else found["value"]

    return joules


def _ratio(
    before: Sequence[TrialResult], after: Sequence[TrialResult], of: Callable[[TrialResult], float | None], source: str
) -> Quantity | None:  # fmt: skip
    old = np.array([value for trial in before if (value := of(trial))])
    new = np.array([value for trial in after if (value := of(trial))])
    if not len(old) or not len(new):
        return None
    value = float(np.median(new) / np.median(old))
    if min(len(old), len(new)) < _ENOUGH:
        low, high = float(new.min() / old.max()), float(new.max() / old.min())
    else:
        medians = (
            np.median(resampled(x, _RESAMPLES, seed=seed), axis=1) for seed, x in enumerate((new, old))
        )
        low, high = central(next(medians) / next(medians))
    return fitted(value, min(low, value), max(high, value), "", source)

"""Which trials are repeats of one another: a cell is one combination of the varying factors' levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wattmark.statistics import Int64
from wattmark.studies.results import TrialResult

ARCHITECTURE_FACTORS = ("model", "architecture", "network", "estimator")


@dataclass(frozen=True, slots=True)
class Cells:
    """``settings[code[i]]`` are the levels of trial i; ``labels`` name the cells for people."""

    code: Int64
    settings: tuple[Mapping[str, Any], ...]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.settings)


def group(trials: Sequence[TrialResult], factors: Sequence[str]) -> Cells:
    """The cells over ``factors``, in order of first appearance; with no factor there is one."""
    place: dict[tuple[str, ...], int] = {}
    settings: list[Mapping[str, Any]] = []
    code: list[int] = []
    for trial in trials:
        key = tuple(str(trial.factors.get(name)) for name in factors)
        if key not in place:
            place[key] = len(settings)
            settings.append({name: trial.factors.get(name) for name in factors})
        code.append(place[key])
    return Cells(np.array(code, np.int64), tuple(settings), tuple(label(one) for one in settings))


def label(settings: Mapping[str, Any]) -> str:
    """``"ResNet18, batch_size=64"``: the architecture by its name, everything else with the factor's."""
    parts = [str(v) if name in ARCHITECTURE_FACTORS else f"{name}={v}" for name, v in settings.items()]
    return ", ".join(parts) or "all"


def levels(trials: Sequence[TrialResult], factor: str) -> tuple[list[Any], Int64]:
    """The levels of a factor in a sensible order, and each trial's place in it."""
    return codes([trial.factors.get(factor) for trial in trials])


def architecture_factor(factors: Sequence[str]) -> str | None:
    """The factor that says which model it is, if one varies."""
    return next((name for name in ARCHITECTURE_FACTORS if name in factors), None)


def codes(values: Sequence[object]) -> tuple[list[Any], Int64]:
    """Distinct values in a sensible order (numbers by size, else by first appearance), and each value's place in it."""
    distinct: dict[str, Any] = {}
    for value in values:
        distinct.setdefault(str(value), value)
    keys = list(distinct)
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in distinct.values()):
        keys.sort(key=lambda key: distinct[key])
    place = {key: index for index, key in enumerate(keys)}
    return [distinct[key] for key in keys], np.array([place[str(value)] for value in values], np.int64)

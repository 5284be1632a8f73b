"""A study in a few rows: one per cell, for a terminal. What the data mean is said by ``analysis``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wattmark.studies.designs.plan import half_width_pct
from wattmark.studies.results import StudyResults, TrialResult


def cell_rows(results: StudyResults) -> list[dict[str, Any]]:
    """``factors``, ``runs``, ``completed``, means of ``energy_j``, ``duration_s`` and ``metrics`` over the completed
    runs, and ``energy_pct``: half the 95 % interval of the mean energy as a percentage of it. None where unknown."""
    names = results.factors
    cells: dict[str, list[TrialResult]] = {}
    levels: dict[str, dict[str, Any]] = {}
    for trial in results.trials:
        key = str([trial.factors.get(name) for name in names])
        levels.setdefault(key, {name: trial.factors.get(name) for name in names})
        cells.setdefault(key, []).append(trial)
    return [
        _row(levels[key], cells[key]) for key in sorted(cells, key=lambda key: _order(results, levels[key]))
    ]


def _row(levels: dict[str, Any], trials: Sequence[TrialResult]) -> dict[str, Any]:
    good = [trial for trial in trials if trial.status == "completed"]
    energies = [trial.total_j for trial in good if trial.total_j is not None]
    spread = half_width_pct(energies)
    metrics = {name for trial in good for name in trial.metrics}
    return {
        "factors": levels,
        "runs": len(trials),
        "completed": len(good),
        "energy_j": _mean(energies),
        "energy_pct": spread if math.isfinite(spread) else None,
        "duration_s": _mean([trial.duration_s for trial in good]),
        "metrics": {
            name: _mean([float(trial.metrics[name]) for trial in good if name in trial.metrics])
            for name in sorted(metrics)
        },
    }


def _order(results: StudyResults, levels: dict[str, Any]) -> list[int]:
    """Cells come in the order of the design's levels."""
    given = results.design.get("factors", {})
    rows = [row for row in results.design.get("trial", []) if all(row.get(k) == v for k, v in levels.items())]
    listed = [results.design["trial"].index(rows[0])] if rows else []
    return listed or [
        given[name].index(level) if level in given.get(name, []) else 0 for name, level in levels.items()
    ]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None

"""The cells of a study in a row each, every number with its interval: what the terminal, the report and the page show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wattmark.quantity import Quantity
from wattmark.runs.differences import Difference
from wattmark.studies.analysis.data.study_data import DURATION, ENERGY, StudyData
from wattmark.studies.results import StudyResults


@dataclass(frozen=True, slots=True)
class CellSummary:
    """One combination of levels. runs: all its trials; trials: the ids of the completed ones, over which the means are
    (:meth:`StudyData.mean`). reported: those of the metrics that the workload gave. modelled: share of the joules that a
    model gave, None where that is not known. beside: how its energy differs from that of the cheapest cell, None for that
    one and where either is not known. verdict: the same in words, each cell for itself."""

    label: str
    levels: Mapping[str, Any]
    runs: int
    trials: tuple[str, ...]
    means: Mapping[str, Quantity]
    reported: tuple[str, ...]
    modelled: float | None
    beside: Difference | None = None
    verdict: str = ""

    @property
    def energy_j(self) -> Quantity | None:
        """The whole of a trial."""
        return self.means.get(ENERGY)

    @property
    def duration_s(self) -> Quantity | None:
        """The whole of a trial."""
        return self.means.get(DURATION)

    def to_dict(self) -> dict[str, Any]:
        """As ``wattmark study show --json`` has it. means: every number with its interval. energy_pct: half the
        interval of the energy as a percentage of it. ratio: of the energy to that of the cheapest cell. metrics: values
        alone of what the workload reported."""
        energy, duration = self.energy_j, self.duration_s
        wide = None if energy is None or not energy.value else 100 * energy.half_width / abs(energy.value)
        return {
            "factors": dict(self.levels),
            "runs": self.runs,
            "completed": len(self.trials),
            "energy_j": None if energy is None else energy.value,
            "energy_pct": wide,
            "ratio": None
            if self.beside is None or self.beside.ratio is None
            else self.beside.ratio.as_dict(),
            "verdict": self.verdict,
            "duration_s": None if duration is None else duration.value,
            "modelled": self.modelled,
            "metrics": {name: self.means[name].value for name in self.reported},
            "means": {name: {**mean.as_dict(), "unit": mean.unit} for name, mean in self.means.items()},
        }


def cell_summaries(results: StudyResults, data: StudyData | None = None) -> tuple[CellSummary, ...]:
    """Every cell in the order of the design, also one of which no trial was completed. data: of the same results, if it is
    at hand."""
    data = StudyData(results) if data is None else data
    names = data.metric_names
    total: dict[tuple[str, ...], int] = {}
    levels: dict[tuple[str, ...], dict[str, Any]] = {}
    rows: dict[tuple[str, ...], list[int]] = {}
    row = 0
    for trial in results.trials:
        key = tuple(str(trial.factors.get(name)) for name in results.factors)
        levels.setdefault(key, {name: trial.factors.get(name) for name in results.factors})
        total[key] = total.get(key, 0) + 1
        if trial.status == "completed":
            rows.setdefault(key, []).append(row)
            row += 1
    summaries: list[CellSummary] = []
    for key in sorted(levels, key=lambda key: data.place(levels[key])):
        own = rows.get(key, [])
        group = data.group(levels[key], own)
        means = {name: mean for name in names if (mean := data.mean(group, name)) is not None}
        trials = tuple(data.trials[row].trial_id for row in own)
        reported = tuple(name for name in means if name in data.reported)
        modelled = data.modelled_share("total", group)
        beside, words = data.beside_cheapest(group)
        summaries.append(
            CellSummary(
                group.label, group.levels, total[key], trials, means, reported, modelled, beside, words
            )
        )
    return tuple(summaries)

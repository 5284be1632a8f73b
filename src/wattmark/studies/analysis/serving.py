"""Serving studies: the cells of a load, and where a larger model at more load undercuts a smaller one at less.

Everything here reads what the workload ``llm`` reports (:mod:`wattmark.workloads.llm.workload`). Like is compared with
like: where the idle watts of some trials are known, the others are left out, since their joules hold other work too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wattmark.quantity import EDGES, SCATTER, Z95, Quantity, own_error
from wattmark.runs.differences import mean_of, of_quantities
from wattmark.statistics import ALPHA, Float64, t_quantile, t_tail
from wattmark.studies.analysis.data.cells import group
from wattmark.studies.analysis.data.errors import energy_of, with_errors_of
from wattmark.studies.analysis.significance import holm
from wattmark.studies.results import StudyResults, TrialResult

LOADS = {"rate": "requests/s", "concurrency": "requests at a time"}
NO_TASK = "none"
_BARE = ("model", "number_format", "mode", "task")


@dataclass(frozen=True, slots=True)
class ServingCell:
    """Repeats of one combination of levels. settings: every level, also those that do not vary; levels: those that do."""

    label: str
    levels: Mapping[str, Any]
    settings: Mapping[str, Any]
    trials: Sequence[TrialResult]

    def values(self, metric: str) -> Float64:
        """The metric's known values, one per trial."""
        known = (trial.metrics.get(metric) for trial in self.trials)
        return np.array([value for value in known if value is not None], np.float64)

    def energy(self, metric: str) -> Quantity | None:
        """Mean of a metric that is made of joules, with what repeating does not shrink; None where it is not known."""
        parts: list[Quantity] = []
        for trial in self.trials:
            value, whole = trial.metrics.get(metric), energy_of(trial, of_machine=True)
            if value is not None and value > 0:
                ends = trial.metrics.get(f"{metric}_low"), trial.metrics.get(f"{metric}_high")
                own = None if ends[0] is None or ends[1] is None else (float(ends[0]), float(ends[1]))
                exact = Quantity.exact(float(value), "J")
                parts.append(
                    exact
                    if whole is None
                    else with_errors_of(whole, float(value), "J", ends=own).without(EDGES)
                )
        return mean_of(parts) if parts else None

    def mean(self, metric: str) -> float:
        """Mean of the known values; NaN if there are none."""
        values = self.values(metric)
        return float(values.mean()) if len(values) else math.nan


@dataclass(frozen=True, slots=True)
class Crossing:
    """A larger model at a higher load against a smaller one at a lower load.

    ratio: of joules per output token, idle included, with its 95 % interval. probability: that it is below 1, by these
    data. p: of no difference, two-sided, corrected for all pairs that were looked at (Holm).
    """

    larger: str
    smaller: str
    ratio: Quantity
    probability: float
    p: float

    @property
    def sure(self) -> bool:
        """Whether it is more than chance and more than what may be wrong that the larger model costs less."""
        return self.p < ALPHA and self.ratio.high < 1


@dataclass(frozen=True, slots=True)
class Scatter:
    """How far repeats of a cell scatter, as the standard deviation of logarithms over all cells, and its freedom."""

    deviation: float
    freedom: int

    @classmethod
    def of(cls, samples: Sequence[Float64]) -> Scatter | None:
        """None unless some cell has two values."""
        freedom = sum(len(one) - 1 for one in samples if len(one))
        if freedom < 1:
            return None
        squares = sum(float(((one - one.mean()) ** 2).sum()) for one in samples if len(one))
        return cls(math.sqrt(squares / freedom), freedom)

    def ratio(
        self, a: Float64, b: Float64, sensors: tuple[Quantity | None, Quantity | None] = (None, None)
    ) -> tuple[Quantity, float]:
        """exp(mean a - mean b) with its 95 % interval, and the probability that it is below 1.

        The error is that of the common scatter, or of these two samples where they scatter more (Student's t), and what
        does not cancel between the energies ``sensors`` of a and b.
        """
        own = sum(float(one.var(ddof=1)) / len(one) if len(one) > 1 else 0.0 for one in (a, b))
        error = math.sqrt(max(own, self.deviation**2 * (1 / len(a) + 1 / len(b))))
        difference = float(a.mean() - b.mean())
        value = math.exp(min(difference, 50.0))
        reach = t_quantile(self.freedom) * error
        ratio = Quantity(
            value,
            value * math.exp(-reach),
            min(value * math.exp(reach), math.exp(50.0)),
            error=f"{SCATTER}/{own_error()}",
        )
        ratio = ratio.with_unit("").bounded(0.0)
        first, second = sensors
        apart = None if first is None or second is None else of_quantities(second, first).ratio
        if apart is not None:
            for name, (down, up) in (apart * (value / apart.value)).terms.items():
                ratio = ratio.with_error(name, -down, up)
            if apart.low > 0:
                error = math.hypot(error, math.log(apart.high / apart.low) / 2 / Z95)
        if error == 0:
            return ratio, float(difference < 0)
        return ratio, t_tail(self.freedom, difference / error)


def load_factor(results: StudyResults) -> str | None:
    """The factor by which the load was varied, if it was."""
    return next((name for name in LOADS if name in results.factors), None)


def serving_cells(results: StudyResults) -> list[ServingCell]:
    """The cells of a serving study, of all completed trials; none of another study."""
    trials = [trial for trial in results.completed if "j_per_token" in trial.metrics]
    factors = [
        name for name in results.factors if len({str(trial.factors.get(name)) for trial in trials}) > 1
    ]
    cells = group(trials, factors)
    fixed: Mapping[str, Any] = results.design.get("fixed") or {}
    found: list[ServingCell] = []
    for number, levels in enumerate(cells.settings):
        own = [trials[row] for row in np.flatnonzero(cells.code == number)]
        settings = {**fixed, **own[0].factors}
        shown = {name: level for name, level in levels.items() if not _says_nothing(name, level, settings)}
        found.append(ServingCell(_label(shown), levels, settings, own))
    return found


def _label(levels: Mapping[str, Any]) -> str:
    """``20m, q8_0 at 12 requests/s``: the load last, and no name where a level says what it is."""
    words = [
        str(level) if name in _BARE else f"{name} {level}"
        for name, level in levels.items()
        if name not in LOADS
    ]
    load = [f"{level:g} {LOADS[name]}" for name, level in levels.items() if name in LOADS]
    return " at ".join(filter(None, [", ".join(words), *load])) or "all"


def _says_nothing(name: str, level: Any, settings: Mapping[str, Any]) -> bool:
    """A study of text and tasks names neither the missing task nor a mode that is not used."""
    no_task = settings.get("task", NO_TASK) == NO_TASK
    return no_task and name in ("task", "mode", "level")


def is_text(cell: ServingCell) -> bool:
    """Whether plain prompts were sent, and no problems to be solved."""
    return cell.settings.get("task", NO_TASK) == NO_TASK


def like_with_like(cells: Sequence[ServingCell]) -> tuple[list[ServingCell], int]:
    """The cells with the trials whose idle is known only, if there are any; and how many trials were left out."""
    known = [
        ServingCell(
            cell.label, cell.levels, cell.settings, [t for t in cell.trials if "idle_share" in t.metrics]
        )
        for cell in cells
    ]
    left_out = sum(len(cell.trials) for cell in cells) - sum(len(cell.trials) for cell in known)
    if all(not cell.trials for cell in known):
        return list(cells), 0
    return [cell for cell in known if cell.trials], left_out


def crossings(cells: Sequence[ServingCell], load: str) -> list[Crossing]:
    """Every pair of a larger model at a higher load and a smaller one at a lower load, all else equal.

    Needs models of known size and two trials or more of both. The sensor's scale is common to both and cancels in the
    ratio; scatter counts, and what else does not cancel. cells: like with like.
    """
    logs = {
        id(cell): np.log(cell.values("j_per_token"))
        for cell in cells
        if is_text(cell) and len(cell.values("j_per_token")) >= 2 and math.isfinite(cell.mean("parameters"))
    }
    known = [cell for cell in cells if id(cell) in logs]
    scatter = Scatter.of(list(logs.values()))
    if scatter is None:
        return []
    found: list[Crossing] = []
    for big in known:
        for small in known:
            if (
                big.mean("parameters") > small.mean("parameters")
                and float(big.levels[load]) > float(small.levels[load])
                and _rest(big, load) == _rest(small, load)
            ):
                sensors = big.energy("j_per_token"), small.energy("j_per_token")
                ratio, below = scatter.ratio(logs[id(big)], logs[id(small)], sensors)
                found.append(Crossing(big.label, small.label, ratio, below, 2 * min(below, 1 - below)))
    corrected = holm(np.array([one.p for one in found]))
    return [
        Crossing(one.larger, one.smaller, one.ratio, one.probability, float(p))
        for one, p in zip(found, corrected, strict=True)
    ]


def _rest(cell: ServingCell, load: str) -> dict[str, Any]:
    """The levels that two cells must share to be compared in size and load."""
    return {name: level for name, level in cell.levels.items() if name not in (load, "model", "seed")}

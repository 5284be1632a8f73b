"""Optuna with energy: each trial measured as a run, trials stopped that cannot reach the front, budgets as constraints.

``WattmarkCallback`` measures the trials of a study; ``WattmarkPruner`` looks at a trial's quality and joules while it
runs. Both work with several objectives, for which Optuna's own ``Trial.report`` and ``should_prune`` do not. Needs the
extra ``[optuna]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from wattmark.documents import items, number
from wattmark.errors import ConfigError, MissingExtra
from wattmark.runs.attribution import attributed
from wattmark.tracker.measure import measure
from wattmark.tracker.run import Run
from wattmark.workspace.library import tag

try:
    import optuna
    from optuna.pruners import BasePruner
    from optuna.trial import FrozenTrial, TrialState
except ImportError as error:
    raise MissingExtra("optuna", "optuna") from error

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

QUALITY, JOULES, RUN = "wattmark:quality", "wattmark:energy_j", "wattmark:run"
"""User attributes of a trial: quality and joules so far after each step, and the id of its run."""
_NOTHING = 1e-12
Values = float | Sequence[float]
Objective = Callable[["Trial"], Values]


def joules_of(run: Run) -> float | None:
    """Joules of a run, also of one that goes on: the process tree's where they are known, else the machine's."""
    share = attributed(run.view)
    energy = run.view.energy if share is None else share.energy
    return None if energy is None else energy.value


class WattmarkCallback:
    """Measures every trial as a run of its own, tagged with the study, the number, the parameters and what came of it.

    >>> energy = WattmarkCallback()
    >>> study.optimize(energy.measured(objective), n_trials=50, callbacks=[energy])  # doctest: +SKIP

    objective: as Optuna has it. With ``as_objective`` the joules of the run are one more value that it returns, the last.
    """

    def __init__(self, *, as_objective: bool = False) -> None:
        self._as_objective = as_objective

    def measured(self, objective: Objective) -> Objective:
        """The objective inside a measured run."""

        def inside(trial: Trial) -> Values:
            name = trial.study.study_name
            with measure(f"{name} {trial.number}", tags={"optuna": name, "trial": trial.number}) as run:
                trial.set_user_attr(RUN, run.id)
                values = objective(trial)
            if not self._as_objective:
                return values
            joules = joules_of(run)
            if joules is None:
                raise ConfigError("the joules of this trial are not known", hint="wattmark sources")
            return [*(values if isinstance(values, Sequence) else [values]), joules]

        return inside

    def __call__(self, study: Study, trial: FrozenTrial) -> None:
        """As a callback of ``optimize``: the run is tagged with the trial's parameters, state and values."""
        run_id = trial.user_attrs.get(RUN)
        if not isinstance(run_id, str):
            return
        values = {f"value_{place}": value for place, value in enumerate(trial.values or ())}
        tag(run_id, state=trial.state.name.lower(), **{**trial.params, **values})


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a trial may still come to: the best quality and the fewest joules that earlier trials let one expect."""

    quality: float
    energy_j: float


class WattmarkPruner(BasePruner):
    """Stops trials that, by their predicted energy and quality, cannot reach the front of what is finished.

    steps: of a whole trial. direction: of the quality, ``maximize`` or ``minimize``. error: the share of good trials
    that may be stopped by mistake; least_trials: so many must have finished before any is stopped. energy_budget_j: a
    constraint, set on each trial (``Trial.set_constraint``) and a reason to stop; least_quality: likewise.

    Of finished trials it takes how much quality was gained, and how far the joules were below a straight line, between the
    same step and the end. The larger of the two, each in units of its median deviation, is a trial's score; of n scores the
    one at the place ``ceil((n + 1) (1 - error))`` bounds the next trial's, and so both at once (the quantile of split
    conformal prediction: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005). A search
    learns, so its trials are not exchangeable and the bound is no promise. A trial is stopped if a finished one has no
    more joules than the fewest that it may come to, and a quality no worse than its best.

    In the objective, with one or several objectives::

        watch = pruner.watch(trial)
        for step in range(1, steps + 1):
            ...
            watch.report(step, quality=accuracy, energy_j=joules_so_far)  # raises optuna.TrialPruned

    Passed to ``create_study`` it also answers ``should_prune`` by what was reported so.
    """

    def __init__(
        self,
        steps: int,
        *,
        direction: str = "maximize",
        error: float = 0.1,
        least_trials: int = 8,
        energy_budget_j: float | None = None,
        least_quality: float | None = None,
    ) -> None:
        if steps < 1 or least_trials < 1:
            raise ConfigError(
                "a trial has a step at least, and one must have finished before others are stopped"
            )
        if direction not in ("maximize", "minimize"):
            raise ConfigError(f"direction is maximize or minimize, not {direction!r}")
        if not 0 < error < 1:
            raise ConfigError("the error is a share between 0 and 1")
        if energy_budget_j is not None and not energy_budget_j > 0:
            raise ConfigError("an energy budget is more than nothing")
        self.steps, self.error, self.least_trials = steps, error, least_trials
        self.energy_budget_j, self.least_quality = energy_budget_j, least_quality
        self.sign = 1.0 if direction == "maximize" else -1.0
        self._finished: tuple[int, list[_Series]] = (-1, [])

    def watch(self, trial: Trial, run: Run | None = None) -> Watch:
        """Looks at a trial. run: whose joules are taken where ``report`` is given none (default: the one around it)."""
        return Watch(self, trial, run)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should stop, by what was reported of it."""
        own = _Series.of(trial, self.sign)
        return own is not None and self.reason(study, own.quality, own.joules) is not None

    def reason(self, study: Study, quality: Sequence[float], joules: Sequence[float]) -> str | None:
        """Why a trial with this course (higher is better, one value a step) should stop; None where it should not."""
        finished = self._of(study)
        at = len(quality)
        if not at or at >= self.steps:
            return None
        forecast = self.forecast(finished, quality, joules)
        if forecast is None:
            return None
        budget = self.energy_budget_j
        if budget is not None and forecast.energy_j > budget:
            return f"it will need {forecast.energy_j:.4g} J at least, {budget:g} J are allowed"
        if self.least_quality is not None and forecast.quality < self.sign * self.least_quality:
            return f"its quality will be {self.sign * forecast.quality:.4g} at best, {self.least_quality:g} is asked for"
        for one in finished:
            if one.joules[-1] <= forecast.energy_j and one.quality[-1] >= forecast.quality:
                return (
                    f"at best {self.sign * forecast.quality:.4g} for {forecast.energy_j:.4g} J: trial {one.number} has "
                    f"{self.sign * one.quality[-1]:.4g} for {one.joules[-1]:.4g} J"
                )
        return None

    def forecast(
        self, finished: Sequence[_Series], quality: Sequence[float], joules: Sequence[float]
    ) -> Forecast | None:
        """The best that a trial may come to; None where too few have finished to say."""
        at = len(quality)
        known = [one for one in finished if len(one.quality) >= self.steps and one.joules[at - 1] > 0]
        if len(known) < self.least_trials or joules[-1] <= 0:
            return None
        gains = [one.quality[self.steps - 1] - one.quality[at - 1] for one in known]
        # how far below a straight line the joules were in the end
        thrift = [1 - one.joules[self.steps - 1] / (one.joules[at - 1] * self.steps / at) for one in known]
        bounds = self._bounds(gains, thrift)
        if bounds is None:
            return None
        gain, less = bounds
        return Forecast(quality[-1] + max(gain, 0.0), joules[-1] * self.steps / at * (1 - less))

    def _bounds(self, *columns: Sequence[float]) -> list[float] | None:
        """Upper bounds of the next value of each column (n,), all at once; None where n values bound nothing."""
        count = len(columns[0])
        place = math.ceil((count + 1) * (1 - self.error))
        if place > count:
            return None
        middles = [median(column) for column in columns]
        scales = [
            median([abs(value - middle) for value in column]) or _NOTHING
            for column, middle in zip(columns, middles, strict=True)
        ]
        scores = [
            max(
                (column[row] - middle) / scale
                for column, middle, scale in zip(columns, middles, scales, strict=True)
            )
            for row in range(count)
        ]
        score = sorted(scores)[place - 1]
        return [middle + score * scale for middle, scale in zip(middles, scales, strict=True)]

    def _of(self, study: Study) -> list[_Series]:
        """The finished trials; read anew only where there are more."""
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(trials) != self._finished[0]:
            series = [one for trial in trials if (one := _Series.of(trial, self.sign)) is not None]
            self._finished = (len(trials), series)
        return self._finished[1]


class Watch:
    """A trial while it runs; made by :meth:`WattmarkPruner.watch`."""

    def __init__(self, pruner: WattmarkPruner, trial: Trial, run: Run | None) -> None:
        self._pruner, self._trial, self._run = pruner, trial, run
        self._quality: list[float] = []
        self._joules: list[float] = []

    @property
    def energy_j(self) -> float:
        """Joules so far, as reported."""
        return self._joules[-1] if self._joules else 0.0

    def report(self, step: int, *, quality: float, energy_j: float | None = None) -> None:
        """What is reached after a step, from 1 on. energy_j: joules so far (default: of the run around).

        Raises optuna.TrialPruned where the trial cannot reach the front or breaks a constraint; ConfigError for steps out of
        order, and where no joules are known.
        """
        if step != len(self._quality) + 1:
            raise ConfigError(
                f"step {step} comes after {len(self._quality)}", hint="report every step once, from 1 on"
            )
        joules = self._measured() if energy_j is None else float(energy_j)
        if not math.isfinite(joules) or joules < self.energy_j:
            raise ConfigError(f"{joules} J after {self.energy_j} J: joules so far do not fall")
        self._quality.append(float(quality))
        self._joules.append(joules)
        sign = self._pruner.sign
        reason = None
        if math.isfinite(quality):
            reason = self._pruner.reason(
                self._trial.study, [sign * one for one in self._quality], self._joules
            )
        self._keep(done=step >= self._pruner.steps or reason is not None)
        if reason is not None:
            raise optuna.TrialPruned(reason)

    def _measured(self) -> float:
        from wattmark.tracker.measure import current_run

        run = self._run or current_run()
        joules = None if run is None else joules_of(run)
        if joules is None:
            raise ConfigError(
                "no joules are known of this trial",
                hint="WattmarkCallback().measured(objective), or report(energy_j=...)",
            )
        return max(joules, self.energy_j)  # the share of a tree is looked at anew each time

    def _keep(self, *, done: bool) -> None:
        """With the trial, step by step, so that what was seen of a trial that is killed is there too."""
        self._trial.set_user_attr(QUALITY, self._quality)
        self._trial.set_user_attr(JOULES, self._joules)
        if not done:
            return
        budget, least = self._pruner.energy_budget_j, self._pruner.least_quality
        sign = self._pruner.sign
        if budget is not None:
            self._trial.set_constraint("energy_j", self.energy_j - budget)
        if least is not None:
            self._trial.set_constraint("quality", sign * (least - self._quality[-1]))


@dataclass(frozen=True, slots=True)
class _Series:
    """Quality (higher is better) and joules so far of a trial, a value a step."""

    number: int
    quality: tuple[float, ...]
    joules: tuple[float, ...]

    @classmethod
    def of(cls, trial: FrozenTrial, sign: float) -> _Series | None:
        """None where nothing, or nothing that makes sense, was reported of it."""
        read = [[number(value) for value in items(trial.user_attrs.get(name))] for name in (QUALITY, JOULES)]
        known = [[one for one in row if one is not None] for row in read]
        if not known[0] or len(known[0]) != len(known[1]) or list(map(len, known)) != list(map(len, read)):
            return None
        return cls(trial.number, tuple(sign * one for one in known[0]), tuple(known[1]))

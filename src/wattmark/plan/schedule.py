"""Schedules of a job of constant power: the exact best where the intensity is known, and a rule for running along a
forecast.

In one piece the best start is the least moving sum. In pieces without a cost of pausing the best steps are the cheapest
ones; with a cost, dynamic programming over (steps done, running or not), which is exact (Bellman 1957).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError
from wattmark.plan.forecast import Season
from wattmark.plan.grid import Float64

Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Option:
    """A way to run: which steps (n,) bool, and the mean intensity of the work, in g/kWh, checkpoints included."""

    running: Bool
    mean_g_per_kwh: float

    @property
    def starts(self) -> NDArray[np.int64]:
        """The steps at which a piece begins."""
        return np.flatnonzero(self.running & ~np.concatenate(([False], self.running[:-1])))

    @property
    def pieces(self) -> int:
        """How many pieces."""
        return len(self.starts)


def start_now(intensity: Float64, steps: int) -> Option:
    """Run the first ``steps``. Raises ConfigError if there are fewer."""
    _check(intensity, steps)
    return _option(intensity, np.arange(steps), steps, 0)


def best_start(intensity: Float64, steps: int) -> Option:
    """The best single piece of ``steps`` within ``intensity`` (n,) g/kWh; of equal ones the first.

    Raises ConfigError if there are fewer steps.
    """
    _check(intensity, steps)
    at = int(np.argmin(moving_sums(intensity, steps)))
    return _option(intensity, np.arange(at, at + steps), steps, 0)


def moving_sums(intensity: Float64, steps: int) -> Float64:
    """Sums over ``steps`` neighbours, (n - steps + 1,)."""
    sums = np.concatenate(([0.0], np.cumsum(intensity)))
    return sums[steps:] - sums[:-steps]


def best_pieces(intensity: Float64, steps: int, checkpoint_steps: float = 0.0) -> Option:
    """The best steps, whatever pieces they make. checkpoint_steps: what to stop and go on costs, as steps of work at the
    intensity where it goes on.

    Raises ConfigError if there are fewer steps than the job needs.
    """
    _check(intensity, steps)
    if checkpoint_steps <= 0:
        return _option(intensity, np.sort(np.argsort(intensity, kind="stable")[:steps]), steps, 0)
    return _option(intensity, _dynamic(intensity, steps, checkpoint_steps), steps, checkpoint_steps)


def _dynamic(intensity: Float64, steps: int, cost: float) -> NDArray[np.int64]:
    """Steps of the least sum of intensity plus ``cost`` times the intensity where each piece but the first begins."""
    count = len(intensity)
    idle, busy = np.full(steps + 1, np.inf), np.full(steps + 1, np.inf)
    idle[0] = 0.0
    went_on = np.zeros((count, steps + 1), np.bool_)  # busy at this step came from busy
    stayed = np.zeros((count, steps + 1), np.bool_)  # idle after this step came from idle
    begun = np.ones(steps + 1)
    begun[0] = 0.0  # the first piece has nothing to go on from
    for at in range(count):
        start = idle[:-1] + cost * intensity[at] * begun[:-1]
        went_on[at, 1:] = busy[:-1] <= start
        new_busy = np.full(steps + 1, np.inf)
        new_busy[1:] = np.minimum(busy[:-1], start) + intensity[at]
        stayed[at] = idle <= busy
        idle = np.minimum(idle, busy)
        busy = new_busy
    chosen: list[int] = []
    done, running = steps, bool(busy[steps] < idle[steps])
    for at in range(count - 1, -1, -1):
        if running:
            chosen.append(at)
            running = bool(went_on[at, done])
            done -= 1
        else:
            running = not stayed[at, done]
    return np.array(chosen[::-1], np.int64)


def _option(intensity: Float64, chosen: NDArray[np.int64], steps: int, cost: float) -> Option:
    running = np.zeros(len(intensity), np.bool_)
    running[chosen] = True
    resumed = Option(running, 0.0).starts[1:]
    grams = float(intensity[chosen].sum()) + cost * float(intensity[resumed].sum())
    return Option(running, grams / steps)


def _check(intensity: Float64, steps: int) -> None:
    if steps < 1:
        raise ConfigError("the job is shorter than nothing", hint="give its duration: --duration 4h")
    if len(intensity) < steps:
        raise ConfigError(
            "the deadline is before the job can be done", hint="give it more time, or start now"
        )


class Controller:
    """Runs along a forecast: at each step it knows what the grid is now, and says whether to run.

    In pieces it runs where now is among the cheapest of as many steps as are left to do, by the forecast that now's value
    corrects; in one piece it starts where no later start is expected to be cheaper. It never misses the deadline, if the job
    could be done by it at all.
    """

    def __init__(
        self, season: Season, steps: int, window: int, *, pausable: bool = True, checkpoint_steps: float = 0.0
    ) -> None:
        if not 0 < steps <= window:
            raise ConfigError(
                "the deadline is before the job can be done", hint="give it more time, or start now"
            )
        self._season, self._pausable, self._cost = season, pausable, checkpoint_steps
        self._window = window
        self.left = steps
        self.at = 0
        self.running = False

    def step(self, intensity: float) -> bool:
        """Whether to run the step that begins now, at this intensity (NaN: not known)."""
        remaining = self._window - self.at
        if self.left <= 0:
            run = False
        elif remaining <= self.left or (self.running and not self._pausable):
            run = True
        else:
            run = self._cheap(intensity, remaining)
        self.at += 1
        self.left -= run
        self.running = run
        return run

    def _cheap(self, intensity: float, remaining: int) -> bool:
        per_day = len(self._season.by_step)
        now = intensity if math.isfinite(intensity) else float(self._season.by_step[self.at % per_day])
        later = self._season.ahead(now, remaining - 1, self.at + 1)
        if not self._pausable:
            sums = moving_sums(np.concatenate(([now], later)), self.left)
            return bool(sums[0] <= sums[1:].min(initial=math.inf))
        return worth_running(now, later, self.left, running=self.running, cost=self._cost)


def worth_running(now: float, later: Float64, left: int, *, running: bool, cost: float = 0.0) -> bool:
    """Whether now is among the cheapest ``left`` steps of it and what comes ``later`` (n,) g/kWh. cost: of a pause, as steps
    of work: one is not worth it for a few grams."""
    if len(later) < left:
        return True
    limit = float(np.partition(later, left - 1)[left - 1])
    price = cost * abs(now)
    return now <= limit + (price if running else -price)

"""Whether a job that can be paused should run now: asked again and again while it runs, with what the series tells by then.

The rule is that of :class:`~wattmark.plan.schedule.Controller`: run where now is among the cheapest of as many steps as
are left to do; a pause must be worth what it costs. It never misses a deadline that can be kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wattmark.impact.series.series import IntensitySeries
from wattmark.plan.forecast import season
from wattmark.plan.grid import Float64, history_of, on_grid
from wattmark.plan.schedule import worth_running

SHORTEST_S = 1.0
MOST_STEPS = 2_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to run until ``until_s`` (Unix seconds), and the g/kWh of now. forced: the deadline leaves no choice."""

    run: bool
    until_s: float
    now_g_per_kwh: float
    forced: bool = False


def step_for(series: IntensitySeries, within_s: float) -> float:
    """Seconds between two looks: the series' own step, and no more looks than :data:`MOST_STEPS` before the deadline."""
    return max(SHORTEST_S, series.step_s, within_s / MOST_STEPS)


def verdict(
    series: IntensitySeries,
    now_s: float,
    left_s: float,
    deadline_s: float,
    *,
    running: bool,
    cost_s: float = 0.0,
    step_s: float | None = None,
) -> Verdict:
    """Whether a job with ``left_s`` of work to do by ``deadline_s`` should run now. cost_s: of a pause, as time of work.

    What the series does not tell of the time to come is forecast from its past. Raises ConfigError where it tells nothing.
    """
    step = step_for(series, deadline_s - now_s) if step_s is None else step_s
    until_s = now_s + step
    steps = max(1, math.ceil((left_s + (0.0 if running else cost_s)) / step - 1e-9))
    window = math.floor((deadline_s - now_s) / step + 1e-9)
    future = _ahead(series, now_s, max(window, steps), step)
    now = float(future[0])
    if left_s <= 0 or window <= steps:
        return Verdict(True, until_s, now, forced=left_s > 0)
    return Verdict(
        worth_running(now, future[1:window], steps, running=running, cost=cost_s / step), until_s, now
    )


def _ahead(series: IntensitySeries, now_s: float, count: int, step_s: float) -> Float64:
    """(count,) g/kWh of the steps from now, forecast where the series ends."""
    future = on_grid(series, now_s, now_s + count * step_s, step_s)
    missing = np.isnan(future)
    if not missing.any():
        return future
    history = history_of(series, now_s, step_s)
    known = np.flatnonzero(~missing)
    told = int(known[-1]) + 1 if len(known) else 0
    last = float(future[told - 1]) if told else float(history[np.isfinite(history)][-1])
    ahead = future.copy()
    ahead[told:] = season(history, step_s).ahead(last, count - told, skip=told)
    holes = np.isnan(ahead)
    ahead[holes] = np.interp(np.flatnonzero(holes), np.flatnonzero(~holes), ahead[~holes])
    return ahead

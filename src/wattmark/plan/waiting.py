"""Waiting for the moment to start: asked again at every step, with what the series tells by then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from wattmark.errors import ConfigError, WattmarkError
from wattmark.impact.series.series import IntensitySeries
from wattmark.plan.forecast import season
from wattmark.plan.grid import history_of, on_grid, step_of
from wattmark.plan.schedule import moving_sums

LONGEST_SLEEP_S = 60.0
"""A machine that slept, or a clock that was set, is noticed after so long."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Whether to start now, the best start by what is known (Unix seconds), and the mean g/kWh of both."""

    start: bool
    best_s: float
    now_g_per_kwh: float
    best_g_per_kwh: float
    known: bool


def outlook(series: IntensitySeries, now_s: float, duration_s: float, deadline_s: float) -> Outlook:
    """Whether a job of ``duration_s`` that must be done by ``deadline_s`` (Unix seconds) should start now.

    What the series does not tell of the time to come is forecast from its past. Raises ConfigError where it tells nothing.
    """
    step_s = step_of(series)
    steps = max(1, math.ceil(duration_s / step_s - 1e-9))
    window = math.floor((deadline_s - now_s) / step_s + 1e-9)
    future = on_grid(series, now_s, now_s + max(window, steps) * step_s, step_s)
    missing = np.isnan(future)
    if missing.any():
        history = history_of(series, now_s, step_s)
        model = season(history, step_s)
        told = future[~missing]
        # what comes after the series' end leans on its last value
        last = int(np.flatnonzero(~missing)[-1]) if len(told) else -1
        value = float(told[-1]) if len(told) else float(history[np.isfinite(history)][-1])
        ahead = np.empty(len(future))
        ahead[: last + 1] = future[: last + 1]
        ahead[last + 1 :] = model.ahead(value, len(future) - last - 1, skip=last + 1)
        future = np.where(missing, ahead, future)
        still = np.isnan(future)
        future[still] = float(np.nanmean(history))
    sums = moving_sums(future, steps) / steps
    best = int(np.argmin(sums))
    return Outlook(
        window <= steps or best == 0,
        now_s + best * step_s,
        float(sums[0]),
        float(sums[best]),
        not missing.any(),
    )


def wait(
    read: Callable[[], IntensitySeries],
    duration_s: float,
    within_s: float,
    *,
    tell: Callable[[str], None],
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Outlook:
    """Return when the job should start. read: the series as it is now, asked again at every step, so that a file that
    grows is followed. tell: hears when something is worth saying.

    Raises ConfigError for a deadline that cannot be kept, and what ``read`` raises at the first time; later a series that
    cannot be read is what it was.
    """
    if within_s < duration_s:
        raise ConfigError(
            f"a job of {duration_s:g} s cannot be done within {within_s:g} s", hint="give it more time"
        )
    series = read()
    deadline_s = clock() + within_s
    said: float | None = None
    while True:
        now_s = clock()
        seen = outlook(series, now_s, duration_s, deadline_s)
        if seen.start:
            return seen
        if said is None or abs(said - seen.best_s) > step_of(series) * 1.5:
            said = seen.best_s
            start = datetime.fromtimestamp(seen.best_s, timezone.utc)
            sure = "" if seen.known else " expected"
            tell(
                f"waiting until {start:%a %H:%M} UTC: {seen.best_g_per_kwh:.0f} g/kWh{sure} instead of "
                f"{seen.now_g_per_kwh:.0f}"
            )
        step_end = (math.floor(now_s / step_of(series)) + 1) * step_of(series)
        while (left := min(step_end, seen.best_s) - clock()) > 0:
            sleep(min(left, LONGEST_SLEEP_S))
        try:
            series = read()
        except WattmarkError as error:
            tell(f"the series is what it was: {error}")

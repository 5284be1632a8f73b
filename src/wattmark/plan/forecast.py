"""Forecasts of a grid's intensity: what the same time of the last days was, and how far now is from it.

``f(h) = m(h) + (v - m) r^h``: m is the mean of the same time of day over the last days (a seasonal mean), v the last
value, and r the first-order autocorrelation of what the seasonal mean leaves (Hyndman and Athanasopoulos, Forecasting:
Principles and Practice, 3rd edition, 5.2 and 9.3). Its interval is what the same forecast, made at times of the past,
missed by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wattmark.errors import ConfigError
from wattmark.plan.grid import Float64

DAY_S = 86_400.0
DAYS = 14
"""So many days at most make the mean of a time of day."""
COVERAGE = 0.9


@dataclass(frozen=True, slots=True)
class Forecast:
    """Steps ahead of now: mean, low, high (n,) g/kWh, the ends of 90 % intervals step by step. method: in words."""

    mean: Float64
    low: Float64
    high: Float64
    method: str


@dataclass(frozen=True, slots=True)
class Season:
    """The mean of each time of day, (steps a day,), and the decay of what it leaves, of history that ends now."""

    by_step: Float64
    decay: float
    days: int

    def ahead(self, now: float, steps: int, skip: int = 0) -> Float64:
        """The next steps if the step just past, ``skip`` after the history's end, was ``now``; (steps,) g/kWh."""
        per_day = len(self.by_step)
        at = (skip + np.arange(steps)) % per_day
        before = self.by_step[(skip - 1) % per_day]
        return self.by_step[at] + (now - before) * self.decay ** np.arange(1, steps + 1)


def season(history: Float64, step_s: float, days: int = DAYS) -> Season:
    """history: (n,) values of steps up to now, NaN where unknown. With less than two days all times of day are alike.

    Raises ConfigError where nothing is known.
    """
    if not np.isfinite(history).any():
        raise ConfigError(
            "the series tells nothing of the time before now", hint="give a series with some days of history"
        )
    per_day = max(1, round(DAY_S / step_s))
    whole = min(days, len(history) // per_day)
    if whole < 2:
        last = history[-per_day:]
        level = float(np.nanmean(last if np.isfinite(last).any() else history))
        return Season(np.full(per_day, level), _decay(history - level), whole)
    table = history[-whole * per_day :].reshape(whole, per_day)
    told = np.isfinite(table)
    by_step = np.where(told, table, 0.0).sum(axis=0) / np.maximum(told.sum(axis=0), 1)
    by_step = np.where(told.any(axis=0), by_step, np.nanmean(history))
    return Season(by_step, _decay((table - by_step).ravel()), whole)


def _decay(left: Float64) -> float:
    """First-order autocorrelation, in [0, 1)."""
    before, after = left[:-1], left[1:]
    both = np.isfinite(before) & np.isfinite(after)
    if both.sum() < 3:
        return 0.0
    power = float((before[both] ** 2).sum())
    return float(np.clip((before[both] * after[both]).sum() / power, 0.0, 0.999)) if power > 0 else 0.0


def forecast(history: Float64, step_s: float, steps: int, days: int = DAYS) -> Forecast:
    """The next ``steps`` after ``history`` ((n,) values, NaN where unknown).

    Raises ConfigError where nothing is known of the past.
    """
    model = season(history, step_s, days)
    known = history[np.isfinite(history)]
    mean = model.ahead(float(known[-1]), steps)
    per_day = len(model.by_step)
    misses = _misses(history, step_s, steps, days)
    if misses is None:
        spread = float(np.nanstd(history)) or abs(float(known[-1])) * 0.5
        below = above = np.full(steps, 1.645 * spread)
        words = "the scatter of the history (too little of it to try the forecast on)"
    else:
        below, above = (
            -np.quantile(misses, (1 - COVERAGE) / 2, axis=0),
            np.quantile(misses, (1 + COVERAGE) / 2, axis=0),
        )
        words = f"what it missed by at {len(misses)} times of the past"
    kind = f"mean of the same time of {model.days} days" if model.days >= 2 else "the last day's mean"
    method = f"{kind}, and of now's distance from it {model.decay ** (per_day / 24):.0%} an hour later; interval: {words}"
    return Forecast(mean, mean - np.maximum(below, 0.0), mean + np.maximum(above, 0.0), method)


def _misses(history: Float64, step_s: float, steps: int, days: int) -> Float64 | None:
    """What forecasts from earlier moments missed by, (moments, steps); None with too little past to try."""
    per_day = max(1, round(DAY_S / step_s))
    first, last = 2 * per_day, len(history) - steps
    if last - first < 10:
        return None
    rows: list[Float64] = []
    for at in np.linspace(first, last, min(60, last - first)).astype(int):
        past = history[max(0, at - days * per_day) : at]
        if not np.isfinite(past[-1]):
            continue
        rows.append(history[at : at + steps] - season(past, step_s, days).ahead(float(past[-1]), steps))
    if len(rows) < 10:
        return None
    table = np.array(rows)
    return np.where(np.isfinite(table), table, 0.0)

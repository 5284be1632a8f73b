"""How good a way of planning was at times of the past, and all starts of a known series at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from wattmark.plan.forecast import DAYS, Season, season
from wattmark.plan.grid import Float64
from wattmark.plan.schedule import Controller, best_pieces, best_start, moving_sums


@dataclass(frozen=True, slots=True)
class Savings:
    """Shares saved against starting at once, over moments of the past: of all their grams together, and each one's 5th and
    95th percentile and least."""

    mean: float
    low: float
    high: float
    worst: float
    moments: int

    @classmethod
    def of(cls, planned: Float64, at_once: Float64) -> Savings:
        """planned, at_once: (k,) mean g/kWh."""
        # of a grid at or below zero a share says nothing: the mean over all moments is what shares are of
        scale = np.maximum(np.abs(at_once), max(float(np.abs(at_once).mean()) * 1e-3, 1e-9))
        each = (at_once - planned) / scale
        low, high = np.quantile(each, [0.05, 0.95])
        whole = float(np.abs(at_once).sum())
        mean = float((at_once - planned).sum()) / whole if whole > 0 else 0.0
        return cls(mean, float(low), float(high), float(each.min()), len(each))


@dataclass(frozen=True, slots=True)
class Known:
    """Of every start of a known series: mean g/kWh (n,) at once, of the best single piece, of the best pieces."""

    at_once: Float64
    one: Float64
    pieces: Float64


def all_starts(intensity: Float64, steps: int, window: int) -> Known:
    """The exact optimum of a job of ``steps`` within ``window`` steps for every start of ``intensity`` (n,), together."""
    sums = moving_sums(intensity, steps)
    count = len(intensity) - window + 1
    one = sliding_window_view(sums, window - steps + 1).min(axis=1)[:count]
    pieces = np.empty(count)
    view = sliding_window_view(intensity, window)
    for first in range(0, count, 4096):  # copies of so many windows at a time stay small
        part = np.partition(view[first : first + 4096], steps - 1, axis=1)[:, :steps]
        pieces[first : first + 4096] = part.sum(axis=1)
    return Known(sums[:count] / steps, one / steps, pieces / steps)


def along(
    model: Season, future: Float64, steps: int, *, pausable: bool, checkpoint_steps: float = 0.0
) -> tuple[float, int]:
    """Mean g/kWh of the work, checkpoints included, and the number of pieces, if :class:`Controller` runs it through
    ``future`` (window,)."""
    controller = Controller(model, steps, len(future), pausable=pausable, checkpoint_steps=checkpoint_steps)
    grams, pieces, before = 0.0, 0, False
    for value in future:
        run = controller.step(float(value))
        if run:
            pieces += not before
            grams += float(value) + (checkpoint_steps * float(value) if not before and pieces > 1 else 0.0)
        before = run
        if controller.left == 0:
            break
    return grams / steps, pieces


def backtest(
    history: Float64,
    step_s: float,
    steps: int,
    window: int,
    *,
    checkpoint_steps: float = 0.0,
    days: int = DAYS,
    most: int = 40,
) -> dict[str, Savings]:
    """What each way of planning saved at up to ``most`` moments of the history: ``one`` and ``pieces`` planned ahead by the
    forecast, ``along`` and ``along pieces`` decided step by step. Empty where the history is too short to tell."""
    per_day = max(1, round(86_400 / step_s))
    first, last = 2 * per_day, len(history) - window
    if last <= first:
        return {}
    names = ("one", "pieces", "along", "along pieces")
    rows: list[tuple[float, ...]] = []
    for at in np.unique(np.linspace(first, last, most).astype(int)):
        future = history[at : at + window]
        past = history[max(0, at - days * per_day) : at]
        if not np.isfinite(future).all() or not np.isfinite(past[-1]):
            continue
        model = season(past, step_s, days)
        mean = model.ahead(float(past[-1]), window)
        one = best_start(mean, steps).running
        cut = best_pieces(mean, steps, checkpoint_steps)
        again = checkpoint_steps * float(future[cut.starts[1:]].sum()) / steps
        rows.append(
            (
                float(future[:steps].mean()),
                float(future[one].mean()),
                float(future[cut.running].mean()) + again,
                along(model, future, steps, pausable=False)[0],
                along(model, future, steps, pausable=True, checkpoint_steps=checkpoint_steps)[0],
            )
        )
    if len(rows) < 5:
        return {}
    table = np.array(rows)
    return {name: Savings.of(table[:, place], table[:, 0]) for place, name in enumerate(names, 1)}

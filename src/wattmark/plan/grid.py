"""A series on a regular grid of steps, as planning computes with it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wattmark.impact.series.series import IntensitySeries

Float64 = NDArray[np.float64]
SHORTEST_STEP_S = 60.0
HISTORY_S = 21 * 86_400.0


def on_grid(series: IntensitySeries, start_s: float, end_s: float, step_s: float) -> Float64:
    """Means over the steps of [start, end), (n,) g/kWh; NaN where the series says nothing. The last step may be cut."""
    count = max(0, int(np.ceil((end_s - start_s) / step_s - 1e-9)))
    edges = np.minimum(start_s + np.arange(count + 1) * step_s, end_s)
    starts, ends, values = (np.asarray(part) for part in (series.starts, series.ends, series.values))
    at = np.ravel(np.column_stack((starts, ends)))
    area = np.concatenate(([0.0], np.cumsum(values * (ends - starts))))
    told = np.concatenate(([0.0], np.cumsum(ends - starts)))

    def up_to(edge: Float64, sums: Float64) -> Float64:
        return np.interp(edge, at, np.ravel(np.column_stack((sums[:-1], sums[1:]))))

    seconds = np.diff(up_to(edges, told))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(seconds > 1e-6, np.diff(up_to(edges, area)) / seconds, np.nan)


def step_of(series: IntensitySeries, within_s: float = 86_400.0) -> float:
    """The grid's step for a series, in seconds: its own, not below a minute; for a deadline within a day finer, as it is
    nearer, down to a second."""
    return max(min(SHORTEST_STEP_S, max(1.0, within_s / 1_440)), series.step_s)


def history_of(series: IntensitySeries, now_s: float, step_s: float) -> Float64:
    """The steps before now, three weeks at most, (n,) g/kWh; a gap just before now has the last value.

    Without any, the last value of the series that is not after now, or its first.
    """
    count = int(min(HISTORY_S, max(0.0, now_s - series.start_s)) / step_s + 1e-9)
    past = on_grid(series, now_s - count * step_s, now_s, step_s) if count else np.empty(0)
    told = np.flatnonzero(np.isfinite(past))
    if not len(told):
        before = [value for start, value in zip(series.starts, series.values, strict=True) if start <= now_s]
        return np.array(before[-1:] or series.values[:1], np.float64)
    past[int(told[-1]) + 1 :] = past[int(told[-1])]
    return past

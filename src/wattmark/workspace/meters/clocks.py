"""How far a meter's clock is from the machine's: the shift at which its watts follow those of the sensors best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wattmark.errors import ConfigError
from wattmark.runs.energy import edges_ns
from wattmark.runs.record import Float64, Int64
from wattmark.runs.view import RunView
from wattmark.runs.wall.model import counted_power
from wattmark.units import NS_PER_S, format_duration
from wattmark.workspace.meters.readings import Readings

LONGEST_S = 600.0
"""A clock is looked for within so many seconds; beside it, whole quarters of an hour of time zones."""
_LEAST_CORRELATION, _CERTAIN = 0.5, 0.95
_AMBIGUOUS = 0.01
_ZONES_S = [quarter * 900.0 for quarter in range(-14 * 4, 14 * 4 + 1) if quarter]
_MOST_BINS = 20_000


@dataclass(frozen=True, slots=True)
class Lag:
    """seconds: what is added to the meter's times. correlation: of the powers there. notes: what to say of it."""

    seconds: float
    correlation: float
    notes: tuple[str, ...] = ()


def wall_clock(view: RunView, edges: Int64) -> Int64:
    """Monotonic times of a run as nanoseconds since the Unix epoch."""
    return edges - view.record.start_ns + view.record.started_wall_ns


def find_lag(views: Sequence[RunView], readings: Readings) -> Lag:
    """The lag of the readings, by the correlation of the powers of all the runs together with the meter's.

    Raises ConfigError where the readings are of another time, or follow the machine at no lag.
    """
    step_s = max(0.5, min(5.0, readings.usual_s / 2))
    length_s = sum(view.record.duration_s for view in views)
    step_s = max(step_s, length_s / _MOST_BINS)
    notes: list[str] = []
    zone_s = 0.0
    if not _overlap(views, readings, LONGEST_S):
        zones = [shift for shift in _ZONES_S if _overlap(views, readings, LONGEST_S, shift)]
        if not zones:
            first = int(readings.t_ns[0] - min(view.record.started_wall_ns for view in views)) / NS_PER_S
            raise ConfigError(
                f"{readings.meter}: its readings begin {format_duration(abs(first))} {'after' if first > 0 else 'before'} "
                "the run, and none of them are of its time",
                hint="name the run that they are of: --run RUN, or the time zone of the file: --timezone UTC",
            )
        scored = {shift: _best(views, readings.shifted(shift), step_s) for shift in zones}
        zone_s = max(scored, key=lambda shift: scored[shift][1])
        hours = f"{zone_s / 3600:+g} hours"
        notes.append(f"the meter's times are {hours} off, as of another time zone: they were shifted")
        readings = readings.shifted(zone_s)
    lag, correlation, second = _best(views, readings, step_s)
    if correlation < _CERTAIN:
        opposite = -_best(views, readings, step_s, sign=-1.0)[1]
        if -opposite > max(_LEAST_CORRELATION, correlation + 0.05):
            raise ConfigError(
                f"{readings.meter}: its watts fall where the sensors' rise (correlation {opposite:.2f}): the order of its "
                "values is reversed against their times, or the meter counts what flows the other way",
                hint="look at the first lines of the file beside the meter's own display",
            )
    if correlation < _LEAST_CORRELATION:
        raise ConfigError(
            f"{readings.meter}: its watts do not follow the machine's at any shift of its clock up to "
            f"{format_duration(LONGEST_S)} (correlation {correlation:.2f} at best)",
            hint="is it this machine's plug, and did the load change? wattmark calibrate --meter ... makes its own load",
        )
    fine = np.arange(lag - 1.5 * step_s, lag + 1.5 * step_s, step_s / 10)
    scores = [_correlation(*_powers(views, readings.shifted(float(shift)), step_s)) for shift in fine]
    lag = float(fine[int(np.nanargmax(scores))])
    if abs(lag) > max(2.0, readings.usual_s):
        side = "behind" if lag > 0 else "ahead of"
        notes.append(
            f"the meter's clock is {format_duration(abs(lag))} {side} the machine's: its readings were shifted"
        )
    if second > correlation - _AMBIGUOUS:
        notes.append("its clock could be shifted by another amount as well, since the load repeats itself")
    return Lag(zone_s + lag, float(np.nanmax(scores)), tuple(notes))


def _overlap(views: Sequence[RunView], readings: Readings, reach_s: float, shift_s: float = 0.0) -> bool:
    first = (readings.t_ns[0] / NS_PER_S) + shift_s - reach_s
    last = (readings.t_ns[-1] / NS_PER_S) + shift_s + reach_s
    starts = [view.record.started_wall_ns / NS_PER_S for view in views]
    inside = [
        max(0.0, min(last, start + view.record.duration_s) - max(first, start))
        for view, start in zip(views, starts, strict=True)
    ]
    needed = min(sum(view.record.duration_s for view in views), last - first - 2 * reach_s)
    return sum(inside) >= 0.5 * needed > 0


def _best(
    views: Sequence[RunView], readings: Readings, step_s: float, sign: float = 1.0
) -> tuple[float, float, float]:
    """The lag of the highest correlation, that correlation, and the highest one away from it."""
    lags = np.arange(-LONGEST_S, LONGEST_S + step_s, step_s)
    scores = np.full(len(lags), -1.0)
    per_view = [_series(view, step_s) for view in views]
    for place, shift in enumerate(lags):
        meter = [readings.power_w(edges - round(float(shift) * NS_PER_S)) for edges, _ in per_view]
        score = _correlation(np.concatenate([power for _, power in per_view]), np.concatenate(meter))
        scores[place] = sign * score if np.isfinite(score) else -1.0
    best = int(np.argmax(scores))
    peak = float(scores[best])
    left, right = best, best  # the slopes of the peak itself
    while left > 0 and scores[left - 1] <= scores[left]:
        left -= 1
    while right < len(lags) - 1 and scores[right + 1] <= scores[right]:
        right += 1
    outside = np.concatenate((scores[:left], scores[right + 1 :]))
    return float(lags[best]), peak, float(outside.max(initial=-1.0))


def _series(view: RunView, step_s: float) -> tuple[Int64, Float64]:
    record = view.record
    edges = edges_ns(record.start_ns, record.end_ns, max(2, int(record.duration_s / step_s)))
    return wall_clock(view, edges), counted_power(view, edges)


def _powers(views: Sequence[RunView], readings: Readings, step_s: float) -> tuple[Float64, Float64]:
    series = [_series(view, step_s) for view in views]
    sensors = np.concatenate([power for _, power in series])
    return sensors, np.concatenate([readings.power_w(edges) for edges, _ in series])


def _correlation(sensors: Float64, meter: Float64) -> float:
    """Of what both know, if that is at least half of the time and both change; NaN else."""
    both = np.isfinite(sensors) & np.isfinite(meter)
    if both.sum() < max(5, 0.5 * len(sensors)):
        return float("nan")
    a, b = sensors[both] - sensors[both].mean(), meter[both] - meter[both].mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 1e-9 else float("nan")

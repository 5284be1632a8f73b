"""From a run of several loads and what a meter said meanwhile to what lies between the sensors and the plug."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np

from wattmark.errors import ConfigError
from wattmark.quantity import Z95
from wattmark.runs.energy import edges_ns
from wattmark.runs.record import Float64, Int64
from wattmark.runs.view import RunView
from wattmark.runs.wall.model import SQUARES_OVER_S, WallModel, channels_of, counted_power
from wattmark.statistics import linear_fit, t_quantile
from wattmark.units import format_power, significant
from wattmark.workspace.meters.clocks import Lag, find_lag, wall_clock
from wattmark.workspace.meters.readings import Readings

_CURVE_PRIOR = (0.06, 0.06)
"""c times the highest power that the sensors saw, and its deviation: what is known of power supplies before a fit.

An 80 PLUS Gold supply (87, 90 and 87 % at 20, 50 and 100 % of its rating, 115 V; clearesult.com/80plus) loses 3.0, 5.6
and 14.9 % of the rating, a quadratic of 0.13 per rating; one that is used to half of its rating has 0.06 per highest
power.
"""
_SLOPES = (0.5, 5.0)
"""Watts at the plug per watt of the sensors: less is another unit or another plug; more where the sensors read but a
part."""
_FEWEST_BLOCKS, _LEVELS, _FEWEST_LEVELS = 12, 10, 3
_STEADY = 0.2
"""A block is steady where its power goes over less than this share of what the calibration covers."""
_CHANGE = 0.12
"""The load must move the sensors by this share of their highest power."""


def fit_wall(
    views: Sequence[RunView], readings: Readings, *, meter_share: float = 0.02, host: str | None = None
) -> WallModel:
    """Fit constant, slope and curve to blocks of time of the runs that the readings cover.

    meter_share: how far the meter may be off as a whole. Raises ConfigError, in words, for readings that cannot be this
    machine's, and for runs that do not change enough.
    """
    channels = {channels_of(view) for view in views}
    if len(channels) != 1 or not channels_of(views[0]):
        raise ConfigError(
            "the runs were not measured by the same sensors, or by none",
            hint="name one run: --run RUN; see wattmark sources",
        )
    _changes(views)
    lag = find_lag(views, readings)
    shifted = readings.shifted(lag.seconds)
    power, squares, wall, seconds = _blocks(views, shifted)
    if len(wall) < _FEWEST_BLOCKS:
        raise ConfigError(
            f"{readings.meter} and the run have only {len(wall)} pieces of time in common that are long enough",
            hint="a longer calibration, or readings that come more often",
        )
    levels = _levels(power)
    _plausible(readings.meter, power, wall)
    top = float(power.max())
    prior = np.array(
        [[0.0, math.inf], [0.0, math.inf], [_CURVE_PRIOR[0] / top, _CURVE_PRIOR[1] / top]], np.float64
    )
    try:
        fit = linear_fit(np.column_stack([np.ones(len(power)), power, squares]), wall, prior, in_order=True)
    except ValueError as error:
        raise ConfigError(f"the load does not tell a constant from a slope: {error}") from error
    constant, slope, curve = (float(value) for value in fit.coefficients)
    if not _SLOPES[0] <= slope + curve * top <= _SLOPES[1]:
        raise ConfigError(
            f"{readings.meter}: {significant(slope)} W at the plug for each watt of the sensors cannot be",
            hint="is it this machine's plug, and the right unit (--meter-unit)?",
        )
    notes = [*readings.notes, *lag.notes]
    if levels < 5:
        notes.append(
            f"{levels} levels of load: the curve of the power supply is mostly what supplies of its kind have"
        )
    errors = tuple((float(row[0]), float(row[1]), float(row[2])) for row in fit.errors())
    return WallModel(
        host=views[0].record.host if host is None else host,
        kind="calibrated",
        constant_w=constant,
        slope=slope,
        curve_per_w=curve,
        errors=errors,
        meter=readings.meter,
        meter_share=meter_share,
        rest_w=_rest_w(
            wall - np.column_stack([np.ones(len(power)), power, squares]) @ fit.coefficients, power
        ),
        low_w=float(power.min()),
        high_w=top,
        channels=channels_of(views[0]),
        measured_at=time.time(),
        seconds=seconds,
        levels=levels,
        lag_s=lag.seconds,
        notes=tuple(notes),
    )


def _changes(views: Sequence[RunView]) -> None:
    """Raises ConfigError where the sensors show no change of load."""
    power = np.concatenate(
        [
            counted_power(
                view,
                edges_ns(view.record.start_ns, view.record.end_ns, max(8, int(view.record.duration_s / 2))),
            )
            for view in views
        ]
    )
    known = power[np.isfinite(power)]
    low, high = np.percentile(known, (5, 95)) if len(known) else (0.0, 0.0)
    if high - low < _CHANGE * max(high, 1e-9):
        raise ConfigError(
            f"the load hardly changed (the sensors saw {format_power(float(low))} to "
            f"{format_power(float(high))}): overhead and slope "
            "cannot be told apart",
            hint="a run with idle, half and full load: wattmark calibrate --load, or --meter shelly://HOST does both",
        )


def _blocks(views: Sequence[RunView], readings: Readings) -> tuple[Float64, Float64, Float64, float]:
    """Means over blocks of time: the counted power, its square, the meter's watts; and the seconds in all."""
    block_s = max(5.0, 3 * readings.usual_s)
    longest = max(view.record.duration_s for view in views)
    block_s = max(min(block_s, longest / (2 * _FEWEST_BLOCKS)), 2 * readings.usual_s)
    rows: list[Float64] = []
    for view in views:
        start, end = view.record.start_ns, view.record.end_ns
        blocks = max(1, int((end - start) / 1e9 / block_s))
        inner = max(1, round(block_s / SQUARES_OVER_S))
        edges = edges_ns(start, end, blocks * inner)
        power = counted_power(view, edges).reshape(blocks, inner)
        wall = readings.power_w(wall_clock(view, edges[::inner]))
        rows.append(
            np.column_stack([power.mean(axis=1), (power**2).mean(axis=1), wall, _changes_near(power)])
        )
    table = np.concatenate(rows)
    table = table[np.isfinite(table).all(axis=1)]
    steady = table[:, 3] < _STEADY * float(np.ptp(table[:, 0])) if len(table) else np.zeros(0, bool)
    if steady.sum() >= _FEWEST_BLOCKS and len(np.unique(_places(table[steady, 0]))) >= _FEWEST_LEVELS:
        table = table[steady]  # where the load jumps, how a meter averages over the jump decides
    return table[:, 0], table[:, 1], table[:, 2], float(len(table)) * block_s


def _changes_near(power: Float64) -> Float64:
    """How far the power goes within each block (blocks, inner) and the nearest pieces beside it, (blocks,) W."""
    before = np.concatenate((power[:1, :1], power[:-1, -1:]))
    after = np.concatenate((power[1:, :1], power[-1:, -1:]))
    around = np.concatenate((before, power, after), axis=1)
    return around.max(axis=1) - around.min(axis=1)


def _places(power: Float64) -> Int64:
    """On which of ten levels each block is."""
    low, high = float(power.min()), float(power.max())
    return np.clip(((power - low) / max(high - low, 1e-9) * _LEVELS).astype(np.int64), 0, _LEVELS - 1)


def _levels(power: Float64) -> int:
    """On how many levels the blocks are; raises ConfigError for fewer than three."""
    low, high = float(power.min()), float(power.max())
    if high - low < _CHANGE * high:
        raise ConfigError(
            f"where the meter has readings the load hardly changed ({format_power(low)} to {format_power(high)})",
            hint="take readings across idle and full load",
        )
    levels = len(np.unique(_places(power)))
    if levels < _FEWEST_LEVELS:
        raise ConfigError(
            f"the load had {levels} levels; overhead, slope and the supply's curve take {_FEWEST_LEVELS} at least",
            hint="wattmark calibrate --meter shelly://HOST makes its own, wattmark calibrate --load for a file of readings",
        )
    return levels


def _plausible(meter: str, power: Float64, wall: Float64) -> None:
    """Raises ConfigError for watts at the plug that the machine's own parts make impossible."""
    ratio = float(np.median(wall) / np.median(power))
    if ratio >= 0.5 and ratio < 100:
        return
    for unit, factor in (
        ("kW", 1e-3),
        ("mW", 1e3),
        ("kWh for Wh or the like", 3.6e3),
        ("Wh for kWh or the like", 1 / 3.6e3),
    ):
        if 0.7 <= ratio / factor <= 10:
            raise ConfigError(
                f"{meter} says {significant(float(np.median(wall)))} W where the parts of the machine alone drew "
                f"{format_power(float(np.median(power)))}: its readings look like {unit}",
                hint="name the unit: --meter-unit kW",
            )
    raise ConfigError(
        f"{meter} says {significant(float(np.median(wall)))} W where the parts of the machine alone drew "
        f"{format_power(float(np.median(power)))}",
        hint="is it this machine's plug, and the right unit (--meter-unit)?",
    )


def _rest_w(left: Float64, power: Float64) -> float:
    """How far a kind of work may lie beside the fit: by what the levels of load do, each taken as one."""
    places = _places(power)
    means = [float(left[places == place].mean()) for place in range(_LEVELS) if (places == place).sum() > 1]
    if len(means) < 3:
        return Z95 * float(left.std())
    return t_quantile(len(means) - 1) * float(np.sqrt(np.mean(np.square(means))))


__all__ = ["Lag", "fit_wall"]

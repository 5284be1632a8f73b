"""What drives the carbon of a fleet: ``log C = log P + log T + log I``, so that its variance is a sum, exactly.

``Var(log C) = sum_i Var(x_i) + 2 sum_i<j Cov(x_i, x_j)``. A share is one of these terms over Var(log C); they sum to one.
In all a factor contributes ``Cov(x_i, log C) / Var(log C)``: its own variance and half of what it shares with the others.

Intervals: the bootstrap of the studentised share, its deviation by leaving out each row in turn (B. Efron and R. J.
Tibshirani, An Introduction to the Bootstrap, 1993, 11.5 and 12.5). Of few rows with heavy tails it is too narrow (it held 90
to 92 in 100 of the planted shares of 30 rows), so its ends are moved out by ``1 + 1 / sqrt(n)``, which is what the fleets of
``benchmarks/fleet_shares.py`` need.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from wattmark.errors import ConfigError
from wattmark.lifecycle.fleet.rows import Row
from wattmark.statistics import RESAMPLES, UPPER, Estimate, Float64

FEWEST = 5
"""Below so many rows nothing is said of shares."""


@dataclass(frozen=True, slots=True)
class Decomposition:
    """log_variance: Var(log C). own: factor -> share of its own variance; together: pair -> share of twice its covariance;
    in_all: factor -> what it contributes with half of those. own and together sum to one, and so does in_all."""

    factors: tuple[str, ...]
    log_variance: float
    own: Mapping[str, Estimate]
    together: Mapping[tuple[str, str], Estimate]
    in_all: Mapping[str, Estimate]


def factors_of(rows: Sequence[Row]) -> dict[str, Float64]:
    """Logarithms of the factors of carbon, (n,) each; what multiplies them only where some row has it."""
    factors = {
        "power": np.log([row.power_w for row in rows]),
        "time": np.log([row.time_s for row in rows]),
        "intensity": np.log([row.g_per_kwh for row in rows]),
    }
    if any(row.overhead != 1 for row in rows):
        factors["overhead"] = np.log([row.overhead for row in rows])
    return factors


def decompose(factors: Mapping[str, Float64], *, resamples: int = RESAMPLES, seed: int = 0) -> Decomposition:
    """Shares of the variance of the sum of ``factors``, (n,) each.

    Raises ConfigError for fewer than :data:`FEWEST` rows, and where the sum does not vary.
    """
    names = tuple(factors)
    table = np.array([factors[name] for name in names])
    count = table.shape[1]
    if count < FEWEST:
        raise ConfigError(
            f"{count} rows are too few to share a variance among factors", hint=f"{FEWEST} or more"
        )
    carbon = table.sum(axis=0)
    if float(np.var(carbon)) <= 1e-24:
        raise ConfigError("all rows have the same carbon: there is no variance to share")
    pairs = list(combinations(range(len(names)), 2))
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, count, (resamples, count))
    # weights of the quadratic form of each share: own, together, in all
    forms = (
        [("own", at, at, 1.0) for at in range(len(names))]
        + [("together", a, b, 2.0) for a, b in pairs]
        + [("in all", at, -1, 1.0) for at in range(len(names))]
    )
    everything = np.vstack((table, carbon))
    values, errors = _shares(everything[:, None, :], forms)
    again = np.empty((resamples, len(forms)))
    again_errors = np.empty_like(again)
    block = max(1, 4_000_000 // (count * len(everything)))
    for first in range(0, resamples, block):
        part = everything[:, drawn[first : first + block]]
        again[first : first + block], again_errors[first : first + block] = _shares(part, forms)
    own: dict[str, Estimate] = {}
    together: dict[tuple[str, str], Estimate] = {}
    in_all: dict[str, Estimate] = {}
    for place, (kind, a, b, _) in enumerate(forms):
        value, error = float(values[0, place]), float(errors[0, place])
        low, high = _ends(value, error, again[:, place], again_errors[:, place], 1 + count**-0.5)
        if kind == "own":
            own[names[a]] = Estimate(value, max(0.0, low), high)
        elif kind == "together":
            together[names[a], names[b]] = Estimate(value, low, high)
        else:
            in_all[names[a]] = Estimate(value, low, high)
    return Decomposition(names, float(np.var(carbon, ddof=1)), own, together, in_all)


def _shares(table: Float64, forms: Sequence[tuple[str, int, int, float]]) -> tuple[Float64, Float64]:
    """Shares and their deviations, (resamples, forms), of table (factors and their sum, resamples, n)."""
    centred = table - table.mean(axis=2, keepdims=True)
    count = table.shape[2]
    squares = centred[-1] ** 2
    variance = squares.mean(axis=1)
    safe = np.where(variance > 0, variance, 1.0)
    values = np.empty((table.shape[1], len(forms)))
    errors = np.empty_like(values)
    # sums of squares and products about the mean with one row left out, in closed form
    left_out = squares.sum(axis=1, keepdims=True) - squares * (count / (count - 1))
    left_out = np.where(left_out > 1e-12 * variance[:, None], left_out, np.inf)
    for place, (_, a, b, weight) in enumerate(forms):
        product = weight * centred[a] * centred[b]
        share = product.mean(axis=1) / safe
        values[:, place] = share
        without = (product.sum(axis=1, keepdims=True) - product * (count / (count - 1))) / left_out
        errors[:, place] = np.sqrt((count - 1) * without.var(axis=1))
    return values, errors


def _ends(value: float, error: float, again: Float64, errors: Float64, wider: float) -> tuple[float, float]:
    """The studentised bootstrap's interval of a share, its ends ``wider`` times as far away."""
    if error <= 1e-12:
        return value, value
    usable = errors > 1e-12
    if usable.sum() < 20:
        return -math.inf, math.inf
    t = (again[usable] - value) / errors[usable]
    low, high = np.quantile(t, (1 - UPPER, UPPER))
    return min(value, value - float(high) * error * wider), max(value, value - float(low) * error * wider)

"""The few statistical tools that the analysis shares. scipy is asked for where it is used (extra ``study``)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import MissingExtra

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE


def scipy_stats() -> Any:
    """``scipy.stats``, or MissingExtra."""
    try:
        return importlib.import_module("scipy.stats")
    except ImportError:
        raise MissingExtra("scipy", "study") from None


def holm(p: Float64) -> Float64:
    """p-values, any shape, corrected for their number; NaN stays NaN and does not count.

    Holm's step-down procedure: it bounds the chance of a single false finding under any dependence (Holm, Scandinavian
    Journal of Statistics 6(2), 1979).
    """
    flat = p.ravel()
    known = np.flatnonzero(np.isfinite(flat))
    order = known[np.argsort(flat[known], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted = np.full(len(flat), np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(flat[order] * factors)) if len(order) else 0.0
    return adjusted.reshape(p.shape)


def bootstrap_medians(values: Float64, resamples: int, seed: int) -> Float64:
    """Medians of ``resamples`` resamples of values (n,)."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(values), (resamples, len(values)))
    return np.median(values[rows], axis=1)


def median_interval(values: Float64) -> tuple[float, float] | tuple[None, None]:
    """The order statistics of values (n,) that hold the median of their population with at least 95 %, whatever its shape.

    (None, None) below six values, whose whole range holds it less often (Conover, Practical Nonparametric Statistics,
    3rd edition, section 3.2: quantiles by the binomial distribution).
    """
    below = _ranks_below(len(values))
    if below is None:
        return None, None
    ordered = np.sort(values)
    return float(ordered[below]), float(ordered[len(ordered) - 1 - below])


@lru_cache(maxsize=256)
def _ranks_below(n: int) -> int | None:
    """How many of n order statistics may be left out at either end; None if not even none."""
    chance = np.cumsum(scipy_stats().binom.pmf(np.arange(n // 2 + 1), n, 0.5))
    fitting = np.flatnonzero(chance <= ALPHA / 2)
    return int(fitting[-1]) if len(fitting) else None


def percentiles(samples: Float64) -> tuple[float, float]:
    """The central 95 % of samples."""
    low, high = np.quantile(samples, (ALPHA / 2, 1 - ALPHA / 2))
    return float(low), float(high)


def finite(value: float) -> float | None:
    """A float for plain data: None for NaN and infinity."""
    return float(value) if np.isfinite(value) else None


def codes(values: Sequence[object]) -> tuple[list[Any], Int64]:
    """Distinct values in a sensible order (numbers by size, else by first appearance), and each value's place in it."""
    distinct: dict[str, Any] = {}
    for value in values:
        distinct.setdefault(str(value), value)
    keys = list(distinct)
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in distinct.values()):
        keys.sort(key=lambda key: distinct[key])
    place = {key: index for index, key in enumerate(keys)}
    return [distinct[key] for key in keys], np.array([place[str(value)] for value in values], np.int64)

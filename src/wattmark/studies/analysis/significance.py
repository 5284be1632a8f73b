"""What the analysis tests its differences with. scipy is asked for where it is used (extra ``study``); intervals are in
:mod:`wattmark.statistics`, which needs none."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from wattmark.errors import MissingExtra
from wattmark.statistics import Float64


def scipy_stats() -> Any:
    """``scipy.stats``, or MissingExtra."""
    try:
        return importlib.import_module("scipy.stats")
    except ImportError:
        raise MissingExtra("scipy", "report") from None


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

"""Two sets of one-dimensional regression in which a mean is not enough (Gustafsson et al., arXiv 2005.01698, 5.1)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wattmark.statistics import Float64

REACH = 3.0
"""x lies within it, and y is looked for within it."""


def draw(name: str, count: int, rng: np.random.Generator) -> tuple[Float64, Float64]:
    """x and y, (count,) each, of the set of that name. Raises KeyError for another name."""
    x = rng.uniform(-REACH, REACH, count)
    return x, CURVES[name](x, rng)


def _mixed(x: Float64, rng: np.random.Generator) -> Float64:
    """Left of 0 a sine with a fifth of its points mirrored, right of it a shifted log-normal."""
    sign = np.where(rng.random(len(x)) < 0.8, 1.0, -1.0)
    left = sign * np.sin(x) + rng.normal(0, 0.075, len(x))
    return np.where(x < 0, left, rng.lognormal(0.0, 0.25, len(x)) - 1.0)


def _widening(x: Float64, rng: np.random.Generator) -> Float64:
    """A sine whose noise grows with x."""
    return np.sin(x) + rng.normal(0, 1, len(x)) * 0.15 / (1 + np.exp(-x))


CURVES: dict[str, Callable[[Float64, np.random.Generator], Float64]] = {
    "mixed": _mixed,
    "widening": _widening,
}
"""Name -> how y is drawn, given x."""

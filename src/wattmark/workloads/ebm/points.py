"""Seven distributions in the plane on which models of densities are compared; each point drawn from the set's own formula.

The shapes are those of the usual figures (Grathwohl et al., FFJORD, arXiv 1810.01367; Dai et al., arXiv 2011.05363): two
spirals, eight Gaussians, two circles, two moons, a pinwheel, a Swiss roll and a checkerboard, all within about four of
the origin.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wattmark.statistics import Float64

LIMIT = 4.5
"""Points are clipped to this distance from the origin along each axis; it concerns fewer than one in a thousand."""


def draw(name: str, count: int, rng: np.random.Generator) -> Float64:
    """``count`` points (count, 2) of the set of that name, within ``LIMIT``. Raises KeyError for another name."""
    return np.clip(SETS[name](count, rng), -LIMIT, LIMIT)


def _spirals(count: int, rng: np.random.Generator) -> Float64:
    turn = 3 * np.pi * np.sqrt(rng.random(count))
    arm = np.stack((-np.cos(turn), np.sin(turn)), 1) * turn[:, None] + rng.uniform(0, 0.5, (count, 2))
    sign = rng.choice((-1.0, 1.0), (count, 1))
    return sign * arm / 3 + rng.normal(0, 0.1, (count, 2))


def _gaussians(count: int, rng: np.random.Generator) -> Float64:
    turn = rng.integers(0, 8, count) * np.pi / 4
    centre = 4 * np.stack((np.cos(turn), np.sin(turn)), 1)
    return (centre + rng.normal(0, 0.5, (count, 2))) / np.sqrt(2)


def _circles(count: int, rng: np.random.Generator) -> Float64:
    turn = rng.uniform(0, 2 * np.pi, count)
    radius = rng.choice((0.5, 1.0), count)
    ring = radius[:, None] * np.stack((np.cos(turn), np.sin(turn)), 1)
    return 3 * (ring + rng.normal(0, 0.08, (count, 2)))


def _moons(count: int, rng: np.random.Generator) -> Float64:
    turn = rng.uniform(0, np.pi, count)
    upper = rng.random(count) < 0.5
    x = np.where(upper, np.cos(turn), 1 - np.cos(turn))
    y = np.where(upper, np.sin(turn), 0.5 - np.sin(turn))
    return 2 * (np.stack((x, y), 1) + rng.normal(0, 0.1, (count, 2))) - np.array((1.0, 0.2))


def _pinwheel(count: int, rng: np.random.Generator) -> Float64:
    along, across = rng.normal(1, 0.3, count), rng.normal(0, 0.1, count)
    turn = rng.integers(0, 5, count) * 2 * np.pi / 5 + 0.25 * np.exp(along)
    x = along * np.cos(turn) - across * np.sin(turn)
    y = along * np.sin(turn) + across * np.cos(turn)
    return 2 * np.stack((x, y), 1)


def _roll(count: int, rng: np.random.Generator) -> Float64:
    turn = 1.5 * np.pi * (1 + 2 * rng.random(count))
    roll = np.stack((turn * np.cos(turn), turn * np.sin(turn)), 1)
    return (roll + rng.normal(0, 1, (count, 2))) / 5


def _board(count: int, rng: np.random.Generator) -> Float64:
    x = rng.uniform(-2, 2, count)
    y = rng.random(count) - 2 * rng.integers(0, 2, count) + np.floor(x) % 2
    return 2 * np.stack((x, y), 1)


SETS: dict[str, Callable[[int, np.random.Generator], Float64]] = {
    "2spirals": _spirals,
    "8gaussians": _gaussians,
    "circles": _circles,
    "moons": _moons,
    "pinwheel": _pinwheel,
    "swissroll": _roll,
    "checkerboard": _board,
}
"""Name -> how its points are drawn."""

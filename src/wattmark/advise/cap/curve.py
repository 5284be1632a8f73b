"""Speed and power against the cap, from windows of work at a few caps.

Both are interpolated by piecewise cubics that keep the order of the data (Fritsch and Carlson, Monotone Piecewise Cubic
Interpolation, 1980; PCHIP): speed and watts rise with the cap and flatten where it no longer binds, and nothing is said
beyond the caps that were tried. The published fit of FROST (arXiv 2310.11131), a (e^(bx-c)) + d sigma(ex-f) + g by
downhill simplex on the score itself, stands beside it by name.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError, MissingExtra

Float64 = NDArray[np.float64]
BETWEEN = 0.03
"""What a cap between two that were tried may be off by, either way, in energy and in time: of 217 workloads of the Zeus
traces 95 of 100 lie within it (benchmarks/power_caps.py)."""


class Window(NamedTuple):
    """Work under one cap: W of the cap, seconds for a unit of work, and the mean W that were drawn."""

    cap_w: float
    seconds: float
    watts: float

    @property
    def joules(self) -> float:
        """J for a unit of work."""
        return self.seconds * self.watts


class CapCurve:
    """Predicts time and energy of a unit of work at any cap within those that were tried.

    Windows of one cap are averaged. Raises ConfigError with fewer than two caps, or for a window that cannot be.
    """

    def __init__(self, windows: Sequence[Window]) -> None:
        bad = [one for one in windows if not (one.cap_w > 0 and one.seconds > 0 and one.watts > 0)]
        if bad:
            raise ConfigError(f"a window has no time, power or cap: {bad[0]}", hint="measure it again")
        caps = sorted({one.cap_w for one in windows})
        if len(caps) < 2:
            raise ConfigError("one cap tells nothing of others", hint="try at least two")
        self.caps = np.array(caps)
        alike = [[one for one in windows if one.cap_w == cap] for cap in caps]
        self._speed = np.array([np.mean([1 / one.seconds for one in group]) for group in alike], np.float64)
        self._watts = np.array([np.mean([one.watts for one in group]) for group in alike], np.float64)

    def seconds(self, cap_w: Float64 | float) -> Float64:
        """Seconds for a unit of work at these caps (k,), held at the ends of what was tried."""
        return 1 / _pchip(self.caps, self._speed)(np.clip(cap_w, self.caps[0], self.caps[-1]))

    def watts(self, cap_w: Float64 | float) -> Float64:
        """Mean W at these caps (k,)."""
        return _pchip(self.caps, self._watts)(np.clip(cap_w, self.caps[0], self.caps[-1]))

    def joules(self, cap_w: Float64 | float) -> Float64:
        """J for a unit of work at these caps (k,)."""
        return self.seconds(cap_w) * self.watts(cap_w)

    def tried(self, cap_w: float) -> bool:
        """Whether this cap was measured itself."""
        return bool(np.isclose(self.caps, cap_w).any())


def _pchip(at: Float64, values: Float64) -> Callable[[Float64 | float], Float64]:
    return _scipy("interpolate").PchipInterpolator(at, values)


def _scipy(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"scipy.{name}")
    except ModuleNotFoundError as error:
        raise MissingExtra("scipy", "study") from error


def frost_score(caps_w: Float64, scores: Float64) -> Callable[[Float64], Float64]:
    """FROST's fit of a score (such as E D^m) against the cap: ``a e^(bx - c) + d sigma(ex - f) + g`` by downhill simplex.

    x is the cap over the largest that was tried; scores are divided by their largest.
    """
    minimize, expit = _scipy("optimize").minimize, _scipy("special").expit
    top, most = float(caps_w.max()), float(scores.max())
    x, y = caps_w / top, scores / most

    def form(p: Float64, x: Float64) -> Float64:
        return p[0] * np.exp(np.clip(p[1] * x - p[2], -50, 50)) + p[3] * expit(p[4] * x - p[5]) + p[6]

    def miss(p: Float64) -> float:
        return float(((form(p, x) - y) ** 2).sum())

    best = np.zeros(7)
    least = np.inf
    for decay, rise in ((-8.0, 6.0), (-3.0, 3.0), (-15.0, 10.0)):
        start = np.array([1.0, decay, 0.0, 0.3, rise, rise / 2, float(y.min())])
        got = minimize(miss, start, method="Nelder-Mead", options={"maxiter": 4000})
        if got.fun < least:
            best, least = np.asarray(got.x, np.float64), float(got.fun)
    fitted = best
    return lambda caps: form(fitted, caps / top) * most

"""Which cap is the best, by what one wants and within what one allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wattmark.advise.cap.curve import BETWEEN, CapCurve, Float64
from wattmark.errors import ConfigError
from wattmark.quantity import FIT, Quantity


@dataclass(frozen=True, slots=True)
class Goal:
    """delay: the exponent m of ``E D^m`` (0: least energy). eta: instead, Zeus's cost ``eta E + (1 - eta) P_max T`` (You,
    Chung and Chowdhury, NSDI 2023). slowdown: time may grow by this factor at most (1.1: a tenth). energy_j: instead of the
    least energy, the least time with at most these J for a unit of work."""

    delay: float = 0.0
    eta: float | None = None
    slowdown: float | None = None
    energy_j: float | None = None

    def __post_init__(self) -> None:
        if self.delay < 0 or not math.isfinite(self.delay):
            raise ConfigError(
                "the exponent of the delay is 0 or more", hint="0: energy, 1: E x D, 2: E x D^2"
            )
        if self.eta is not None and not 0 <= self.eta <= 1:
            raise ConfigError("eta lies between 0 (time) and 1 (energy)")
        if self.slowdown is not None and not 1 <= self.slowdown < math.inf:
            raise ConfigError("a slow-down is a factor of at least 1", hint="1.1 allows a tenth more time")
        if self.energy_j is not None and not self.energy_j > 0:
            raise ConfigError("an energy budget is more than nothing")

    def score(self, joules: Float64, seconds: Float64, most_w: float) -> Float64:
        """What is to be least, (k,)."""
        if self.energy_j is not None:
            return np.where(joules <= self.energy_j, seconds, np.inf)
        if self.eta is not None:
            return self.eta * joules + (1 - self.eta) * most_w * seconds
        return joules * seconds**self.delay


@dataclass(frozen=True, slots=True)
class Choice:
    """The cap to set. energy, time: ratios to no cap at all (the largest that was tried), with what the curve may be off by.
    tried: it was measured itself. savings are below 1."""

    cap_w: float
    energy: Quantity
    time: Quantity
    tried: bool


def choose(curve: CapCurve, caps_w: Float64, goal: Goal) -> Choice:
    """The best of ``caps_w`` (k,) for the goal; those beyond what was tried are left out.

    Raises ConfigError where no cap is within the limits.
    """
    inside = caps_w[(caps_w >= curve.caps[0] - 1e-9) & (caps_w <= curve.caps[-1] + 1e-9)]
    if not len(inside):
        raise ConfigError("none of the caps lies between those that were tried")
    at = allowed(curve, inside, goal)
    if not at.any():
        raise ConfigError("no cap is within the limits", hint="allow more: --slowdown, --energy")
    score = goal.score(curve.joules(inside), curve.seconds(inside), float(curve.caps[-1]))
    best = float(inside[int(np.argmin(np.where(at, score, np.inf)))])
    top = float(curve.caps[-1])
    off = 0.0 if curve.tried(best) else BETWEEN

    def ratio(value: float) -> Quantity:
        exact = Quantity.exact(value, "", "windows at several caps")
        return exact.with_error(f"{FIT}/cap/{best:g}", value * off) if off else exact

    return Choice(
        best,
        ratio(float(curve.joules(best)) / float(curve.joules(top))),
        ratio(float(curve.seconds(best)) / float(curve.seconds(top))),
        curve.tried(best),
    )


def allowed(curve: CapCurve, caps_w: Float64, goal: Goal) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Which caps (k,) keep the limits, as far as the curve tells."""
    kept = np.ones(len(caps_w), np.bool_)
    if goal.slowdown is not None:
        kept &= curve.seconds(caps_w) <= goal.slowdown * float(curve.seconds(curve.caps[-1]))
    if goal.energy_j is not None:
        kept &= curve.joules(caps_w) <= goal.energy_j
    return kept

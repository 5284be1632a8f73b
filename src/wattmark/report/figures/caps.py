"""Figures of a search for a power cap."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wattmark.advise.cap.advice import CapAdvice
from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import lines
from wattmark.report.drawing.marks import Drawing, Line

_POINTS = 60


def cap_curve(advice: CapAdvice) -> Drawing | None:
    """Energy, time and their product against the cap, as shares of those without one; None with fewer than two caps."""
    curve = advice.curve
    if curve is None:
        return None
    low, high = float(curve.caps[0]), float(curve.caps[-1])
    caps: NDArray[np.float64] = low + (high - low) * np.arange(_POINTS, dtype=np.float64) / (_POINTS - 1)
    top = curve.caps[-1]
    energy = curve.joules(caps) / curve.joules(top)
    time = curve.seconds(caps) / curve.seconds(top)
    drawn = [("energy", energy), ("time", time), ("energy x time", energy * time)]
    return lines(
        [
            Line(
                name,
                caps.tolist(),
                [Quantity.exact(float(value), "", "windows at several caps") for value in values],
            )
            for name, values in drawn
        ],
        "power cap (W)",
        "share of that without a cap",
    )

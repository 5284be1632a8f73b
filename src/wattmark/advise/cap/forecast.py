"""What a cap would do, where none may be set: the published traces of other boards, and one window as things are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wattmark.advise.cap.choice import Goal
from wattmark.advise.cap.measured import Measured
from wattmark.predict.hardware.caps import capped
from wattmark.quantity import Quantity


def forecast(
    window: Measured, device_w: float, boards: int, caps_w: Sequence[float], goal: Goal
) -> tuple[float, Quantity, Quantity]:
    """The best cap by the model of :mod:`wattmark.predict.hardware.caps`, and the shares of energy and time that it leaves.

    window: as things are. device_w: mean W of the boards together in it; what else draws power goes on drawing it for
    longer. The model is of graphics cards.
    """
    rest_w = max(0.0, window.energy.value / window.seconds - device_w)
    rows: list[tuple[float, Quantity, Quantity]] = []
    for cap_w in caps_w:
        one_w = device_w / boards
        time, board = capped(one_w, one_w, 1.0, cap_w)
        whole = (board * (one_w * boards) + time * rest_w) / (device_w + rest_w)
        rows.append((cap_w, whole.with_unit(""), time.with_unit("")))
    joules = np.array([row[1].value for row in rows]) * window.energy.value
    seconds = np.array([row[2].value for row in rows]) * window.seconds
    score = goal.score(joules, seconds, float(caps_w[-1]))
    if goal.slowdown is not None:
        score = np.where(seconds <= goal.slowdown * window.seconds, score, np.inf)
    return rows[int(np.argmin(score))]

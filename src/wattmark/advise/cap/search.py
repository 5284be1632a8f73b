"""Which caps to try: the ends, one at a third, then where the curve so far says that the best is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wattmark.advise.cap.choice import Choice, Goal, allowed, choose
from wattmark.advise.cap.curve import CapCurve, Float64, Window
from wattmark.errors import ConfigError

WINDOWS = 4
FIRST = (1.0, 0.0, 1 / 3)
"""Tried first, as shares of the way from the least to the largest cap: the largest, since all else is held against it."""


class CapSearch:
    """``next()`` names the cap to try, ``add()`` takes what came of it, ``choice()`` is the answer.

    caps_w: those that can be set, in any order. After ``windows`` of them, or when all are tried, ``next()`` is None.
    """

    def __init__(self, caps_w: Sequence[float], goal: Goal | None = None, windows: int = WINDOWS) -> None:
        self.caps: Float64 = np.array(sorted(set(caps_w)), np.float64)
        if len(self.caps) < 2:
            raise ConfigError("there is one cap only: nothing to choose from")
        self.goal = goal or Goal()
        self.windows: list[Window] = []
        self._most = max(2, windows)

    def next(self) -> float | None:
        """The cap of the next window, in W."""
        done = {one.cap_w for one in self.windows}
        left = [float(cap) for cap in self.caps if cap not in done]
        if not left or len(done) >= self._most:
            return None
        for share in FIRST[: self._most]:
            cap = float(self.caps[round((len(self.caps) - 1) * share)])
            if cap not in done:
                return cap
        curve = CapCurve(self.windows)
        score = self.goal.score(curve.joules(self.caps), curve.seconds(self.caps), float(self.caps[-1]))
        kept = allowed(curve, self.caps, self.goal)
        score = np.where(kept, score, np.inf)
        best = int(np.argmin(score)) if np.isfinite(score).any() else int(np.argmin(curve.seconds(self.caps)))
        near = [place for place in (best, best - 1, best + 1) if 0 <= place < len(self.caps)]
        untried = [place for place in near if float(self.caps[place]) not in done]
        if not untried:
            order = np.argsort(score, kind="stable")
            untried = [int(place) for place in order if float(self.caps[place]) not in done]
        if untried[0] == best:
            return float(self.caps[best])
        return float(self.caps[min(untried, key=lambda place: score[place])])

    def add(self, window: Window) -> None:
        """What came of a window."""
        self.windows.append(window)

    @property
    def curve(self) -> CapCurve:
        """The curve through the windows so far."""
        return CapCurve(self.windows)

    def choice(self) -> Choice:
        """The best cap of all that can be set."""
        return choose(self.curve, self.caps, self.goal)

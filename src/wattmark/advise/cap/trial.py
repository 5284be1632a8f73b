"""Caps tried one after another on work that is measured: in random order, chosen by what was seen, and proven in turns."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from wattmark.advise.cap.choice import Goal, allowed, choose
from wattmark.advise.cap.curve import CapCurve, frost_score
from wattmark.advise.cap.measured import Measured, WindowUnmeasured, ratios
from wattmark.advise.cap.search import FIRST, CapSearch
from wattmark.advise.cap.work import Work
from wattmark.limits.session import Caps

Method = Literal["wattmark", "frost"]
Tell = Callable[[str], None]
METHODS: tuple[Method, ...] = ("wattmark", "frost")
HOLDS_S = 0.5
"""Shorter windows say little of a cap: RAPL's long-term limit is a mean over about 1 s (its ``time_window_us``)."""
_FROST_AT = (0.0, 1 / 3, 2 / 3, 1.0)


def _unheard(_line: str) -> None:
    """Nobody listens."""


class Trial:
    """Windows at caps of ``caps_w``, the last of which is what was in force before.

    order: the order of the windows that are decided beforehand is drawn with it: what drifts (temperature, neighbours) must
    not look like an effect of the cap. tell: gets a line for each window.
    """

    def __init__(
        self,
        work: Work,
        caps: Caps,
        caps_w: Sequence[float],
        goal: Goal,
        *,
        order: random.Random,
        tell: Tell | None = None,
    ) -> None:
        self.windows: list[Measured] = []
        self.notes: list[str] = []
        self._work, self._caps, self._grid, self._goal = work, caps, tuple(caps_w), goal
        self._order = order
        self._tell = tell or _unheard

    def search(self, method: Method = "wattmark", windows: int = 4) -> float:
        """The best cap by a search of so many windows. Raises ConfigError where none keeps the limits."""
        return self._frost() if method == "frost" else self._ours(windows)

    def proven(self, best_w: float, times: int) -> float:
        """The cap that stands a proof: where it keeps the limits or the goal no longer, by all that was seen, the best of
        those that no proof spoke against follows, and at last none (the largest). Each is measured at least once."""
        refuted: set[float] = set()
        while best_w < self._grid[-1]:
            self._prove(best_w, times)
            if not self.at(best_w):
                self.window(best_w)
            curve = CapCurve([one.window for one in self.windows])
            if self._stands(curve, best_w):
                break
            refuted.add(best_w)
            self._note(f"a cap of {best_w:g} W did not stand the proof")
            left = np.array([cap for cap in self._grid if cap not in refuted])
            best_w = choose(curve, left, self._goal).cap_w
        return best_w

    def _stands(self, curve: CapCurve, cap_w: float) -> bool:
        """Whether the windows at a cap keep the limits, and are better for the goal than those without one."""
        both = np.array([cap_w, self._grid[-1]])
        score = self._goal.score(curve.joules(both), curve.seconds(both), float(both[-1]))
        _, taken = ratios(self.at(self._grid[-1]), self.at(cap_w))
        slow = self._goal.slowdown is not None and taken.value > self._goal.slowdown
        return not slow and bool(allowed(curve, both, self._goal)[0]) and bool(score[0] < score[1])

    def _prove(self, best_w: float, times: int) -> None:
        """The best cap and none at all, in turns, the first of each pair drawn."""
        for _ in range(times):
            pair = [best_w, self._grid[-1]]
            self._order.shuffle(pair)
            for cap_w in pair:
                self.window(cap_w)

    def window(self, cap_w: float) -> Measured:
        """Set a cap, and some of the work under it. A window that the sensors have missed is taken once more."""
        applied_w = self.set(cap_w)
        try:
            measured = self._work.window(cap_w, applied_w, self._caps.check)
        except WindowUnmeasured as error:
            self._note(f"{error}: once more")
            measured = self._work.window(cap_w, applied_w, self._caps.check)
        self.windows.append(measured)
        if measured.seconds < HOLDS_S:
            self._note(
                f"a window took less than {HOLDS_S:g} s, and a driver holds a cap over about a second: give the command "
                "more to do"
            )
        window = measured.window
        self._tell(
            f"{cap_w:g} W: {window.joules:.4g} J and {window.seconds:.4g} s a {self._work.unit}, {window.watts:.4g} W"
        )
        return measured

    def set(self, cap_w: float) -> float | None:
        """Set a cap (the largest: as it was before); what the drivers made of it, in W."""
        top = cap_w >= self._grid[-1]
        applied_w = self._caps.set(None if top else cap_w)
        if not top and applied_w is not None and abs(applied_w - cap_w) > 0.02 * cap_w:
            self._note(f"a cap of {cap_w:g} W became {applied_w:g} W by the driver")
        return applied_w

    def at(self, cap_w: float) -> list[Measured]:
        """The windows at a cap."""
        return [one for one in self.windows if one.cap_w == cap_w]

    def _ours(self, windows: int) -> float:
        search = CapSearch(self._grid, self._goal, windows)
        first = [
            float(search.caps[round((len(search.caps) - 1) * share)]) for share in FIRST[: max(2, windows)]
        ]
        first = list(dict.fromkeys(first))
        self._order.shuffle(first)
        for cap_w in first:
            search.add(self.window(cap_w).window)
        while (cap_w := search.next()) is not None:
            search.add(self.window(cap_w).window)
        return search.choice().cap_w

    def _frost(self) -> float:
        grid = np.array(self._grid)
        tried = sorted({self._grid[round((len(grid) - 1) * share)] for share in _FROST_AT})
        mixed = list(tried)
        self._order.shuffle(mixed)
        for cap_w in mixed:
            self.window(cap_w)
        curve = CapCurve([one.window for one in self.windows])
        at = np.array(tried)
        score = frost_score(at, self._goal.score(curve.joules(at), curve.seconds(at), float(at[-1])))(grid)
        kept = allowed(curve, grid, self._goal)
        return float(grid[int(np.argmin(np.where(kept, score, np.inf)))]) if kept.any() else float(grid[-1])

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)
            self._tell(note)

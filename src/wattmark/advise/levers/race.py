"""Which levers save: rounds of the base and all levers that are still in, clear losers out early.

Every value is paired with a run of the base beside it, as in a gate; each lever has the gate's test
(:class:`~wattmark.statistics.SequentialTest`), one for each side. What a race says of a lever is for choosing: of
twenty that do nothing one may look like a saver. What is chosen is compared anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import stdev
from typing import Literal

from wattmark.statistics import UPPER, SequentialTest, mean_at_rest, t_quantile

Verdict = Literal["saves", "costs", "little", "open"]
LOOKS = (3, 5, 7)
CONFIRMING = (5, 7, 10, 14, 20)
WORTH = 0.01
"""A lever that saves less than this share is not worth a line in a script."""
COVARIATE_FROM = 0.03
"""As in a gate: from this spread of single runs on, what other processes used is a covariate."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a lever leaves of the base: 0.9 saves a tenth. low, high: of its 95 % interval, None from one pair."""

    value: float
    low: float | None
    high: float | None
    pairs: int


@dataclass(slots=True)
class Pairs:
    """Values of a lever beside those of the base, pair by pair. busy: what others used of the machine, lever less base."""

    test: SequentialTest
    worth: float = WORTH
    logs: list[float] = field(default_factory=list[float])
    busy: list[float | None] = field(default_factory=list[float | None])
    settled: Verdict | None = None

    def add(self, base: float, lever: float, busy: float | None = None) -> None:
        """One more pair; both above 0."""
        self.logs.append(math.log(lever / base))
        self.busy.append(busy)
        if self.settled is None and len(self.logs) in self.test.looks:
            verdict = self._look()
            self.settled = None if verdict == "open" else verdict

    @property
    def verdict(self) -> Verdict:
        """What the looks so far have decided."""
        return self.settled or "open"

    @property
    def share(self) -> Share | None:
        """The best estimate; None without pairs."""
        if not self.logs:
            return None
        if len(self.logs) < 2:
            return Share(math.exp(self.logs[0]), None, None, 1)
        mean, error, freedom = mean_at_rest(self.logs, self._covariate())
        half = t_quantile(freedom, UPPER) * error
        return Share(math.exp(mean), math.exp(mean - half), math.exp(mean + half), len(self.logs))

    def _covariate(self) -> Sequence[float] | None:
        known = [one for one in self.busy if one is not None]
        if len(known) < len(self.logs) or len(known) < 2:
            return None
        return known if stdev(self.logs) / math.sqrt(2) > COVARIATE_FROM else None

    def _look(self) -> Verdict:
        busy = self._covariate()
        less = [-value for value in self.logs]
        opposite = None if busy is None else [-value for value in busy]
        worth = -math.log1p(-self.worth)
        mean, _, _ = mean_at_rest(self.logs, busy)
        if self.test.rejects(less, 0.0, opposite) and -mean >= worth:
            return "saves"
        if self.test.rejects(self.logs, 0.0, busy) and mean > 0:
            return "costs"
        return "little" if self.test.rejects(self.logs, -worth, busy) else "open"


def confirming(most: int) -> SequentialTest:
    """The test of a second, fresh comparison, of at most so many pairs."""
    looks = tuple(look for look in CONFIRMING if look < most)
    return SequentialTest((*looks, most))


def racing(most: int) -> SequentialTest:
    """The test of a race of at most so many rounds."""
    looks = tuple(look for look in LOOKS if look < most)
    return SequentialTest((*looks, most))


def blocks(names: Sequence[str], size: int, shuffled: Sequence[int]) -> list[list[str | None]]:
    """One round: levers in a shuffled order, in blocks of ``size``, each with the base (None) at the place that alternates.

    shuffled: a permutation of the places of ``names``; its first number also says where the base stands first.
    """
    order = [names[place] for place in shuffled]
    found: list[list[str | None]] = []
    for start in range(0, len(order), size):
        block: list[str | None] = list(order[start : start + size])
        block.insert(0 if (shuffled[0] + start) % 2 == 0 else len(block), None)
        found.append(block)
    return found

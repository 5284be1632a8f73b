"""A cap that the search has chosen is measured again beside none, and one that does not stand that is left."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import cast

import pytest

from wattmark.advise.cap.choice import Goal
from wattmark.advise.cap.measured import Measured
from wattmark.advise.cap.trial import Trial
from wattmark.limits.session import Caps
from wattmark.quantity import Quantity

CAPS = (45.0, 60.0, 80.0, 100.0, 125.0)
Law = Callable[[float, int], tuple[float, float]]


class Windows:
    """law: cap in W and how often it was tried before -> seconds and W."""

    unit = "run"

    def __init__(self, law: Law) -> None:
        self.law = law
        self.tried: list[float] = []

    def window(self, cap_w: float, applied_w: float | None, check: Callable[[], None]) -> Measured:
        seconds, watts = self.law(cap_w, self.tried.count(cap_w))
        self.tried.append(cap_w)
        return Measured(cap_w, applied_w, 1.0, seconds, Quantity.exact(seconds * watts, "J", "scripted"))


class SetCaps:
    """Takes what it is told."""

    def set(self, cap_w: float | None) -> float | None:
        return cap_w

    def check(self) -> None:
        """It lives."""


def trial(law: Law, goal: Goal) -> tuple[Trial, Windows]:
    work = Windows(law)
    return Trial(work, cast("Caps", SetCaps()), CAPS, goal, order=random.Random(0)), work


def speed(cap: float) -> float:
    return ((cap - 40) / 85) ** (1 / 3)


@pytest.mark.parametrize("proofs", [1, 3])
def test_a_cap_that_is_slower_in_its_proof_than_allowed_gives_way_to_a_higher_one(proofs: int) -> None:
    def law(cap: float, before: int) -> tuple[float, float]:
        return (1.05 if cap == 80 and not before else 1 / speed(cap)), cap  # the first was lucky: 1.29

    tries, work = trial(law, Goal(slowdown=1.15))
    for cap in CAPS:
        tries.window(cap)
    best = tries.proven(80, proofs)
    assert best == 100
    assert work.tried.count(80) == 1 + proofs
    assert tries.at(best)
    assert "a cap of 80 W did not stand the proof" in tries.notes


def test_where_no_cap_saves_when_it_is_proven_none_is_left_in_force() -> None:
    def law(cap: float, before: int) -> tuple[float, float]:
        return 1.0, (0.5 if cap < 125 and not before else 1.2 if cap < 125 else 1.0) * 100

    tries, _ = trial(law, Goal())
    assert tries.proven(tries.search(), 5) == 125
    assert 1 <= len(tries.notes) <= 4


def test_a_cap_that_stands_stays() -> None:
    tries, work = trial(lambda cap, _: (1 / speed(cap), cap), Goal())
    best = tries.search()
    assert tries.proven(best, 2) == best
    assert work.tried.count(best) <= 3
    assert not tries.notes


def test_windows_that_are_shorter_than_a_driver_needs_are_told_once() -> None:
    tries, _ = trial(lambda cap, _: (0.02 / speed(cap), cap), Goal())
    tries.proven(tries.search(), 1)
    assert [note for note in tries.notes if "give the command more to do" in note] == tries.notes
    assert len(tries.notes) == 1

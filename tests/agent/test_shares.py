"""Sums are exact whatever is split, however often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.agent.shares import Account, Idle, split
from wattmark.agent.units import Unit

A, B = Unit("unit", "a.service"), Unit("unit", "b.service")
AMOUNTS = st.integers(0, 10**12)


@given(AMOUNTS, st.dictionaries(st.integers(), st.integers(0, 10**9)), st.integers(0, 10**9))
def test_parts_and_rest_are_the_whole(total: int, weights: dict[int, int], whole: int) -> None:
    parts, rest = split(total, weights, whole)
    assert sum(parts.values()) + rest == total
    assert rest >= 0
    assert all(part >= 0 for part in parts.values())


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS, st.integers(0, 500), st.integers(0, 500), st.integers(0, 2_000))))
def test_an_account_is_exact_for_ever(intervals: list[tuple[int, int, int, int, int]]) -> None:
    account = Account()
    for energy, idle, a, b, whole in intervals:
        account.add(energy, min(idle, energy), {A: a, B: b}, whole)
    account.drop(A)
    owned = sum(account.owners.values())
    assert account.idle + account.unattributed + account.gone + owned == account.total
    assert account.total == sum(one[0] for one in intervals)
    assert A not in account.owners


def test_shares_are_those_of_cpu_time_and_the_rest_is_no_ones() -> None:
    account = Account()
    parts = account.add(1_000, 200, {A: 30, B: 10}, 80)
    assert parts == {A: 300, B: 100}
    assert account.unattributed == 400  # half of the busy time was in no unit


def test_more_time_in_units_than_the_host_was_busy_is_not_given_twice() -> None:
    parts, rest = split(100, {A: 60, B: 60}, 100)
    assert (parts, rest) == ({A: 50, B: 50}, 0)


def test_idle_is_the_lowest_power_so_far() -> None:
    idle, total, second = Idle(), 0, 1_000_000_000
    assert idle.of(7, second) == 7  # nothing is known: all of it may be idle
    seen: list[float | None] = []
    for at, watts in enumerate([30] * 6 + [10] * 11 + [50] * 6):
        idle.see(at * second, total)
        total += watts * 1_000_000
        seen.append(idle.watts)
    assert seen[4] is None
    assert seen[5] == pytest.approx(30.0)
    assert idle.watts == pytest.approx(10.0)
    assert idle.of(40_000_000, second) == 10_000_000
    assert idle.of(4_000_000, second) == 4_000_000

"""The largest load within limits, and the cheapest."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from fakes.loads import record, result
from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.serving.figures.latency import Goal, Metrics, measure
from wattmark.serving.figures.search import LoadSearch, best_within, judge


def searched(
    limit: float, low: float = 1, high: float = 256, *, whole: bool = True
) -> tuple[LoadSearch, list[float]]:
    search, run = LoadSearch(low, high, whole=whole), list[float]()
    while (load := search.next()) is not None:
        run.append(load)
        search.add(load, load <= limit)
    return search, run


@pytest.mark.parametrize("limit", [1, 2, 3, 11, 17, 100, 200])
def test_a_search_finds_the_limit_by_doubling_and_halving(limit: int) -> None:
    search, run = searched(limit)
    assert search.within is not None
    assert search.within <= limit < search.within + max(1.0, 0.05 * limit) + 1
    assert len(run) <= 16
    assert len(set(run)) == len(run)
    if limit <= 20:
        assert search.within == limit


def test_a_search_ends_at_its_bounds() -> None:
    search, run = searched(1_000, high=48)
    assert (search.within, search.beyond) == (48, None)
    assert run == [1, 2, 4, 8, 16, 32, 48]
    search, run = searched(0.5)
    assert (search.within, search.beyond, run) == (None, 1, [1])


def test_rates_are_searched_to_a_twentieth() -> None:
    search, run = searched(3.3, 0.5, 100, whole=False)
    assert search.within is not None
    assert search.beyond is not None
    assert search.within <= 3.3 < search.beyond <= search.within * 1.0501
    assert len(run) <= 10


def test_a_search_is_bounded_whatever_comes_of_the_loads() -> None:
    search = LoadSearch(0.001, 1e6, whole=False, most_loads=6)
    loads = 0
    while (load := search.next()) is not None:
        loads += 1
        search.add(load, within=True)
    assert loads == 6


def test_a_search_needs_bounds_in_order() -> None:
    with pytest.raises(ConfigError, match="first load <= last load"):
        LoadSearch(4, 2, whole=True)


def metrics(good: int, bad: int, *, failed: int = 0, unjudged: int = 0) -> Metrics:
    """Answers of 0.75 s of which so many are within a limit of 1 s, so many not; and failed ones."""
    records = [record(n) for n in range(good)]
    records += [replace(record(n), end_ns=n * 10**9 + 2 * 10**9) for n in range(bad)]
    records += [record(n, outcome="server_error") for n in range(failed)]
    records += [replace(record(n), end_ns=None) for n in range(unjudged)]
    return measure(result(*records).load, goal=Goal(e2e_s=1.0))


@pytest.mark.parametrize(
    ("good", "bad", "failed", "within"),
    [(19, 1, 0, True), (18, 2, 0, False), (19, 0, 1, True), (18, 0, 2, False), (0, 0, 3, False)],
)
def test_nineteen_in_twenty_must_meet_the_limits_and_failed_ones_count_against(
    good: int, bad: int, failed: int, within: bool
) -> None:
    assert judge(metrics(good, bad, failed=failed)).within is within


def test_what_cannot_be_judged_is_on_neither_side() -> None:
    assert judge(metrics(10, 0, unjudged=10)).share == 1.0
    nothing = judge(metrics(0, 0, unjudged=3))
    assert (nothing.within, nothing.share) == (False, None)


def test_a_rate_that_does_not_come_back_as_answers_is_beyond() -> None:
    some = metrics(20, 0)
    assert some.requests_per_s is not None
    assert judge(some, rate=some.requests_per_s).within
    verdict = judge(some, rate=2 * some.requests_per_s)
    assert not verdict.within
    assert "came back" in verdict.why


@dataclass(frozen=True)
class Load:
    metrics: Metrics
    j_per_token: Quantity | None


SENSOR = "scale/one"


def load(cost: float | None, *, within: bool = True, scatter: float = 0.01) -> Load:
    """J/token by one sensor that may be 20 % off, and scatter of its own."""
    terms = (
        {} if cost is None else {SENSOR: (-0.2 * cost, 0.2 * cost), f"scatter/{cost}": (-scatter, scatter)}
    )
    return Load(
        metrics(20, 0) if within else metrics(10, 10),
        None if cost is None else Quantity(cost, unit="J/token", terms=terms),
    )


def test_the_best_are_the_largest_and_the_cheapest_of_those_within() -> None:
    best = best_within(
        [(1, load(4.0)), (2, load(2.0)), (4, load(1.0)), (6, load(1.2)), (8, load(0.5, within=False))]
    )
    assert best.largest is not None
    assert best.cheapest is not None
    assert (best.largest[0], best.cheapest[0]) == (6, 4)
    assert best.alike == ()  # the sensor's 20 % are common to all: 1.2 is dearer than 1.0


def test_costs_that_scatter_cannot_be_told_apart() -> None:
    best = best_within([(1, load(4.0)), (4, load(1.0, scatter=0.2)), (6, load(1.2, scatter=0.2))])
    assert best.alike == (6,)


def test_without_joules_there_is_a_largest_but_no_cheapest() -> None:
    best = best_within([(1, load(None)), (2, load(None, within=False))])
    assert best.largest is not None
    assert best.cheapest is None
    assert best_within([(2, load(None, within=False))]).largest is None

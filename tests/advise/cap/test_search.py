from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.advise.cap import CapCurve, CapSearch, Goal, Window, choose
from wattmark.advise.cap.curve import frost_score
from wattmark.errors import ConfigError

CAPS = [100.0, 125.0, 150.0, 175.0, 200.0, 225.0, 250.0]


def board(cap: float, natural_w: float = 210.0, idle_w: float = 45.0) -> Window:
    """A board whose clock falls as the cap bites: dynamic power goes with the cube of speed (least joules in between)."""
    drawn = min(cap, natural_w)
    speed = ((drawn - idle_w) / (natural_w - idle_w)) ** (1 / 3)
    return Window(cap, 10.0 / speed, drawn)


def find(goal: Goal | None = None, caps: list[float] | None = None) -> CapSearch:
    search = CapSearch(caps or CAPS, goal)
    while (cap := search.next()) is not None:
        search.add(board(cap))
    return search


def test_four_windows_find_the_least_energy() -> None:
    search = find()
    assert len(search.windows) == 4
    assert search.windows[0].cap_w == 250.0
    truth = min(CAPS, key=lambda cap: board(cap).joules)
    choice = search.choice()
    assert choice.cap_w == truth
    assert choice.energy.value == pytest.approx(board(truth).joules / board(250).joules, abs=0.01)
    assert choice.tried
    assert choice.energy.low == choice.energy.high


def test_a_cap_that_was_not_tried_has_an_interval() -> None:
    curve = CapCurve([board(100), board(250)])
    choice = choose(curve, np.array([150.0, 250.0]), Goal())
    assert not choice.tried
    assert choice.energy.low < choice.energy.value < choice.energy.high


@pytest.mark.parametrize("slowdown", [1.02, 1.1, 1.3])
def test_a_slow_down_is_kept_and_the_lowest_cap_is_not_simply_taken(slowdown: float) -> None:
    choice = find(Goal(slowdown=slowdown)).choice()
    kept = [cap for cap in CAPS if board(cap).seconds <= slowdown * 10.0]
    assert choice.cap_w == min(kept, key=lambda cap: board(cap).joules)
    assert board(choice.cap_w).seconds / 10.0 <= slowdown


def test_other_goals() -> None:
    energy, both, much = (find(Goal(delay=m)).choice().cap_w for m in (0, 1, 2))
    assert energy <= both <= much
    assert find(Goal(eta=0.0)).choice().time.value == pytest.approx(1.0, abs=0.01)
    assert find(Goal(eta=1.0)).choice().cap_w == energy
    budget = board(150).joules * 1.001
    within = find(Goal(energy_j=budget)).choice()
    assert board(within.cap_w).joules <= budget * 1.01
    with pytest.raises(ConfigError, match="no cap is within the limits"):
        find(Goal(energy_j=1.0)).choice()


@given(
    st.lists(st.tuples(st.floats(50, 400), st.floats(0.1, 50), st.floats(20, 400)), min_size=2, max_size=8),
    st.floats(50, 400),
)
def test_the_curve_goes_through_what_was_tried_and_stays_between(
    points: list[tuple[float, float, float]], asked: float
) -> None:
    windows = [Window(*point) for point in {round(p[0]): p for p in points}.values()]
    if len(windows) < 2:
        return
    curve = CapCurve(windows)
    for one in windows:
        assert float(curve.seconds(one.cap_w)) == pytest.approx(one.seconds)
        assert float(curve.watts(one.cap_w)) == pytest.approx(one.watts)
    ordered = sorted(windows)
    low = max((one for one in ordered if one.cap_w <= asked), default=ordered[0])
    high = min((one for one in ordered if one.cap_w >= asked), default=ordered[-1])
    ends = sorted((1 / low.seconds, 1 / high.seconds))
    assert ends[0] * (1 - 1e-9) <= 1 / float(curve.seconds(asked)) <= ends[1] * (1 + 1e-9)


@given(st.lists(st.floats(60, 400), min_size=2, max_size=12, unique=True), st.integers(2, 6))
def test_a_search_ends_and_tries_no_cap_twice(caps: list[float], windows: int) -> None:
    search = CapSearch(caps, windows=windows)
    tried: list[float] = []
    while (cap := search.next()) is not None:
        assert cap in caps
        assert cap not in tried
        tried.append(cap)
        search.add(board(cap))
    assert len(tried) == min(windows, len(caps))
    assert tried[0] == max(caps)
    assert search.choice().cap_w in caps


def test_repeated_windows_of_a_cap_are_averaged() -> None:
    curve = CapCurve([Window(100, 10, 90), Window(100, 10, 110), Window(200, 5, 150)])
    assert float(curve.watts(100)) == pytest.approx(100)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: CapSearch([100.0, 100.0]),
        lambda: CapCurve([Window(100, 1, 1)]),
        lambda: CapCurve([Window(100, 0, 1), Window(200, 1, 1)]),
        lambda: CapCurve([Window(100, math.nan, 1), Window(200, 1, 1)]),
        lambda: Goal(delay=-1),
        lambda: Goal(eta=2),
        lambda: Goal(slowdown=0.9),
        lambda: Goal(slowdown=math.nan),
        lambda: Goal(slowdown=math.inf),
        lambda: Goal(energy_j=0),
        lambda: Goal(energy_j=math.nan),
        lambda: choose(CapCurve([board(100), board(200)]), np.array([300.0]), Goal()),
    ],
)
def test_what_cannot_be_is_refused(wrong) -> None:
    with pytest.raises(ConfigError):
        wrong()


def test_frosts_fit_follows_a_curve_of_its_own_form() -> None:
    caps = np.linspace(100, 250, 13)
    x = caps / 250
    truth = 2 * np.exp(-6 * x) + 0.3 / (1 + np.exp(-(8 * x - 5))) + 0.4
    fitted = frost_score(caps, truth)(caps)
    assert np.abs(fitted / truth - 1).max() < 0.02

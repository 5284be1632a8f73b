"""Arrival processes: rates, burstiness, ramps, seeds, and shares for several processes."""

from __future__ import annotations

import math
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.serving.load.arrivals import ClosedLoop, OpenLoop, Replay, Segment, Thinned


def gaps(arrivals: OpenLoop, count: int = 20_000) -> np.ndarray:
    return np.diff(np.array(list(islice(arrivals.offsets_s(), count))))


def test_constant_arrivals_are_evenly_spaced():
    assert list(islice(OpenLoop.at(4, "constant").offsets_s(), 4)) == pytest.approx([0.25, 0.5, 0.75, 1.0])


@pytest.mark.parametrize(("process", "burstiness"), [("poisson", 1.0), ("gamma", 0.25), ("gamma", 4.0)])
def test_gaps_have_the_mean_and_the_burstiness_asked_for(process: str, burstiness: float):
    found = gaps(OpenLoop.at(50, process, burstiness=burstiness, seed=3))
    assert found.mean() == pytest.approx(1 / 50, rel=0.06)
    assert found.std() / found.mean() == pytest.approx(1 / math.sqrt(burstiness), rel=0.06)


def test_one_seed_gives_one_schedule():
    assert list(islice(OpenLoop.at(5, seed=1).offsets_s(), 50)) == list(
        islice(OpenLoop.at(5, seed=1).offsets_s(), 50)
    )
    assert list(islice(OpenLoop.at(5, seed=1).offsets_s(), 50)) != list(
        islice(OpenLoop.at(5, seed=2).offsets_s(), 50)
    )


def test_a_ramp_sends_as_many_as_its_area():
    times = np.array(list(OpenLoop.ramp(0, 100, 10, "constant").offsets_s()))
    assert len(times) == 500
    assert np.sum(times < 5) == pytest.approx(125, abs=1)  # a quarter of the area lies in the first half
    assert times[-1] == pytest.approx(10)


def test_steps_follow_each_other():
    times = np.array(list(OpenLoop.steps([(10, 2), (100, 1), (0, 3), (1, 2)], "constant").offsets_s()))
    assert [np.sum((times > a) & (times <= b)) for a, b in [(0, 2), (2, 3.0001), (3.0001, 6), (6, 8.1)]] == [
        20,
        100,
        0,
        2,
    ]


@given(
    st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200), st.floats(0.01, 5)), min_size=1, max_size=4),
    st.integers(0, 100),
)
@settings(max_examples=50, deadline=None)
def test_arrivals_never_go_back_and_stay_in_their_profile(parts: list[tuple[float, float, float]], seed: int):
    loop = OpenLoop(tuple(Segment(length, a, b) for a, b, length in parts), seed=seed)
    times = list(loop.offsets_s())
    assert all(a <= b for a, b in pairwise(times))
    assert all(0 <= time <= sum(length for _, _, length in parts) * (1 + 1e-9) for time in times)


def test_shares_of_several_processes_make_up_the_whole():
    whole = OpenLoop.steps([(100, 1)], seed=5)
    parts = [list(Thinned(whole, part, 3).offsets_s()) for part in range(3)]
    assert sorted(time for part in parts for time in part) == list(whole.offsets_s())
    users = [share.stages[0][0] for part in range(3) if (share := ClosedLoop.of(8).share(part, 3))]
    assert sum(users) == 8
    assert ClosedLoop.of(1).share(0, 2) is None


def test_a_replay_starts_at_zero_and_can_be_faster():
    assert list(Replay((100.0, 101.0, 104.0), speed=2).offsets_s()) == [0, 0.5, 2.0]


def test_a_closed_loop_in_stages_says_when_it_changes():
    assert ClosedLoop(((2, 5.0), (8, 5.0))).changes() == [(0.0, 2), (5.0, 8), (10.0, 0)]
    assert ClosedLoop.of(3).changes() == [(0.0, 3)]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: OpenLoop.at(0),
        lambda: OpenLoop.at(-1),
        lambda: OpenLoop(()),
        lambda: OpenLoop.at(1, "weekly"),
        lambda: OpenLoop.at(1, "gamma", burstiness=0),
        lambda: Segment(math.inf, 1, 2),
        lambda: Replay((1.0, 0.5)),
        lambda: Replay((1.0,), speed=0),
        lambda: ClosedLoop.of(0),
        lambda: ClosedLoop.of(1, think_time_s=-1),
    ],
)
def test_loads_that_cannot_be_are_refused(wrong):
    with pytest.raises(ConfigError):
        wrong()

from __future__ import annotations

import random

import numpy as np
import pytest

from wattmark.runs.hosts.clocks import MOST_RATE, Bound, ahead_of, host_clock
from wattmark.runs.record import Anchor

S = 1_000_000_000


@pytest.mark.parametrize("seed", range(20))
def test_offset_and_drift_are_found_within_what_is_said_of_them(seed):
    rng = random.Random(seed)
    offset, drift = rng.uniform(-3600, 3600), rng.uniform(-3e-4, 3e-4)
    bounds: list[Bound] = []
    for _ in range(rng.randint(2, 200)):
        at = rng.uniform(0, 3600)
        true = offset + drift * at
        bounds.append(Bound(at, true - rng.uniform(0, 0.01), true + rng.uniform(0, 0.01)))
    ahead = ahead_of(bounds, 0.0, 3600.0)
    assert ahead.consistent
    for at in np.linspace(0, 3600, 11):
        assert abs(ahead.at(np.array([at]))[0] - (offset + drift * at)) <= ahead.half_width_s + 1e-9
    if len(bounds) > 50:
        assert ahead.half_width_s < 0.01
        assert abs(ahead.drift - drift) < 1e-5


def test_one_bound_says_less_the_further_one_goes_from_it():
    near = ahead_of([Bound(0.0, -0.01, 0.01)], 0.0, 1.0)
    far = ahead_of([Bound(0.0, -0.01, 0.01)], 0.0, 1000.0)
    assert near.half_width_s == pytest.approx(0.01 + MOST_RATE, rel=1e-6)
    assert far.half_width_s == pytest.approx(0.01 + 1000 * MOST_RATE, rel=1e-6)


def test_a_clock_that_was_set_fits_no_line_and_the_range_of_all_is_said():
    ahead = ahead_of([Bound(0.0, -0.01, 0.01), Bound(1.0, 4.99, 5.01)], 0.0, 1.0)
    assert not ahead.consistent
    assert ahead.offset_s - ahead.half_width_s <= 0.0
    assert ahead.offset_s + ahead.half_width_s >= 5.0


def test_nothing_known_is_no_clock():
    with pytest.raises(ValueError, match="nothing is known"):
        ahead_of([], 0.0, 1.0)


def test_drift_of_the_monotonic_clock_is_taken_out_by_anchors():
    rate = 1 + 2e-4
    anchors = [Anchor(round(t * S * rate), round(t * S * rate), 10**18 + t * S) for t in range(0, 601, 10)]
    clock = host_clock(anchors, 0, 10**18)
    moments = np.array([-5, 0, 3, 299, 605], np.int64) * S
    there = clock.monotonic(10**18 + moments)
    assert np.abs(there - moments * rate).max() < 100  # ns
    assert np.abs(clock.wall(there) - 10**18 - moments).max() < 100


def test_a_wall_clock_that_was_set_counts_as_it_was_after():
    anchors = [Anchor(t * S, t * S, 10**18 + t * S + (0 if t < 30 else 7 * S)) for t in range(0, 61, 10)]
    clock = host_clock(anchors, 0, 10**18)
    assert clock.stepped_s == pytest.approx(7.0)
    assert clock.wall(np.array([5 * S, 45 * S])).tolist() == [10**18 + 12 * S, 10**18 + 52 * S]

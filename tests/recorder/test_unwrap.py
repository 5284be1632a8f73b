"""Unwrapping must give back the true energy, whatever the counter does, and never invent any."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wattmark.recorder.unwrap import CounterCurve, EnergyCurve, PowerCurve, curve_for, place
from wattmark.sources.base import Accuracy, Channel

SECOND = 1_000_000_000
TICK = SECOND // 10
WRAP = 262_143_328_911
EXACT = Accuracy(0.0, 0.0, 0.0, "test")


def channel(kind="counter", wrap=WRAP, max_power_w=1_500.0, **more):
    return Channel(
        "cpu0/package", "cpu", "rapl", "counter", "test", kind, EXACT, wrap, max_power_w, 61.0, **more
    )  # fmt: skip


def codes(curve):
    return [event[0] for event in curve.events]


def holes(curve):
    return [(e[3]["from_ns"], e[3]["to_ns"]) for e in curve.events if e[0] == "hole"]


def feed_all(curve, readings, tick=TICK):
    return [curve.feed(i * tick, raw) for i, raw in enumerate(readings)]


def test_a_steady_counter_is_a_line_from_zero():
    curve = CounterCurve(channel())
    assert feed_all(curve, [7_000_000, 12_000_000, 12_000_000, 17_000_000]) == [
        0,
        5_000_000,
        5_000_000,
        10_000_000,
    ]
    assert codes(curve) == ["base"]
    assert curve.events[0][3] == {"raw": 7_000_000, "cumulative_uj": 0}
    assert curve.base() == (17_000_000, 10_000_000)


def test_a_wrap_loses_nothing():
    curve = CounterCurve(channel())
    assert feed_all(curve, [WRAP - 3_000_000, 2_000_000, 7_000_000]) == [0, 5_000_000, 10_000_000]
    assert codes(curve) == ["base", "wrap"]
    assert curve.wraps == 1


def test_one_impossible_reading_is_a_glitch_and_costs_nothing():
    curve = CounterCurve(channel())
    assert feed_all(curve, [0, 5_000_000, 90_000_000_000, 15_000_000]) == [0, 5_000_000, None, 15_000_000]
    assert codes(curve) == ["base", "refused_jump"]
    assert curve.longest_gap_ns == 2 * TICK


def test_a_single_zero_is_a_glitch_too():
    curve = CounterCurve(channel())
    assert feed_all(curve, [9_000_000_000, 9_005_000_000, 0, 9_015_000_000]) == [
        0,
        5_000_000,
        None,
        15_000_000,
    ]
    assert holes(curve) == []


def test_a_counter_that_goes_on_from_an_impossible_level_was_reset_and_leaves_a_hole():
    curve = CounterCurve(channel())
    raws = [0, 5_000_000, 90_000_000_000, 90_005_000_000, 90_010_000_000]
    assert feed_all(curve, raws) == [0, 5_000_000, None, 10_000_000, 15_000_000]
    assert codes(curve) == ["base", "refused_jump", "reset", "hole", "base"]
    assert holes(curve) == [(TICK, 2 * TICK)]
    assert curve.events[-1][3] == {"raw": 90_000_000_000, "cumulative_uj": 5_000_000}


def test_a_small_impossible_step_is_not_counted_later_when_time_has_made_it_look_possible():
    curve = CounterCurve(channel())
    curve.feed(0, 0)
    assert curve.feed(TICK, 400_000_000) is None  # 4 kW; after a second the same step would be 400 W
    assert curve.feed(11 * TICK, 450_000_000) == 50_000_000
    assert holes(curve) == [(0, TICK)]


def test_a_backward_step_that_is_no_wrap_is_a_reset():
    curve = CounterCurve(channel())
    assert feed_all(curve, [100_000_000_000, 1_000_000, 6_000_000]) == [0, None, 5_000_000]
    assert holes(curve) == [(0, TICK)]


def test_a_counter_without_a_known_wrap_takes_every_step_back_as_a_reset():
    curve = CounterCurve(channel(wrap=None))
    assert feed_all(curve, [WRAP - 10, 5, 1_000_005]) == [0, None, 1_000_000]
    assert "wrap" not in codes(curve)


def test_missing_readings_are_bridged_with_their_energy_and_the_gap_is_known():
    curve = CounterCurve(channel())
    assert feed_all(curve, [0, None, None, 15_000_000, 20_000_000]) == [0, None, None, 15_000_000, 20_000_000]
    assert codes(curve) == ["base"]
    assert curve.longest_gap_ns == 3 * TICK


@pytest.mark.parametrize("missing", [True, False])
def test_a_gap_in_which_the_counter_may_have_wrapped_twice_is_a_hole_and_not_guessed(missing):
    curve = CounterCurve(channel())
    curve.feed(0, 1_000)
    if missing:
        assert curve.feed(SECOND, None) is None
    back = 200 * SECOND  # 262 kJ / 1500 W = 175 s
    assert curve.feed(back, 50_000_000) == 0
    assert curve.feed(back + TICK, 55_000_000) == 5_000_000
    assert holes(curve) == [(0, back)]
    assert "ambiguous_gap" in codes(curve)


def test_a_counter_that_stood_still_may_catch_up():
    curve = CounterCurve(channel())
    curve.feed(0, 0)
    for ms in range(1, 300):
        assert curve.feed(ms * 1_000_000, 0) == 0
    caught_up = 300_000 * 400  # µJ: 400 W for 300 ms, seen within one millisecond
    assert curve.feed(300_000_000, caught_up) == caught_up
    assert codes(curve) == ["base"]


def test_a_broken_counter_does_not_flood_the_journal():
    curve = CounterCurve(channel())
    curve.feed(0, 10**9)
    for i in range(1, 500):
        assert curve.feed(i * TICK // 10, (i % 3 + 1) * WRAP // 4) is None
    assert len(curve.events) < 10


steps = st.lists(
    st.tuples(
        st.integers(0, 140_000_000),  # µJ in 100 ms: up to 1400 W
        st.sampled_from(["good"] * 6 + ["missing", "glitch"]),
    ),
    min_size=1,
    max_size=60,
)


@given(start=st.integers(0, WRAP - 1), steps=steps)
def test_true_energy_comes_back_exactly_through_wraps_glitches_and_missing_readings(start, steps):
    curve = CounterCurve(channel())
    assert curve.feed(0, start) == 0
    truth, last, glitched = 0, 0, False
    for i, (uj, what) in enumerate(steps, start=1):
        truth += uj
        raw = (start + truth) % WRAP
        if what == "missing":
            assert curve.feed(i * TICK, None) is None
        elif what == "glitch" and not glitched:  # half a turn away can be no advance and no wrap
            glitched = True
            assert curve.feed(i * TICK, (raw + WRAP // 2) % WRAP) is None
        else:
            glitched = False
            value = curve.feed(i * TICK, raw)
            assert value == truth
            assert value >= last
            last = value
    assert holes(curve) == []


def voids(curve):
    return [(e[3]["from_ns"], e[3]["to_ns"]) for e in curve.events if e[0] in ("blip", "catch_up")]


def told(curve, samples):
    """What a reader makes of samples (t_ns, µJ) and events: joules in all, seconds that are not known."""
    inside = voids(curve)
    good = [(t, e) for t, e in samples if e is not None and not any(a < t < b for a, b in inside)]
    unknown = [(a, b) for a, b in holes(curve) if not any(c <= a and b <= d for c, d in inside)]
    assert all(before[1] <= after[1] for before, after in pairwise(good)), "what stands never falls"
    return (good[-1][1] - good[0][1]) / 1e6, sum(b - a for a, b in unknown) / 1e9


garbage = st.one_of(
    st.none(), st.integers(0, WRAP), st.integers(0, 2**70), st.sampled_from([0, WRAP, 2**63, 2**64])
)


@given(
    raws=st.lists(garbage, max_size=60),
    wrap=st.sampled_from([WRAP, None]),
    kind=st.sampled_from(["counter", "energy"]),
)
def test_no_garbage_makes_the_curve_fall_or_rise_faster_than_hardware_can(raws, wrap, kind):
    curve = curve_for(channel(kind, wrap))
    samples = [(i * TICK, curve.feed(i * TICK, raw)) for i, raw in enumerate(raws)]
    known = [(t, e) for t, e in samples if e is not None and not any(a < t < b for a, b in voids(curve))]
    for (before_ns, before), (after_ns, after) in pairwise(known):
        assert 0 <= after - before <= 1_500_000_000 * ((after_ns - before_ns) / 1e9 + 1.1) + 200
        assert after < 2**63


@given(
    period_s=st.sampled_from([0.01, 0.05, 0.1, 0.3, 1.0]),
    watts=st.floats(0.5, 150),
    start=st.one_of(st.integers(0, 10**7), st.integers(10**9, WRAP - 1)),
    wrap=st.sampled_from([WRAP, None]),
    quiet_s=st.floats(1.0, 4.0),
    away_s=st.floats(0.02, 1.5),
    away=st.one_of(
        st.integers(50_000_000, 2_000_000_000),
        st.sampled_from([2**50, 2**64, -1, "zero", "stale"]),
    ),
    times=st.integers(1, 3),
)
@example(
    period_s=0.01, watts=1.0, start=WRAP - 89_000_000, wrap=WRAP, quiet_s=3.0, away_s=0.2, away=10**9, times=1
)
@example(period_s=1.0, watts=5.0, start=0, wrap=None, quiet_s=1.2, away_s=1.3, away="zero", times=3)
@example(period_s=0.01, watts=110.0, start=0, wrap=None, quiet_s=2.0, away_s=1.5, away="stale", times=2)
@example(period_s=0.01, watts=110.0, start=0, wrap=WRAP, quiet_s=1.0, away_s=1.0, away=88_900_123, times=1)
def test_a_counter_that_is_away_for_a_moment_and_comes_back_costs_nothing_at_any_rate(
    period_s, watts, start, wrap, quiet_s, away_s, away, times
):
    """Too high by some joules, at 2^50, beyond its range, below zero, near zero, or at an old value."""
    start += 10**9 * (
        away in ("zero", "stale")
    )  # what falls back by a few joules may as well have begun anew
    if away == "zero":
        start = min(start, WRAP - 10**10)  # and to zero just before the wrap is a wrap
    curve = curve_for(channel(wrap=wrap))
    cycle_s, samples, t = quiet_s + away_s, [], 0.0
    end_s = times * cycle_s + 2.0 + 3 * period_s
    while t < end_s:
        raw = start + watts * t * 1e6
        if t % cycle_s > quiet_s and t < times * cycle_s:
            left = raw - watts * (t % cycle_s - quiet_s) * 1e6
            absolute = {"zero": 200 + raw - left, "stale": max(left - 0.5e6, 0)}
            raw = absolute[away] if away in absolute else away if away in (2**50, 2**64, -1) else raw + away
            raw = raw if raw < 2**40 or not wrap else away
        raw = int(raw) if not wrap or raw in (2**50, 2**64, -1) else int(raw) % WRAP
        samples.append((int(t * SECOND), curve.feed(int(t * SECOND), raw)))
        t += period_s
    joules, unknown_s = told(curve, samples)
    expected = watts * (samples[-1][0] - samples[0][0]) / SECOND
    slack = 1e-3 + 2 * watts * period_s
    assert joules <= expected + slack
    assert joules >= expected - watts * unknown_s - slack
    assert unknown_s <= times * 2 * (away_s + 2 * period_s)


def test_a_blip_is_told_even_where_it_is_possible_and_readings_are_rare():
    curve = CounterCurve(channel())
    level = 10**9
    raws = [level + 6_000_000 * i + (696_000_000 if i in (3, 8) else 0) for i in range(12)]
    samples = [(i * SECOND, curve.feed(i * SECOND, raw)) for i, raw in enumerate(raws)]
    assert told(curve, samples) == (66.0, 0.0)
    assert codes(curve).count("blip") == 2


def test_a_counter_that_begins_at_zero_and_is_reset_to_zero_is_no_blip():
    curve = CounterCurve(channel(wrap=None))
    raws = [3_000_000 * i for i in range(30)] + [3_000_000 * i for i in range(10)]
    samples = [(i * TICK, curve.feed(i * TICK, raw)) for i, raw in enumerate(raws)]
    joules, unknown_s = told(curve, samples)
    assert (joules, unknown_s) == (pytest.approx(29 * 3 + 9 * 3), 0.1)
    assert "reset" in codes(curve)


def test_a_counter_that_stood_still_for_long_and_catches_up_is_bridged():
    curve = CounterCurve(channel(max_power_w=300.0))
    raws = [25_000_000 * (i if i < 10 or i >= 50 else 9) for i in range(60)]
    samples = [(i * TICK, curve.feed(i * TICK, raw)) for i, raw in enumerate(raws)]
    assert told(curve, samples) == (59 * 25.0, 0.0)
    assert codes(curve) == ["base", "refused_jump", "catch_up", "base"]


@pytest.mark.parametrize("raw", [WRAP, WRAP + 5, 10**12, 2**63, 2**64, -1])
@pytest.mark.parametrize("at", [0, 1, 5, 9])
def test_a_reading_beyond_the_range_says_nothing(raw, at):
    curve = CounterCurve(channel())
    raws = [(WRAP - 25_000_000 + 5_000_000 * i) % WRAP for i in range(10)]
    raws[at] = raw
    samples = [(i * TICK, curve.feed(i * TICK, one)) for i, one in enumerate(raws)]
    assert samples[at][1] is None
    assert told(curve, samples)[0] == pytest.approx(45.0 - 5.0 * (at in (0, 9)))


@pytest.mark.parametrize("scope", ["package", "socket", "machine"])
def test_a_power_below_any_idle_is_doubted_and_a_rail_may_be_off(scope):
    curve = PowerCurve(channel("power")._replace(scope=scope))
    assert curve.feed(0, 0.0) is None
    assert curve.feed(TICK, 0.012) is None
    assert codes(curve) == ["below_idle"]
    off = PowerCurve(channel("power")._replace(scope="cpu+gpu rail"))
    assert (off.feed(0, 0.0), off.feed(TICK, 0.0)) == (0, 0)


@given(start=st.integers(0, WRAP - 1), truth=st.integers(0, 5 * WRAP), later=st.integers(-(10**9), 10**9))
def test_a_reading_of_another_process_lands_on_the_curve(start, truth, later):
    base = (start, 0)
    raw = (start + truth + later) % WRAP
    assert place(base, truth, raw, WRAP) == truth + later


def test_power_is_integrated_with_the_real_time_stamps():
    curve = PowerCurve(channel("power"))
    assert curve.feed(0, 100.0) == 0
    assert curve.feed(SECOND, 100.0) == 100_000_000
    assert curve.feed(SECOND + SECOND // 2, 200.0) == 175_000_000


def test_a_short_gap_in_power_is_bridged_and_a_long_one_is_a_hole():
    curve = PowerCurve(channel("power"))
    curve.feed(0, 50.0)
    assert curve.feed(SECOND // 2, None) is None
    assert curve.feed(SECOND, 50.0) == 50_000_000
    assert curve.feed(9 * SECOND, 50.0) == 50_000_000
    assert holes(curve) == [(SECOND, 9 * SECOND)]
    assert curve.feed(10 * SECOND, 50.0) == 100_000_000


def test_slow_recording_is_no_gap():
    curve = PowerCurve(channel("power"), period_s=10.0)
    curve.feed(0, 50.0)
    assert curve.feed(10 * SECOND, 50.0) == 500_000_000
    assert holes(curve) == []


@pytest.mark.parametrize("nonsense", [-1.0, float("nan"), float("inf"), 1_501.0])
def test_power_that_cannot_be_is_refused_once(nonsense):
    curve = PowerCurve(channel("power"))
    curve.feed(0, 50.0)
    assert curve.feed(TICK, nonsense) is None
    assert curve.feed(2 * TICK, nonsense) is None
    assert curve.feed(3 * TICK, 50.0) == 15_000_000
    assert codes(curve) == ["base", "refused_power"]


def test_modelled_energy_starts_at_zero_and_a_step_back_is_a_hole():
    curve = EnergyCurve(channel("energy"))
    assert feed_all(curve, [1_000, 1_500, None, 2_000, 10, 60]) == [0, 500, None, 1_000, None, 1_050]
    assert holes(curve) == [(3 * TICK, 4 * TICK)]


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -1.0, 1e30])
def test_an_energy_that_is_no_number_is_refused(nonsense):
    curve = EnergyCurve(channel("energy", wrap=None))
    assert feed_all(curve, [1_000, 1_500.0, nonsense, 2_000]) == [0, 500, None, 1_000]
    assert codes(curve) == ["base", "out_of_range"]


def test_each_kind_has_its_curve():
    kinds = {kind: type(curve_for(channel(kind))).__name__ for kind in ("counter", "power", "energy")}
    assert kinds == {"counter": "CounterCurve", "power": "PowerCurve", "energy": "EnergyCurve"}
    assert all(curve_for(channel(kind)).base() is None for kind in kinds)

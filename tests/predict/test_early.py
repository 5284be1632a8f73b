"""The total of a run that goes on: settled part, warm-up, interval; M3 and M4."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from wattmark.errors import ConfigError
from wattmark.predict.early import (
    SHIPPED,
    FirstPart,
    Trace,
    WarmUp,
    energy_of_settled,
    mean_power_of_settled,
    settled_epoch,
    without_rise,
)
from wattmark.predict.profile import cumulative_j, first_part


def training(seed: int, *, warm_w: float = 120.0, steady_w: float = 160.0, warm_up: float = 0.1) -> Trace:
    """1,000 s at 1 Hz: a warm-up that now and then draws already what the rest does."""
    random = np.random.default_rng(seed)
    t = np.arange(0.0, 1001.0)
    warm = np.where(random.random(len(t)) < 0.05, steady_w, warm_w)
    return Trace(t, np.where(t < warm_up * 1000, warm, steady_w) + random.normal(0, 1.0, len(t)))


def joules(trace: Trace) -> float:
    return float(cumulative_j(trace.t_s, trace.power_w)[-1])


def early(model: WarmUp, trace: Trace, share: float):
    return model.predict(FirstPart(*first_part(trace.t_s, trace.power_w, share * 1000.0), 1000.0))


def test_a_warm_up_that_is_not_over_is_taken_to_end_at_the_level_of_its_peaks() -> None:
    trace = training(1)
    energy = early(SHIPPED, trace, 0.05).energy
    plain = 1000.0 * float(trace.power_w[:50].mean())
    assert abs(energy.value - joules(trace)) < 0.4 * abs(plain - joules(trace))
    low, high = energy.interval(0.9)
    assert low <= joules(trace) <= high


def test_after_a_rise_that_was_seen_to_end_there_is_no_further_one() -> None:
    energy = early(SHIPPED, training(2), 0.2).energy
    assert energy.value == pytest.approx(joules(training(2)), rel=0.01)


def test_the_interval_gets_narrower_and_ends_at_what_was_measured() -> None:
    trace = training(3)
    widths = [early(SHIPPED, trace, share).energy.half_width for share in (0.02, 0.15, 0.3, 0.75, 1.0)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0.0
    assert early(SHIPPED, trace, 1.0).energy.value == pytest.approx(joules(trace))


def test_less_than_what_the_model_saw_is_said_and_wider() -> None:
    trace = training(4, warm_up=0.0)
    usual, less = early(SHIPPED, trace, 0.02), early(SHIPPED, trace, 0.01)
    assert not usual.outside
    assert "2%" in less.outside[0]
    assert less.energy.half_width > usual.energy.half_width


def test_joules_that_are_known_better_than_the_readings_tell_are_kept() -> None:
    trace = training(5, warm_up=0.0)
    t, watts = first_part(trace.t_s, trace.power_w, 500.0)
    more = SHIPPED.predict(FirstPart(t, watts, 1000.0, seen_j=1e6)).energy
    assert more.value - SHIPPED.predict(FirstPart(t, watts, 1000.0)).energy.value == pytest.approx(
        1e6 - 80e3, rel=1e-3
    )
    assert more.low >= 1e6


def test_a_longer_run_never_costs_less() -> None:
    trace = training(6, warm_up=0.0)
    t, watts = first_part(trace.t_s, trace.power_w, 100.0)
    totals = [
        SHIPPED.predict(FirstPart(t, watts, total_s)).energy.value for total_s in (100, 200, 500, 1000, 5000)
    ]
    assert totals == sorted(totals)


def test_a_fitted_model_holds_on_runs_that_it_has_not_seen_and_pickles() -> None:
    model = pickle.loads(pickle.dumps(WarmUp.fit([training(seed) for seed in range(40)])))
    others = [training(seed) for seed in range(100, 140)]
    for share in (0.05, 0.15, 0.3):
        held = 0
        for trace in others:
            low, high = early(model, trace, share).energy.interval(0.9)
            held += low <= joules(trace) <= high
        assert held >= 32  # of 40; fewer has a probability below 1 % at 90 %


def steady(seed: int, spread: float = 0.25) -> Trace:
    """2,000 s of work that goes up and down, ten seconds at a time, and has no warm-up."""
    random = np.random.default_rng(seed)
    return Trace(np.arange(2000.0), np.repeat(100.0 * random.lognormal(0.0, spread, 200), 10))


def test_a_run_that_goes_up_and_down_is_said_to_be_unlike_and_holds_its_own_mean() -> None:
    for share in (0.05, 0.15, 0.3, 0.5):
        held, unlike = 0, 0
        for seed in range(40):
            trace = steady(seed)
            part = FirstPart(*first_part(trace.t_s, trace.power_w, share * 1999.0), 1999.0)
            found = SHIPPED.predict(part)
            low, high = found.energy.interval(0.9)
            held += low <= joules(trace) <= high
            unlike += any("up and down" in reason for reason in found.outside)
        assert held >= 31  # of 40; fewer has a probability below 1 % at 90 %
        assert unlike >= 30


def test_work_without_an_accelerator_has_no_rise() -> None:
    trace = steady(1)
    part = FirstPart(*first_part(trace.t_s, trace.power_w, 200.0), 1999.0)
    plain, risen = without_rise(SHIPPED).predict(part).energy, SHIPPED.predict(part).energy
    assert plain.value == pytest.approx(joules(trace), rel=0.1)
    assert risen.value > 1.1 * plain.value


def test_kinds_of_work_that_are_new_to_a_fit_widen_its_interval() -> None:
    traces = [training(seed, warm_w=100.0 if seed % 2 else 140.0) for seed in range(40)]
    plain = WarmUp.fit(traces)
    grouped = WarmUp.fit(traces, kinds=[seed % 2 for seed in range(40)])
    assert plain.form == grouped.form
    assert all(wide >= narrow for wide, narrow in zip(grouped.reach, plain.reach, strict=True))
    assert grouped.reach[2] > plain.reach[2]


def test_what_cannot_be_used_is_refused_with_what_to_do() -> None:
    t = np.array([0.0, 1.0, 2.0])
    for times, watts, total_s in (
        (t[:1], t[:1], 10.0),
        (t, np.array([1.0, np.nan, 1.0]), 10.0),
        (t[::-1], t, 10.0),
        (t, t, 1.0),
        (t, t, float("nan")),
    ):
        with pytest.raises(ConfigError) as caught:
            SHIPPED.predict(FirstPart(times, watts, total_s))
        assert caught.value.hint
    with pytest.raises(ConfigError, match="3 runs"):
        WarmUp.fit([training(seed) for seed in range(3)])


def test_m3_and_m4_by_hand() -> None:
    energies = np.array([50.0, 80.0, 100.0, 100.0, 100.0, 100.0, 110.0])
    durations = np.full(7, 2.0)
    assert mean_power_of_settled(energies, durations, 2, 40.0) == pytest.approx(510 / 10 * 40)
    assert energy_of_settled(energies, 2, 20) == pytest.approx(130 + 510 * 18 / 5)
    with pytest.raises(ConfigError, match="7 epochs do not hold 5 from number 3"):
        energy_of_settled(energies, 3, 20)


def test_the_settled_epoch_is_behind_the_last_change_of_level_or_the_latest_that_there_is() -> None:
    warm = np.array([70.0, 80.0, 80.0, 81.0, *[100.0] * 16])
    assert settled_epoch(warm) == 4
    assert settled_epoch(np.array([109.0] * 4 + [100.0] * 16)) == 4
    assert settled_epoch(np.full(20, 100.0)) == 0
    stalls = np.where(np.arange(20) % 5 == 0, 50.0, 100.0)
    assert settled_epoch(stalls) == 15
    late = np.array([70.0] * 17 + [100.0] * 3)
    assert settled_epoch(late) == 15
    with pytest.raises(ConfigError, match="4 epochs do not hold 5"):
        settled_epoch(np.ones(4))

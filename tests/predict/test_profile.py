from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fakes.studies import bounds, trial
from fakes.what_if import a_run
from wattmark.predict.profile import (
    extrapolate,
    extrapolate_epochs,
    extrapolate_run,
    first_part,
    profile,
    settled_block,
    window_errors,
)
from wattmark.studies.results import TrialResult


def warm_up(
    total_s: float = 1000.0, until_s: float = 60.0, cold_w: float = 100.0, hot_w: float = 300.0
) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(0, total_s + 0.5)
    rng = np.random.default_rng(0)
    return t, np.where(t < until_s, cold_w, hot_w) + rng.normal(0, 5, len(t))


def test_a_constant_power_is_settled_from_the_start() -> None:
    assert settled_block(np.full(20, 7.0)) == 0


def test_the_warm_up_is_found_and_left_out() -> None:
    t, p = warm_up()
    got = extrapolate(*first_part(t, p, 150.0), 1000.0)
    assert got.settled_s == pytest.approx(60, abs=8)
    truth = 60 * 100 + 940 * 300
    assert got.total_j.value == pytest.approx(truth, rel=0.01)
    assert got.total_j.low < truth < got.total_j.high


def test_several_levels_are_climbed_one_after_the_other() -> None:
    assert settled_block(np.repeat([1.0, 2.0, 3.0, 4.0], 5)) == 15


def test_a_wave_of_epochs_is_not_taken_for_a_warm_up() -> None:
    wave = 300 + 40 * np.sign(np.sin(np.arange(1000) / 3))
    e = extrapolate(np.arange(1000.0), wave, 10_000.0)
    assert e.total_j.value == pytest.approx(wave.mean() * 10_000, rel=0.01)


def test_what_was_seen_is_kept_so_the_whole_run_has_no_error() -> None:
    t, p = warm_up()
    assert window_errors(t, p, 1.0)[0] == pytest.approx(0, abs=1e-12)


def test_errors_of_the_rule_shrink_with_the_window_and_beat_the_naive_mean() -> None:
    t, p = warm_up()
    errors = [window_errors(t, p, window) for window in (0.1, 0.2, 0.5)]
    assert all(abs(rule) < abs(naive) for rule, naive in errors)
    assert abs(errors[-1][0]) < 0.005


def test_a_profile_longer_than_the_run_or_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot have a profile"):
        extrapolate(np.array([0.0, 5.0]), np.ones(2), 4.0)
    with pytest.raises(ValueError, match="two readings"):
        extrapolate(np.array([0.0]), np.ones(1), 4.0)


def test_readings_that_start_late_do_not_lose_the_time_before_them() -> None:
    assert extrapolate(np.array([2.0, 5.0]), np.full(2, 10.0), 10.0).total_j.value == pytest.approx(100.0)


def test_epochs_are_extrapolated_from_the_settled_ones() -> None:
    epochs = np.array([50.0, 50.0, 80.0, 80.0, 80.0, 80.0])
    assert extrapolate_epochs(epochs, 100) == pytest.approx(100 + 98 * 80)
    assert extrapolate_epochs(np.array([7.0]), 10) == pytest.approx(70)


def with_trace(model: str) -> TrialResult:
    t, p = warm_up()
    one = trial({"model": model}, epochs=20, training_j=2000.0)
    slow_start = [
        replace(s, energy_j=bounds(40.0, 0.0)) if s.attrs.get("epoch") == 0 else s for s in one.stages
    ]
    return replace(one, power_profile=(tuple(t[::3]), tuple(p[::3])), stages=tuple(slow_start))


def test_a_study_reports_the_errors_that_profiling_would_have_made() -> None:
    found = {(row.by, row.window): row for row in profile([with_trace("A"), with_trace("B")])}
    assert found["time", 0.2].trials == 2
    assert found["time", 0.2].mean < 0.02 < found["time", 0.2].naive_mean
    assert found["time", 0.05].bias < -0.5
    assert ("epochs", 0.02) not in found  # 2 % of 20 epochs is no epoch
    assert found["epochs", 0.5].mean < found["epochs", 0.05].mean


def test_trials_without_a_trace_or_with_unmeasured_epochs_say_nothing() -> None:
    one = trial({"model": "A"}, epochs=20)
    assert profile([replace(one, stages=tuple(replace(s, energy_j=None) for s in one.stages))]) == []


def stalled(phase: float, total_s: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    """A run that writes a checkpoint for 60 s of every 210 s."""
    t = np.arange(0.0, total_s + 1)
    return t, np.where((t + phase) % 210 < 60, 80.0, 300.0)


@pytest.mark.parametrize("window", [0.15, 0.2, 0.3])
def test_a_run_with_periodic_stalls_is_not_settled_and_not_worse_than_the_naive_mean(window: float) -> None:
    rule: list[float] = []
    naive: list[float] = []
    for phase in range(0, 210, 15):
        t, p = stalled(phase)
        got = extrapolate(*first_part(t, p, window * 3000), 3000.0)
        truth = float(((p[1:] + p[:-1]) / 2 * np.diff(t)).sum())
        assert got.total_j.low <= truth <= got.total_j.high
        errors = window_errors(t, p, window)
        rule.append(abs(errors[0]))
        naive.append(abs(errors[1]))
    assert np.mean(rule) <= 1.05 * np.mean(naive)
    assert np.mean(rule) < 0.06


def test_a_level_that_comes_back_is_no_end_of_a_warm_up() -> None:
    assert settled_block(np.repeat([300.0, 80.0, 300.0], [6, 5, 9])) is None


def test_a_fall_at_the_end_is_not_taken_for_the_rest() -> None:
    assert settled_block(np.repeat([300.0, 80.0], [15, 5])) is None
    assert settled_block(np.repeat([300.0, 80.0], [5, 15])) == 5


def test_what_has_not_settled_has_a_wider_interval_and_says_so() -> None:
    t = np.arange(0.0, 301)
    calm = extrapolate(t, np.full(301, 250.0), 3000.0)
    wild = extrapolate(*first_part(*stalled(100), 300.0), 3000.0)
    assert calm.settled_s == 0
    assert wild.settled_s is None
    assert wild.total_j.half_width > 2 * calm.total_j.half_width


def test_the_interval_shrinks_to_nothing_at_the_end_of_the_run() -> None:
    t, p = warm_up()
    shares = [extrapolate(*first_part(t, p, w * 1000), 1000.0).total_j.half_width for w in (0.2, 0.5, 1.0)]
    assert shares[0] > shares[1] > shares[2] == 0


def test_any_run_can_be_extrapolated_from_its_own_joules() -> None:
    view = a_run(epochs=5)
    whole = sum(quantity.value for quantity in view.energy_by_component.values())
    same = extrapolate_run(view, view.record.duration_s)
    assert same.total_j.value == pytest.approx(whole, rel=1e-6)
    longer = extrapolate_run(view, 10 * view.record.duration_s)
    assert longer.total_j.low < longer.total_j.value < longer.total_j.high
    assert longer.total_j.value > 5 * whole
    with pytest.raises(ValueError, match="cannot have a profile"):
        extrapolate_run(view, view.record.duration_s / 2)

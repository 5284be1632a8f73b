from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.impact.series import IntensitySeries
from wattmark.plan.pausing import step_for, verdict

START = 1_767_225_600.0
DAY = 86_400.0


def series(values: np.ndarray, step_s: float = 3600.0, start: float = START) -> IntensitySeries:
    return IntensitySeries.of(
        [(start + step_s * at, start + step_s * (at + 1), float(v)) for at, v in enumerate(values)]
    )


def drive(
    grid: IntensitySeries,
    duration: float,
    within: float,
    step: float,
    cost: float = 0.0,
    start: float = START,
):
    """Run a job by the verdicts; (grams by steps, pieces, seconds at which it was done)."""
    now, done, running, pieces, sum_ = start, 0.0, False, 0, 0.0
    while done < duration - 1e-6:
        seen = verdict(
            grid, now, duration - done, start + within, running=running, cost_s=cost if pieces else 0.0
        )
        pieces += seen.run and not running
        running = seen.run
        if running:
            done += step
            sum_ += seen.now_g_per_kwh * step
        now += step
        assert now <= start + within + 1e-6, "the deadline was missed"
    return sum_, pieces, now - start


def test_it_runs_in_the_cheapest_hours_of_a_known_day() -> None:
    values = np.array([9, 1, 1, 9, 9, 1, 9, 9, 9, 9], float)
    grams, pieces, _ = drive(series(values), 3 * 3600, 10 * 3600, 3600)
    assert grams == pytest.approx(3 * 3600)
    assert pieces == 2


def test_a_pause_must_be_worth_its_cost() -> None:
    values = np.array([10, 10, 11, 10, 10, 10, 10, 10], float)
    assert drive(series(values), 4 * 3600, 8 * 3600, 3600, cost=1800)[1] == 1
    assert drive(series(values), 4 * 3600, 8 * 3600, 3600)[1] == 2


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 20))
def test_a_deadline_that_can_be_kept_is_kept(seed: int, steps: int, slack: int) -> None:
    values = np.random.default_rng(seed).normal(100, 80, steps + slack)  # also below zero
    drive(series(values), steps * 3600.0, (steps + slack) * 3600.0, 3600)


def test_what_the_series_does_not_tell_is_forecast() -> None:
    day = 300 - 200 * np.cos((np.arange(24) - 11.5) / 24 * 2 * np.pi)
    grid = series(np.tile(day, 10))
    end = START + 10 * DAY
    known, forecast = (series(np.tile(day, 12)), grid)
    for hour in range(0, 24, 3):
        at = end + hour * 3600.0
        seen = [verdict(one, at, 4 * 3600, end + DAY, running=False).run for one in (known, forecast)]
        assert seen[0] == seen[1], hour


def test_the_deadline_leaves_no_choice() -> None:
    seen = verdict(series(np.array([9.0, 1, 1])), START, 3 * 3600, START + 3 * 3600, running=False)
    assert seen.run
    assert seen.forced
    assert verdict(series(np.array([9.0, 1, 1])), START, 0.0, START + 3 * 3600, running=True).run


def test_steps_are_the_series_own_and_not_too_many() -> None:
    grid = series(np.ones(50), 5.0)
    assert step_for(grid, 100.0) == 5.0
    assert step_for(grid, 1e6) == 500.0
    assert step_for(series(np.ones(50), 0.2), 10.0) == 1.0


def test_a_series_that_tells_nothing_before_now_has_its_first_value() -> None:
    grid = series(np.array([5.0, 6.0]), start=START + 10 * DAY)
    assert verdict(grid, START, 3600, START + 7200, running=False).now_g_per_kwh == 5.0


def test_no_series_at_all_is_an_error() -> None:
    with pytest.raises(ConfigError):
        IntensitySeries.of([])

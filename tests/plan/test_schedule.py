"""Schedules against brute force, the step-by-step rule against its promises."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.plan.backtest import all_starts, along
from wattmark.plan.forecast import Season
from wattmark.plan.schedule import Controller, best_pieces, best_start, start_now

intensities = st.lists(st.floats(-50, 500), min_size=1, max_size=9)


def cost_of(values: np.ndarray, chosen: tuple[int, ...], checkpoint: float) -> float:
    resumed = [at for place, at in enumerate(chosen) if place and chosen[place - 1] != at - 1]
    return float(values[list(chosen)].sum() + checkpoint * values[resumed].sum())


@given(intensities, st.integers(1, 9), st.sampled_from([0.0, 0.3, 2.0]))
def test_the_best_is_the_best_of_all(values: list[float], steps: int, checkpoint: float) -> None:
    series = np.array(values)
    if steps > len(series):
        for way in (best_start, best_pieces, start_now):
            with pytest.raises(ConfigError, match="before the job can be done"):
                way(series, steps)
        return
    every = [cost_of(series, chosen, checkpoint) for chosen in combinations(range(len(series)), steps)]
    option = best_pieces(series, steps, checkpoint)
    assert option.running.sum() == steps
    assert option.mean_g_per_kwh * steps == pytest.approx(min(every), abs=1e-6)
    chosen = tuple(np.flatnonzero(option.running).tolist())
    assert cost_of(series, chosen, checkpoint) == pytest.approx(min(every), abs=1e-6)
    one = best_start(series, steps)
    assert one.pieces == 1
    singles = [series[at : at + steps].sum() for at in range(len(series) - steps + 1)]
    assert one.mean_g_per_kwh * steps == pytest.approx(min(singles), abs=1e-6)
    assert start_now(series, steps).mean_g_per_kwh * steps == pytest.approx(singles[0], abs=1e-6)


def test_all_starts_at_once_are_what_each_is_alone() -> None:
    series = np.random.default_rng(1).uniform(50, 500, 400)
    known = all_starts(series, 7, 40)
    assert len(known.one) == 361
    for at in (0, 17, 360):
        window = series[at : at + 40]
        assert known.at_once[at] == pytest.approx(start_now(window, 7).mean_g_per_kwh)
        assert known.one[at] == pytest.approx(best_start(window, 7).mean_g_per_kwh)
        assert known.pieces[at] == pytest.approx(best_pieces(window, 7).mean_g_per_kwh)


@given(
    st.lists(st.floats(-20, 400, allow_nan=False) | st.just(float("nan")), min_size=1, max_size=40),
    st.integers(1, 40),
    st.booleans(),
    st.floats(0, 3),
    st.floats(0, 0.999),
)
def test_the_rule_always_meets_the_deadline(
    future: list[float], steps: int, pausable: bool, checkpoint: float, decay: float
) -> None:
    model = Season(np.linspace(10, 300, 24), decay, 3)
    if steps > len(future):
        with pytest.raises(ConfigError):
            Controller(model, steps, len(future))
        return
    controller = Controller(model, steps, len(future), pausable=pausable, checkpoint_steps=checkpoint)
    ran = [controller.step(value) for value in future]
    assert sum(ran) == steps
    if not pausable:
        first = ran.index(True)
        assert all(ran[first : first + steps])


def test_a_perfect_forecast_makes_the_rule_exact() -> None:
    day = 200 + 150 * np.sin(np.arange(24) / 24 * 2 * np.pi)
    mean, pieces = along(Season(day, 0.0, 14), day, 6, pausable=True)
    assert mean == pytest.approx(best_pieces(day, 6).mean_g_per_kwh)
    assert pieces == 1
    assert along(Season(day, 0.0, 14), day, 6, pausable=False)[0] == pytest.approx(
        best_start(day, 6).mean_g_per_kwh
    )


def test_a_dear_checkpoint_keeps_the_job_in_one_piece() -> None:
    series = np.array([10.0, 90.0, 10.0, 90.0, 10.0, 90.0, 30.0, 30.0, 30.0])
    assert best_pieces(series, 3).pieces == 3
    assert best_pieces(series, 3, checkpoint_steps=50).running.tolist() == [False] * 6 + [True] * 3

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.quantity import spread
from wattmark.runs.energy import CurveEnergy
from wattmark.runs.record import Curve
from wattmark.sources.base import Accuracy, Channel

S = 1_000_000_000
EXACT = Accuracy(0.0, 0.0, 0.0, "exact")


def channel(**changes: object) -> Channel:
    base = Channel(
        "cpu0/package",
        "cpu",
        "rapl",
        "counter",
        "package",
        "counter",
        EXACT,
        resolution_uj=0.0,
        update_period_s=0.0,
    )
    return base._replace(**changes)


def ns(seconds: list[float]) -> np.ndarray:
    return (np.array(seconds) * S).astype(np.int64)


def curve(
    t_s: list[float], energy_j: list[float], holes: list[tuple[float, float]] | None = None, **changes
) -> CurveEnergy:
    found = np.array([[a * S, b * S] for a, b in holes or []], np.int64).reshape(-1, 2)
    return CurveEnergy(
        Curve(
            channel(**changes),
            (np.array(t_s) * S).astype(np.int64),
            np.round(np.array(energy_j) * 1e6).astype(np.int64),
            found,
        )
    )


def between(energy: CurveEnergy, start_s: float, end_s: float):
    return energy.between(np.array([int(start_s * S)]), np.array([int(end_s * S)]))


def test_constant_power_is_exact_at_any_edge() -> None:
    energy = curve([0, 1, 2, 3, 4], [0, 50, 100, 150, 200])
    got = between(energy, 0.37, 2.91)
    assert got.value_j[0] == pytest.approx(50 * 2.54)
    assert got.low_j[0] <= got.value_j[0] <= got.high_j[0]
    assert got.covered_s[0] == pytest.approx(2.54)


steps = st.lists(st.tuples(st.floats(0.01, 2.0), st.floats(0, 400)), min_size=3, max_size=30)


def staircase(parts: list[tuple[float, float]]) -> CurveEnergy:
    times = np.concatenate(([0.0], np.cumsum([length for length, _ in parts])))
    energies = np.concatenate(([0.0], np.cumsum([length * watts for length, watts in parts])))
    return curve(times.tolist(), energies.tolist())


@given(steps, st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_parts_that_tile_a_time_sum_to_it(parts: list[tuple[float, float]], cuts: list[float]) -> None:
    energy = staircase(parts)
    end = sum(length for length, _ in parts)
    edges = np.unique(np.round(np.array([0.0, *sorted(cuts), 1.0]) * end * S).astype(np.int64))
    pieces = energy.between(edges[:-1], edges[1:])
    whole = energy.between(edges[:1], edges[-1:])
    assert pieces.value_j.sum() == pytest.approx(whole.value_j[0], rel=1e-9, abs=1e-6)
    assert (pieces.low_j <= pieces.value_j).all()
    assert (pieces.value_j <= pieces.high_j).all()
    assert (pieces.value_j >= 0).all()


@given(st.floats(5, 95), st.floats(0.05, 3.0), st.floats(0, 5), st.floats(0.001, 4))
def test_the_interval_holds_the_truth_of_a_wave_that_the_samples_blur(
    low_w: float, period_s: float, start: float, length: float
) -> None:
    """A square wave sampled at 10 Hz: wherever an interval begins and ends, the truth is inside its bounds."""
    high_w = 100.0

    def true_j(t: np.ndarray) -> np.ndarray:
        whole, rest = np.divmod(t, period_s)
        half = period_s / 2
        return (
            whole * half * (low_w + high_w)
            + np.minimum(rest, half) * low_w
            + np.maximum(rest - half, 0) * high_w
        )

    t = np.arange(0, 10.05, 0.1)
    energy = curve(t.tolist(), true_j(t).tolist())
    got = between(energy, start, start + length)
    truth = float(true_j(np.array([start + length]))[0] - true_j(np.array([start]))[0])
    seen = np.diff(true_j(t)) / 0.1
    if 0.8 * seen.min() <= low_w and 1.25 * seen.max() >= high_w:  # the run has shown its range
        assert got.low_j[0] - 1e-3 <= truth <= got.high_j[0] + 1e-3


def test_a_hole_adds_no_energy_and_is_not_covered() -> None:
    energy = curve([0, 1, 2, 8, 9, 10], [0, 10, 20, 20, 30, 40], holes=[(2, 8)])
    got = between(energy, 0, 10)
    assert got.value_j[0] == pytest.approx(40)
    assert got.covered_s[0] == pytest.approx(4)


def test_time_far_beyond_the_samples_is_not_covered() -> None:
    energy = curve([0, 1, 2, 3], [0, 10, 20, 30])
    got = between(energy, 0, 100)
    assert got.covered_s[0] == pytest.approx(5)
    assert got.value_j[0] == pytest.approx(50)
    nothing = between(energy, 50, 60)
    assert nothing.covered_s[0] == 0
    assert nothing.value_j[0] == 0


def test_accuracy_resolution_and_lag_widen_the_interval() -> None:
    plain = curve([0, 1, 2, 3], [0, 10, 20, 30])
    rough = curve(
        [0, 1, 2, 3],
        [0, 10, 20, 30],
        accuracy=Accuracy(0.1, 0.2, 1.0, "x"),
        resolution_uj=1e5,
        update_period_s=0.01,
    )
    sharp, wide = between(plain, 0.5, 2.5), between(rough, 0.5, 2.5)
    edge = (1 - 0.05**0.5) * math.hypot(10 * 0.01, 0.1)  # a step of time or of energy at each of two edges
    below, above = spread(
        [(-2.0, 4.0), (-2.0, 2.0), (-edge, edge), (sharp.low_j[0] - 20, sharp.high_j[0] - 20)]
    )
    assert wide.high_j[0] == pytest.approx(20 + above, rel=1e-6)
    assert wide.low_j[0] == pytest.approx(20 - below, rel=1e-6)


def test_a_short_piece_of_a_sampling_interval_has_no_more_than_the_highest_power_gives() -> None:
    energy = curve([0, 1, 2, 3, 4], [0, 10, 20, 60, 70])  # 10 W, and 40 W for a second
    got = between(energy, 0.45, 0.55)
    assert got.value_j[0] == pytest.approx(1.0)
    assert got.high_j[0] == pytest.approx(10 - 0.9 * 10 * 0.8)  # the rest has at least the least power
    assert got.low_j[0] == pytest.approx(0.1 * 10 * 0.8)


def test_edges_of_neighbours_cancel_in_a_group() -> None:
    energy = curve([0, 1, 2, 3, 4], [0, 10, 30, 40, 60])
    starts, ends = ns([0.0, 0.3, 1.5, 2.6]), ns([0.3, 1.5, 2.6, 4.0])
    whole, group = energy.between(ns([0.0]), ns([4.0])), energy.union(starts, ends)
    assert group.value_j[0] == pytest.approx(60)
    assert (group.low_j[0], group.high_j[0]) == pytest.approx((whole.low_j[0], whole.high_j[0]))
    apart = energy.union(ns([0.2, 2.2]), ns([0.4, 2.4]))
    assert apart.low_j[0] < apart.value_j[0] < apart.high_j[0] <= 0.4 * 20 * 1.25 + 1e-9


def test_the_sum_of_weighted_intervals_keeps_the_scale_and_averages_the_edges() -> None:
    rough = curve([0, 1, 2, 3, 4], [0, 10, 20, 30, 40], accuracy=Accuracy(0.5, 0.5, 0.0, "x"))
    each = rough.between(ns([0, 1, 2, 3]), ns([1, 2, 3, 4]))
    half = each.weighted(np.full(4, 0.5))
    assert half.value == pytest.approx(20)
    assert half.only("scale").interval() == pytest.approx((10, 30))


@pytest.mark.parametrize("samples", [0, 1])
def test_a_curve_without_a_length_has_no_energy(samples: int) -> None:
    energy = curve([1.0] * samples, [5.0] * samples)
    got = between(energy, 0, 10)
    assert got.value_j[0] == 0
    assert got.covered_s[0] == 0


def test_peak_power_ignores_steps_that_are_too_short() -> None:
    energy = curve([0, 1, 2, 2.001, 3], [0, 10, 30, 40, 50])
    assert energy.peak_power_w(0, 3 * S, at_least_s=0.5) == pytest.approx(20)
    assert energy.peak_power_w(0, 3 * S) == pytest.approx(10_000)

"""Every interval there is: both of its ends, against scipy's or worked out by hand, and how often it holds the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from wattmark.quantity import Quantity
from wattmark.statistics import (
    NORMAL_MEAN_FROM,
    Pooled,
    beta_cdf,
    central,
    difference_of_means,
    f_tail,
    finite,
    jointly_drawn,
    mean_half_width,
    mean_interval,
    mean_of,
    percentile,
    ranks,
    resampled,
    resampled_mean,
    t_quantile,
    t_tail,
    welch,
)

samples = st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=2, max_size=12)


@given(st.floats(0.2, 1e7), st.floats(0.55, 0.999_999))
def test_quantiles_of_t_are_those_of_scipy(freedom: float, probability: float) -> None:
    quantile = t_quantile(
        freedom, probability
    )  # held against the tail: old releases of scipy invert it to 1e-8 only
    assert stats.t.sf(quantile, freedom) == pytest.approx(1 - probability, rel=1e-9)


@given(st.floats(1, 1e4), st.floats(0.001, 0.999))
def test_quantiles_of_t_are_symmetric_and_undo_its_tail(freedom: float, probability: float) -> None:
    t = t_quantile(freedom, probability)
    assert t == pytest.approx(-t_quantile(freedom, 1 - probability), rel=1e-9, abs=1e-12)
    assert t_tail(freedom, t) == pytest.approx(1 - probability, rel=1e-9)


def test_with_endless_freedom_t_is_the_normal_distribution() -> None:
    assert t_quantile(math.inf) == pytest.approx(1.959963984540054, rel=1e-12)
    assert t_quantile(7, 0.5) == 0.0


@pytest.mark.parametrize(("freedom", "probability"), [(0, 0.9), (-1, 0.9), (math.nan, 0.9), (3, 0), (3, 1)])
def test_what_has_no_quantile_is_said(freedom: float, probability: float) -> None:
    with pytest.raises(ValueError, match="no quantile of t"):
        t_quantile(freedom, probability)


@given(st.floats(0, 1), st.floats(0.3, 500), st.floats(0.3, 500))
def test_the_incomplete_beta_function_is_that_of_scipy(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), abs=1e-11)


# --- means ---


@given(samples)
def test_the_interval_of_a_mean_has_the_ends_of_students(values: list[float]) -> None:
    mean = mean_interval(np.array(values), signed=True)
    assert mean is not None
    error = stats.sem(values)
    low, high = (
        stats.t.interval(0.95, len(values) - 1, np.mean(values), error) if error > 0 else (values[0],) * 2
    )
    assert (mean.low, mean.high) == pytest.approx((low, high), abs=1e-6)
    assert mean_half_width(values) == pytest.approx((high - low) / 2, abs=1e-6)


def test_one_repeat_does_not_scatter() -> None:
    mean = mean_interval(np.array([10.0]))
    assert mean is not None
    assert (mean.value, mean.low, mean.high) == (10.0, 10.0, 10.0)
    assert mean_half_width([10.0]) is None


def test_what_is_not_known_does_not_count() -> None:
    nan = math.nan
    mean = mean_interval(np.array([nan, 10.0, 10.0]), "J")
    assert mean is not None
    assert (mean.value, mean.low, mean.high, mean.unit) == (10.0, 10.0, 10.0, "J")
    assert mean_interval(np.array([nan])) is None
    assert mean_interval(np.array([])) is None
    assert mean_of([None, 1.0, 3.0]) == 2.0
    assert mean_of([None]) is None


def test_what_cannot_be_negative_has_no_interval_that_is() -> None:
    values = np.array([0.0, 10.0])
    plain, signed = mean_interval(values), mean_interval(values, signed=True)
    assert plain is not None
    assert signed is not None
    assert plain.low == 0.0
    assert signed.low == pytest.approx(5 - 12.7062 * 5, abs=1e-3)
    assert plain.high == signed.high


@given(samples, samples)
def test_a_difference_of_two_groups_has_the_ends_of_welchs(first: list[float], second: list[float]) -> None:
    assume(min(np.ptp(first), np.ptp(second)) > 0.01)  # scipy warns of what does not scatter
    gap, half = difference_of_means(first, second)
    oracle = stats.ttest_ind(second, first, equal_var=False).confidence_interval(0.95)
    assert (gap - half, gap + half) == pytest.approx((oracle.low, oracle.high), rel=1e-6, abs=1e-6)


def test_a_group_that_does_not_scatter_leaves_the_other_its_freedom() -> None:
    gap, half = difference_of_means([5.0, 5.0], [9.0, 10.0, 11.0])
    assert (gap, half) == pytest.approx((5.0, stats.t.ppf(0.975, 2) / math.sqrt(3)))
    assert difference_of_means([5.0, 5.0], [7.0, 7.0]) == (2.0, 0.0)


def test_a_single_value_against_a_group_spreads_as_the_group_does() -> None:
    group = [9.0, 10.0, 11.0]
    expected = stats.t.ppf(0.975, 2) * math.sqrt(1 + 1 / 3)
    assert difference_of_means(group, [20.0]) == pytest.approx((10.0, expected))
    assert difference_of_means([20.0], group) == pytest.approx((-10.0, expected))
    with pytest.raises(ValueError, match="two values or more"):
        difference_of_means([1.0], [2.0])
    assert welch([0.0, 0.0], [1, 1]) == (0.0, 1.0)


def test_a_resampled_mean_holds_the_truth_of_a_skewed_sample() -> None:
    dice = np.random.default_rng(3)
    held = [0, 0]
    for number in range(300):
        found = resampled_mean(dice.exponential(size=60), seed=number)
        assert found.low is not None
        assert found.high is not None
        held[0] += found.low <= 1
        held[1] += found.high >= 1
    assert 0.95 <= held[0] / 300 < 1  # each end leaves out a few of a hundred
    assert 0.92 <= held[1] / 300 < 1


def test_a_mean_of_many_values_is_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).exponential(size=NORMAL_MEAN_FROM + 1)
    found = resampled_mean(values)
    half = 1.959964 * values.std(ddof=1) / math.sqrt(len(values))
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half))
    assert resampled_mean(np.array([2.0])).low is None


# --- order statistics ---


@given(st.integers(1, 3_000), st.sampled_from([0.05, 0.5, 0.9, 0.95, 0.99]))
@settings(max_examples=60)
def test_ranks_are_the_innermost_that_leave_out_at_most_what_they_may(count: int, share: float) -> None:
    low, high = ranks(count, share)
    below = stats.binom(count, share)
    # the place p (from 0) is above the truth if at most p values are below it: P(B <= p); not above it: P(B > p)
    fewest = -1 if low is None else low
    assert fewest < 0 or below.cdf(fewest) <= 0.025 + 1e-12
    assert below.cdf(fewest + 1) > 0.025 - 1e-12
    most = count if high is None else high
    assert most == count or below.sf(most) <= 0.025 + 1e-12
    assert most == 0 or below.sf(most - 1) > 0.025 - 1e-12


def test_a_median_has_an_interval_from_six_values_on() -> None:
    five, six, nine = (percentile(np.arange(float(count)), 50) for count in (5, 6, 9))
    assert (five.low, five.high) == (None, None)
    assert (six.low, six.high) == (0.0, 5.0)  # misses with 2 / 2**6
    assert (nine.low, nine.high) == (1.0, 7.0)  # misses with 20 / 2**9; one rank further in, 92 / 2**9


def test_a_small_sample_does_not_bound_its_99th_percentile() -> None:
    found = percentile(np.arange(20.0)[::-1], 99)
    assert found.low is not None
    assert found.high is None


@pytest.mark.parametrize(("count", "percent"), [(60, 50), (200, 90), (1_500, 95)])
def test_intervals_of_percentiles_hold_the_truth_as_often_as_they_say(count: int, percent: float) -> None:
    dice = np.random.default_rng(5)
    truth = -np.log(1 - percent / 100)
    inside = 0
    for _ in range(400):
        found = percentile(dice.exponential(size=count), percent)
        assert found.low is not None
        inside += found.low <= truth <= (np.inf if found.high is None else found.high)
    assert 0.92 <= inside / 400 <= 0.995


# --- resampling ---


def test_resamples_are_drawn_from_the_sample_with_replacement_and_again_alike() -> None:
    values = np.array([1.0, 2.0, 4.0])
    drawn = resampled(values, 200, seed=1)
    assert drawn.shape == (200, 3)
    assert set(np.unique(drawn)) == {1.0, 2.0, 4.0}
    assert len({tuple(row) for row in drawn.tolist()}) == 27
    assert (drawn == resampled(values, 200, seed=1)).all()


def test_the_central_part_leaves_out_as_much_at_either_end() -> None:
    assert central(np.arange(1001.0)) == pytest.approx((25.0, 975.0))
    assert (finite(math.nan), finite(math.inf), finite(2)) == (None, None, 2.0)


def test_a_linear_fit_is_that_of_least_squares_and_its_errors_hold() -> None:
    from wattmark.statistics import linear_fit

    rng = np.random.default_rng(2)
    x = np.column_stack([np.ones(40), rng.uniform(0, 10, 40)])
    held = 0
    for _ in range(200):
        y = x @ [3.0, 2.0] + rng.normal(0, 1.5, 40)
        fit = linear_fit(x, y)
        assert fit.coefficients == pytest.approx(np.linalg.lstsq(x, y, rcond=None)[0])
        reach = np.sqrt(((np.array([1.0, 20.0]) @ fit.errors().T) ** 2).sum())
        held += abs(np.array([1.0, 20.0]) @ (fit.coefficients - [3.0, 2.0])) <= reach
    assert 180 <= held <= 199, "a binomial of 200 and 0.95"


def test_a_prior_decides_where_the_data_do_not_and_gives_way_where_they_do() -> None:
    from wattmark.statistics import linear_fit

    x = np.column_stack([np.ones(30), np.tile([1.0, 2.0, 3.0], 10)])
    y = x @ [1.0, 4.0] + np.tile([0.01, -0.01], 15)
    told = linear_fit(x, y, np.array([[0.0, math.inf], [0.0, 100.0]]))
    assert told.coefficients == pytest.approx([1.0, 4.0], abs=0.02)
    blind = np.column_stack([np.ones(30), np.full(30, 2.0)])
    with pytest.raises(ValueError, match="fewer levels"):
        linear_fit(blind, y)
    held = linear_fit(blind, y, np.array([[0.0, math.inf], [4.0, 0.5]]))
    assert held.coefficients[1] == pytest.approx(4.0)
    assert held.errors()[:, 1] @ held.errors()[:, 1] == pytest.approx((0.5 * 2.05) ** 2, rel=0.01)


def test_residuals_that_are_alike_tell_less() -> None:
    from wattmark.statistics import linear_fit

    rng = np.random.default_rng(4)
    x = np.ones((200, 1))
    drift = np.cumsum(rng.normal(0, 0.1, 200))
    assert linear_fit(x, drift, in_order=True).errors()[0, 0] > 3 * linear_fit(x, drift).errors()[0, 0]
    plain = rng.normal(0, 1, 200)
    assert linear_fit(x, plain, in_order=True).errors()[0, 0] < 1.4 * linear_fit(x, plain).errors()[0, 0]


@pytest.mark.parametrize(
    ("ratio", "freedom", "other"), [(1.0, 3, 7), (4.2, 2, 18), (0.3, 10, 5), (19.0, 1, 9)]
)
def test_the_tail_of_f_is_scipys(ratio: float, freedom: int, other: int) -> None:
    expected = float(stats.f.sf(ratio, freedom, other))
    assert f_tail(3.0 * ratio, freedom, 3.0, other) == pytest.approx(expected, rel=1e-9)
    assert f_tail(1.0, freedom, 0.0, other) == 0.0


def test_groups_that_scatter_alike_tell_of_one_another_and_one_that_does_not_is_judged_alone() -> None:
    groups = [[10.0, 10.2], [20.0, 20.2], [30.0, 30.2], [40.0, 40.2], [50.0, 53.0]]
    even = Pooled.of(groups[:4])
    assert even is not None
    assert (even.variance, even.freedom) == (pytest.approx(0.02), 4)
    assert even.half_width(groups[0], groups[1]) == pytest.approx(t_quantile(4) * 0.02**0.5)
    assert even.half_width(groups[0], [7.0]) == pytest.approx(t_quantile(4) * (0.02 * 1.5) ** 0.5)
    assert even.half_width(groups[0], groups[4]) is None  # scatters fifteen times as far
    assert Pooled.of([[1.0], [2.0]]) is None


def test_errors_that_several_numbers_have_are_drawn_once() -> None:
    def sensed(value: float, own: str) -> Quantity:
        terms = {"scale": (-0.4 * value, 0.6 * value), own: (-1.0, 1.0)}
        return Quantity(value, terms=terms, at_least=0.0)

    drawn = jointly_drawn([sensed(10, "a"), sensed(20, "b"), sensed(1, "c")], 20_000, seed=3)
    assert drawn.shape == (20_000, 3)
    assert drawn.min() >= 0.0
    alike = np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]
    assert alike > 0.95
    low, high = np.quantile(drawn[:, 1], (0.025, 0.975))
    assert (low, high) == (pytest.approx(20 - 64**0.5, abs=0.4), pytest.approx(20 + 12.04, abs=0.5))
    student = jointly_drawn([Quantity(0.0, terms={"x": (-1.0, 1.0)})], 40_000, freedoms={"x": 2})
    assert np.mean(np.abs(student) > 1) == pytest.approx(0.05, abs=0.006)

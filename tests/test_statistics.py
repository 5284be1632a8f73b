"""Every interval there is, against scipy's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from wattmark.statistics import beta_cdf, t_quantile, t_tail


@given(st.floats(0.2, 1e7), st.floats(0.55, 0.999_999))
def test_quantiles_of_t_are_those_of_scipy(freedom: float, probability: float) -> None:
    assert t_quantile(freedom, probability) == pytest.approx(stats.t.ppf(probability, freedom), rel=1e-9)


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

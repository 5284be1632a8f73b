"""Widths that hold as often as they say for groups that were not seen."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wattmark.predict import conformal


def test_the_interval_holds_for_new_groups_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held: list[bool] = []
    for _ in range(400):
        sizes = rng.integers(1, 30, 40)
        groups = np.repeat(np.arange(40), sizes)
        errors = (rng.normal(0, 0.3, 40)[groups]) + rng.normal(0, 0.1, len(groups))
        new = rng.normal(0, 0.3) + rng.normal(0, 0.1)
        held.append(bool(abs(new) <= conformal.width(errors, groups.tolist())))
    # 400 draws at 0.9: three binomial deviations are 0.045
    assert 0.855 <= float(np.mean(held)) <= 0.96


def test_a_group_with_many_rows_has_no_more_weight() -> None:
    errors = np.array([0.5, 0.1] + [0.01] * 100)
    groups = ["a", "b"] + ["c"] * 100
    assert conformal.width(errors, groups, 0.5) == 0.1


def test_few_groups_are_no_certainty() -> None:
    assert conformal.width(np.array([0.1, 0.2]), ["a", "b"]) == pytest.approx(0.3)
    for errors, groups in (([0.1, 0.2], ["a", "a"]), ([0.1, math.nan], ["a", "b"]), ([0.1], ["a", "b"])):
        with pytest.raises(ValueError, match="error"):
            conformal.width(np.array(errors), groups)


def test_a_spread_is_the_interval_of_ninety_percent_by_and_times() -> None:
    quantity = conformal.spread_by(10.0, 0.2, "x", unit="J")
    low, high = quantity.interval(0.9)
    assert (low, high) == pytest.approx((10 * math.exp(-0.2), 10 * math.exp(0.2)))
    assert list(quantity.terms) == ["fit/x"]


def test_a_local_width_is_wide_where_errors_were_large_and_holds_as_often_as_it_says() -> None:
    from wattmark.predict.conformal import local_width

    rng = np.random.default_rng(7)
    held, narrow, wide = 0, [], []
    for _ in range(300):
        places = np.repeat(rng.uniform(0, 6, 25), 6)
        spreads = np.where(places < 2, 0.3, 0.05)
        bias = np.repeat(rng.normal(0, 1, 25), 6) * spreads
        errors = bias + rng.normal(0, 0.3, 150) * spreads
        groups = np.repeat(np.arange(25), 6).tolist()
        unit, likeness = local_width(errors, groups, places)
        new = rng.uniform(0, 6)
        spread = 0.3 if new < 2 else 0.05
        error = rng.normal(0, 1) * spread + rng.normal(0, 0.3) * spread
        reach = unit * likeness.at(new)
        held += abs(error) <= reach
        (wide if new < 1.5 else narrow if new > 3 else []).append(reach)
    assert 255 <= held <= 290, "a binomial of 300 and 0.9, and the finite number of groups"
    assert np.mean(wide) > 2.5 * np.mean(narrow)

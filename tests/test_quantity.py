"""Quantities: named errors add or cancel, independent ones combine in quadrature, and a value never leaves its interval."""

# pyright: reportUnusedExpression=false
from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wattmark.quantity import Quantity, spread, total

numbers = st.floats(-1e6, 1e6)
positive = st.floats(1e-3, 1e6)
relative = st.floats(0.0, 0.9)
names = st.sampled_from(["scale/a", "scale/b", "character/x", "edges/1"])


@st.composite
def quantities(draw: st.DrawFn, values: st.SearchStrategy[float] = positive) -> Quantity:
    value = draw(values)
    shifts = draw(st.dictionaries(names, st.tuples(relative, relative), max_size=4))
    return Quantity(
        value, terms={name: (-down * abs(value), up * abs(value)) for name, (down, up) in shifts.items()}
    )


def ends(quantity: Quantity) -> tuple[float, float, float]:
    return quantity.low, quantity.value, quantity.high


def near(quantity: Quantity, rel: float = 1e-9):
    scale = max(abs(quantity.value), quantity.high - quantity.low, 1e-12)
    return pytest.approx(ends(quantity), rel=rel, abs=rel * scale)


@given(quantities())
def test_less_itself_is_exactly_nothing_and_over_itself_exactly_one(a: Quantity):
    assert ends(a - a) == (0.0, 0.0, 0.0)
    ratio = a * 3 / a
    assert ratio.value == pytest.approx(3)
    assert ratio.low == ratio.value == ratio.high


@given(quantities(), quantities(), quantities())
def test_sums_and_products_do_not_depend_on_their_order(a: Quantity, b: Quantity, c: Quantity):
    assert ends((a + b) + c) == near(a + (b + c))
    assert ends(a + b) == near(b + a)
    assert ends(total([a, b, c])) == near(total([c, a, b]))
    assert ends(sum([a, b, c])) == near(total([a, b, c]))
    assert ends((a * b) * c) == near(a * (b * c), rel=1e-6)


@given(quantities(), quantities())
def test_what_was_added_can_be_taken_away(a: Quantity, b: Quantity):
    back = (a + b) - b
    scale = abs(a.value) + b.high
    assert ends(back) == pytest.approx(ends(a), abs=1e-9 * scale)


@given(quantities(), positive)
def test_a_common_scale_cancels_in_a_ratio_however_large_it_is(a: Quantity, factor: float):
    scale = Quantity(1.0, 0.5, 1.8, "", error="scale/sensor")
    ratio = (a * factor * scale) / (a * scale)
    assert ends(ratio) == pytest.approx((factor,) * 3, rel=1e-9)


def test_one_name_adds_and_different_names_are_independent():
    same = Quantity(10, 8, 12, error="scale/a") + Quantity(10, 8, 12, error="scale/a")
    other = Quantity(10, 8, 12, error="scale/a") + Quantity(10, 8, 12, error="scale/b")
    assert ends(same) == pytest.approx((16, 20, 24))
    assert ends(other) == pytest.approx((20 - 8**0.5, 20, 20 + 8**0.5))
    unnamed = Quantity(10, 8, 12)
    assert ends(unnamed + unnamed) == pytest.approx((16, 20, 24))
    assert ends(unnamed + Quantity(10, 8, 12)) == pytest.approx((20 - 8**0.5, 20, 20 + 8**0.5))


def test_two_sides_stay_two_sides_and_turn_with_the_sign():
    a = Quantity(100, 50, 180, error="scale/a")
    assert ends(a * 2) == (100, 200, 360)
    assert ends(-a) == (-180, -100, -50)
    assert ends(1000 - a) == (820, 900, 950)
    assert ends(1 / a) == pytest.approx((1 / 180, 0.01, 0.02))


@given(st.lists(st.tuples(positive, st.floats(1e-3, 0.02)), min_size=2, max_size=5))
def test_symmetric_errors_agree_with_the_law_of_propagation(parts: list[tuple[float, float]]):
    oracle = pytest.importorskip("uncertainties", reason="the oracle of this test is not installed")
    ours = [
        Quantity(value, value * (1 - 1.96 * sd), value * (1 + 1.96 * sd), "", error=f"own/{row}")
        for row, (value, sd) in enumerate(parts)
    ]
    theirs = [oracle.ufloat(value, value * sd) for value, sd in parts]
    first, second = ours[0], theirs[0]
    for mine, their in zip(ours[1:], theirs[1:], strict=True):
        assert mine.half_width == pytest.approx(1.96 * their.s)
        for found, expected in (
            (first + mine, second + their),
            (first - mine, second - their),
            (first * mine, second * their),
            (first / (first + mine), second / (second + their)),
        ):
            assert found.value == pytest.approx(expected.n)
            assert found.half_width == pytest.approx(1.96 * expected.s, rel=0.03, abs=1e-9 * abs(found.value))


def drawn(rng: np.random.Generator, quantity: Quantity, errors: dict[str, np.ndarray]) -> np.ndarray:
    value = np.full(400_000, quantity.value)
    for name, (down, up) in quantity.terms.items():
        z = errors.setdefault(name, rng.standard_normal(len(value)))
        value = value + np.where(z > 0, up * z, -down * z) / 1.959964
    return value


@pytest.mark.parametrize("skew", [1.0, 1.6])
def test_intervals_agree_with_monte_carlo(skew: float):
    rng = np.random.default_rng(7)
    a = Quantity(100, terms={"s": (-20, 20 * skew), "c/1": (-10, 10 * skew), "e/1": (-4, 4)})
    b = Quantity(40, terms={"s": (-8, 8 * skew), "c/2": (-4, 4 * skew), "e/2": (-2, 2)})
    errors: dict[str, np.ndarray] = {}
    x, y = drawn(rng, a, errors), drawn(rng, b, errors)
    for found, truth in ((a + b, x + y), (a - b, x - y), (a / b, x / y)):
        low, high = np.quantile(truth, (0.025, 0.975))
        tolerance = (0.03 if found.unit == "" else 0.02) * (high - low)  # a ratio is exact to first order
        assert found.low == pytest.approx(low, abs=tolerance)
        assert found.high == pytest.approx(high, abs=tolerance)


def test_a_million_sums_are_one_array():
    down, up = -np.full(3, 3.0), np.array([3.0, 6.0, 3.0])
    below, above = spread([(down, up), (4 * down / 3, 4 * up / 3)])
    one = Quantity(0.0, terms={"a": (-3.0, 6.0), "b": (-4.0, 8.0)})
    assert (below[0], above[0]) == pytest.approx((5, 5))
    assert (-below[1], above[1]) == pytest.approx(one.interval())


@given(quantities(numbers), st.floats(-1e3, 1e3))
def test_a_factor_keeps_the_order_even_when_negative(a: Quantity, factor: float):
    assume(factor != 0)
    scaled = a * factor
    assert scaled.low <= scaled.value <= scaled.high
    assert (factor * a) == scaled
    assert (a / factor).value == pytest.approx(a.value / factor, rel=1e-9)


def test_an_interval_must_hold_its_value():
    with pytest.raises(ValueError, match="low <= value <= high"):
        Quantity(1.0, 2.0, 3.0)
    with pytest.raises(ValueError, match="low <= value <= high"):
        Quantity(float("nan"), 0.0, 1.0)
    with pytest.raises(ValueError, match="not nan"):
        Quantity(float("nan"))


def test_physics_bounds_the_interval_and_passes_through_arithmetic():
    energy = Quantity(2.0, 0.0, 5.0, error="scale/a", at_least=0.0)
    wide = energy.with_error("offset/a", 10.0)
    assert wide.low == 0.0
    assert (wide + wide).low == 0.0
    assert (wide - wide.with_error("edges/1", 30.0)).low < 0.0
    share = Quantity(0.95, 0.8, 1.06, "").bounded(0.0, 1.0)
    assert (share.low, share.high) == (pytest.approx(0.8), 1.0)


def test_joules_are_not_added_to_watts():
    with pytest.raises(ValueError, match="cannot combine J with W"):
        Quantity.exact(1.0) + Quantity.exact(1.0, "W")
    assert Quantity.exact(2.0, "J").with_unit("W") == Quantity.exact(2.0, "W")
    assert (Quantity.exact(6.0, "J") / Quantity.exact(2.0, "s")).unit == "J/s"
    assert (Quantity.exact(6.0, "J") / Quantity.exact(2.0, "J")).unit == ""


def test_a_quantity_is_a_number_to_python():
    q = Quantity(12.345, 10, 15)
    assert float(q) == 12.345
    assert f"{q:.1f}" == "12.3"
    assert f"{q}" == str(q)
    assert round(q, 1) == 12.3
    assert round(q) == 12
    assert q > 10
    assert q < Quantity(13, 1, 20)
    assert q >= 12.345
    assert max([q, Quantity(20, 0, 40)]).value == 20
    assert sum([q, q]).value == pytest.approx(24.69)
    assert abs(-q) == q
    assert q == 12.345
    assert hash(q) == hash(12.345)
    assert math.isclose(q, 12.345)


def test_a_sum_keeps_the_source_that_its_parts_share():
    one, other = Quantity.exact(1.0, source="rapl"), Quantity.exact(2.0, source="nvml")
    assert (one + one).source == "rapl"
    assert (one + other).source == ""


def test_the_total_of_nothing_is_missing_not_zero():
    assert total([]) is None
    both = total([Quantity(2.0, 1.0, 3.0, error="s"), Quantity(5.0, 4.0, 7.0, error="s")])
    assert both == Quantity(7.0, 5.0, 10.0)


@given(quantities(numbers))
def test_json_and_pickle_keep_the_errors(a: Quantity):
    again = Quantity.from_dict(json.loads(json.dumps(a.as_dict())))
    assert again.terms == a.terms
    assert ends(a - again) == (0.0, 0.0, 0.0)
    assert ends(a - pickle.loads(pickle.dumps(a))) == (0.0, 0.0, 0.0)


def test_a_record_without_terms_has_one_of_the_given_name():
    old = Quantity.from_dict({"value": 10, "low": 9, "high": 12}, error="scale/host/cpu")
    assert dict(old.terms) == {"scale/host/cpu": (-1.0, 2.0)}


def test_the_budget_says_what_matters_most():
    q = Quantity(100, terms={"scale/h": (-30, 30), "edges/1": (-3, 3), "edges/2": (-4, 4)})
    assert q.budget() == [("scale", 30, 30), ("edges", pytest.approx(5), pytest.approx(5))]
    assert ends(q.without("scale")) == pytest.approx((95, 100, 105))
    assert ends(q.only("scale")) == pytest.approx((70, 100, 130))
    folded = q.folded("edges")
    assert len(folded.terms) == 2
    assert ends(folded) == near(q)


def test_a_quantity_does_not_change():
    with pytest.raises(AttributeError, match="does not change"):
        Quantity.exact(1.0).value = 2.0

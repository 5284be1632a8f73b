"""Quantities: a value never leaves its interval."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from wattmark.quantity import Quantity, total

numbers = st.floats(-1e12, 1e12)


@st.composite
def quantities(draw: st.DrawFn) -> Quantity:
    low, value, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    return Quantity(value, low, high)


@given(quantities(), quantities(), st.floats(0, 1), st.floats(0, 1))
def test_sums_and_differences_hold_every_pair_of_truths(a: Quantity, b: Quantity, p: float, q: float):
    x = min(max(a.low + p * (a.high - a.low), a.low), a.high)
    y = min(max(b.low + q * (b.high - b.low), b.low), b.high)
    assert (a + b).low <= x + y <= (a + b).high
    assert (a - b).low <= x - y <= (a - b).high


@given(quantities(), st.floats(-1e6, 1e6))
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


def test_joules_are_not_added_to_watts():
    with pytest.raises(ValueError, match="cannot combine J with W"):
        Quantity.exact(1.0) + Quantity.exact(1.0, "W")
    assert Quantity.exact(2.0, "J").with_unit("W") == Quantity.exact(2.0, "W")


def test_a_sum_keeps_the_source_that_its_parts_share():
    one, other = Quantity.exact(1.0, source="rapl"), Quantity.exact(2.0, source="nvml")
    assert (one + one).source == "rapl"
    assert (one + other).source == ""


def test_the_total_of_nothing_is_missing_not_zero():
    assert total([]) is None
    assert total([Quantity(2.0, 1.0, 3.0), Quantity(5.0, 4.0, 7.0)]) == Quantity(7.0, 5.0, 10.0)


@given(quantities())
def test_there_and_back_as_plain_data(a: Quantity):
    assert Quantity.from_dict(a.as_dict()) == a


def test_shown_with_its_interval():
    quantity = Quantity(500.0, 495.0, 510.0)
    assert str(quantity) == "500 J [495, 510]"
    assert quantity.half_width == 7.5

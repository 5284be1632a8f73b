"""How far an alternative is from the original: by what the two do not share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.predict.whatif.difference import difference
from wattmark.quantity import Quantity

drawn = st.tuples(st.floats(0.5, 20), st.floats(0, 0.4), st.floats(0, 0.9))


def factor(drawn: tuple[float, float, float], error: str) -> Quantity:
    value, down, up = drawn
    return Quantity(value, value * (1 - down), value * (1 + up), "", error=error)


@given(drawn, drawn, drawn)
def test_what_only_one_side_has_errs_on_its_own(
    energy: tuple[float, float, float], old: tuple[float, float, float], new: tuple[float, float, float]
) -> None:
    shared, here, there = factor(energy, "scale/lab"), factor(old, "grid/here"), factor(new, "grid/there")
    found = difference((shared * here).with_unit("g"), (shared * there).with_unit("g"))
    assert found is not None
    plain = there / here
    assert found.ratio is not None
    assert found.ratio.value == pytest.approx(plain.value)
    assert (found.ratio.low, found.ratio.high) == pytest.approx((plain.low, plain.high), rel=1e-6)
    assert found.low <= found.value <= found.high
    clear = found.ratio.low > 1 or found.ratio.high < 1
    assert found.verdict in (("less", "more") if clear else ("unclear", "same"))


@given(drawn, st.floats(1.1, 5))
def test_what_both_sides_share_scales_the_difference_and_makes_none(
    energy: tuple[float, float, float], more: float
) -> None:
    shared = factor(energy, "scale/lab")
    found = difference(shared, shared * more)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((shared.low * (more - 1), shared.high * (more - 1)))
    assert found.ratio is not None
    assert (found.ratio.low, found.ratio.value, found.ratio.high) == pytest.approx((more, more, more))
    assert found.verdict == "more"
    same = difference(shared, shared)
    assert same is not None
    assert (same.value, same.low, same.high, same.verdict) == (0.0, 0.0, 0.0, "same")


def test_what_is_not_known_or_of_another_unit_has_no_difference() -> None:
    grams, litres = (Quantity.exact(1.0, unit) for unit in ("g", "L"))
    assert difference(None, grams) is None
    assert difference(grams, None) is None
    assert difference(grams, litres) is None

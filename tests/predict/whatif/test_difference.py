"""How far an alternative is from the original: both ends, of the difference and of the ratio."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.predict.whatif.difference import Factors, difference
from wattmark.quantity import Quantity

factors = st.tuples(st.floats(0.5, 20), st.floats(0, 0.4), st.floats(0, 0.9)).map(
    lambda drawn: Quantity(drawn[0], drawn[0] * (1 - drawn[1]), drawn[0] * (1 + drawn[2]), "")
)


def sides(shared: Quantity, old: Quantity, new: Quantity) -> tuple[Factors, Factors]:
    return tuple(  # pyright: ignore[reportReturnType]
        Factors(
            Quantity.exact(shared.value * own.value, "g"),
            {"energy": shared, name: own},
        )
        for name, own in (("here", old), ("there", new))
    )


@given(factors, factors, factors)
def test_the_ends_are_the_outermost_corners_of_what_may_err(
    shared: Quantity, old: Quantity, new: Quantity
) -> None:
    before, after = sides(shared, old, new)
    found = difference(before, after)
    assert found is not None
    corners = [
        common * (there - here)
        for common, here, there in product(
            (shared.low, shared.high), (old.low, old.high), (new.low, new.high)
        )
    ]
    assert (found.low, found.high) == pytest.approx((min(corners), max(corners)), abs=1e-9)
    assert found.ratio is not None
    assert (found.ratio.low, found.ratio.high) == pytest.approx((new.low / old.high, new.high / old.low))
    assert found.ratio.low <= found.ratio.value <= found.ratio.high
    if min(corners) == max(corners) == 0:
        assert found.verdict == "same"
    else:
        assert found.verdict == ("more" if min(corners) > 0 else "less" if max(corners) < 0 else "unclear")


@given(factors, st.floats(1.1, 5))
def test_what_both_sides_share_scales_the_difference_and_makes_none(shared: Quantity, more: float) -> None:
    before, after = sides(shared, Quantity.exact(1.0, ""), Quantity.exact(more, ""))
    found = difference(before, after)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((shared.low * (more - 1), shared.high * (more - 1)))
    assert found.ratio is not None
    assert (found.ratio.low, found.ratio.value, found.ratio.high) == pytest.approx((more, more, more))
    assert found.verdict == "more"
    assert difference(before, before).verdict == "same"  # pyright: ignore[reportOptionalMemberAccess]


def test_what_is_not_known_or_of_another_unit_has_no_difference() -> None:
    grams, litres = (Factors(Quantity.exact(1.0, unit), {}) for unit in ("g", "L"))
    assert difference(None, grams) is None
    assert difference(grams, None) is None
    assert difference(grams, litres) is None

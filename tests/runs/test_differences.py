from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fakes.records import spans_record
from wattmark.quantity import Quantity
from wattmark.runs.differences import counts_of, of_groups, of_quantities

values = st.floats(1, 1e6)


@given(values, values, st.floats(0, 0.3))
def test_a_difference_is_clear_exactly_when_the_intervals_are_apart(
    a: float, b: float, spread: float
) -> None:
    first, second = (Quantity(value, value * (1 - spread), value * (1 + spread)) for value in (a, b))
    gap = of_quantities(first, second)
    assert gap.low <= gap.value <= gap.high
    assert gap.clear == (first.high < second.low or second.high < first.low)


def test_without_a_sure_reference_there_is_no_percentage() -> None:
    assert of_quantities(Quantity(1, 0, 2), Quantity(3, 3, 3)).percent is None


def test_groups_without_spread_differ_by_their_means() -> None:
    gap = of_groups([2.0, 2.0], [3.0, 3.0])
    assert (gap.value, gap.low, gap.high, gap.clear) == (1.0, 1.0, 1.0, True)


def test_a_count_inside_a_span_with_the_same_count_is_not_counted_twice() -> None:
    record = spans_record(203)  # epochs of a hundred steps; here every span counts 64 samples
    assert counts_of(record) == {"samples": 3 * 64}
    details = {row: detail for row, detail in record.spans.details.items() if row % 101}
    assert counts_of(replace(record, spans=replace(record.spans, details=details))) == {"samples": 200 * 64}

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.records import spans_record
from wattmark.quantity import Quantity
from wattmark.runs.differences import apart, counts_of, mean_with_scatter, of_quantities, of_repeats
from wattmark.statistics import difference_of_means

values = st.floats(1, 1e6)


def sensed(value: float, scale: float, name: str = "scale/host/cpu") -> Quantity:
    return Quantity(value, value * (1 - scale), value * (1 + scale), error=name, at_least=0.0)


@given(values, values, st.floats(0.01, 0.9))
def test_runs_of_one_sensor_are_told_apart_however_far_its_scale_is_off(
    a: float, b: float, scale: float
) -> None:
    gap = of_quantities(sensed(a, scale), sensed(b, scale))
    assert gap.low <= gap.value <= gap.high
    assert gap.ratio is not None
    assert gap.ratio.interval() == pytest.approx((b / a, b / a))
    assert gap.clear or abs(b / a - 1) < 1e-9
    assert not of_quantities(sensed(a, scale), sensed(a, scale)).clear
    assert gap.common == ("scale",)


def test_runs_of_two_sensors_are_told_apart_by_more_than_both_errors() -> None:
    first = sensed(100, 0.2)
    assert not of_quantities(first, sensed(120, 0.2, "scale/other/cpu")).clear
    gap = of_quantities(first, sensed(200, 0.2, "scale/other/cpu"))
    assert gap.clear
    assert gap.common == ()
    assert gap.rests_on == ("scale of the sensor",)
    assert gap.ratio.interval() == pytest.approx(
        (2 - 0.4 * math.hypot(1, 1 / 1.2), 2 + 0.4 * math.hypot(1, 1 / 0.8))
    )


def test_without_a_sure_reference_there_is_no_ratio() -> None:
    gap = of_quantities(Quantity(1, 0, 2), Quantity(3, 3, 3))
    assert (gap.ratio, gap.percent, gap.clear) == (None, None, True)


def test_means_of_repeats_keep_what_repeating_does_not_shrink() -> None:
    runs = [sensed(value, 0.5) for value in (99, 100, 101)]
    mean = mean_with_scatter(runs)
    half = 4.3027 * 1 / math.sqrt(3)
    assert (mean.value, mean.low, mean.high) == pytest.approx(
        (100, 100 - math.hypot(50, half), 100 + math.hypot(50, half)), rel=1e-4
    )
    gap = of_repeats(runs, [sensed(value, 0.5) for value in (109, 110, 111)])
    logs = ([math.log(value) for value in group] for group in ((99, 100, 101), (109, 110, 111)))
    reach = difference_of_means(*logs)[1]
    assert gap.ratio.interval() == pytest.approx((1.1 * math.exp(-reach), 1.1 * math.exp(reach)))
    assert gap.clear


def test_groups_without_spread_differ_by_their_means() -> None:
    gap = of_repeats([Quantity.exact(2.0)] * 2, [Quantity.exact(3.0)] * 2)
    assert (gap.value, gap.low, gap.high, gap.clear) == (1.0, 1.0, 1.0, True)


def test_a_count_inside_a_span_with_the_same_count_is_not_counted_twice() -> None:
    record = spans_record(203)  # epochs of a hundred steps; here every span counts 64 samples
    assert counts_of(record) == {"samples": 3 * 64}
    details = {row: detail for row, detail in record.spans.details.items() if row % 101}
    assert counts_of(replace(record, spans=replace(record.spans, details=details))) == {"samples": 200 * 64}


def test_what_all_err_by_alike_is_told_apart_from_what_is_each_ones_own() -> None:
    def joules(value: float, own: float) -> Quantity:
        scale = {"scale/lab": (-0.4 * value, 0.6 * value)}
        return Quantity(value, terms={**scale, f"character/{value}": (-own, own)}, at_least=0.0)

    told = apart([joules(100, 3), None, joules(36, 2)])
    assert [one and one.interval() for one in told.own] == [(97, 103), None, (34, 38)]
    assert told.common is not None
    assert told.common.interval() == (pytest.approx(0.6), pytest.approx(1.6))
    assert (
        told.words
        == "All together may be off by -40 to +60 % (scale of the sensor): it changes no ratio between them."
    )


def test_an_error_that_moves_one_of_them_more_stays_with_it_for_the_difference() -> None:
    part = {"scale/cpu": (-0.2, 0.2)}
    told = apart([Quantity(1.0, terms=part), Quantity(1.0, terms={"scale/cpu": (-0.4, 0.4)})])
    assert [one and one.interval() for one in told.own] == [
        (pytest.approx(0.9), pytest.approx(1.1)),
        (pytest.approx(0.9), pytest.approx(1.1)),
    ]
    assert told.common is not None
    assert told.common.high == pytest.approx(1.3)


def test_one_number_alone_or_errors_that_not_all_have_leave_nothing_in_common() -> None:
    alone = Quantity(5.0, terms={"scale/a": (-1.0, 1.0)})
    assert apart([alone]).own == (alone,)
    assert apart([alone]).words == ""
    other = Quantity(5.0, terms={"scale/b": (-1.0, 1.0)})
    assert apart([alone, other]).common is None
    nothing = Quantity(0.0, terms={"scale/a": (-1.0, 1.0)}, at_least=0.0)
    assert apart([nothing, alone, alone]).own[0] is nothing

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.records import rapl_record
from wattmark.impact import as_pue, find_zone, intensity_of
from wattmark.impact.series import IntensitySeries
from wattmark.impact.series.emitted import carbon_over_time
from wattmark.runs.record import Curve
from wattmark.runs.view import RunView

NOON = 1_767_268_800


def steady(watts: float, seconds: int, wall_s: float = NOON) -> RunView:
    """A run at constant power that began at ``wall_s``."""
    base = rapl_record(3)
    t_ns = np.arange(0, seconds + 1, dtype=np.int64) * 10**9
    curve = Curve(base.curves[0].channel, t_ns, (t_ns // 1000 * watts).astype(np.int64))
    return RunView(
        replace(
            base, curves=(curve,), start_ns=0, end_ns=seconds * 10**9, started_wall_ns=round(wall_s * 1e9)
        )
    )


def hourly(*values: float | None, start: float = NOON) -> IntensitySeries:
    return IntensitySeries.of(
        [(start + 3600 * row, None, value) for row, value in enumerate(values)], zone="XX"
    )


def test_the_integral_is_exact_at_the_edges() -> None:
    # 1 kW for 20 min at 100 g/kWh, an hour at 200, 10 min at 400
    view = steady(1000, 90 * 60, NOON + 40 * 60)
    over = carbon_over_time(view, hourly(100, 200, 400), as_pue(1.0))
    assert over is not None
    assert over.grams is not None
    assert over.grams.value == pytest.approx(100 / 3 + 200 + 400 / 6)
    assert over.told == 1.0
    assert [part.grams for part in over.slices] == pytest.approx([100 / 3, 200, 400 / 6])
    assert sum(part.grams or 0 for part in over.slices) == pytest.approx(over.grams.value)
    assert [part.g_per_kwh for part in over.slices] == pytest.approx([100, 200, 400])


def test_a_flat_series_gives_what_the_yearly_figure_gives_and_pue_counts_once() -> None:
    year = intensity_of(find_zone("FR"))
    view = steady(500, 7200)
    over = carbon_over_time(view, hourly(*[year.g_per_kwh.value] * 2), as_pue(1.25), year)
    assert over is not None
    assert over.grams is not None
    assert over.yearly is not None
    assert over.grams.value == pytest.approx(over.yearly.value) == pytest.approx(year.g_per_kwh.value * 1.25)


def test_what_the_series_leaves_out_takes_the_yearly_figure_and_says_so() -> None:
    year = intensity_of(find_zone("FR"))
    view = steady(1000, 3 * 3600)
    over = carbon_over_time(view, hourly(100, None, 300), as_pue(1.0), year)
    assert over is not None
    assert over.grams is not None
    assert over.grams.value == pytest.approx(400 + year.g_per_kwh.value)
    assert over.told == pytest.approx(2 / 3)
    assert any("33% of the energy: the yearly figure" in note for note in over.notes)
    alone = carbon_over_time(view, hourly(100, None, 300), as_pue(1.0))
    assert alone is not None
    assert alone.grams is None
    assert any("no zone is known" in note for note in alone.notes)


def test_negative_intensities_are_taken_as_they_are() -> None:
    over = carbon_over_time(steady(1000, 7200), hourly(-50, 20), as_pue(1.0))
    assert over is not None
    assert over.grams is not None
    assert over.grams.value == pytest.approx(-30)
    assert over.grams.low < -30 < over.grams.high


def test_the_scale_of_the_sensor_cancels_between_two_series_of_one_run() -> None:
    view = steady(1000, 3600)
    low, high = (carbon_over_time(view, hourly(value), as_pue(1.0)) for value in (100, 300))
    assert low is not None
    assert high is not None
    assert low.grams is not None
    assert high.grams is not None
    ratio = high.grams / low.grams
    assert ratio.value == pytest.approx(3)
    assert ratio.low == pytest.approx(3)
    assert ratio.high == pytest.approx(3)


def test_a_run_without_energy_has_no_carbon() -> None:
    view = RunView(replace(steady(1, 10).record, curves=()))
    assert carbon_over_time(view, hourly(1), as_pue(1.0)) is None


def test_a_marginal_series_is_never_filled_with_an_average() -> None:
    year = intensity_of(find_zone("FR"))
    view = steady(1000, 3 * 3600)
    points = [(NOON + 3600 * row, None, value) for row, value in enumerate((100, None, 300))]
    series = IntensitySeries.of(points, zone="XX", signal="marginal")
    over = carbon_over_time(view, series, as_pue(1.0), year)
    assert over is not None
    assert over.grams is None
    assert over.yearly is not None
    assert [part.grams for part in over.slices] == [pytest.approx(100), None, pytest.approx(300)]
    assert any("does not stand in for a marginal one" in note for note in over.notes)


def test_estimates_and_forecasts_widen_the_interval_by_their_part() -> None:
    view = steady(1000, 7200)
    points = [(NOON, None, 200.0), (NOON + 3600, None, 200.0)]
    settled = carbon_over_time(view, IntensitySeries.of(points), as_pue(1.0))
    half = carbon_over_time(view, IntensitySeries.of(points, unsettled=[NOON + 3600]), as_pue(1.0))
    whole = carbon_over_time(view, IntensitySeries.of(points, unsettled=[NOON, NOON + 3600]), as_pue(1.0))
    widths = []
    for over in (settled, half, whole):
        assert over is not None
        assert over.grams is not None
        assert over.grams.value == pytest.approx(400)
        widths.append(over.grams.only("grid").half_width)
    assert widths[0] < widths[1] < widths[2]
    assert half is not None
    assert any("50% of the energy met estimates" in note for note in half.notes)


def test_the_yearly_figure_alone_is_the_carbon_of_the_run() -> None:
    year = intensity_of(find_zone("FR"))
    over = carbon_over_time(steady(500, 7200), None, as_pue("1.1-1.3"), year)
    assert over is not None
    assert over.grams is not None
    assert over.yearly is not None
    assert over.grams.interval() == pytest.approx(over.yearly.interval())
    assert sum(part.grams or 0 for part in over.slices) == pytest.approx(over.grams.value)
    assert over.notes == ()


@given(
    st.lists(st.floats(-200, 1500) | st.none(), min_size=1, max_size=30),
    st.floats(-7200, 7200),
    st.integers(1, 20_000),
)
def test_the_hours_sum_to_the_run(values: list[float | None], offset: float, seconds: int) -> None:
    if all(value is None for value in values):
        values = [1.0, *values]
    view = steady(300, seconds, NOON + offset)
    points = [(NOON + 900 * row, None, value) for row, value in enumerate(values)]
    over = carbon_over_time(view, IntensitySeries.of(points), as_pue(1.2), intensity_of(find_zone("SE")))
    assert over is not None
    assert over.grams is not None
    assert sum(part.grams or 0 for part in over.slices) == pytest.approx(over.grams.value, abs=1e-9)
    assert sum(part.energy_j for part in over.slices) == pytest.approx(over.energy.value)
    assert all(part.end_s - part.start_s <= 3600 + 1e-6 for part in over.slices)

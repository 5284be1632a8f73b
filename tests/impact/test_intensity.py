"""Which figure is taken, and how wide the interval is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.impact import find_zone, intensity_of, zones
from wattmark.impact.intensity import least_factor


def test_sources_that_disagree_span_the_interval() -> None:
    france = intensity_of(find_zone("FR"))
    assert (france.source.id, france.year) == ("ember", 2024)
    factor = 1.3 + 80 / 44.18
    ends = (france.g_per_kwh.value, france.g_per_kwh.low, france.g_per_kwh.high)
    assert ends == pytest.approx((44.18, 44.18 / factor, 44.18 * factor))
    assert all(france.g_per_kwh.low <= one.g_per_kwh <= france.g_per_kwh.high for one in france.considered)
    assert [one.source.id for one in france.considered] == ["ember", "electricitymaps", "owid"]


def test_a_year_that_was_asked_for_is_taken_from_the_best_source_that_has_it() -> None:
    assert (intensity_of(find_zone("FR"), 2022).source.id, intensity_of(find_zone("FR"), 2022).year) == (
        "electricitymaps",
        2022,
    )
    assert intensity_of(find_zone("FR"), 2024).source.id == "ember"


def test_a_year_that_no_source_has_gives_the_nearest_and_says_so() -> None:
    later = intensity_of(find_zone("FR"), 2027)
    assert (later.source.id, later.year, later.asked_year) == ("ember", 2024, 2027)


def test_a_year_far_from_all_data_is_refused() -> None:
    with pytest.raises(ConfigError, match="nearest is for 2024"):
        intensity_of(find_zone("FR"), 1990)


def test_one_lineage_of_data_is_widened_by_what_sources_usually_differ() -> None:
    camx = intensity_of(find_zone("US-CAMX")).g_per_kwh
    factor = least_factor(camx.value)
    assert 1.3 < factor < 2
    assert camx.low == pytest.approx(camx.value / factor)
    assert camx.high == pytest.approx(camx.value * factor)


def test_sources_that_happen_to_agree_do_not_narrow_the_interval() -> None:
    for zone in zones():
        found = intensity_of(zone).g_per_kwh
        factor = 1.3 + 80 / found.value
        assert found.low <= found.value / factor + 1e-9, zone.id
        assert found.high >= found.value * factor - 1e-9, zone.id


def test_the_range_says_the_years_that_it_speaks_of() -> None:
    france = intensity_of(find_zone("FR"))
    assert france.years == (2023, 2024)
    assert france.as_dict()["years"] == [2023, 2024]


def test_a_cloud_region_takes_its_own_figure_and_the_grids_around_it() -> None:
    virginia = intensity_of(find_zone("gcp:us-east4"))
    assert virginia.source.id == "gcp"
    assert {one.area for one in virginia.considered} == {"gcp:us-east4", "US-SRVC", "US-MIDA-PJM"}
    same_place = intensity_of(find_zone("aws:us-east-1"))
    assert same_place.source.id == "egrid"


def test_us_subregions_are_told_by_egrid_and_the_country_by_ember() -> None:
    assert intensity_of(find_zone("ERCT")).source.id == "egrid"
    assert intensity_of(find_zone("US")).source.id == "ember"


@given(st.sampled_from(zones()), st.one_of(st.none(), st.integers(2018, 2028)))
def test_every_interval_holds_its_value_and_all_that_was_considered(zone: object, year: int | None) -> None:
    try:
        found = intensity_of(zone, year)
    except ConfigError:
        # Only figures as old as Western Sahara's (2009) are too far from a year of this range.
        assert min(abs(one.year - (year or 0)) for one in zone.estimates) > 10
        return
    figures = [one.g_per_kwh for one in found.considered]
    assert found.considered[0] == found.chosen
    assert found.g_per_kwh.value == found.chosen.g_per_kwh
    assert 0 < found.g_per_kwh.low <= min(figures) * (1 + 1e-12)
    assert found.g_per_kwh.high >= max(figures) * (1 - 1e-12)
    assert all(abs(one.year - found.year) <= 2 for one in found.considered)
    assert found.g_per_kwh.low < found.g_per_kwh.high

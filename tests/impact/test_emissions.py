"""Grams from joules: the formula, its interval, and the shape that ``--json`` shows."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.impact import (
    FoundZone,
    as_price,
    as_pue,
    carbon,
    carbon_at,
    find_zone,
    intensity_of,
    named_pues,
)
from wattmark.impact.intensity import least_factor
from wattmark.quantity import Quantity, spread

ONE_KWH = Quantity.exact(3.6e6, "J", "test")
finite = st.floats(-1e12, 1e12)
ratios = st.floats(1, 4)


@st.composite
def quantities(draw: st.DrawFn, numbers: st.SearchStrategy[float], unit: str) -> Quantity:
    low, value, high = sorted(draw(st.tuples(numbers, numbers, numbers)))
    return Quantity(value, low, high, unit)


def test_one_kilowatt_hour_in_france_is_its_intensity_in_grams() -> None:
    found = carbon(ONE_KWH, "FR")
    assert (found.value, found.low, found.high) == pytest.approx(
        (44.18, 44.18 / least_factor(44.18), 44.18 * least_factor(44.18))
    )
    assert found.grams.unit == "g"
    assert found.zone.id == "FR"


def test_both_intervals_enter() -> None:
    found = carbon(Quantity(3.6e6, 1.8e6, 7.2e6), "FR")
    grid = found.intensity.g_per_kwh
    terms = [(found.value / 2 - found.value, found.value), (grid.low - grid.value, grid.high - grid.value)]
    below, above = spread(terms)
    assert (found.low, found.high) == pytest.approx((found.value - below, found.value + above))
    assert found.low < found.value / 2
    assert found.high > found.value * 2


def test_the_grid_cancels_between_two_runs_of_one_place_and_year() -> None:
    first, second = (carbon(Quantity(joules, unit="J"), "FR").grams for joules in (3.6e6, 7.2e6))
    assert (second / first).interval() == pytest.approx((2.0, 2.0))
    elsewhere = carbon(ONE_KWH, "DE").grams
    assert (elsewhere / first).low < (elsewhere / first).value * 0.95


def test_pue_is_a_stage_of_its_own_and_leaves_the_joules_alone() -> None:
    bare, housed = carbon(ONE_KWH, "FR"), carbon(ONE_KWH, "FR", pue=Quantity(1.5, 1.2, 2.0, ""))
    assert housed.energy is ONE_KWH
    assert housed.value == pytest.approx(bare.value * 1.5)
    assert housed.grams.low < bare.low * 1.5
    assert (housed.grams / bare.grams).interval() == pytest.approx((1.2, 2.0))
    assert not bare.pue.applied
    assert bare.pue.ratio.source == "none applied"


def test_what_is_not_known_gives_none_and_never_a_world_average() -> None:
    assert carbon(ONE_KWH, None) is None
    assert carbon(None, "FR") is None
    assert carbon(ONE_KWH, "WORLD").zone.kind == "aggregate"


def test_only_joules_are_taken() -> None:
    with pytest.raises(ValueError, match="joules"):
        carbon(Quantity.exact(1.0, "kWh"), "FR")


def test_the_json_object_has_what_the_schema_promises_and_more() -> None:
    data = json.loads(json.dumps(carbon(ONE_KWH, FoundZone(find_zone("FR"), "--zone"), pue="gcp").as_dict()))
    assert {"value", "low", "high", "zone", "intensity_g_per_kwh", "source", "year"} <= set(data)
    assert (data["zone"], data["intensity_g_per_kwh"], data["source"], data["year"]) == (
        "FR",
        44.18,
        "Ember",
        2024,
    )
    assert data["zone_from"] == "--zone"
    assert [term["name"] for term in data["terms"]] == ["energy", "PUE", "intensity"]
    assert {one["source"] for one in data["intensity"]["considered"]} == {
        "Ember", "Electricity Maps", "Our World in Data"
    }  # fmt: skip


def test_the_terms_multiply_to_the_grams() -> None:
    found = carbon(ONE_KWH, "SE", pue="aws")
    energy, pue, intensity = (term.quantity.value for term in found.terms)
    assert energy / 3.6e6 * pue * intensity == pytest.approx(found.value)


def test_results_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        carbon(ONE_KWH, "FR").grams = ONE_KWH


@given(quantities(finite, "J"), quantities(ratios, ""), st.sampled_from(["FR", "US-CAMX", "aws:us-east-1"]))
def test_the_interval_holds_each_part_at_either_of_its_ends(
    energy: Quantity, ratio: Quantity, zone: str
) -> None:
    found = carbon_at(energy, intensity_of(find_zone(zone)), as_pue(ratio))
    intensity = found.intensity.g_per_kwh
    slack = 1e-9 * max(abs(found.low), abs(found.high)) + 1e-140  # squares of less are no numbers
    middle = (energy.value, ratio.value, intensity.value)
    for part, quantity in enumerate((energy, ratio, intensity)):
        for end in quantity.interval():
            joules, pue, grams = (end if row == part else value for row, value in enumerate(middle))
            assert found.low - slack <= joules / 3.6e6 * pue * grams <= found.high + slack


@given(st.floats(0, 1e12), st.floats(0, 1e6))
def test_more_energy_is_never_less_carbon(joules: float, more: float) -> None:
    assert carbon(Quantity.exact(joules + more), "DE").value >= carbon(Quantity.exact(joules), "DE").value


@pytest.mark.parametrize("name", named_pues())
def test_named_pues_are_sourced_ratios(name: str) -> None:
    pue = as_pue(name.upper())
    assert 1 <= pue.ratio.low <= pue.ratio.value <= pue.ratio.high <= 2
    assert pue.ratio.source
    assert (pue.year is None) == (name == "none")


def test_a_pue_may_be_a_number_in_a_string() -> None:
    assert as_pue("1.25").ratio.value == 1.25
    assert as_pue(1).name == as_pue("1.0").name == "none"


@pytest.mark.parametrize(
    "bad", [0.99, 0, -1.0, float("nan"), float("inf"), "nan", "cold", "", Quantity(1, 0.5, 2, "")]
)
def test_an_impossible_pue_is_refused(bad: float | str | Quantity) -> None:
    with pytest.raises(ConfigError, match="PUE"):
        as_pue(bad)


def test_a_pue_or_a_price_within_a_range_is_one_error_that_cancels_in_ratios() -> None:
    pue = as_pue("1.1-1.3")
    assert (pue.ratio.value, pue.ratio.low, pue.ratio.high) == pytest.approx((1.2, 1.1, 1.3))
    assert pue.given == "1.1-1.3"
    one, two = (carbon(Quantity.exact(joules), "FR", pue="1.1 to 1.3") for joules in (1e6, 3e6))
    assert (two.grams / one.grams).interval() == pytest.approx((3.0, 3.0))
    assert (one.grams - one.grams).half_width == 0
    assert one.grams.half_width > 0
    tariff = as_price("0.25-0.35", "EUR")
    assert (tariff.value, tariff.low, tariff.high, tariff.unit) == (pytest.approx(0.3), 0.25, 0.35, "EUR")
    other = as_price("0.25..0.35", "EUR")
    assert (tariff / other).interval() == (1.0, 1.0)
    assert (tariff - as_price("0.25-0.35", "USD").with_unit("EUR")).half_width > 0.05  # another tariff
    assert as_price("0.3") == as_price(0.3)
    for bad in ("cheap", "0.5-0.2", -1.0, math.nan):
        with pytest.raises(ConfigError, match="a price is a number"):
            as_price(bad)
    with pytest.raises(ConfigError, match="at least 1"):
        as_pue("0.8-1.2")

"""How people may write a zone, and what they are told when they miss."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.impact import find_zone, zones


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("FR", "FR"), ("fra", "FR"), ("France", "FR"), ("us", "US"), ("United States", "US"),
        ("world", "WORLD"),
        ("european union", "EU"), ("no-no1", "NO-NO1"), ("us_cal_ciso", "US-CAL-CISO"), ("camx", "US-CAMX"),
        ("US-CAMX", "US-CAMX"), ("us-va", "US-VA"), ("GCP:europe-west1", "gcp:europe-west1"),
        ("europe-west1-b", "gcp:europe-west1"), ("eu-west-3", "aws:eu-west-3"),
        ("aws:eu-west-3c", "aws:eu-west-3"),
        ("us-east1", "gcp:us-east1"), ("us-east-1", "aws:us-east-1"), ("West Europe", "azure:westeurope"),
        ("azure:FranceCentral", "azure:francecentral"),
    ],
)  # fmt: skip
def test_spellings(text: str, zone: str) -> None:
    assert find_zone(text).id == zone


@given(st.sampled_from(zones()), st.booleans())
def test_an_id_always_means_its_own_zone_in_any_case(zone: object, upper: bool) -> None:
    text = zone.id.upper() if upper else zone.id.lower()
    assert find_zone(f" {text} ") == zone


@pytest.mark.parametrize(
    ("text", "near"),
    [("Frence", "FR (France)"), ("US-CAMXX", "US-CAMX"), ("gcp:europe-west99", "gcp:europe-west9")],
)
def test_a_near_miss_names_the_zone_that_was_meant(text: str, near: str) -> None:
    with pytest.raises(ConfigError, match="no zone is called") as caught:
        find_zone(text)
    assert near in str(caught.value.hint)


@pytest.mark.parametrize("text", ["", "   ", "qqqqqqqqq", "§"])
def test_a_far_miss_is_told_what_can_be_written(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_zone(text)
    assert "WORLD" in str(caught.value.hint)


def test_an_availability_zones_letter_is_dropped_from_cloud_regions_only() -> None:
    with pytest.raises(ConfigError):
        find_zone("NO-NO1a")


def test_the_listing_serves_a_map() -> None:
    listed = zones()
    assert [zone.id for zone in listed] == sorted(zone.id for zone in listed)
    assert {zone.kind for zone in listed} == {"country", "aggregate", "region", "egrid", "state", "cloud"}
    assert all(zone.name and zone.estimates for zone in listed)
    assert {len(zone.alpha3 or "") for zone in zones("country")} == {3}
    france = json.loads(json.dumps(find_zone("FR").as_dict()))
    assert france["g_per_kwh"]["Ember"] == {"2024": 44.18}
    assert set(france["g_per_kwh"]["Electricity Maps"]) == {"2021", "2022", "2023", "2024", "2025"}


def test_cloud_regions_belong_to_a_country_that_is_listed() -> None:
    known = {zone.id for zone in zones("country")}
    assert {zone.country for zone in zones("cloud")} <= known

"""Places of the what-if map: all of them with an interval and a source, points only where they are honest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fakes.dashboard import api
from wattmark.impact import intensity_of, named_pues, zones
from wattmark.store import open_store


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with open_store(str(Path(tmp_path_factory.mktemp("store")) / "store.db")) as store, api(store) as client:
        yield client


def test_every_zone_is_a_place_with_its_intensity(client: TestClient):
    places = {place["id"]: place for place in client.get("/api/v1/places").json()}
    assert set(places) == {zone.id for zone in zones()}
    france = places["FR"]
    grams = intensity_of(next(zone for zone in zones() if zone.id == "FR")).g_per_kwh
    assert [france["intensity"][end] for end in ("value", "low", "high")] == [
        grams.value,
        grams.low,
        grams.high,
    ]
    assert france["year"] in france["years"]
    assert all(place["intensity"]["source"] and place["url"] for place in places.values())
    assert len({place["country"] for place in places.values()}) > 180  # the world, not the USA


def test_points_are_cities_that_a_provider_names_and_small_countries(client: TestClient):
    places = {place["id"]: place for place in client.get("/api/v1/places").json()}
    assert (places["gcp:europe-north1"]["lat"], places["gcp:europe-north1"]["lon"]) == (60.6, 27.2)
    assert places["azure:eastus"]["lat"] is None  # "Virginia"
    assert places["FR"]["lat"] is None  # it has an outline
    assert places["SG"]["lat"] is not None
    for place in places.values():
        assert (place["lat"] is None) == (place["lon"] is None)
        assert place["lat"] is None or (-90 < place["lat"] < 90 and -180 < place["lon"] < 180)


def test_another_year_gives_that_years_figures_or_leaves_the_place_out(client: TestClient):
    places = {place["id"]: place for place in client.get("/api/v1/places", params={"year": 2022}).json()}
    assert places["FR"]["year"] == 2022
    assert client.get("/api/v1/places", params={"year": 1990}).json() == []
    assert client.get("/api/v1/places", params={"year": 999}).status_code == 422


def test_named_pues_have_ranges_and_sources(client: TestClient):
    found = {one["name"]: one for one in client.get("/api/v1/pues").json()}
    assert set(found) == set(named_pues())
    assert (
        found["average"]["ratio"]["low"]
        < found["average"]["ratio"]["value"]
        < found["average"]["ratio"]["high"]
    )
    assert found["average"]["url"].startswith("https://")

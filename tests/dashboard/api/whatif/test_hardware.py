"""The catalogue behind the search box."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fakes.dashboard import api
from wattmark.store import open_store


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with open_store(str(Path(tmp_path_factory.mktemp("store")) / "store.db")) as store, api(store) as client:
        yield client


def test_words_find_parts_and_each_has_its_source(client: TestClient):
    found = client.get("/api/v1/hardware", params={"q": "h100"}).json()
    assert found
    assert ["H100" in part["name"] for part in found[:3]] == [True] * 3
    assert all(part["source"] and part["url"] for part in found)


def test_cpus_are_found_too_and_a_kind_can_be_asked_for(client: TestClient):
    assert any(part["kind"] == "cpu" for part in client.get("/api/v1/hardware?q=epyc 7763").json())
    assert {part["kind"] for part in client.get("/api/v1/hardware?kind=gpu&limit=30").json()} == {"gpu"}


def test_a_part_is_known_by_the_name_that_its_driver_gives(client: TestClient):
    part = client.get("/api/v1/hardware/NVIDIA A100-SXM4-80GB").json()
    assert (part["memory_gb"], part["tdp_w"]) == (80, 400)


def test_an_unknown_part_is_refused_with_the_nearest_names(client: TestClient):
    answer = client.get("/api/v1/hardware/h100x")
    assert answer.status_code == 422
    assert "did you mean" in answer.json()["hint"]

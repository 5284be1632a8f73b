"""Labels of a study of tasks through the API."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from fakes import study_folders
from fakes.task_study import SENTIMENT, task_study
from wattmark.dashboard.app import create_app
from wattmark.dashboard.context import Options
from wattmark.store import open_store
from wattmark.studies.designs.design import to_toml


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("studies")
    results = task_study(SENTIMENT)
    study_folders.write_study(root, "planted", results, to_toml(dict(results.design)))
    study_folders.vision(root)
    with open_store(str(tmp_path_factory.mktemp("store") / "store.db")) as store:
        app = create_app(store, Options(studies=root))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            yield client


def test_the_study_has_its_stars(client: TestClient):
    labels = client.get("/api/v1/studies/planted").json()["labels"]
    assert [(one["model"], one["stars"], one["of_gpu"]) for one in labels] == [
        ("small", 5, False),
        ("large", 1, False),
    ]
    assert labels[0]["energy"]["value"] == pytest.approx(100.0)


def test_another_study_has_none(client: TestClient):
    assert client.get("/api/v1/studies/vision").json()["labels"] == []


def test_a_label_is_a_picture(client: TestClient):
    cell = client.get("/api/v1/studies/planted").json()["labels"][0]["cell"]
    answer = client.get("/api/v1/studies/planted/label", params={"cell": cell})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert ET.fromstring(answer.text).get("role") == "img"


def test_a_label_that_there_is_not_is_told(client: TestClient):
    answer = client.get("/api/v1/studies/planted/label", params={"cell": "<script>"})
    assert answer.status_code == 404
    assert "<script>" not in answer.text or answer.headers["content-type"].startswith("application/json")

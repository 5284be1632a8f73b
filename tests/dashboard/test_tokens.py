"""Tokens of the store in the dashboard: what each lets in, and that nothing else is seen or changed with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from fakes.records import example_record, example_summary
from wattmark.dashboard.app import create_app
from wattmark.dashboard.context import Options
from wattmark.errors import ConfigError, StoreError
from wattmark.store import Store, open_store
from wattmark.store.team.tokens import make_token, remove_token

OWN = "the-token-of-the-dashboard"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    with open_store(str(tmp_path_factory.mktemp("team") / "store.db")) as store:
        for run_id, project in (("a1", "a"), ("b1", "b")):
            store.add(example_record(run_id, tags={"project": project}), example_summary(1))
        yield store


@pytest.fixture(scope="module")
def app(store: Store) -> FastAPI:
    return create_app(store, Options(token=OWN, team=True))


@pytest.fixture
def token(store: Store) -> Iterator[str]:
    """Of project a, to read."""
    yield make_token(store, "ann", project="a")
    with contextlib.suppress(ConfigError):
        remove_token(store, "ann")


def client(app: FastAPI, token: str | None) -> TestClient:
    headers = {"X-Wattmark": "1", **({} if token is None else {"Authorization": f"Bearer {token}"})}
    return TestClient(app, base_url="http://localhost", headers=headers)


def test_a_token_of_a_project_sees_its_runs_everywhere(app: FastAPI, token: str) -> None:
    reader = client(app, token)
    assert reader.get("/api/v1/runs").json()["id"] == ["a1"]
    assert reader.get("/api/v1/runs/a1").status_code == 200
    for path in (
        "/api/v1/runs/b1",
        "/api/v1/runs/b1/health",
        "/api/v1/export?run=b1",
        "/api/v1/runs/b1/spans",
    ):
        assert reader.get(path).status_code == 404, path
    assert reader.get("/api/v1/studies").json() == []
    assert set(client(app, OWN).get("/api/v1/runs").json()["id"]) == {"a1", "b1"}


def test_reading_is_not_writing(app: FastAPI, store: Store, token: str) -> None:
    reader, writer = client(app, token), client(app, make_token(store, "w", project="a", rights="write"))
    note = {"note": "seen"}
    assert reader.patch("/api/v1/runs/a1", json=note).status_code == 403
    assert reader.post("/api/v1/runs/remove", json={"ids": ["a1"]}).status_code == 403
    assert reader.get("/api/v1/meta").json()["read_only"] is True
    assert writer.patch("/api/v1/runs/a1", json=note).json()["note"] == "seen"
    assert writer.patch("/api/v1/runs/b1", json=note).status_code == 404
    assert writer.post("/api/v1/runs/remove", json={"ids": ["a1", "b1"]}).status_code == 404
    assert writer.patch("/api/v1/runs/a1", json={"tags": {"project": "b"}}).status_code >= 400
    assert writer.post("/api/v1/whatif/profiles", json={}).status_code == 403
    assert store.marks("a1")[0]["project"] == "a"
    assert client(app, OWN).patch("/api/v1/runs/b1", json=note).status_code == 200
    assert store.marks("b1")[1] == "seen"


@pytest.mark.parametrize("given", [None, "", "wm_", "wm_wrong", "x" * 5_000, "wm_\u00e9"])
def test_no_token_or_a_wrong_one_is_let_in_nowhere(app: FastAPI, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": f"Bearer {given}".encode()}
    for path in ("/api/v1/runs", "/api/v1/meta", "/", "/api/v1/studies"):
        assert client(app, None).get(path, headers=headers).status_code in (401, 403)


def test_a_dashboard_that_takes_no_tokens_of_the_store_or_changes_nothing(store: Store, token: str) -> None:
    assert client(create_app(store, Options(token=OWN)), token).get("/api/v1/runs").status_code == 403
    writer = make_token(store, "all", project=None, rights="write")
    still = create_app(store, Options(token=OWN, team=True, read_only=True))
    assert client(still, writer).patch("/api/v1/runs/a1", json={"note": "x"}).status_code == 403


def test_a_token_that_was_removed_is_refused_soon(
    app: FastAPI, store: Store, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wattmark.dashboard.security._ASK_AGAIN_S", -1.0)
    assert client(app, token).get("/api/v1/meta").status_code == 200
    remove_token(store, "ann")
    assert client(app, token).get("/api/v1/meta").status_code == 403


def test_a_store_that_is_down_lets_nobody_in(
    store: Store, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise StoreError("it is down")

    monkeypatch.setattr("wattmark.dashboard.app.access_of", down)
    app = create_app(store, Options(token=OWN, team=True))
    assert client(app, token).get("/api/v1/meta").status_code == 503

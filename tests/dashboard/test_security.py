from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fakes.dashboard import api
from wattmark.agent.listening import is_loopback, listen
from wattmark.dashboard.app import create_app
from wattmark.dashboard.context import Options
from wattmark.errors import ConfigError
from wattmark.store import Store, open_store

META = "/api/v1/meta"
TOKEN = "a-token-of-no-importance"


@pytest.fixture
def store(tmp_path: Path):
    with open_store(str(tmp_path / "store.db")) as store:
        yield store


def bare(store: Store, options: Options | None = None) -> TestClient:
    """A client that sends nothing by itself."""
    return TestClient(create_app(store, options), base_url="http://localhost:8765")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "127.0.0.1:8765", "[::1]:8765", "127.1.2.3", "LOCALHOST."]
)
def test_loopbacks_names_are_answered(store, host):
    assert bare(store).get(META, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil@127.0.0.1",
        "evil@localhost:8765",
        "localhost:8765/evil",
        "localhost#.evil.example",
        "localhost localhost",
        "10.0.0.1",
        "evil.example:8765",
        "",
        "[::1",
        "127.0.0.1.nip.io",
    ],
)
def test_a_foreign_host_is_refused(store, host):
    answer = bare(store).get(META, headers={"Host": host})
    assert answer.status_code == 400
    assert answer.json()["hint"]
    assert bare(store).get("/", headers={"Host": host}).status_code == 400


def test_names_that_were_allowed_and_bare_addresses_are_answered_where_others_may_connect(store):
    client = bare(store, Options(token=TOKEN, hosts=("gpu1.lab",), loopback=False))
    key = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get(META, headers={"Host": "gpu1.lab:8765", **key}).status_code == 200
    assert client.get(META, headers={"Host": "10.0.0.7:8765", **key}).status_code == 200
    assert client.get(META, headers={"Host": "gpu2.lab", **key}).status_code == 400


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:9999", "http://127.0.0.1:8765"]
)
def test_a_foreign_origin_is_refused(store, origin):
    assert bare(store).get(META, headers={"Origin": origin}).status_code == 403


def test_its_own_origin_is_answered(store):
    assert bare(store).get(META, headers={"Origin": "http://localhost:8765"}).status_code == 200


def test_without_the_token_nothing_is_told_and_a_wrong_one_is_forbidden(store, tmp_path):
    client = bare(store, Options(token=TOKEN))
    paths = [
        META,
        "/",
        "/index.html",
        "/assets/none.js",
        "/api/v1/openapi.json",
        "/api/v1/nothing",
        "/api/v1/events",
    ]
    for path in paths:
        assert client.get(path).status_code == 401, path
        assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 403, path
        assert client.get(path, headers={"Cookie": "wattmark-8765=wrong"}).status_code == 403, path
    assert client.get(f"{META}?token={TOKEN}").status_code == 401  # only the page's address takes it


def test_the_printed_address_lets_the_browser_in_for_good(store):
    client = bare(store, Options(token=TOKEN))
    first = client.get(f"/?token={TOKEN}")
    cookie = first.headers["set-cookie"]
    assert first.status_code == 200
    assert TOKEN not in first.text
    assert {"HttpOnly", "SameSite=Strict"} <= set(cookie.split("; "))
    assert client.get(META).status_code == 200
    assert client.get("/?token=wrong").status_code == 403
    assert client.get(f"/?token={TOKEN}").status_code == 200


def test_a_header_can_carry_the_token(store):
    client = bare(store, Options(token=TOKEN))
    assert client.get(META, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_changes_need_the_header_and_json(store, method):
    client = bare(store)
    assert client.request(method, META).status_code == 403
    mark = {"X-Wattmark": "1"}
    assert client.request(method, META, headers=mark).status_code == 405
    assert client.request(method, META, headers=mark, content=b"a=1").status_code == 415
    form = {**mark, "Content-Type": "text/plain"}
    assert client.request(method, META, headers=form, content=b"{}").status_code == 415
    assert client.request(method, META, headers=mark, json={}).status_code == 405


def test_read_only_changes_nothing(store):
    answer = api(store, Options(read_only=True)).delete("/api/v1/runs/last")
    assert answer.status_code == 403
    assert "read-only" in answer.json()["message"]


def test_a_body_has_a_limit(store, monkeypatch):
    monkeypatch.setattr("wattmark.dashboard.security.MAX_BODY_BYTES", 100)
    client = api(store)
    assert client.post("/api/v1/meta", json=["x" * 200]).status_code == 413
    assert (
        client.post(
            "/api/v1/meta",
            content=b"{}",
            headers={"Content-Length": "many", "Content-Type": "application/json"},
        ).status_code
        == 413
    )


def test_every_answer_says_what_a_page_may_do(store):
    client = bare(store, Options(token=TOKEN))
    key = {"Authorization": f"Bearer {TOKEN}"}
    for answer in (
        client.get("/", headers=key),
        client.get(META, headers=key),
        client.get(META),
        client.get(f"/?token={TOKEN}"),
    ):
        assert "script-src" not in answer.headers["content-security-policy"]  # default-src 'self' holds
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
    assert client.get(META, headers=key).headers["cache-control"] == "no-store"


def test_errors_of_the_framework_look_like_all_errors(store):
    answer = api(store).get("/api/v1/nothing")
    assert answer.status_code == 404
    assert json.loads(answer.text)["message"]


def test_a_port_that_is_taken_is_told_with_the_next_step():
    with listen("127.0.0.1", 0) as first, pytest.raises(ConfigError, match="taken") as error:
        listen("127.0.0.1", first.getsockname()[1])
    assert "--port 0" in str(error.value.hint)


def test_an_address_that_is_not_of_this_machine_is_told():
    with pytest.raises(ConfigError, match="no address"):
        listen("no.such.host.invalid", 0)
    with pytest.raises(ConfigError, match="cannot listen"):
        listen("192.0.2.1", 0)


def test_what_only_this_machine_reaches():
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "gpu1")] == [
        True,
        True,
        True,
        False,
        False,
    ]

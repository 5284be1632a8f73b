"""The address for scrapers: its names, its token, one page."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator

import pytest

from wattmark.agent.listening import is_loopback, listen
from wattmark.agent.web import MetricsServer
from wattmark.errors import ConfigError


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[MetricsServer]:
    token = getattr(request, "param", None)
    running = MetricsServer(
        listen("127.0.0.1", 0, "agent"),
        lambda accept: (accept.encode(), "text/plain"),
        token=token,
        names=["Node1"],
    )
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def _get(server: MetricsServer, path: str = "/metrics", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.socket.getsockname()[1], timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_metrics_and_nothing_else(server: MetricsServer) -> None:
    assert _get(server, Accept="x/y") == (200, b"x/y")
    assert _get(server, "/metrics?a=1")[0] == 200
    assert _get(server, "/")[0] == 404


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:9", "node1", "NODE1:80", "10.0.0.3"])
def test_its_own_names_are_answered(server: MetricsServer, host: str) -> None:
    assert _get(server, Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "user@localhost", "localhost/x", "localhost.evil", "", "[::", "a,b"]
)
def test_other_names_are_not(server: MetricsServer, host: str) -> None:
    assert _get(server, Host=host)[0] == 400


@pytest.mark.parametrize("server", ["s3cret"], indirect=True)
def test_the_token_is_asked_for(server: MetricsServer) -> None:
    assert _get(server)[0] == 401
    assert _get(server, Authorization="Bearer other")[0] == 401
    assert _get(server, Authorization="Basic s3cret")[0] == 401
    assert _get(server, Authorization="Bearer s3cret")[0] == 200


def test_what_is_loopback() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("node1")


def test_a_port_that_is_taken_is_told() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(ConfigError, match="is taken") as caught:
        listen("127.0.0.1", taken.getsockname()[1], "agent")
    assert "another agent" in (caught.value.hint or "")

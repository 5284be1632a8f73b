"""The middleware over Starlette and over bare apps: heads, streams of events, shares, failures."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import wattmark as wm
from wattmark.integrations.serving.asgi import EnergyMiddleware
from wattmark.tracker.process import this_process

J, LOW, HIGH = b"wattmark-energy-j", b"wattmark-energy-low-j", b"wattmark-energy-high-j"
App = Callable[..., Awaitable[None]]


@pytest.fixture(autouse=True)
def watts(fake_machine: object) -> Iterator[None]:
    """One package at a constant 50 W."""
    yield
    this_process().end()


async def told(app: App, kind: str = "http", *received: str) -> list[dict[str, Any]]:
    """What an app sends in answer to one request."""
    sent: list[dict[str, Any]] = []
    queue = [{"type": f"{kind}.{name}"} for name in received]

    async def receive() -> dict[str, Any]:
        return queue.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app({"type": kind, "path": "/"}, receive, send)
    return sent


def answering(parts: list[bytes], kind: str = "application/json", seconds: float = 0.1) -> App:
    """An app whose body has these parts."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for step in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{step}.complete"})
            return
        await asyncio.sleep(seconds)
        head = [(b"content-type", kind.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for place, part in enumerate(parts, 1):
            await send({"type": "http.response.body", "body": part, "more_body": place < len(parts)})

    return app


def joules(message: dict[str, Any]) -> tuple[float, float, float]:
    head = dict(message["headers"])
    return float(head[LOW]), float(head[J]), float(head[HIGH])


def test_a_response_says_what_it_used() -> None:
    app = EnergyMiddleware(answering([b"{}"], seconds=0.3), "api")
    first, body = asyncio.run(told(app))
    low, value, high = joules(first)
    assert low <= value <= high
    assert value == pytest.approx(0.3 * 50, rel=0.2)
    assert body == {"type": "http.response.body", "body": b"{}", "more_body": False}


def test_requests_at_once_share_and_the_run_counts_them() -> None:
    app = EnergyMiddleware(answering([b"{}"], seconds=0.3), "api")

    async def three() -> list[Any]:
        return await asyncio.gather(*(told(app) for _ in range(3)))

    values = [joules(sent[0])[1] for sent in asyncio.run(three())]
    assert sum(values) == pytest.approx(0.3 * 50, rel=0.25)
    assert max(values) < 0.5 * sum(values)
    asyncio.run(told(app, "lifespan", "startup", "shutdown"))
    (run,) = wm.runs()
    assert (run.name, run.status) == ("api", "completed")
    (span,) = run.spans
    assert span.counts == {"requests": 3}


def test_a_stream_of_events_ends_with_a_comment_and_other_streams_are_left_alone() -> None:
    parts = [b"data: 1\n\n", b"data: 2\n\n", b""]
    head, *bodies = asyncio.run(told(EnergyMiddleware(answering(parts, "text/event-stream"))))
    assert J not in dict(head["headers"])
    text = b"".join(body["body"] for body in bodies).decode()
    assert text.startswith("data: 1\n\ndata: 2\n\n: wattmark-energy-j ")
    assert all(line.startswith((":", "data:")) for line in text.split("\n") if line)
    head, *bodies = asyncio.run(told(EnergyMiddleware(answering(parts, "application/octet-stream"))))
    assert [body["body"] for body in bodies] == parts


def test_what_the_app_raises_is_raised_and_the_next_request_has_its_own_share() -> None:
    fails = True

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if fails:
            raise ValueError("no")
        await answering([b"{}"], seconds=0.2)(scope, receive, send)

    around = EnergyMiddleware(app)
    with pytest.raises(ValueError, match="no"):
        asyncio.run(told(around))
    fails = False
    assert joules(asyncio.run(told(around))[0])[1] == pytest.approx(0.2 * 50, rel=0.3)


def test_what_cannot_be_measured_passes(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path / "file"))
    with pytest.warns(match="nothing is measured"):
        head, _ = asyncio.run(told(EnergyMiddleware(answering([b"{}"], seconds=0))))
    assert [name for name, _ in head["headers"]] == [b"content-type"]


def test_web_sockets_pass() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close"})

    assert asyncio.run(told(EnergyMiddleware(app), "websocket")) == [{"type": "websocket.close"}]


def test_with_fastapi_as_the_page_has_it() -> None:
    fastapi: Any = pytest.importorskip("fastapi")
    client: Any = pytest.importorskip("fastapi.testclient")
    app = fastapi.FastAPI()
    app.add_middleware(EnergyMiddleware)

    @app.get("/")
    def root() -> dict[str, int]:
        return {"squares": sum(i * i for i in range(100_000))}

    with client.TestClient(app) as asked:
        response = asked.get("/")
        assert asked.get("/nowhere").status_code == 404
    assert float(response.headers["wattmark-energy-j"]) > 0
    assert response.json()["squares"] > 0

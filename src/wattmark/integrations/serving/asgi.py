"""An ASGI middleware: every response says in its head what its request used.

::

    from wattmark.integrations.serving.asgi import EnergyMiddleware

    app.add_middleware(EnergyMiddleware)  # FastAPI, Starlette; elsewhere app = EnergyMiddleware(app)

``wattmark-energy-j`` with ``wattmark-energy-low-j`` and ``wattmark-energy-high-j``, the ends of the 95 % interval: the
request's share (:mod:`~wattmark.integrations.serving.flight`) until its response was complete. A stream of events, whose
head is gone by then, ends with them as a comment, which clients pass over (WHATWG HTML, Server-sent events: lines that begin
with a colon). Other streams have none. Interface: asgi.readthedocs.io, HTTP connection scope (version 3).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from wattmark.integrations.serving.flight import Flight

if TYPE_CHECKING:
    from wattmark.quantity import Quantity

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class EnergyMiddleware:
    """Around an ASGI app. name: of the runs in which its requests lie. Web sockets and what cannot be measured pass as they
    are."""

    def __init__(self, app: App, name: str = "service") -> None:
        self._app = app
        self._flight = Flight(name)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """As the interface wants it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._closing(send))
        elif scope["type"] == "http":
            if self._flight.due:
                await asyncio.to_thread(self._flight.begin)
            start_ns = self._flight.enter()
            try:
                await self._app(scope, receive, _Response(self._flight, start_ns, send))
            finally:
                self._flight.leave(start_ns)
                self._flight.forget()
        else:
            await self._app(scope, receive, send)

    def _closing(self, send: Send) -> Send:
        async def told(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await asyncio.to_thread(self._flight.begin)
            elif message["type"] in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
                await asyncio.to_thread(self._flight.close)
            await send(message)

        return told


class _Response:
    """One response on its way: its head waits for the first part of its body, which says whether it is the last one."""

    def __init__(self, flight: Flight, start_ns: int, send: Send) -> None:
        self._flight, self._start_ns, self._send = flight, start_ns, send
        self._head: Message | None = None
        self._events = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start" and not message.get("trailers"):
            self._head = message
            return
        last = kind == "http.response.body" and not message.get("more_body", False)
        head, self._head = self._head, None
        if head is not None:
            if last:
                energy = await self._so_far()
                head = {**head, "headers": [*head.get("headers", ()), *_headers(energy)]}
            else:
                self._events = _is_of_events(head.get("headers", ()))
            await self._send(head)
        elif last and self._events:
            message = {**message, "body": message.get("body", b"") + _comment(await self._so_far())}
        await self._send(message)

    async def _so_far(self) -> Quantity | None:
        now = time.monotonic_ns()
        return (await asyncio.to_thread(self._flight.energies, [(self._start_ns, now)]))[0]


def _figures(energy: Quantity | None) -> dict[str, str]:
    if energy is None:
        return {}
    values = {"": energy.value, "low-": energy.low, "high-": energy.high}
    return {f"wattmark-energy-{end}j": f"{joules:.4g}" for end, joules in values.items()}


def _headers(energy: Quantity | None) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in _figures(energy).items()]


def _comment(energy: Quantity | None) -> bytes:
    return "".join(f": {name} {value}\n" for name, value in _figures(energy).items()).encode()


def _is_of_events(headers: Any) -> bool:
    """Whether it is a stream of events that nobody has packed."""
    known = {bytes(name).lower(): bytes(value).lower() for name, value in headers}
    return known.get(b"content-type", b"").startswith(b"text/event-stream") and not known.keys() & {
        b"content-encoding",
        b"content-length",
    }

"""A server on 127.0.0.1 that answers as a publisher of carbon intensity does, in whatever way a test wants.

``with IntensityServer(lambda asked: Said(json={"zone": "DE"})) as server: ElectricityMaps(server.url)``.
"""

from __future__ import annotations

import json as json_text
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its path, its query, its headers with names in lower case."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. json: in place of body. hang_s: so long before anything is said. drop: hang up without a word.
    trickle_s: so long between two bytes."""

    status: int = 200
    json: object = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    hang_s: float = 0.0
    drop: bool = False
    trickle_s: float = 0.0

    @property
    def bytes(self) -> bytes:
        """What is sent."""
        return self.body if self.json is None else json_text.dumps(self.json).encode()


class IntensityServer:
    """Listens while in its ``with`` block; ``asked`` has every request in order."""

    def __init__(self, answer: Callable[[Asked], Said]) -> None:
        self.asked: list[Asked] = []
        self._closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            """One request."""

            def do_GET(self) -> None:
                """Answer as the test says."""
                parts = urlsplit(self.path)
                asked = Asked(
                    parts.path,
                    dict(parse_qsl(parts.query)),
                    {name.lower(): value for name, value in self.headers.items()},
                )
                server.asked.append(asked)
                said = answer(asked)
                server._closing.wait(said.hang_s)
                if said.drop:
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                try:
                    self.send_response(said.status)
                    for name, value in said.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(said.bytes)))
                    self.end_headers()
                    if not said.trickle_s:
                        self.wfile.write(said.bytes)
                        return
                    for byte in said.bytes:
                        if server._closing.wait(said.trickle_s):
                            return
                        self.wfile.write(bytes([byte]))
                except OSError:  # the client has gone
                    return

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> IntensityServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

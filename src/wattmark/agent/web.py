"""The address that others ask: ``/metrics`` for Prometheus, ``/channels`` and ``/energies`` for whoever measures a server
here from elsewhere; by its own names and, beyond this machine, with a token."""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

Text = Callable[[str], tuple[bytes, str]]
Answer = Callable[[str], Mapping[str, object]]
"""What the agent says when asked for ``channels`` or ``energies``: nothing of any user's."""
_TIMEOUT_S = 30


class MetricsServer(ThreadingHTTPServer):
    """Answers on a socket that listens already. token: asked for as ``Authorization: Bearer``, if there is one."""

    daemon_threads = True

    def __init__(
        self,
        listening: socket.socket,
        text: Text,
        *,
        token: str | None = None,
        names: Sequence[str] = (),
        answer: Answer | None = None,
    ) -> None:
        super().__init__(listening.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self.text, self.token, self.answer = text, token, answer
        self.names = frozenset((*(name.lower() for name in names), "localhost"))

    def is_own_name(self, host: str) -> bool:
        """Loopback's names, those that were allowed, and addresses in numbers, which no name server can point here."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if not name or any(sign in host for sign in "@/\\?#%, "):
            return False
        if name.lower() in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _TIMEOUT_S
    server_version = "wattmark"
    sys_version = ""

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, MetricsServer)
        if not server.is_own_name(self.headers.get("Host", "")):
            self._say(400, b"this agent is not known by that name: --allow-host NAME\n")
        elif server.token is not None and not self._has(server.token):
            self._say(401, b"this agent needs its token: Authorization: Bearer ...\n")
        elif server.answer is not None and (asked := self.path.partition("?")[0]) in (
            "/channels",
            "/energies",
        ):
            self._say(200, json.dumps(server.answer(asked[1:])).encode(), "application/json")
        elif self.path.partition("?")[0] != "/metrics":
            self._say(404, b"there is /metrics\n")
        else:
            body, kind = server.text(self.headers.get("Accept", ""))
            self._say(200, body, kind)

    def _has(self, token: str) -> bool:
        given = self.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode("utf-8", "replace"), f"Bearer {token}".encode())

    def _say(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a scrape a second would fill the log."""

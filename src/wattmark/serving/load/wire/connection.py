"""HTTP/1.1 over kept connections: an asyncio Protocol with the httptools parser, and a pool of connections.

An *exchange* is one request and its answer. A connection carries one at a time and tells it what arrives and when:
the clock is read once, at the very start of ``data_received``, before anything is parsed.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from time import monotonic_ns
from typing import Any, NamedTuple, Protocol

from wattmark.errors import MissingExtra
from wattmark.serving.load.records import Outcome
from wattmark.serving.load.wire.proxy import Proxy

try:
    import httptools
except ModuleNotFoundError as error:
    raise MissingExtra("httptools", "llm") from error


LONGEST_TUNNEL_HEAD = 65_536
"""Bytes of a proxy's answer to CONNECT."""


class ResponseHandler(Protocol):
    """What a connection needs to know of a request. Times are monotonic ns; 0 is "not yet"."""

    payload: bytes
    sent_ns: int
    heard_ns: int
    connection: Connection | None

    def headers(self, status: int, headers: dict[bytes, bytes]) -> None:
        """The answer's head is here."""
        ...

    def body(self, data: bytes) -> None:
        """A piece of the answer's body is here (chunked coding is gone already)."""
        ...

    def complete(self) -> None:
        """The answer is whole."""
        ...

    def fail(self, outcome: Outcome, why: str) -> None:
        """There will be no more of the answer."""
        ...

    def resend(self) -> bool:
        """The kept connection was closed under the request before any answer. True if it is sent anew."""
        ...


class Address(NamedTuple):
    """Where the server is; ``tls`` is None for plain HTTP. proxy: what the way there leads through, if anything."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    proxy: Proxy | None = None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ConnectFailed(Exception):
    """A connection that could not be made: ``outcome`` and a sentence."""

    def __init__(self, outcome: Outcome, why: str) -> None:
        super().__init__(why)
        self.outcome: Outcome = outcome


class Connection(asyncio.Protocol):
    """One kept connection. ``send`` only when it is idle."""

    __slots__ = ("_headers", "_parser", "_until_close", "closed", "exchange", "pool", "transport", "used")

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.transport: asyncio.Transport | None = None
        self.exchange: ResponseHandler | None = None
        self.used = 0
        self.closed = False
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._until_close = False

    def send(self, exchange: ResponseHandler) -> None:
        """Write the request; its ``sent_ns`` is the moment before the write."""
        assert self.transport is not None
        self.exchange = exchange
        self.used += 1
        exchange.connection = self
        exchange.sent_ns = monotonic_ns()
        self.transport.write(exchange.payload)

    def abort(self) -> None:
        """Drop the connection and what is in flight on it, without telling the exchange."""
        self.exchange = None
        if self.transport is not None:
            self.transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self.transport = transport  # pyright: ignore[reportAttributeAccessIssue]

    def data_received(self, data: bytes) -> None:
        """Bytes are there: note when, then parse."""
        now = monotonic_ns()
        exchange = self.exchange
        if exchange is None:  # bytes that nobody asked for: the connection is out of step
            self.abort()
            return
        exchange.heard_ns = now
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._broken("the server wants to switch protocols")
        except httptools.HttpParserCallbackError as error:  # a defect on our side, not the server's
            raise error.__context__ or error from None
        except httptools.HttpParserError as error:
            self._broken(f"not HTTP/1.1: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone: tell the exchange what that means for it."""
        self.closed = True
        self.pool.lost(self)
        exchange, self.exchange = self.exchange, None
        if exchange is None:
            return
        if self._until_close and exc is None and exchange.heard_ns >= exchange.sent_ns:
            exchange.complete()
        elif self.used > 1 and exchange.heard_ns < exchange.sent_ns and exchange.resend():
            return
        else:
            nothing = exchange.heard_ns < exchange.sent_ns
            what = "before it answered" if nothing else "in the middle of the answer"
            exchange.fail("cut", f"the server {'reset' if exc else 'closed'} the connection {what}")

    # What httptools calls.

    def on_message_begin(self) -> None:
        """An answer begins."""
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self.exchange is not None:
            headers = self._headers
            status = self._parser.get_status_code()
            if status < 200:  # an interim answer (100 Continue, 103 Early Hints): the real one follows
                return
            self._until_close = b"content-length" not in headers and b"transfer-encoding" not in headers
            self.exchange.headers(status, headers)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self.exchange is not None:
            self.exchange.body(body)

    def on_message_complete(self) -> None:
        """The answer is whole; the connection may carry the next."""
        exchange = self.exchange
        if exchange is None or self._parser.get_status_code() < 200:
            return
        self.exchange = None
        if self._parser.should_keep_alive():
            self.pool.give_back(self)
        elif self.transport is not None:
            self.transport.close()
        exchange.complete()

    def _broken(self, why: str) -> None:
        exchange = self.exchange
        self.abort()
        if exchange is not None:
            exchange.fail("malformed", why)


class Pool:
    """Connections to one address, the last used first (so that few are kept warm, as servers like it)."""

    def __init__(self, address: Address, connect_timeout_s: float) -> None:
        self.address = address
        self.opened = 0
        self._timeout_s = connect_timeout_s
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()

    def take(self) -> Connection | None:
        """An idle connection, or None."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.closed and connection.transport and not connection.transport.is_closing():
                return connection
        return None

    def give_back(self, connection: Connection) -> None:
        """The connection is idle again."""
        self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """The connection is gone."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    async def connect(self) -> Connection:
        """A new connection. Raises :class:`ConnectFailed`."""
        host, port, tls, proxy = self.address
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"ssl": tls, "server_hostname": host} if tls else {}
        reached: Address | Proxy = proxy or self.address
        try:
            if proxy is not None and tls is not None:
                options["sock"] = await asyncio.wait_for(_tunnel(proxy, self.address), self._timeout_s)
                reached = self.address
            else:
                options["host"], options["port"] = (host, port) if proxy is None else (proxy.host, proxy.port)
            _, connection = await asyncio.wait_for(
                loop.create_connection(lambda: Connection(self), **options), self._timeout_s
            )
        except (OSError, asyncio.TimeoutError) as error:
            raise connect_failure(error, reached, self._timeout_s) from error
        except UnicodeError as error:  # from the codec of host names
            raise ConnectFailed("refused", f"{reached.host!r} can be no host's name: {error}") from error
        self.opened += 1
        self._open.add(connection)
        return connection

    async def close(self) -> None:
        """Close all; returns when the sockets are gone."""
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()
        for _ in range(100):
            if not self._open:
                return
            await asyncio.sleep(0.001)


async def _tunnel(proxy: Proxy, address: Address) -> socket.socket:
    """A socket that leads through a proxy to the server. Raises OSError, and ConnectFailed if the proxy says no."""
    loop = asyncio.get_running_loop()
    entries = await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM)
    sock = await _connected(loop, entries)
    try:
        asked = f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: wattmark\r\n{proxy.header}\r\n"
        await loop.sock_sendall(sock, asked.encode("latin-1"))
        head = b""
        while b"\r\n\r\n" not in head and len(head) < LONGEST_TUNNEL_HEAD:
            data = await loop.sock_recv(sock, 4096)
            if not data:
                break
            head += data
        first = head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
        if len(first) < 2 or not (first[1].isdigit() and 200 <= int(first[1]) < 300):
            said = f"HTTP {' '.join(first[1:])}" if len(first) > 1 else "nothing that is HTTP"
            raise ConnectFailed(
                "refused", f"the proxy {proxy} ({proxy.variable}) does not lead to {address}: {said}"
            )
    except BaseException:
        sock.close()
        raise
    return sock


async def _connected(loop: asyncio.AbstractEventLoop, entries: list[Any]) -> socket.socket:
    """A socket to the first of the addresses that takes one."""
    failed: OSError = OSError("no address")
    for family, kind, protocol, _, place in entries:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        try:
            await loop.sock_connect(sock, place)
        except OSError as error:
            sock.close()
            failed = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failed


def connect_failure(
    error: OSError | asyncio.TimeoutError, reached: Address | Proxy, timeout_s: float
) -> ConnectFailed:
    """What went wrong while connecting, as an outcome and one sentence."""
    address = f"the proxy {reached} ({reached.variable})" if isinstance(reached, Proxy) else reached
    if isinstance(error, ssl.SSLCertVerificationError):
        return ConnectFailed("tls", f"the certificate of {address} is not trusted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return ConnectFailed("tls", f"TLS with {address} failed: {getattr(error, 'reason', None) or error}")
    if isinstance(error, asyncio.TimeoutError):
        return ConnectFailed("refused", f"{address} did not take the connection within {timeout_s:g} s")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return ConnectFailed("sockets", "this system allows no more open sockets (file descriptors)")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConnectFailed("sockets", f"no local port is left for another connection to {address}")
    reason = error.strerror or str(error) or type(error).__name__
    return ConnectFailed("refused", f"cannot connect to {address}: {reason}")

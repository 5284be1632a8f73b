"""Looking at a server before the load: its dialect, its model, which fields it refuses, how long prompts come out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from wattmark.errors import ServerError
from wattmark.serving.load.records import Outcome
from wattmark.serving.load.wire import dialects
from wattmark.serving.load.wire.connection import ConnectFailed, Connection, Pool
from wattmark.serving.load.wire.dialects import Clue, Dialect
from wattmark.serving.load.wire.target import Target, shown_url, without_key
from wattmark.serving.prompts.synthetic import Filler, calibrate

HINTS: dict[Outcome, str] = {
    "refused": "is the server running, and on this host and port?",
    "tls": "name the authority's certificate (--ca-file; ca_file), or --insecure (verify_tls=False) if you trust it",
    "sockets": "raise the limit (ulimit -n) or lower the concurrency",
}
HELP = {
    401: "is the API key right?",
    403: "is the API key right?",
    404: "is this the server's address, and does it have that model?",
}
PROBE_S = 5.0
"""Time limit of one look at a path; a server that is this slow at naming its models will not be measured well."""

LOADING_S = 600.0
"""A server that says 503 is waited for so long: loading a large model takes minutes."""
LOADING_PAUSE_S = 1.0
LARGEST_REPLY = 16 * 1024 * 1024
"""Bytes of one answer outside the load; Prometheus texts of large servers have some hundred thousand."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole answer."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The JSON object in it; empty if it is none."""
        try:
            data: Any = json.loads(self.body)
        except ValueError:
            return {}
        return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


class _Fetch:
    """An exchange that waits for one whole answer."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.sent_ns = self.heard_ns = 0
        self.connection: Connection | None = None
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._status, self._headers, self._body = 0, dict[bytes, bytes](), bytearray()

    def headers(self, status: int, headers: dict[bytes, bytes]) -> None:
        self._status, self._headers = status, headers

    def body(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > LARGEST_REPLY and self.connection is not None:
            self.connection.abort()
            self.fail("malformed", f"an answer of more than {LARGEST_REPLY} bytes")

    def complete(self) -> None:
        if not self.reply.done():
            self.reply.set_result(Reply(self._status, self._headers, bytes(self._body)))

    def fail(self, outcome: Outcome, why: str) -> None:
        if not self.reply.done():
            self.reply.set_exception(ConnectFailed(outcome, why))

    def resend(self) -> bool:
        return False


class Fetcher:
    """Single requests outside the load, on a connection of their own. ``async with`` closes it."""

    def __init__(self, target: Target, *, connect_s: float = 10.0) -> None:
        self.target = target
        self._key = target.api_key()
        self._pool = Pool(target.address(), connect_s)

    async def __aenter__(self) -> Fetcher:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    async def get(self, path: str, timeout_s: float = PROBE_S) -> Reply:
        """GET a path (below the target's prefix). Raises ConnectFailed."""
        head = self.target.head(key=self._key, path=self.target.path_of(path), method="GET")
        return await self._fetch(head + b"\r\n", timeout_s)

    async def post(self, body: dict[str, Any], timeout_s: float) -> Reply:
        """POST a completion request. Raises ConnectFailed."""
        data = json.dumps(body).encode()
        head = self.target.head(key=self._key, path=self.target.path)
        return await self._fetch(head + b"Content-Length: %d\r\n\r\n" % len(data) + data, timeout_s)

    def shown(self, reply: Reply) -> str:
        """What an answer says, short and without the key."""
        return without_key(" ".join(reply.body[:300].decode("utf-8", "replace").split()), self._key)

    async def _fetch(self, payload: bytes, timeout_s: float) -> Reply:
        connection = self._pool.take()
        if connection is not None:
            try:
                return await self._fetch_on(connection, payload, timeout_s)
            except ConnectFailed as error:
                if (
                    error.outcome != "cut"
                ):  # a kept connection that was closed meanwhile: as the load does, once more
                    raise
        return await self._fetch_on(await self._pool.connect(), payload, timeout_s)

    async def _fetch_on(self, connection: Connection, payload: bytes, timeout_s: float) -> Reply:
        exchange = _Fetch(payload)
        connection.send(exchange)
        # Not asyncio.wait_for, which up to Python 3.11 loses a cancellation that meets the answer.
        late = asyncio.get_running_loop().call_later(
            timeout_s, exchange.fail, "no_answer", f"no answer within {timeout_s:g} s"
        )
        try:
            return await exchange.reply
        finally:
            late.cancel()
            if exchange.connection is not None and exchange.connection.exchange is exchange:
                exchange.connection.abort()


@dataclass(frozen=True, slots=True)
class ServerProfile:
    """What is known of a server: how to speak to it, and which model to ask for."""

    dialect: Dialect
    model: str | None
    warnings: tuple[str, ...] = ()


async def probe(
    target: Target,
    *,
    answer_s: float = 300.0,
    loading_s: float = LOADING_S,
    on_wait: Callable[[float], None] | None = None,
) -> ServerProfile:
    """Find out dialect and model. If both are named, nothing is asked; a check that costs no request is not made.

    Otherwise a few paths are read, and one request for one token shows which optional fields the server refuses.
    A server that is still loading (503) is waited for; on_wait is told the seconds so far. Raises ServerError if the server
    cannot be reached, does not answer a plain request, or is still loading after ``loading_s``.
    """
    if target.dialect != "auto" and target.model is not None:
        return ServerProfile(dialects.named(target.dialect), target.model, tuple(target.warnings()))
    async with Fetcher(target) as fetcher:
        try:
            await _wait_until_loaded(fetcher, loading_s, on_wait)
            return await _probe(fetcher, target, answer_s)
        except ConnectFailed as error:
            raise ServerError(f"{shown_url(target.url)}: {error}", hint=HINTS.get(error.outcome)) from error


async def _wait_until_loaded(
    fetcher: Fetcher, most_s: float, on_wait: Callable[[float], None] | None
) -> None:
    """Until the server answers other than 503 to ``/health`` and ``/v1/models`` (llama.cpp and vLLM while they load)."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while True:
        replies = [await fetcher.get(path) for path in ("/health", "/v1/models")]
        if all(reply.status != 503 for reply in replies):
            return
        waited_s = loop.time() - begun
        if waited_s >= most_s:
            raise ServerError(
                f"{shown_url(fetcher.target.url)} is still loading after {waited_s:.0f} s (HTTP 503)",
                hint="wait for it, or see its log",
            )
        if on_wait is not None:
            on_wait(waited_s)
        await asyncio.sleep(min(LOADING_PAUSE_S, most_s - waited_s))


async def _probe(fetcher: Fetcher, target: Target, answer_s: float) -> ServerProfile:
    clues: dict[str, Clue] = {}
    dialect = None if target.dialect == "auto" else dialects.named(target.dialect)
    for path in dialects.CLUE_PATHS:
        try:
            reply = await fetcher.get(path)
        except ConnectFailed:
            if path == dialects.CLUE_PATHS[0]:
                raise
            continue
        clues[path] = Clue(reply.status, reply.json(), reply.headers.get(b"server", b"").decode("latin-1"))
        dialect = dialect or dialects.recognise(fetcher.target.address().host, clues)
        if dialect is not None:
            break
    warnings = target.warnings()
    if dialect is None:
        dialect = dialects.DIALECTS["compatible"]
        warnings.append("the kind of server was not recognised; only what all of them know is asked for")
    model = dialects.choose_model(target.model, dialects.model_entries(clues.get("/v1/models")))
    dialect, refused = await _check(fetcher, target, dialect, model, answer_s)
    if refused:
        warnings.append(f"the server refuses {', '.join(refused)}; left out")
    return ServerProfile(dialect, model, tuple(warnings))


async def _check(
    fetcher: Fetcher, target: Target, dialect: Dialect, model: str | None, answer_s: float
) -> tuple[Dialect, list[str]]:
    """Ask for one token; leave out what the server refuses. Raises ServerError if a plain request is refused."""
    refused: list[str] = []
    while True:
        body = _short(target, dialect, model, "Hello", stream=target.stream)
        reply = await fetcher.post(body, answer_s)
        if reply.status in (200, 429) or reply.status >= 500:  # busy or ill: the load will show
            return dialect, refused
        fields = dialects.refused_fields(reply.status, fetcher.shown(reply), body)
        changed = dialect.without(fields)
        if changed == dialect:  # each round leaves something out, so the rounds end
            said = f"HTTP {reply.status}: {fetcher.shown(reply)}"
            hint = HELP.get(reply.status)
            if location := reply.headers.get(b"location"):
                said, hint = f"HTTP {reply.status}", f"it says to ask at {plainly(location)} instead"
            raise ServerError(f"{shown_url(target.url)} refuses requests: {said}", hint=hint)
        dialect = changed
        refused += fields


async def find_filler(target: Target, profile: ServerProfile, *, answer_s: float = 300.0) -> Filler:
    """Units of text that are one token each for this server's tokenizer (at most four requests for one token).

    Raises ServerError if the server cannot be reached.
    """
    async with Fetcher(target) as fetcher:

        async def count_tokens(text: str) -> int | None:
            reply = await fetcher.post(
                _short(target, profile.dialect, profile.model, text, stream=False), answer_s
            )
            usage: Any = reply.json().get("usage")
            tokens: Any = usage.get("prompt_tokens") if isinstance(usage, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            return tokens if isinstance(tokens, int) else None

        try:
            return await calibrate(count_tokens)
        except ConnectFailed as error:
            raise ServerError(f"{shown_url(target.url)}: {error}", hint=HINTS.get(error.outcome)) from error


def plainly(value: bytes) -> str:
    """A header's value as it may be shown."""
    return "".join(sign for sign in value[:200].decode("latin-1") if sign.isprintable())


def _short(target: Target, dialect: Dialect, model: str | None, text: str, *, stream: bool) -> dict[str, Any]:
    prompt: dict[str, Any] = {"prompt": text}
    if target.endpoint == "chat":
        prompt = {"messages": [{"role": "user", "content": text}]}
    return dialect.body(model=model, prompt=prompt, output_tokens=1, stream=stream, extra=target.extra_body)

"""Looking at a server before the load: its dialect, its model, which fields it refuses, how long prompts come out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

from wattmark.errors import ServerError
from wattmark.serving.load.records import Outcome
from wattmark.serving.load.wire import dialects
from wattmark.serving.load.wire.body import asked_otherwise, dumps
from wattmark.serving.load.wire.connection import ConnectFailed, Connection, Pool
from wattmark.serving.load.wire.dialects import Clue, Dialect
from wattmark.serving.load.wire.endpoints import GENERATING
from wattmark.serving.load.wire.target import Target, shown_url, without_key
from wattmark.serving.prompts.base import Recording, Turn
from wattmark.serving.prompts.media import wav
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
OPTIONAL = ("stream_options", "ignore_eos", "min_tokens")
PROBE_S = 5.0
"""Time limit of one look at a path; a server that is this slow at naming its models will not be measured well."""

LOADING_S = 600.0
"""A server that says 503 is waited for so long: loading a large model takes minutes."""
LOADING_PAUSE_S = 1.0
LOADING_WORDS = (b"loading", b"starting", b"not ready", b"warming", b"initializ")
"""In the answer of a server that gives 503 to requests only, and is not ill or busy."""
UNREACHABLE: tuple[Outcome, ...] = ("refused", "tls", "sockets")
"""Failures that the next request would meet, too."""
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
        if isinstance(data, list):  # model names without a frame (Together)
            return {"data": data}
        return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


ENOUGH_S = 5.0
"""An answer that still comes after so long, though it was to be one token, is not awaited: some servers know no limit."""


class _Fetch:
    """An exchange that waits for one whole answer, or for what there is of it :data:`ENOUGH_S` after its beginning."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self.sent_ns = self.heard_ns = 0
        self.connection: Connection | None = None
        self.reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._status, self._headers, self._body = 0, dict[bytes, bytes](), bytearray()

    def headers(self, status: int, headers: dict[bytes, bytes]) -> None:
        self._status, self._headers = status, headers

    def body(self, data: bytes) -> None:
        if not self._body and self._status == 200:
            asyncio.get_running_loop().call_later(ENOUGH_S, self.complete)
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

    async def post(self, data: bytes, timeout_s: float) -> Reply:
        """POST a request to the target's endpoint. Raises ConnectFailed."""
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


class _Loading:
    """Waits for a server that is still loading, ``most_s`` in all; on_wait is told the seconds so far."""

    def __init__(self, url: str, most_s: float, on_wait: Callable[[float], None] | None) -> None:
        self._url, self._most_s, self._on_wait = url, most_s, on_wait
        self._loop = asyncio.get_running_loop()
        self._begun_s = self._loop.time()

    async def pause(self, why: str) -> None:
        """Wait for a while. Raises ServerError if it was too long."""
        waited_s = self._loop.time() - self._begun_s
        if waited_s >= self._most_s:
            raise ServerError(
                f"{self._url} is still loading after {waited_s:.0f} s ({why})",
                hint="wait for it (--wait SECONDS), or see its log",
            )
        if self._on_wait is not None:
            self._on_wait(waited_s)
        await asyncio.sleep(min(LOADING_PAUSE_S, self._most_s - waited_s))


async def probe(
    target: Target,
    *,
    answer_s: float = 300.0,
    loading_s: float | None = None,
    on_wait: Callable[[float], None] | None = None,
    starting: bool = False,
) -> ServerProfile:
    """Find out dialect and model. If both are named, nothing is asked; a check that costs no request is not made.

    Otherwise a few paths are read, and one request for one token shows which optional fields the server refuses.
    A server that is still loading (503) is waited for, :data:`LOADING_S` unless ``loading_s`` says how long (which also
    waits where both are named); on_wait is told the seconds so far. starting: one that takes no connections yet is
    waited for, too. Raises ServerError if the server cannot be reached, does not answer a plain request, or does not
    come up in time.
    """
    named = dialects.named(target.dialect) if target.dialect != "auto" and _first_model(target) else None
    if named is not None and loading_s is None:
        return ServerProfile(named, _first_model(target), tuple(target.warnings()))
    async with Fetcher(target) as fetcher:
        loading = _Loading(shown_url(target.url), LOADING_S if loading_s is None else loading_s, on_wait)
        try:
            await _until_loaded(fetcher, loading, starting)
            if named is not None:
                return ServerProfile(named, _first_model(target), tuple(target.warnings()))
            return await _probe(fetcher, target, answer_s, loading)
        except ConnectFailed as error:
            raise ServerError(f"{shown_url(target.url)}: {error}", hint=HINTS.get(error.outcome)) from error


def _first_model(target: Target) -> str | None:
    return target.model or next(iter(target.models), None)


async def _until_loaded(fetcher: Fetcher, loading: _Loading, starting: bool) -> None:
    """Until the server answers other than 503 to ``/health`` and ``/v1/models`` (llama.cpp and vLLM while they load)."""
    while True:
        why = None
        for path in ("/health", "/v1/models"):
            try:
                if (await fetcher.get(path)).status == 503:
                    why = "HTTP 503"
            except ConnectFailed as error:
                if error.outcome in UNREACHABLE and not (starting and error.outcome == "refused"):
                    raise
                why = (
                    str(error) if error.outcome == "refused" else why
                )  # a page that is not there is no matter
        if why is None:
            return
        await loading.pause(why)


async def _probe(fetcher: Fetcher, target: Target, answer_s: float, loading: _Loading) -> ServerProfile:
    clues: dict[str, Clue] = {}
    dialect = None if target.dialect == "auto" else dialects.named(target.dialect)
    for path in dialects.CLUE_PATHS:
        try:
            reply = await fetcher.get(path)
        except ConnectFailed as error:
            if error.outcome in UNREACHABLE:
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
    entries = dialects.model_entries(clues.get("/v1/models"))
    model = dialects.choose_model(_first_model(target), entries)
    there = {str(entry.get("id")) for entry in entries}
    missing = [name for name in target.models if there and name not in there]
    if missing:
        warnings.append(f"the server does not list {', '.join(missing)} among its models")
    dialect, refused = await _check(fetcher, target, dialect, model, answer_s, loading)
    if refused:
        warnings.append(f"the server refuses {', '.join(refused)}; left out")
    return ServerProfile(dialect, model, tuple(warnings))


async def _check(
    fetcher: Fetcher, target: Target, dialect: Dialect, model: str | None, answer_s: float, loading: _Loading
) -> tuple[Dialect, list[str]]:
    """Ask for one token; leave out what the server refuses. Raises ServerError if a plain request is refused."""
    refused: list[str] = []
    plain = False
    while True:
        data, body = _short(target, dialect, model, "Hello", stream=target.streams)
        reply = await fetcher.post(data, answer_s)
        if reply.status == 503 and any(word in reply.body.lower() for word in LOADING_WORDS):
            await loading.pause(f"HTTP 503: {fetcher.shown(reply)}")
            continue
        if reply.status in (200, 429) or (
            reply.status >= 500 and reply.status != 501
        ):  # busy or ill: the load will show
            return dialect, refused
        shown = fetcher.shown(reply)
        fields = dialects.refused_fields(reply.status, shown, body)
        changed = dialect.without(fields)
        if target.endpoint == "rerank" and reply.status in (400, 422) and "texts" in shown:
            changed = replace(dialect, documents="texts")
        if changed == dialect and reply.status in (400, 422) and body and not plain:
            # Refused without a word of which field: once more with those only that every server knows.
            plain, changed = True, dialect.without([*OPTIONAL, *dialect.extra])
            fields = [name for name in (*OPTIONAL, *dialect.extra) if name in body]
        if changed == dialect:  # each round leaves something out, so the rounds end
            said = f"HTTP {reply.status}: {shown}"
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
            data, _ = _short(target, profile.dialect, profile.model, text, stream=False)
            reply = await fetcher.post(data, answer_s)
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


def _short(
    target: Target, dialect: Dialect, model: str | None, text: str, *, stream: bool
) -> tuple[bytes, dict[str, Any]]:
    """The body of a short request: its bytes, and its fields where there are optional ones among them."""
    if target.endpoint not in GENERATING:
        sound = Recording(wav(0.25, 0), "sound.wav", 0.25)
        turn = Turn("Hello" if target.endpoint == "rerank" else text, texts=(text,), audio=sound)
        return asked_otherwise(target.endpoint, turn, model, target.extra_body, dialect.documents), {}
    prompt: dict[str, Any] = {"prompt": text}
    messages = [{"role": "user", "content": text}]
    if target.endpoint == "chat":
        prompt = {"messages": messages}
    elif target.chat_template is not None:
        prompt = {"prompt": target.chat_template.text(messages)}
    body = dialect.body(model=model, prompt=prompt, output_tokens=1, stream=stream, extra=target.extra_body)
    return dumps(body), body

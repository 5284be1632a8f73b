"""Reading one answer into one record: streams and whole documents, good ones and bad ones.

This is the hot path of the client. An exchange never raises out of a connection's callbacks: whatever is wrong with an
answer becomes the record's outcome and one sentence.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from time import monotonic_ns
from typing import Any, cast

from wattmark.serving.load.answers import read_answer
from wattmark.serving.load.records import Outcome, RequestRecord
from wattmark.serving.load.usage import merge_usage, usage_counts, usage_of_timings
from wattmark.serving.load.wire.body import loads
from wattmark.serving.load.wire.connection import Connection
from wattmark.serving.load.wire.endpoints import GENERATING, Endpoint
from wattmark.serving.load.wire.sse import ErrorEvent, EventStream

LONGEST_ERROR = 300
LARGEST_BODY = 64 * 1024 * 1024
DEEPEST_ERROR = 8
FIELDS_OF_EVENTS = (b"data", b"event", b"id", b"retry", b":")
"""How an event stream can begin (WHATWG HTML, 9.2.6): servers send streams under other content types, too, or none."""
THOUGHTS = ("reasoning_content", "reasoning", "thinking")
"""Fields in which servers send what a model thinks before it answers (vLLM and DeepSeek, OpenRouter, Ollama and others)."""
STATUS_WORDS = {401: "the API key was refused", 403: "not allowed", 404: "no such model or path"}


class Exchange:
    """One request on its way; implements :class:`wattmark.serving.load.wire.connection.ResponseHandler`.

    ``on_end(exchange)`` is called once, when the record is whole; ``on_resend(exchange)`` asks for another connection.
    """

    __slots__ = (
        "_body",
        "_done",
        "_endpoint",
        "_events",
        "_failed",
        "_keep_text",
        "_kind",
        "_moved",
        "_said",
        "_size",
        "_texts",
        "_undecided",
        "_unpack",
        "_usage",
        "connection",
        "extra",
        "heard_ns",
        "on_end",
        "on_resend",
        "payload",
        "record",
        "sent_ns",
    )

    def __init__(
        self,
        record: RequestRecord,
        payload: bytes,
        *,
        on_end: Callable[[Exchange], None],
        on_resend: Callable[[Exchange], None],
        keep_text: bool = False,
        extra: Any = None,
        endpoint: Endpoint = "chat",
    ) -> None:
        self.record = record
        self.payload = payload
        self.on_end = on_end
        self.on_resend = on_resend
        self.extra = extra
        self.connection: Connection | None = None
        self.sent_ns = 0
        self.heard_ns = 0
        self._keep_text = keep_text
        self._endpoint: Endpoint = endpoint
        self._kind = ""
        self._events: EventStream | None = None  # made for streams only
        self._body: list[bytes] = []
        self._size = 0
        self._texts: list[str] = []
        self._usage: dict[str, Any] | None = None
        self._done = False
        self._failed = False
        self._said: bytes | None = None  # the last event without a choice, for as long as no choice came
        self._undecided = False
        self._moved: str | None = None
        self._unpack: Any = None

    @property
    def ended(self) -> bool:
        """Whether the record is whole."""
        return self._failed or self.record.end_ns is not None

    @property
    def finished_stream(self) -> bool:
        """Whether the stream said that it is over (its connection may still be open)."""
        return self._done

    # What a connection calls.

    def headers(self, status: int, headers: dict[bytes, bytes]) -> None:
        """The head: status, and whether it is an event stream."""
        self.record.status = status
        if status == 200:
            kind = headers.get(b"content-type", b"").lower()
            if self._endpoint not in GENERATING:
                self._kind = kind.decode("latin-1")
            elif kind.startswith(b"text/event-stream"):
                self._events = EventStream()
            else:
                self._undecided = True
        elif location := headers.get(b"location"):
            self._moved = _shown(location)
        if coding := headers.get(b"content-encoding"):
            self._coded(coding.strip().lower())
        after = headers.get(b"retry-after")
        if after is not None:
            self.record.retry_after_s = retry_after_s(after, headers.get(b"date"))

    def body(self, data: bytes) -> None:
        """A piece of the body: events are read at once, documents at the end."""
        if self._failed:
            return
        if self._unpack is not None:
            try:
                data = self._unpack.decompress(data, LARGEST_BODY)
            except zlib.error as error:
                self._give_up("malformed", f"the answer's compression is damaged: {error}")
                return
            if self._unpack.unconsumed_tail:
                self._give_up("malformed", f"an answer of more than {LARGEST_BODY} bytes")
                return
        if self._undecided:
            data = self._told_by_its_beginning(data)
        if self._events is None:
            if not self._size and self._endpoint == "speech" and self.record.status == 200:
                self.record.chunk_ns.append(self.heard_ns)  # the first sound is there
            self._size += len(data)
            if self._size > LARGEST_BODY:
                self._give_up("malformed", f"an answer of more than {LARGEST_BODY} bytes")
                return
            self._body.append(data)
            return
        try:
            events = self._events.feed(data)
        except ValueError as error:
            self._give_up("malformed", str(error))
            return
        for event in events:
            if not self._event(event):
                return

    def complete(self) -> None:
        """The answer is whole: was it a good one?"""
        if self._failed:
            return
        record = self.record
        if record.status != 200:
            self._refused()
        elif self._endpoint not in GENERATING:
            self._answer()
        elif self._events is None:
            self._document()
        else:
            for event in self._events.end():
                if not self._event(event):
                    return
            if self.record.choices == 0 and (self._done or self._said is not None):
                self.fail("server_error", f"the stream held no choice: {_shown(self._said or b'[DONE]')}")
            elif self._done or record.finish_reason is not None or (self._usage and record.choices):
                self._well()  # with its counts the server has said all, also where it leaves the last words out
            else:
                self.fail("cut", "the stream ended without a finish_reason or [DONE]")

    def fail(self, outcome: Outcome, why: str) -> None:
        """End badly; what came before stays in the record."""
        if self.ended:
            return
        if outcome == "cut" and self._done:  # all was said; how the connection ends does not matter
            self._well()
            return
        self._failed = True
        self.record.outcome, self.record.error = outcome, why
        self._close()

    def resend(self) -> bool:
        """Ask for one more try: nothing was answered, so the server had closed the connection before it read this."""
        if self.record.retries or self.ended:
            return False
        self.record.retries += 1
        self.connection = None
        self.on_resend(self)
        return True

    # Reading.

    def _told_by_its_beginning(self, data: bytes) -> bytes:
        """Whether this is a stream, whatever its content type says; the bytes so far once they are enough to tell."""
        if data[:1] == b"{" and not self._body:  # the common case
            self._undecided = False
            return data
        data = b"".join((*self._body, data))
        begin = data.lstrip(b"\xef\xbb\xbf\r\n\t ")[:5]
        if any(begin.startswith(name) for name in FIELDS_OF_EVENTS):
            self._events = EventStream()
        elif any(name.startswith(begin) for name in FIELDS_OF_EVENTS):
            self._body.clear()
            self._size = 0
            return data
        self._undecided = False
        self._body.clear()
        self._size = 0
        return data

    def _event(self, data: bytes) -> bool:
        """Take in one event; False if it ended the exchange badly."""
        if data == b"[DONE]":
            self._done = True
            return True
        record = self.record
        try:
            event: Any = lenient_loads(data)
            choices = event.get("choices")
            if choices:
                for choice in choices:
                    if choice:
                        self._take(choice)
        except (ValueError, AttributeError, TypeError, LookupError):
            if data.strip() == b"[DONE]":
                self._done = True
                return True
            if type(data) is ErrorEvent:
                self._give_up("server_error", f"the server reported within the stream: {_shown(data)}")
                return False
            self._give_up("malformed", f"a stream event that is no completion chunk: {_shown(data)}")
            return False
        if not choices and not record.choices and not event.get("usage"):
            self._said = data
        if (error := _error_in(event, data)) is not None:
            self._give_up("server_error", f"the server reported within the stream: {_message(error)}")
            return False
        if usage := event.get("usage") or _usage_elsewhere(event):
            self._usage = merge_usage(self._usage, usage)
        if timings := event.get("timings"):
            record.timings = _numbers(timings)
        return True

    def _take(self, choice: Any) -> None:
        """One choice of an event: its text, and how it ended. Of several (``n``) the first is the text that is kept."""
        record = self.record
        record.choices += 1
        text, thought = _text_of(choice)
        place = choice.get("index")
        if place and place >= record.answers:
            record.answers = place + 1
        if text:
            record.chunk_ns.append(self.heard_ns)
            record.text_size += len(text)
            if thought:
                record.reasoning_chunks += 1
            elif record.first_answer_ns is None:
                record.first_answer_ns = self.heard_ns
            if self._keep_text and not place:
                self._texts.append(text)
        if reason := choice.get("finish_reason"):
            record.finish_reason = str(reason)

    def _answer(self) -> None:
        """The answer of an endpoint that makes no tokens."""
        data = b"".join(self._body)
        try:
            read_answer(self._endpoint, self.record, data, self._kind)
        except (ValueError, AttributeError, TypeError, LookupError) as error:
            said = self._error_said(data)
            if said is not None:
                self.fail("server_error", f"the server reported: {said}")
            else:
                self.fail("malformed", f"an answer that cannot be used: {error or _shown(data)}")
            return
        self._well()

    def _error_said(self, data: bytes) -> str | None:
        """The server's words, if a document of status 200 tells of an error."""
        try:
            error = _error_in(lenient_loads(data), data)
        except (ValueError, AttributeError):
            return None
        return None if error is None else _message(error)

    def _document(self) -> None:
        """The whole answer of a request that was not streamed."""
        data = b"".join(self._body)
        try:
            document: Any = lenient_loads(data)
            if (error := _error_in(document, data)) is not None and not document.get("choices"):
                self.fail("server_error", f"the server reported: {_message(error)}")
                return
            choices = document["choices"]
            choice = choices[0]
            text, thought = _text_of(choice)
            others = [_text_of(each)[0] or "" for each in choices[1:]]
            usage = document.get("usage") or _usage_elsewhere(document)
            timings = document.get("timings")
        except (ValueError, AttributeError, TypeError, LookupError):
            self.fail("malformed", f"an answer that is no completion: {_shown(data)}")
            return
        record = self.record
        record.choices = record.answers = len(choices)
        record.text_size = len(text or "") + sum(map(len, others))
        record.reasoning_chunks = int(thought)
        if usage:
            self._usage = merge_usage(None, usage)
        if reason := choice.get("finish_reason"):
            record.finish_reason = str(reason)
        if timings:
            record.timings = _numbers(timings)
        if self._keep_text and text:
            self._texts.append(text)
        self._well()

    def _refused(self) -> None:
        status = self.record.status or 0
        data = b"".join(self._body)
        try:
            document: Any = loads(data)
            said = _message(document.get("error", document)) if isinstance(document, dict) else _shown(data)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        except ValueError:
            said = _shown(data)
        word = STATUS_WORDS.get(status)
        if self._moved:
            word, said = "moved", f"ask at {self._moved} instead"
        what = f"HTTP {status}" + (f" ({word})" if word else "") + (f": {said}" if said else "")
        if status == 429:
            after = self.record.retry_after_s
            self.fail("throttled", what + (f"; retry after {after:g} s" if after is not None else ""))
        else:
            self.fail("server_error" if status >= 500 else "client_error", what)

    # Ending.

    def _well(self) -> None:
        record = self.record
        if record.finish_reason == "error":  # OpenRouter, LiteLLM: the model broke off
            self.fail("server_error", "the server ended the answer with finish_reason error")
            return
        record.outcome = "ok"
        if record.chunk_ns:
            record.first_token_ns, record.last_token_ns = record.chunk_ns[0], record.chunk_ns[-1]
        if self._usage is None and record.timings:
            self._usage = usage_of_timings(record.timings)
        if self._usage is not None:
            try:
                wanted = record.wanted_output_tokens
                usage_counts(record, self._usage, None if wanted is None else wanted * record.answers)
            except AttributeError:
                record.usage_problem = "usage that is no object"
        if (
            record.cached_tokens is None and record.input_tokens and "cache_n" in (record.timings or {})
        ):  # llama.cpp
            record.cached_tokens = min(record.input_tokens, int((record.timings or {})["cache_n"]))
        if not self._keep_text:
            record.text = None
        elif record.text is None:
            record.text = whole_text(self._texts)
        self._close()

    def _coded(self, coding: bytes) -> None:
        """The body is compressed, though plain bytes were asked for: some proxies do it all the same."""
        if coding in (b"gzip", b"x-gzip", b"deflate"):
            self._unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)  # it sees itself which of the two
        elif coding != b"identity":
            self._give_up("malformed", f"an answer compressed as {_shown(coding)}, which was not asked for")

    def _give_up(self, outcome: Outcome, why: str) -> None:
        """Fail, and drop the connection: what follows on it cannot be trusted."""
        connection = self.connection
        if connection is not None and connection.exchange is self:
            connection.abort()
        self.fail(outcome, why)

    def _close(self) -> None:
        record = self.record
        record.sent_ns = self.sent_ns or None
        if record.chunk_ns and record.first_token_ns is None:
            record.first_token_ns, record.last_token_ns = record.chunk_ns[0], record.chunk_ns[-1]
        record.end_ns = self.heard_ns if record.outcome == "ok" else monotonic_ns()
        self.payload = b""
        self._body, self._texts = [], []
        self.on_end(self)


def lenient_loads(data: bytes) -> Any:
    """JSON that may hold half a UTF-8 character or a lone surrogate: some servers cut a token's bytes in two.

    Raises ValueError if it is no JSON even so.
    """
    try:
        return loads(data)
    except ValueError as error:
        try:
            return json.loads(data.decode("utf-8", "replace"))
        except RecursionError:
            raise error from None


def whole_text(parts: list[str]) -> str:
    """The parts as one text; halves of a surrogate pair that came in two parts are joined, lone ones replaced."""
    text = "".join(parts)
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _text_of(choice: Any) -> tuple[str | None, bool]:
    """The text in a choice of any shape (chat delta, chat message, completion; tool calls count), and whether it is
    what the model thinks before it answers."""
    text = choice.get("text")
    if text is not None:
        return str(text), False
    said = choice.get("delta") or choice.get("message")
    if not said:
        return None, False
    content = said.get("content")
    if content:
        return (content, False) if isinstance(content, str) else _text_of_parts(content)
    for name in THOUGHTS:
        if thought := said.get(name):
            return str(thought), True
    calls = said.get("tool_calls") or said.get("function_call")
    if calls:
        return _text_of_calls(calls), False
    sound = said.get("audio")
    return (str(sound.get("transcript") or " ") if sound else said.get("refusal")), False


def _text_of_calls(calls: Any) -> str | None:
    """What the model wrote of its tool calls: names and arguments, without the frame that the server puts around them."""
    listed: list[Any] = cast("list[Any]", calls) if isinstance(calls, list) else [{"function": calls}]
    text = ""
    for call in listed:
        part: Any = call.get("function") or call
        text += str(part.get("name") or "") + str(part.get("arguments") or "")
    return text or None


def _text_of_parts(parts: Any) -> tuple[str | None, bool]:
    """Content as a list of typed parts (Mistral: ``{"type": "thinking", ...}`` and ``{"type": "text", ...}``)."""
    listed = cast("list[Any]", parts) if isinstance(parts, list) else [parts]
    typed = [cast("dict[str, Any]", part) for part in listed if isinstance(part, dict)]
    thinks = bool(typed) and all(part.get("type") == "thinking" for part in typed)
    texts: list[Any] = [
        cast("dict[str, Any]", part).get("text", part) if isinstance(part, dict) else part for part in listed
    ]
    return "".join(text if isinstance(text, str) else str(text) for text in texts) or None, thinks


def _error_in(event: Any, data: bytes) -> Any:
    """The error that an event or document tells of, whole or as a field; None if there is none."""
    if error := event.get("error"):
        return error
    if event.get("object") == "error" or type(data) is ErrorEvent:  # vLLM; ``event: error``
        return event
    return None


def _usage_elsewhere(event: Any) -> Any:
    """Token counts of Groq, whose streams have them in ``x_groq``, and of Moonshot, whose last choice has them."""
    own = event.get("x_groq") or next(iter(event.get("choices") or ()), None)
    return own.get("usage") if isinstance(own, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def retry_after_s(value: bytes, date: bytes | None) -> float | None:
    """Seconds to wait (RFC 9110, section 10.2.3): a number, or a date, by the server's own clock if it tells it."""
    text = value.decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
        now_s = parsedate_to_datetime(date.decode("latin-1")).timestamp() if date else time.time()
        return max(0.0, until.timestamp() - now_s)
    except (ValueError, OverflowError, OSError):
        return None


def _message(error: Any) -> str:
    """The sentence in an error object of any server."""
    depth = 0
    while isinstance(error, dict) and depth < DEEPEST_ERROR:
        inner = cast("dict[str, Any]", error)
        error = next(
            (inner[name] for name in ("message", "detail", "error", "msg") if name in inner), str(inner)
        )
        depth += 1
    return _shown(str(cast("object", error)).encode("utf-8", "replace"))


def _shown(data: bytes) -> str:
    text = data[: LONGEST_ERROR * 4].decode("utf-8", "replace")[:LONGEST_ERROR]
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split()) or "nothing"


def _numbers(timings: Any) -> dict[str, float]:
    if not isinstance(timings, dict):
        return {}
    named = cast("dict[str, Any]", timings)
    return {
        key: float(value)
        for key, value in named.items()
        if isinstance(value, (int, float)) and abs(value) < 1e15
    }

"""HTTP/1.1 as servers really speak it."""

from __future__ import annotations

import asyncio
import errno
import gzip
import ssl
import zlib

import pytest

from wattmark.serving.load.client import ClosedLoop, Lengths, Limits, Synthetic, Target, run_load
from wattmark.serving.load.wire.connection import Address, connect_failure
from wattmark.testing.scripted_server import Script, ScriptedServer

BODY = b'{"choices":[{"text":"a","finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":1}}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = PLAIN + b"Transfer-Encoding: chunked\r\n\r\n"
SIZE = b"%X" % len(BODY)
GZIP = gzip.compress(BODY)
RAW = zlib.compress(BODY)
ODD = {
    "upper case, zeros, an extension": (CHUNKED + b"000" + SIZE + b";a=b;c\r\n" + BODY + b"\r\n0\r\n\r\n",),
    "trailers": (CHUNKED + SIZE + b"\r\n" + BODY + b"\r\n0\r\nServer-Timing: x\r\nA: b\r\n\r\n",),
    "one byte a chunk": (CHUNKED + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n",),
    "a piece a byte": tuple(bytes([byte]) for byte in CHUNKED + SIZE + b"\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "end in a piece of its own": (CHUNKED + SIZE + b"\r\n" + BODY + b"\r\n", 0.005, b"0\r\n", 0.005, b"\r\n"),
    "http 1.0 until close": (b"HTTP/1.0 200 OK\r\n\r\n" + BODY, "close"),
    "no reason, odd spacing": (
        b"HTTP/1.1 200\r\nCONTENT-length:%d  \r\nX-Empty:\r\n\r\n" % len(BODY) + BODY,
    ),
    "gzip": (PLAIN + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(GZIP) + GZIP,),
    "deflate": (PLAIN + b"Content-Encoding: Deflate\r\nContent-Length: %d\r\n\r\n" % len(RAW) + RAW,),
    "identity": (PLAIN + b"Content-Encoding: identity\r\n" + LENGTH + BODY,),
    "two hints": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n", PLAIN + LENGTH + BODY),
}


def load(*steps, requests: int = 1):
    async def main():
        async with ScriptedServer(Script(steps=steps)) as server:
            at = Target(server.url, model="m", dialect="vllm", stream=False)
            workload = Synthetic(Lengths.fixed(8), Lengths.fixed(1))
            return await run_load(
                at, ClosedLoop.of(1), workload, limits=Limits(requests=requests, scrape_s=None)
            ), server

    return asyncio.run(main())


@pytest.mark.parametrize(
    "steps",
    [
        (PLAIN + LENGTH + BODY,),
        (PLAIN + b"\r\n" + BODY, "close"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0.005, PLAIN + LENGTH + BODY),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN + LENGTH + BODY,),
        (PLAIN.replace(b"1.1", b"1.0") + LENGTH + BODY, "close"),
        tuple(bytes([byte]) for byte in PLAIN + LENGTH + BODY),
        (
            PLAIN
            + b"Transfer-Encoding: chunked\r\n\r\n5\r\n"
            + BODY[:5]
            + b"\r\n%x\r\n" % (len(BODY) - 5)
            + BODY[5:]
            + b"\r\n0\r\n\r\n",
        ),
        *ODD.values(),
    ],
    ids=["length", "until close", "early hints", "continue", "http 1.0", "byte by byte", "chunked", *ODD],
)
def test_a_whole_answer_in_any_framing(steps):
    result, _ = load(*steps)
    assert result.counts == {"ok": 1}, result.records[0].error
    assert result.records[0].output_tokens == 1


def test_a_connection_that_the_server_will_close_is_not_used_again():
    result, server = load(PLAIN + b"Connection: close\r\n" + LENGTH + BODY, "close", requests=3)
    assert result.counts == {"ok": 3}
    assert server.connections == 3
    assert sum(record.retries for record in result.records) == 0


def test_bytes_that_nobody_asked_for_end_the_connection_not_the_load():
    result, server = load(PLAIN + LENGTH + BODY, 0.0, b"more", requests=3)
    assert sum(result.counts.values()) == 3
    assert result.counts["ok"] >= 1
    assert server.connections >= 2


def test_an_answer_cut_short_of_its_length_is_no_answer():
    result, _ = load(PLAIN + LENGTH + BODY[:-9], "close")
    assert result.counts == {"cut": 1}


@pytest.mark.parametrize(
    ("steps", "outcome", "words"),
    [
        ((PLAIN + b"Content-Encoding: br\r\n" + LENGTH + BODY,), "malformed", "compressed as br"),
        ((PLAIN + b"Content-Encoding: gzip\r\n" + LENGTH + BODY,), "malformed", "compression is damaged"),
        ((PLAIN + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",), "malformed", "not HTTP/1.1"),
        ((PLAIN + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",), "malformed", "not HTTP/1.1"),
        ((PLAIN + b"Content-Length: -1\r\n\r\n",), "malformed", "not HTTP/1.1"),
        ((PLAIN + b"Content-Length: 0\r\n\r\n",), "malformed", "no completion: nothing"),
        ((CHUNKED + b"FFFFFFFFFFFFFFFFFF\r\n",), "malformed", "not HTTP/1.1"),
        ((CHUNKED + b"-5\r\nhello\r\n",), "malformed", "not HTTP/1.1"),
        ((CHUNKED + SIZE + b"\r\n" + BODY + b"0\r\n\r\n",), "malformed", "not HTTP/1.1"),
        ((CHUNKED + SIZE + b"\r\n" + BODY + b"\r\n", "close"), "cut", "in the middle"),
        (
            (b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",),
            "malformed",
            "protocols",
        ),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), "client_error", "HTTP 204"),
        (
            (b"HTTP/1.1 308 Moved\r\nLocation: https://h/v1\r\nContent-Length: 0\r\n\r\n",),
            "client_error",
            "HTTP 308 (moved): ask at https://h/v1 instead",
        ),
    ],
)
def test_what_is_no_answer_is_named(steps, outcome: str, words: str):
    result, _ = load(*steps)
    assert result.counts == {outcome: 1}
    assert words in (result.records[0].error or "")


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wattmark.serving.load.exchange.LARGEST_BODY", 10_000)
    bomb = gzip.compress(b" " * 10_000_000)
    head = PLAIN + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    result, _ = load(head + bomb)
    assert result.counts == {"malformed": 1}
    assert "more than 10000 bytes" in (result.records[0].error or "")


def test_an_endless_document_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wattmark.serving.load.exchange.LARGEST_BODY", 10_000)
    result, _ = load(PLAIN + b"\r\n" + b"{" * 50_000)
    assert result.counts == {"malformed": 1}


def test_two_answers_to_one_request_are_not_taken_for_the_next():
    result, _ = load((PLAIN + LENGTH + BODY) * 2, requests=4)
    assert result.counts == {"ok": 4}


def test_a_closed_connection_right_after_the_answer_costs_no_request():
    result, server = load(PLAIN + LENGTH + BODY, "close", requests=5)
    assert result.counts == {"ok": 5}
    assert server.requests >= 5


def test_a_name_that_can_be_no_host_is_refused_not_awaited():
    at = Target("http://" + "a" * 70 + ".example", model="m", dialect="vllm")
    workload = Synthetic(Lengths.fixed(8), Lengths.fixed(1))
    result = asyncio.run(run_load(at, ClosedLoop.of(1), workload, limits=Limits(requests=1, scrape_s=None)))
    assert result.counts == {"refused": 1}


@pytest.mark.parametrize(
    ("error", "outcome", "words"),
    [
        (OSError(errno.EMFILE, "x"), "sockets", "no more open sockets"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "sockets", "no local port"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "refused", "h:1: refused"),
        (asyncio.TimeoutError(), "refused", "within 2 s"),
        (ssl.SSLError(1, "wrong version number"), "tls", "TLS with h:1 failed"),
        (OSError("Multiple exceptions"), "refused", "Multiple exceptions"),
    ],
)
def test_failures_to_connect_are_named(error: OSError, outcome: str, words: str):
    found = connect_failure(error, Address("h", 1), 2.0)
    assert found.outcome == outcome
    assert words in str(found)

"""HTTP/1.1 as servers really speak it."""

from __future__ import annotations

import asyncio
import errno
import ssl

import pytest

from wattmark.serving.client import ClosedLoop, Lengths, Limits, Synthetic, Target, run_load
from wattmark.serving.http1 import Address, connect_failure
from wattmark.testing.scripted_server import Script, ScriptedServer

BODY = b'{"choices":[{"text":"a","finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":1}}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)


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
    ],
    ids=["length", "until close", "early hints", "continue", "http 1.0", "byte by byte", "chunked"],
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

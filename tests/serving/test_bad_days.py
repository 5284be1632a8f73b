"""What a server can do to a load test, one bad day each: a clear message, honest counts, and the rest goes on."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import ssl
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from wattmark.errors import ConfigError, ServerError
from wattmark.serving.figures.latency import measure
from wattmark.serving.load.client import (
    ClosedLoop,
    Lengths,
    Limits,
    LoadResult,
    Synthetic,
    Target,
    _first_interrupt_sets,
    run_load,
    run_load_blocking,
)  # fmt: skip
from wattmark.serving.load.exchange import retry_after_s
from wattmark.testing.scripted_server import CLOSE, HANG, RESET, Script, ScriptedServer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
LAST = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"
SHORT = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
QUICK = Limits(requests=6, first_byte_s=0.1, stall_s=0.1, drain_s=1, scrape_s=None)


def coded(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def bad_then_good(bad: Script):
    """The first request of a test gets the bad answer, the others good ones."""
    return lambda number, body: bad if number == 0 else Script()


def load(
    script, *, limits: Limits = QUICK, concurrency: int = 1, **target
) -> tuple[LoadResult, ScriptedServer]:
    async def main():
        async with ScriptedServer(script) as server:
            at = Target(server.url, model="m", dialect="vllm", **target)
            return await run_load(at, ClosedLoop.of(concurrency), SHORT, limits=limits), server

    return asyncio.run(main())


def load_unknown(script: Script) -> None:
    """A load on a server that is looked at first."""

    async def main():
        async with ScriptedServer(script) as server:
            await run_load(Target(server.url), ClosedLoop.of(1), SHORT, limits=QUICK)

    asyncio.run(main())


async def in_a_process(program: str, *arguments: str) -> str:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", program, *arguments, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    return (await child.communicate())[0].decode()


def the_bad_one(result: LoadResult):
    """One of six failed, five went well, and the failure is in no latency figure."""
    assert sum(result.counts.values()) == 6
    assert result.counts["ok"] == 5
    assert result.failed == 1
    bad = next(record for record in result.records if not record.ok)
    figures = measure(result)
    assert (figures.ok, figures.failed) == (5, 1)
    assert figures.e2e_s is not None
    assert figures.e2e_s.count == 5
    return bad


def test_a_stream_that_stalls_is_given_up_and_keeps_what_came():
    result, _ = load(bad_then_good(Script(steps=(HEAD, coded(CHUNK), HANG))))
    bad = the_bad_one(result)
    assert (bad.outcome, bad.error) == ("stalled", "the answer stopped coming for 0.1 s")
    assert len(bad.chunk_ns) == 1
    assert bad.first_token_ns == bad.chunk_ns[0]
    assert bad.output_tokens is None


def test_a_server_that_never_answers_is_given_up():
    bad = the_bad_one(load(bad_then_good(Script(steps=(HANG,))))[0])
    assert (bad.outcome, bad.error) == ("no_answer", "no answer within 0.1 s")
    assert bad.status is None
    assert bad.first_token_ns is None


def test_a_total_limit_ends_an_answer_that_keeps_dribbling():
    limits = Limits(requests=1, total_s=0.1, scrape_s=None)
    result, _ = load(Script(gap_s=0.02, tokens=1_000), limits=limits)
    assert result.records[0].outcome == "too_long"
    assert result.records[0].error == "not complete after 0.1 s"


def test_a_reset_in_the_middle():
    bad = the_bad_one(load(bad_then_good(Script(steps=(HEAD, coded(CHUNK), 0.02, RESET))))[0])
    assert bad.outcome == "cut"
    assert "in the middle of the answer" in (bad.error or "")
    assert len(bad.chunk_ns) == 1


def test_a_fresh_connection_closed_without_an_answer_is_not_asked_twice():
    """It may have been read: only the race of a kept connection is safe to repeat."""
    result, server = load(bad_then_good(Script(steps=(CLOSE,))))
    bad = the_bad_one(result)
    assert (bad.outcome, bad.retries) == ("cut", 0)
    assert "before it answered" in (bad.error or "")
    assert server.requests == 6


def test_a_kept_connection_closed_under_the_next_request_is_opened_anew():
    def script(number: int, body: dict[str, object]) -> Script:
        return Script(steps=(CLOSE,)) if number == 1 else Script()

    result, server = load(script)
    assert result.counts == {"ok": 6}
    assert sum(record.retries for record in result.records) == 1
    assert server.requests == 7


def test_a_server_that_closes_every_kept_connection_costs_no_request():
    result, server = load(Script(close_silently=True))
    assert result.counts == {"ok": 6}
    assert server.connections >= 6


@pytest.mark.parametrize(
    ("wrong", "outcome", "message"),
    [
        (coded(b"data: {half\n\n"), "malformed", "no completion chunk: {half"),
        (coded(b'data: ["a list"]\n\n'), "malformed", "no completion chunk"),
        (coded(b'data: {"choices":["no object"]}\n\n'), "malformed", "no completion chunk"),
        (b"this is no chunk size\r\n", "malformed", "not HTTP/1.1"),
        (coded(b'data: {"error":{"message":"out of memory"}}\n\n'), "server_error", "out of memory"),
        (coded(CHUNK) + b"0\r\n\r\n", "cut", "without a finish_reason"),
        (coded(b"data: " + b"[" * 5_000 + b"\n\n"), "malformed", "no completion chunk"),
        (coded(b"data: 5\n\n"), "malformed", "no completion chunk"),
        (
            coded(b'data: {"choices":[{"finish_reason":"error"}],"error":{"message":"boom"}}\n\n'),
            "server_error",
            "boom",
        ),
        (
            coded(b"data: {" + b'"error":{' * 600 + b"}" * 601 + b"\n\n"),
            "server_error",
            "the server reported",
        ),
    ],
)
def test_a_malformed_stream(wrong: bytes, outcome: str, message: str):
    bad = the_bad_one(load(bad_then_good(Script(steps=(HEAD, wrong, 0.02, CLOSE))))[0])
    assert bad.outcome == outcome
    assert message in (bad.error or "")


@pytest.mark.parametrize(
    "odd",
    [
        coded(b"\xef\xbb\xbf" + CHUNK + CHUNK + LAST + USAGE + b"data: [DONE] \n\n"),
        coded((b": ping\n\n" + CHUNK + b"data:\n\n" + CHUNK + LAST + USAGE + DONE).replace(b"\n", b"\r\n")),
        coded((CHUNK + CHUNK + LAST + USAGE + DONE).replace(b"\n", b"\r")),
        coded(CHUNK.replace(b",", b",\ndata: ") + CHUNK + LAST + USAGE + DONE),
        b"".join(coded(bytes([byte])) for byte in CHUNK + CHUNK + LAST + USAGE + DONE),
        coded(CHUNK + CHUNK.replace(b'"a"', b'["a",5]') + LAST + USAGE + DONE),
        coded(CHUNK + CHUNK + LAST.replace(b'"length"', b"[7]") + USAGE + DONE),
        coded(CHUNK + CHUNK + LAST[:-3] + b',"timings":["none"]}\n\n' + USAGE + DONE),
        coded(CHUNK + CHUNK + LAST[:-3] + b',"timings":{"a":1e200,"b":"x","c":null}}\n\n' + USAGE + DONE),
    ],
    ids=[
        "mark, space",
        "crlf, comments",
        "cr",
        "lines",
        "byte by byte",
        "parts",
        "reason",
        "timings",
        "numbers",
    ],
)
def test_odd_streams_that_are_whole_are_good_answers(odd: bytes):
    steps = (HEAD.replace(b"text/event-stream", b"Text/Event-Stream; charset=utf-8"), odd + b"0\r\n\r\n")
    result, _ = load(Script(steps=steps), limits=Limits(requests=2, keep_text=True, scrape_s=None))
    assert result.counts == {"ok": 2}, result.records[0].error
    assert [(len(record.chunk_ns), record.output_tokens) for record in result.records] == [(2, 2)] * 2


def test_a_compressed_stream_is_read_as_it_comes():
    packer = zlib.compressobj(wbits=31)
    head = HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
    pieces = [
        packer.compress(each) + packer.flush(zlib.Z_SYNC_FLUSH)
        for each in (CHUNK, CHUNK, LAST + USAGE + DONE)
    ]
    steps = (head, coded(pieces[0]), 0.02, coded(pieces[1]), coded(pieces[2] + packer.flush()) + b"0\r\n\r\n")
    result, _ = load(Script(steps=steps), limits=Limits(requests=1, scrape_s=None))
    assert result.counts == {"ok": 1}
    first, second = result.records[0].chunk_ns
    assert second - first > 0.01e9


def test_a_server_that_moved_is_told_before_the_load():
    moved = Script(status=307, headers=("Location: https://elsewhere/v1",), body=b"")
    with pytest.raises(ServerError, match="HTTP 307") as caught:
        load_unknown(moved)
    assert "https://elsewhere/v1" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "wrong",
    [{"scrape_s": 0}, {"first_byte_s": 0}, {"stall_s": -1}, {"drain_s": -1}, {"processes": 0}, {"requests": -1},
     {"duration_s": float("nan")}],
)  # fmt: skip
def test_limits_that_cannot_be_kept_are_refused(wrong: dict[str, float]):
    with pytest.raises(ConfigError):
        Limits(**wrong)


def test_what_is_not_http_at_all():
    bad = the_bad_one(load(bad_then_good(Script(steps=(b"SSH-2.0-OpenSSH_9.2\r\n", HANG))))[0])
    assert bad.outcome == "malformed"


def test_a_malformed_document():
    bad = the_bad_one(load(bad_then_good(Script(body=b'{"choices": []}')), stream=False)[0])
    assert bad.outcome == "malformed"
    assert "no completion" in (bad.error or "")


def test_a_character_cut_in_half_by_a_chunk_is_whole_in_the_end():
    event = (
        'data: {"choices":[{"index":0,"delta":{"content":"naïve ☕"},"finish_reason":"stop"}]}\n\n'.encode()
    )
    cut = event.index("☕".encode()) + 1
    steps = (HEAD, coded(event[:cut]), 0.02, coded(event[cut:]), coded(USAGE + DONE) + b"0\r\n\r\n", HANG)
    result, _ = load(Script(steps=steps), limits=Limits(requests=1, keep_text=True, scrape_s=None))
    assert result.counts == {"ok": 1}
    assert result.records[0].text == "naïve ☕"
    assert len(result.records[0].chunk_ns) == 1


def test_429_with_retry_after_is_heeded_by_a_closed_loop():
    body = b'{"error":{"message":"slow down"}}'
    result, server = load(bad_then_good(Script(status=429, headers=("Retry-After: 1",), body=body)))
    bad = the_bad_one(result)
    assert (bad.outcome, bad.retry_after_s) == ("throttled", 1.0)
    assert bad.error == "HTTP 429: slow down; retry after 1 s"
    assert server.log[1].received_ns - server.log[0].received_ns > 0.99e9


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        (b"7", None, 7.0),
        (b" 120 ", None, 120.0),
        (b"9" * 40, None, 999_999_999.0),
        (b"Fri, 31 Dec 1999 23:59:59 GMT", b"Fri, 31 Dec 1999 23:59:29 GMT", 30.0),
        (b"Fri, 31 Dec 1999 23:59:59 GMT", b"Sat, 01 Jan 2000 00:59:29 +0100", 30.0),
        (b"Fri, 31 Dec 1999 23:59:59 GMT", None, 0.0),
        (b"Fri, 31 Dec 1999 23:59:59 GMT", b"Sat, 01 Jan 2000 00:00:00 GMT", 0.0),
        (b"soon", None, None),
        (b"-5", None, None),
        (b"1.5", None, None),
        (b"", None, None),
        (b"\xff\xfe", None, None),
        (b"Fri, 31 Dec 1999 23:59:59 GMT", b"yesterday", None),
        (b"Fri, 99 Dec 99999999999 23:59:59 GMT", None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: bytes, date: bytes | None, seconds: float | None):
    assert retry_after_s(value, date) == seconds


def test_retry_after_as_a_date_is_by_the_servers_own_clock():
    headers = ("Date: Fri, 31 Dec 1999 23:59:00 GMT", "Retry-After: Fri, 31 Dec 1999 23:59:01 GMT")
    result, server = load(bad_then_good(Script(status=503, headers=headers, body=b"starting")))
    bad = the_bad_one(result)
    assert (bad.outcome, bad.retry_after_s) == ("server_error", 1.0)
    assert server.log[1].received_ns - server.log[0].received_ns > 0.99e9


def test_no_server_can_make_a_closed_loop_wait_for_years(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("wattmark.serving.load.generator.schedule.LONGEST_WAIT_S", 0.05)
    script = Script(status=429, headers=("Retry-After: 99999999999",), body=b"{}")
    result, _ = load(bad_then_good(script))
    assert the_bad_one(result).retry_after_s == 999_999_999.0


@pytest.mark.parametrize(
    ("status", "outcome"), [(500, "server_error"), (503, "server_error"), (404, "client_error")]
)
def test_an_error_status_is_quoted(status: int, outcome: str):
    body = b'{"detail": [{"msg": "the engine is dead"}]}' if status != 404 else b'{"error": "no such model"}'
    bad = the_bad_one(load(bad_then_good(Script(status=status, body=body)))[0])
    assert bad.outcome == outcome
    assert f"HTTP {status}" in (bad.error or "")
    assert bad.status == status


def test_a_server_that_only_fails_is_given_up_in_the_end():
    limits = Limits(requests=1_000, failures_in_row=5, scrape_s=None)
    result, server = load(Script(status=500, body=b"boom"), limits=limits)
    assert result.counts == {"server_error": 5}
    assert server.requests == 5
    assert "gave up after 5 failures in a row; the last one: HTTP 500: boom" in result.warnings
    assert measure(result).ttft_s is None


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 12, "completion_tokens": 0},
        {"prompt_tokens": 12, "completion_tokens": 900},
        {"prompt_tokens": 0, "completion_tokens": 2},
        {"prompt_tokens": -1, "completion_tokens": 2},
        {"prompt_tokens": "12", "completion_tokens": True},
        {},
    ],
)
def test_usage_that_cannot_be_true_is_not_believed(usage: dict[str, object]):
    result, _ = load(lambda number, body: Script(usage=usage or {"x": 1}) if number == 0 else Script())
    assert result.counts == {"ok": 6}
    wrong = result.records[0]
    assert wrong.output_tokens is None
    assert wrong.input_tokens is None
    assert wrong.usage_problem
    assert any(wrong.usage_problem in warning for warning in result.warnings)


def test_answers_without_usage_have_no_token_counts_and_that_is_said():
    result, _ = load(Script(usage=False))
    assert result.counts == {"ok": 6}
    assert all(record.output_tokens is None for record in result.records)
    assert measure(result).output_tokens_per_s is None
    assert any("6 answers came without token counts" in warning for warning in result.warnings)


def test_no_server_at_all_is_said_before_the_load():
    with pytest.raises(ServerError, match=r"cannot connect to 127.0.0.1:9") as caught:
        run_load_blocking(Target("http://127.0.0.1:9"), ClosedLoop.of(1), SHORT)
    assert "running" in (caught.value.hint or "")


def test_a_server_that_is_gone_is_not_asked_thousands_of_times():
    limits = Limits(duration_s=0.3, scrape_s=None)
    at = Target("http://127.0.0.1:9", model="m", dialect="vllm")
    result = run_load_blocking(at, ClosedLoop.of(2), SHORT, limits=limits)
    assert set(result.counts) == {"refused"}
    assert 2 <= result.failed <= 20


def test_more_sockets_than_the_system_allows():
    """In a process of its own with few files; the server holds its answers, so each request needs its own connection."""
    program = """
import os, resource, sys
from wattmark.serving.load.client import *
at = Target(sys.argv[1], model="m", dialect="vllm")
few = len(os.listdir("/proc/self/fd")) + 16
resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))
result = run_load_blocking(at, OpenLoop.at(2_000, "constant"), Synthetic(Lengths.fixed(8), Lengths.fixed(2)),
                           limits=Limits(requests=40, scrape_s=None))
bad = next(record for record in result.records if not record.ok)
print(result.counts["sockets"] > 0, result.counts["ok"] > 0, sum(result.counts.values()),
      set(result.counts) == {"ok", "sockets"},
      bad.error == "this system allows no more open sockets (file descriptors)",
      any("ulimit -n" in warning for warning in result.warnings))
"""

    async def main() -> str:
        async with ScriptedServer(Script(ttft_s=0.5)) as server:
            return await in_a_process(program, server.url)

    assert asyncio.run(main()).split() == ["True", "True", "40", "True", "True", "True"]


def test_a_closed_loop_that_needs_too_many_sockets_is_warned_about():
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    at = Target("http://127.0.0.1:9", model="m", dialect="vllm")
    limits = Limits(requests=1, failures_in_row=1, scrape_s=None)
    result = run_load_blocking(at, ClosedLoop.of(allowed, ramp_s=1_000), SHORT, limits=limits)
    assert any(f"{allowed} connections are wanted" in warning for warning in result.warnings)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=scripted", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, *names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return key, cert


@pytest.mark.parametrize("trust", ["no", "file", "unchecked"])
def test_tls_with_a_certificate_that_is_not_trusted(certificate: tuple[Path, Path], trust: str):
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def main():
        async with ScriptedServer(tls=context) as server:
            at = Target(
                server.url, ca_file=str(cert) if trust == "file" else None, verify_tls=trust != "unchecked"
            )
            return await run_load(at, ClosedLoop.of(1), SHORT, limits=QUICK)

    if trust == "no":
        with pytest.raises(ServerError, match="is not trusted") as caught:
            asyncio.run(main())
        assert "ca_file" in (caught.value.hint or "")
    else:
        result = asyncio.run(main())
        assert result.counts == {"ok": 6}
        assert ("the server's certificate is not checked" in result.warnings) is (trust == "unchecked")


def test_tls_failing_in_the_middle_of_a_load_is_counted(certificate: tuple[Path, Path]):
    key, cert = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    async def main():
        async with ScriptedServer(tls=context) as server:
            at = Target(server.url, model="m", dialect="vllm")
            limits = Limits(requests=3, failures_in_row=3, scrape_s=None)
            return await run_load(at, ClosedLoop.of(3), SHORT, limits=limits)

    assert asyncio.run(main()).counts == {"tls": 3}


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_keeps_what_was_measured(processes: int):
    """SIGINT to a real process in the middle of a test: it ends by itself and has its records."""
    program = f"""
import asyncio, os, signal, sys, threading
from wattmark.serving.load.client import *
from wattmark.testing.scripted_server import Script, ScriptedServer
url = sys.argv[1]
seen = []
def record(r):
    seen.append(r)
    if len(seen) == 5:
        os.kill(os.getpid(), signal.SIGINT)
result = run_load_blocking(Target(url, model="m", dialect="vllm"), ClosedLoop.of(4),
    Synthetic(Lengths.fixed(8), Lengths.fixed(2)), on_record=record,
    limits=Limits(duration_s=60, processes={processes}, progress_s=0.05))
print(result.interrupted, result.counts["ok"] >= 5, len(result.records) == len(seen) == sum(result.counts.values()),
      result.failed, result.counts["abandoned"] <= 4, (result.ended_ns - result.started_ns) < 30e9)
"""

    async def main() -> str:
        async with ScriptedServer(Script(ttft_s=0.01)) as server:
            return await in_a_process(program, server.url)

    assert asyncio.run(main()).split() == ["True", "True", "True", "0", "True", "True"]


def test_a_second_ctrl_c_does_what_it_did_before():
    before = signal.getsignal(signal.SIGINT)

    async def main() -> object:
        stop = asyncio.Event()
        with _first_interrupt_sets(stop):
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.wait_for(stop.wait(), 5)
            return signal.getsignal(signal.SIGINT)

    assert asyncio.run(main()) is signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_in_on_record_ends_the_test_and_is_raised():
    def record(_: object) -> None:
        raise LookupError("the caller's own defect")

    async def main():
        async with ScriptedServer() as server:
            at = Target(server.url, model="m", dialect="vllm")
            await run_load(
                at, ClosedLoop.of(2), SHORT, limits=Limits(requests=50, scrape_s=None), on_record=record
            )

    with pytest.raises(LookupError, match="own defect"):
        asyncio.run(main())


def test_a_cancelled_load_gives_its_records_to_on_record_and_leaves_nothing_open():
    seen = []

    async def main():
        async with ScriptedServer(Script(ttft_s=5)) as server:
            at = Target(server.url, model="m", dialect="vllm")
            work = asyncio.create_task(
                run_load(at, ClosedLoop.of(3), SHORT, limits=QUICK, on_record=seen.append)
            )
            while server.requests < 3:
                await asyncio.sleep(0.005)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert [record.outcome for record in seen] == ["abandoned"] * 3


SECRET = "sk-very-secret-key-0123456789"


@pytest.mark.parametrize("where", ["environment", "file"])
def test_the_key_is_sent_and_shown_nowhere(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "key"
    file.write_text(SECRET + "\n")
    monkeypatch.setenv("MY_KEY", SECRET)
    named = {"api_key_env": "MY_KEY"} if where == "environment" else {"api_key_file": str(file)}
    echo = f'{{"error":{{"message":"Incorrect API key provided: {SECRET[:20]}..., {SECRET}"}}}}'.encode()
    result, server = load(bad_then_good(Script(status=401, body=echo)), **named)
    assert server.log[0].headers["authorization"] == f"Bearer {SECRET}"
    bad = the_bad_one(result)
    assert (
        bad.error
        == "HTTP 401 (the API key was refused): Incorrect API key provided: [redacted]..., [redacted]"
    )
    shown = (
        repr(result)
        + str([record.as_dict() for record in result.records])
        + repr(Target("http://x", **named))
    )
    assert SECRET not in shown
    assert SECRET[:12] not in shown


def test_a_refused_key_before_the_load_is_an_error_without_the_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", SECRET)

    async def main():
        echo = f'{{"error":"bad key {SECRET}"}}'.encode()
        async with ScriptedServer(Script(status=401, body=echo)) as server:
            await run_load(Target(server.url, api_key_env="MY_KEY"), ClosedLoop.of(1), SHORT)

    with pytest.raises(ServerError, match="HTTP 401") as caught:
        asyncio.run(main())
    assert SECRET not in f"{caught.value} {caught.value.__cause__!r}"


def test_keys_in_urls_and_missing_keys_are_refused(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        Target(f"http://user:{SECRET}@host:80")
    assert SECRET not in str(caught.value)
    with pytest.raises(ConfigError, match="MISSING_KEY"):
        Target("http://host", api_key_env="MISSING_KEY").api_key()
    with pytest.raises(ConfigError, match="cannot be read"):
        Target("http://host", api_key_file=str(tmp_path / "none")).api_key()


def test_a_key_over_plain_http_to_another_host_is_warned_about():
    assert "plain HTTP" in Target("http://10.0.0.1", api_key_env="K").warnings()[0]
    assert Target("http://127.0.0.1", api_key_env="K").warnings() == []
    assert Target("https://10.0.0.1", api_key_env="K").warnings() == []

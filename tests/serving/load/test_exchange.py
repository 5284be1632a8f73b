"""Answers as real servers shape them: good ones are read, failed ones are failures with the server's words."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from wattmark.serving.load.client import ClosedLoop, Lengths, Limits, Synthetic, Target, run_load
from wattmark.serving.load.exchange import whole_text
from wattmark.serving.load.records import RequestRecord
from wattmark.testing.scripted_server import CLOSE, HANG, Script, ScriptedServer

CONTENT = {"choices": [{"index": 0, "delta": {"content": "ab"}}]}
LAST = {
    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2},
}
DONE = b"data: [DONE]\n\n"


def event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def answer(*pieces: bytes, kind: str | None = "text/event-stream", keep_text: bool = True, **target: Any):
    """The record of one request that is answered by these pieces, a few milliseconds apart."""
    head = b"HTTP/1.1 200 OK\r\n" + (f"Content-Type: {kind}\r\n".encode() if kind else b"")
    steps: list[bytes | float | str] = [head + b"Connection: close\r\n\r\n"]
    for piece in pieces:
        steps += [0.002, piece]
    script = Script(steps=(*steps, 0.002, CLOSE))  # type: ignore[arg-type]

    async def main() -> RequestRecord:
        async with ScriptedServer(script) as server:
            at = Target(server.url, model="m", dialect="vllm", **target)
            limits = Limits(requests=1, scrape_s=None, keep_text=keep_text, first_byte_s=2, stall_s=2)
            load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            return (await run_load(at, ClosedLoop.of(1), load, limits=limits)).records[0]

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((DONE,), "no choice"),
        ((event({"choices": []}), DONE), "no choice"),
        ((event({"type": "refused", "reason": "no capacity"}), DONE), "no capacity"),
        ((event({"error": {"message": "CUDA out of memory"}}), DONE), "CUDA out of memory"),
        ((b'event: error\ndata: {"message": "worker died"}\n\n', DONE), "worker died"),
        ((b"event: error\ndata: worker died\n\n", DONE), "worker died"),
        ((event({"object": "error", "message": "too long", "code": 400}), DONE), "too long"),
        ((event(CONTENT), event({"error": "engine is dead"}), DONE), "engine is dead"),
        (
            (event(CONTENT), event({"choices": [{"delta": {}, "finish_reason": "error"}]}), DONE),
            "finish_reason error",
        ),
    ],
)
def test_a_stream_that_failed_is_a_failure_with_the_servers_words(pieces: tuple[bytes, ...], said: str):
    record = answer(*pieces)
    assert record.outcome == "server_error"
    assert said in (record.error or "")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"error": {"message": "model is overloaded"}}, "model is overloaded"),
        ({"object": "error", "message": "bad sampling"}, "bad sampling"),
    ],
)
def test_an_error_in_a_document_of_status_200_is_a_failure(document: Any, said: str):
    record = answer(json.dumps(document).encode(), kind="application/json", stream=False)
    assert record.outcome == "server_error"
    assert said in (record.error or "")


@pytest.mark.parametrize("kind", ["text/plain", "application/json", None, "application/octet-stream"])
@pytest.mark.parametrize("first", [b"", b": ping\n\n", b"\n", b"da"])
def test_a_stream_is_known_by_its_beginning_whatever_its_content_type(kind: str | None, first: bytes):
    rest = event(CONTENT).removeprefix(first) if first == b"da" else event(CONTENT)
    record = answer(*([first] if first else []), rest, event(LAST), DONE, kind=kind)
    assert record.outcome == "ok", record.error
    assert (record.text, record.output_tokens, len(record.chunk_ns)) == ("ab", 2, 1)


def test_a_document_under_any_content_type_is_read():
    document = {
        "choices": [{"message": {"content": "ab"}, "finish_reason": "stop"}],
        "usage": LAST["usage"],
    }
    record = answer(json.dumps(document).encode(), kind=None)
    assert (record.outcome, record.text, record.output_tokens) == ("ok", "ab", 2)


def test_half_a_character_or_a_lone_surrogate_in_a_chunk_fails_no_request():
    halves = [
        b'{"choices":[{"delta":{"content":"\\ud83d"}}]}',
        b'{"choices":[{"delta":{"content":"\\ude00"}}]}',
    ]
    record = answer(*map(event, halves), event(LAST), DONE)
    assert (record.outcome, record.text, len(record.chunk_ns)) == ("ok", "😀", 2)
    raw = b'{"choices":[{"delta":{"content":"a\xf0\x9f"}}]}'
    record = answer(event(raw), event(LAST), DONE)
    assert (record.outcome, len(record.chunk_ns)) == ("ok", 1)
    assert (record.text or "").startswith("a")
    assert whole_text(["a", "\ud83d"]).encode().startswith(b"a")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_what_a_model_thinks_is_told_from_its_answer(name: str):
    thought = {"choices": [{"index": 0, "delta": {name: "hm"}}]}
    record = answer(event(thought), event(thought), event(CONTENT), event(LAST), DONE)
    assert (len(record.chunk_ns), record.reasoning_chunks) == (3, 2)
    assert record.first_answer_ns == record.chunk_ns[2] > record.chunk_ns[0]


def test_parts_of_content_are_text_and_thoughts():
    thinks = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    events = [
        {"choices": [{"delta": {"content": [part]}}]} for part in (thinks, {"type": "text", "text": "ok"})
    ]
    record = answer(*map(event, events), event(LAST), DONE)
    assert (len(record.chunk_ns), record.reasoning_chunks) == (2, 1)
    assert (record.text or "").endswith("ok")


@pytest.mark.parametrize(
    "counts",
    [
        [{"choices": [], "x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 2}}}],
        [
            {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}},
            {"choices": [], "usage": {"prompt_tokens_details": {"cached_tokens": 4}}},
        ],
        [{"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": done}} for done in (1, 2)],
    ],
)
def test_token_counts_are_found_where_servers_put_them(counts: list[Any]):
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    record = answer(event(CONTENT), event(last), *map(event, counts), DONE)
    assert (record.outcome, record.input_tokens, record.output_tokens) == ("ok", 9, 2)


def test_whether_to_stream_is_said_in_words():
    async def main() -> list[Any]:
        async with ScriptedServer() as server:
            for stream in (True, False):
                at = Target(server.url, model="m", dialect="compatible", stream=stream)
                load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
                await run_load(at, ClosedLoop.of(1), load, limits=Limits(requests=1, scrape_s=None))
            return [entry.body["stream"] for entry in server.log]

    assert asyncio.run(main()) == [True, False]


def test_a_stream_whose_end_is_left_open_after_done_does_not_hold_its_place():
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = event(CONTENT) + event(LAST) + DONE
    script = Script(steps=(head, b"%x\r\n%b\r\n" % (len(data), data), HANG))

    async def main():
        async with ScriptedServer(script) as server:
            load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            limits = Limits(requests=2, scrape_s=None)  # a stall is a minute
            begun = asyncio.get_running_loop().time()
            result = await run_load(
                Target(server.url, model="m", dialect="vllm"), ClosedLoop.of(1), load, limits=limits
            )
            return result, asyncio.get_running_loop().time() - begun

    result, took_s = asyncio.run(main())
    assert result.counts == {"ok": 2}
    assert took_s < 30
    assert all((each.end_ns or 0) - (each.sent_ns or 0) < 1e9 for each in result.records)


def test_a_whole_stream_with_counts_is_an_answer_though_its_last_words_are_missing():
    usage = event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 1}})
    assert answer(event(CONTENT), usage).outcome == "ok"
    assert answer(event(CONTENT)).outcome == "cut"
    assert answer(usage).outcome != "ok"


def test_an_answer_that_never_ends_is_given_up_and_the_load_ends(monkeypatch: pytest.MonkeyPatch):
    from wattmark.serving.load.generator import watchdog

    monkeypatch.setattr(watchdog, "RUNAWAY_CHUNKS", 50)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    script = Script(
        steps=(head, event(CONTENT) * 100, *(step for _ in range(200) for step in (0.05, event(CONTENT))))
    )

    async def main():
        async with ScriptedServer(script) as server:
            load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            limits = Limits(requests=3, scrape_s=None)
            return await run_load(
                Target(server.url, model="m", dialect="vllm"), ClosedLoop.of(2), load, limits=limits
            )

    result = asyncio.run(main())
    assert result.counts == {"too_long": 3}
    assert "the server does not stop by itself" in (result.records[0].error or "")

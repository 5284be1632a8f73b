"""Token counts that are not in a ``usage`` of their own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from wattmark.serving.load.client import ClosedLoop, Lengths, Limits, Synthetic, Target, run_load
from wattmark.serving.load.records import RequestRecord
from wattmark.testing.scripted_server import CLOSE, Script, ScriptedServer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def answered(last: dict[str, Any]) -> RequestRecord:
    """The record of an answer of one chunk whose last event is this."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "ab"}}]}
    events = b"".join(b"data: " + json.dumps(data).encode() + b"\n\n" for data in (chunk, last))
    script = Script(steps=(HEAD, events + b"data: [DONE]\n\n", CLOSE))

    async def main() -> RequestRecord:
        async with ScriptedServer(script) as server:
            at = Target(server.url, model="m", dialect="vllm")
            load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            limits = Limits(requests=1, scrape_s=None)
            return (await run_load(at, ClosedLoop.of(1), load, limits=limits)).records[0]

    return asyncio.run(main())


def test_counts_in_the_last_choice_are_read() -> None:
    """Moonshot's streams have them there."""
    choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 9, "completion_tokens": 2}
    record = answered({"choices": [{**choice, "usage": usage}]})
    assert (record.outcome, record.input_tokens, record.output_tokens) == ("ok", 9, 2)


def test_counts_of_an_older_llama_cpp_are_in_its_timings() -> None:
    timings = {"prompt_n": 5, "cache_n": 4, "prompt_ms": 3.0, "predicted_n": 2, "predicted_ms": 9.0}
    record = answered({"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}], "timings": timings})
    assert (record.outcome, record.input_tokens, record.output_tokens, record.cached_tokens) == (
        "ok",
        9,
        2,
        4,
    )

"""The load client end to end against a server that does as it is told."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
import subprocess
import sys

import pytest

from wattmark.errors import ConfigError
from wattmark.serving.load.client import (
    ClosedLoop,
    Lengths,
    Limits,
    OpenLoop,
    Synthetic,
    Target,
    run,
    run_load,
    run_load_blocking,
)  # fmt: skip
from wattmark.serving.load.wire import body as client_json
from wattmark.serving.prompts.base import Conversation, Fixed, Turn
from wattmark.testing.scripted_server import Script, ScriptedServer

SHORT = Synthetic(Lengths.fixed(8), Lengths.fixed(4))


def load(
    script=None, *, arrivals=None, workload=SHORT, limits=None, runner=asyncio.run, flavour="vllm", **target
):
    seen = []

    async def main():
        async with ScriptedServer(script, flavour=flavour) as server:
            at = Target(server.url, model="m", dialect="vllm", **target)
            ends = limits or Limits(requests=10, scrape_s=None)
            result = await run_load(
                at, arrivals or ClosedLoop.of(2), workload, limits=ends, on_record=seen.append
            )
            return result, server

    result, server = runner(main())
    assert (
        seen == result.records or not (limits or Limits()).keep_records or (limits or Limits()).processes > 1
    )
    return result, server


@pytest.mark.parametrize("runner", [asyncio.run, run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_a_streamed_request_is_recorded_as_the_server_saw_it(runner, endpoint: str):
    result, server = load(Script(ttft_s=0.01, gap_s=0.004), runner=runner, endpoint=endpoint)
    assert result.counts == {"ok": 10}
    by_id = {entry.request_id: entry for entry in server.log}
    for record in result.records:
        own = by_id[f"wattmark-{record.index}"]
        assert record.scheduled_ns <= record.released_ns <= record.sent_ns <= own.received_ns
        assert len(record.chunk_ns) == 4
        assert all(sent <= came for sent, came in zip(own.chunk_ns, record.chunk_ns, strict=True))
        assert (
            record.first_token_ns
            == record.chunk_ns[0]
            <= record.last_token_ns
            == record.chunk_ns[-1]
            <= record.end_ns
        )
        assert (record.output_tokens, record.finish_reason, record.status) == (4, "length", 200)
    assert result.started_ns <= result.stopped_sending_ns <= result.ended_ns
    assert server.log[0].path == ("/v1/chat/completions" if endpoint == "chat" else "/v1/completions")


def test_an_answer_that_is_not_streamed_has_no_first_token():
    result, _ = load(stream=False)
    assert result.counts == {"ok": 10}
    assert all(
        record.first_token_ns is None and record.end_ns and record.output_tokens == 4
        for record in result.records
    )


def test_tokens_are_counted_by_usage_though_chunks_hold_several():
    result, _ = load(Script(merge=3), workload=Synthetic(Lengths.fixed(8), Lengths.fixed(10)))
    assert all((len(record.chunk_ns), record.output_tokens) == (4, 10) for record in result.records)


def test_cached_and_reasoning_tokens_and_timings_are_kept():
    usage = {
        "prompt_tokens": 12, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }  # fmt: skip
    timings = {"prompt_ms": 3.5, "predicted_ms": 9.0, "prompt_n": 4}
    for stream in (True, False):
        result, _ = load(Script(usage=usage, timings=timings), stream=stream)
        record = result.records[0]
        assert (record.input_tokens, record.cached_tokens, record.reasoning_tokens) == (12, 8, 3)
        assert record.timings == timings


@pytest.mark.parametrize(
    "delta", [{"reasoning_content": "hm"}, {"reasoning": "hm"}, {"tool_calls": [{"function": {"name": "f"}}]}]
)
def test_reasoning_and_tool_calls_are_tokens_too(delta: dict[str, object]):
    import json

    event = (
        b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": "stop"}]}).encode() + b"\n\n"
    )
    empty = b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    result, _ = load(Script(steps=(head, empty, event, "close")), limits=Limits(requests=1, scrape_s=None))
    assert result.counts == {"ok": 1}
    assert len(result.records[0].chunk_ns) == 1


def test_connections_are_kept():
    result, server = load(limits=Limits(requests=50, scrape_s=None), arrivals=ClosedLoop.of(3))
    assert result.counts == {"ok": 50}
    assert server.connections == 3


def test_a_closed_loop_keeps_its_concurrency_in_stages():
    in_flight: list[int] = []

    def script(number: int, body: dict[str, object]) -> Script:
        in_flight.append(len(server_box[0].open))
        return Script(ttft_s=0.01)

    server_box = []

    async def main():
        async with ScriptedServer(script) as server:
            server_box.append(server)
            at = Target(server.url, model="m", dialect="vllm")
            return await run_load(at, ClosedLoop(((1, 0.15), (4, 0.15))), SHORT, limits=Limits(scrape_s=None))

    result = asyncio.run(main())
    assert result.failed == 0
    assert max(in_flight) == 4
    early = [r for r in result.records if r.scheduled_ns < result.started_ns + 0.14e9]
    assert all(a.end_ns <= b.sent_ns for a, b in itertools.pairwise(early))


def test_a_ramp_and_think_times_spread_the_requests():
    result, _ = load(arrivals=ClosedLoop.of(4, ramp_s=0.2), limits=Limits(duration_s=0.25, scrape_s=None))
    begun = sorted({record.conversation: record.scheduled_ns for record in result.records}.values())
    assert begun[0] - result.started_ns < 0.15e9
    slow, _ = load(
        arrivals=ClosedLoop.of(1, think_time_s=0.02, seed=3), limits=Limits(requests=6, scrape_s=None)
    )
    dice = random.Random(3)
    for before, after in itertools.pairwise(slow.records):
        assert (after.scheduled_ns - before.end_ns) / 1e9 > dice.expovariate(1 / 0.02) - 0.002


def test_an_open_loop_never_waits_for_answers():
    result, server = load(
        Script(ttft_s=0.3), arrivals=OpenLoop.at(200, "constant"), limits=Limits(requests=40, scrape_s=None)
    )
    assert result.counts == {"ok": 40}
    scheduled = [(record.scheduled_ns - result.started_ns) / 1e9 for record in result.records]
    assert scheduled == pytest.approx([(n + 1) / 200 for n in range(40)], abs=1e-6)
    assert result.stopped_sending_ns < min(record.end_ns for record in result.records)
    assert server.connections == 40


def test_turns_of_a_conversation_carry_all_that_was_said():
    talk = Conversation(
        0,
        (Turn("one", output_tokens=2), Turn("two", output_tokens=3, think_s=0.03)),
        ({"role": "system", "content": "s"},),
    )
    result, server = load(Script(text="x "), workload=Fixed((talk,)), limits=Limits(scrape_s=None))
    assert [(record.conversation, record.turn) for record in result.records] == [(0, 0), (0, 1)]
    assert server.log[1].body["messages"] == [
        {"role": "system", "content": "s"}, {"role": "user", "content": "one"},
        {"role": "assistant", "content": "x x "}, {"role": "user", "content": "two"},
    ]  # fmt: skip
    assert result.records[1].input_tokens > result.records[0].input_tokens
    assert result.records[1].scheduled_ns - result.records[0].end_ns >= 0.03e9
    assert all(record.text is None for record in result.records)
    result, server = load(
        Script(text="x "), workload=Fixed((talk,)), limits=Limits(scrape_s=None), endpoint="completions"
    )
    assert server.log[1].body["prompt"] == "sonex x two"


def test_a_failed_turn_ends_its_conversation():
    talk = Conversation(0, (Turn("one", output_tokens=2), Turn("two", output_tokens=3)))
    result, _ = load(Script(status=500, body=b"x"), workload=Fixed((talk,)), limits=Limits(scrape_s=None))
    assert result.counts == {"server_error": 1}


@pytest.mark.parametrize("arrivals", [ClosedLoop.of(5), OpenLoop.at(300, seed=2)], ids=["closed", "open"])
def test_several_processes_send_the_same_load(arrivals):
    one, _ = load(arrivals=arrivals, limits=Limits(requests=61, scrape_s=None))
    two, _server = load(arrivals=arrivals, limits=Limits(requests=61, processes=2, scrape_s=None))
    assert two.counts == {"ok": 61}
    assert len(two.client_pids) == 3
    assert two.client_cpu_s > 0
    assert [record.index for record in two.records] == list(range(61))
    if isinstance(arrivals, OpenLoop):
        assert sorted(r.conversation for r in two.records) == sorted(r.conversation for r in one.records)
        offsets = [
            sorted((r.scheduled_ns - found.started_ns) / 1e3 for r in found.records) for found in (one, two)
        ]
        assert offsets[0] == pytest.approx(offsets[1], abs=2)


def test_a_workload_that_other_processes_cannot_have_is_refused():
    class Mine:
        def conversations(self, part: int = 0, parts: int = 1):
            return iter(())

        def describe(self) -> str:
            return "mine"

    with pytest.raises(ConfigError, match="cannot be sent"):
        load(workload=Mine(), limits=Limits(processes=2, scrape_s=None))


def test_records_can_be_handled_and_dropped():
    result, _ = load(limits=Limits(requests=10, keep_records=False, scrape_s=None))
    assert result.records == []
    assert result.counts == {"ok": 10}


def test_a_duration_ends_a_load_and_what_drags_on_is_abandoned_not_failed():
    limits = Limits(duration_s=0.05, drain_s=0.05, scrape_s=None)
    result, _ = load(Script(ttft_s=5), limits=limits)
    assert result.counts == {"abandoned": 2}
    assert result.failed == 0
    assert not result.interrupted
    assert "within 0.05 s of the end" in (result.records[0].error or "")


def test_progress_is_told():
    told = []

    async def main():
        async with ScriptedServer(Script(ttft_s=0.02)) as server:
            at = Target(server.url, model="m", dialect="vllm")
            limits = Limits(requests=8, progress_s=0.01, scrape_s=None)
            await run_load(at, ClosedLoop.of(2), SHORT, limits=limits, on_progress=told.append)

    asyncio.run(main())
    assert max(progress.in_flight for progress in told) == 2
    assert (told[-1].done, told[-1].failed, told[-1].in_flight, told[-1].output_tokens) == (8, 0, 0, 32)


def test_an_answer_shorter_than_asked_for_is_said():
    result, _ = load(Script(tokens=2))
    assert any("10 of 10 answers were shorter" in warning for warning in result.warnings)


def test_blocking_calls_need_no_event_loop():
    with pytest.raises(ConfigError, match="no URL"):
        run_load_blocking(Target("127.0.0.1"), ClosedLoop.of(1), SHORT)


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:port", "https://x/?key=abc"])
def test_urls_that_are_none_are_refused(url: str):
    with pytest.raises(ConfigError):
        Target(url)


def test_paths_and_addresses_come_from_the_url():
    assert Target("https://api.x/openai/v1/").path == "/openai/v1/chat/completions"
    assert Target("http://[::1]:81", endpoint="completions").path == "/v1/completions"
    assert str(Target("http://[::1]:81").address()) == "[::1]:81"
    assert Target("https://x").address().port == 443


def test_columns_have_nan_where_nothing_is_known():
    result, _ = load(stream=False)
    columns = result.columns()
    assert len(columns["sent_ns"]) == 10
    assert all(math.isnan(value) for value in columns["first_token_ns"])


def test_the_client_runs_without_orjson_and_uvloop_and_without_numpy():
    program = (
        "import sys\nfor name in ('orjson', 'uvloop', 'numpy'): sys.modules[name] = None\n"
        "from wattmark.serving.load.client import *\nfrom wattmark.serving.load.wire import body as client_json\n"
        "assert client_json.loads(client_json.dumps({'a': 'é'})) == {'a': 'é'}\n"
        "run_load_blocking(Target('http://127.0.0.1:9', model='m', dialect='vllm'), ClosedLoop.of(1),"
        " Synthetic(Lengths.fixed(1), Lengths.fixed(1)), limits=Limits(requests=1))"
    )
    subprocess.run(
        [sys.executable, "-c", program], check=True, env={"PYTHONPATH": ":".join(sys.path)}, timeout=60
    )
    assert client_json.dumps({"a": "é"}) == '{"a":"é"}'.encode()

"""A server's own metrics are read beside the load."""

# pyright: reportAssignmentType=false
from __future__ import annotations

import asyncio

import pytest

from wattmark.serving.load.client import ClosedLoop, Lengths, Limits, Synthetic, Target, run_load
from wattmark.serving.load.records import RequestRecord
from wattmark.serving.load.scrape import Scraper, parse_metrics, timing_series
from wattmark.serving.load.wire.connection import ConnectFailed
from wattmark.testing.scripted_server import Script, ScriptedServer

VLLM = """# HELP vllm:num_requests_running Number of requests
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a b} c"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 2.0 1731000000
vllm:num_requests_waiting{engine="0"} NaN
vllm:kv_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="1"} 0.5
vllm:generation_tokens_total{engine="0"} 1.5e+03
vllm:num_requests_running_bucket{le="1"} 99
vllm:prompt_tokens_total
"""
LLAMA = "llamacpp:requests_processing 2\nllamacpp:requests_deferred 1\nllamacpp:tokens_predicted_total 77\n"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (VLLM, {"server/running": 5, "server/kv-cache": 0.5, "server/output-tokens": 1_500}),
        (LLAMA, {"server/running": 2, "server/waiting": 1, "server/output-tokens": 77}),
        ("nothing of ours 3\n\n", {}),
        (
            "vllm:num_requests_running +Inf\nvllm:num_requests_waiting\nvllm:num_requests_waiting{ x\n{} 3\n",
            {},
        ),
        ("\x00\ufffd<html>llamacpp:requests_processing</html>\nllamacpp:requests_processing many", {}),
    ],
)
def test_chosen_values_are_found(text: str, values: dict[str, float]):
    assert {wanted.id: value for wanted, value in parse_metrics(text).items()} == values


def load(script: Script | None = None, *, metrics: str | None = None, **limits):
    async def main():
        async with ScriptedServer(script or Script(ttft_s=0.05), metrics=metrics) as server:
            workload = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            ends = Limits(**{"requests": 6, "scrape_s": 0.02, **limits})
            at = Target(server.url, model="m", dialect="vllm")
            return await run_load(at, ClosedLoop.of(2), workload, limits=ends)

    return asyncio.run(main())


@pytest.mark.parametrize("processes", [1, 2])
def test_series_are_read_while_the_load_runs(processes: int):
    result = load(metrics=VLLM, processes=processes, requests=6 * processes)
    assert result.counts == {"ok": 6 * processes}
    series = {each.series.id: each for each in result.series}
    running = series["server/running"]
    assert set(running.values) == {5.0}
    assert len(running.t_ns) >= 3
    assert (running.t_ns[1:] > running.t_ns[:-1]).all()
    assert series["server/kv-cache"].series.unit == "ratio"
    assert not any("metrics" in warning for warning in result.warnings)


def test_totals_are_counted_from_the_first_reading():
    """They run since the server's start, and float32 would not hold them exactly."""
    series = {each.series.id: each for each in load(metrics=VLLM).series}
    assert set(series["server/output-tokens"].values) == {0.0}


def test_a_server_without_metrics_is_asked_once_and_that_is_said():
    result = load(metrics=None)
    assert result.counts == {"ok": 6}
    assert result.series == ()
    assert [warning for warning in result.warnings if "metrics could not be read (HTTP 404)" in warning]


ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b"


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ((b"",), None),  # it never answers: the load is over before that is known
        ((ANSWER % (9, b"\xff\x00 {garb}"),), "known here"),
        ((b"this is no HTTP\r\n\r\n",), "not HTTP/1.1"),
        ((ANSWER % (9_999, b"cut short"), "close"), "closed"),
        (("close",), "closed"),
        ((b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",), "HTTP 503"),
        ((b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 4_096,), "more than 1000 bytes"),
    ],
    ids=["silent", "garbage", "no http", "cut", "closed", "busy", "endless"],
)
def test_metrics_that_cannot_be_had_do_not_keep_a_load_from_ending(
    answers, said: str | None, monkeypatch: pytest.MonkeyPatch
):
    asked = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            asked.append(1)
            for one in answers:
                if isinstance(one, bytes):
                    writer.write(one)
                else:
                    writer.close()
                    return

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main():
        metrics = await asyncio.start_server(served, "127.0.0.1", 0)
        port = metrics.sockets[0].getsockname()[1]
        other = Target(f"http://127.0.0.1:{port}")
        monkeypatch.setattr(
            "wattmark.serving.load.client.Scraper", lambda _, period_s: Scraper(other, period_s)
        )
        async with metrics, ScriptedServer(Script(ttft_s=0.05)) as server:
            workload = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            limits = Limits(requests=6, scrape_s=0.02)
            target = Target(server.url, model="m", dialect="vllm")
            result = await asyncio.wait_for(run_load(target, ClosedLoop.of(2), workload, limits=limits), 10)
            while len(asyncio.all_tasks()) > 1:  # the little server's, which see that the connection is gone
                await asyncio.sleep(0.001)
            return result

    monkeypatch.setattr("wattmark.serving.load.probe.LARGEST_REPLY", 1_000)
    result = asyncio.run(main())
    assert asked
    assert result.counts == {"ok": 6}
    assert result.series == ()
    found = [warning for warning in result.warnings if "metrics could not be read" in warning]
    assert (said is None) == (not found)
    assert said is None or said in found[0]


def test_a_silent_server_is_given_up_for_this_reading_and_asked_again():
    async def main() -> Scraper:
        asked = asyncio.Event()
        times = 0

        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal times
            await reader.readuntil(b"\r\n\r\n")
            times += 1
            if times == 2:
                writer.write(ANSWER % (len(LLAMA), LLAMA.encode()))
                asked.set()
            await reader.read()
            writer.close()

        async with await asyncio.start_server(served, "127.0.0.1", 0) as metrics:
            scraper = Scraper(Target(f"http://127.0.0.1:{metrics.sockets[0].getsockname()[1]}"), 0.01, 0.05)
            task = asyncio.create_task(scraper.run())
            await asyncio.wait_for(asked.wait(), 10)
            while not scraper.series():
                await asyncio.sleep(0.001)
            await scraper.end(task)
            await asyncio.sleep(0.01)
        return scraper

    scraper = asyncio.run(main())
    assert {each.series.id for each in scraper.series()} >= {"server/running"}


def test_the_times_that_llama_cpp_tells_of_answers_are_series():
    result = load(Script(timings={"prompt_ms": 20.0, "predicted_ms": 30.0, "prompt_n": 8}), metrics=None)
    series = {each.series.id: each for each in result.series}
    assert set(series) == {"server/prefill-time", "server/decode-time"}
    decode = series["server/decode-time"]
    assert (decode.series.unit, decode.values.tolist()) == ("s", pytest.approx([0.03] * 6))
    assert decode.t_ns.tolist() == sorted(record.end_ns for record in result.records)


def test_answers_that_end_at_once_have_times_that_differ():
    records = [
        RequestRecord(n, n, 0, 0, 0, end_ns=5, outcome="ok", timings={"prompt_ms": float(n)})
        for n in range(3)
    ]
    (series,) = timing_series(records)
    assert series.t_ns.tolist() == [5, 6, 7]


def test_a_lost_cancellation_does_not_keep_the_load_from_ending(monkeypatch: pytest.MonkeyPatch):
    """As ``asyncio.wait_for`` of Python 3.11 loses one when the answer comes at the same moment."""

    lost: list[int] = []

    class Deaf:
        def __init__(self, *_: object) -> None: ...

        async def __aenter__(self) -> Deaf:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def get(self, *_: object) -> object:
            for _ in range(3):
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    lost.append(1)
            raise ConnectFailed("refused", "the cancellations were lost here")

    monkeypatch.setattr("wattmark.serving.load.scrape.Fetcher", Deaf)

    async def main() -> None:
        scraper = Scraper(Target("http://127.0.0.1:1"), 0.01)
        task = asyncio.create_task(scraper.run())
        await asyncio.sleep(0.01)
        await asyncio.wait_for(scraper.end(task), 5)
        assert task.done()

    asyncio.run(main())
    assert len(lost) == 3

"""A server's own metrics are read beside the load."""

from __future__ import annotations

import asyncio

import pytest

from wattmark.serving.client import ClosedLoop, Lengths, Limits, Synthetic, Target, run_load
from wattmark.serving.http1 import ConnectFailed
from wattmark.serving.scrape import Scraper, parse_metrics
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
    ],
)
def test_chosen_values_are_found(text: str, values: dict[str, float]):
    assert {wanted.id: value for wanted, value in parse_metrics(text).items()} == values


@pytest.mark.parametrize("metrics", [VLLM, None])
def test_series_are_read_while_the_load_runs(metrics: str | None):
    async def main():
        async with ScriptedServer(Script(ttft_s=0.05), metrics=metrics) as server:
            workload = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            limits = Limits(requests=6, scrape_s=0.02)
            return await run_load(Target(server.url), ClosedLoop.of(2), workload, limits=limits)

    result = asyncio.run(main())
    assert result.counts == {"ok": 6}
    series = {each.series.id: each for each in result.series}
    if metrics is None:
        assert series == {}
    else:
        running = series["server/running"]
        assert set(running.values) == {5.0}
        assert len(running.t_ns) >= 3
        assert (running.t_ns[1:] > running.t_ns[:-1]).all()
        assert series["server/kv-cache"].series.unit == "ratio"


def test_a_lost_cancellation_does_not_keep_the_load_from_ending(monkeypatch: pytest.MonkeyPatch):
    """As ``asyncio.wait_for`` of Python 3.11 loses one when the answer comes at the same moment."""

    class Deaf:
        def __init__(self, *_: object) -> None: ...

        async def __aenter__(self) -> Deaf:
            return self

        async def __aexit__(self, *_: object) -> None: ...

        async def get(self, path: str) -> object:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise ConnectFailed("refused", "the cancellation was lost here") from None
            raise AssertionError

    monkeypatch.setattr("wattmark.serving.scrape.Fetcher", Deaf)

    async def main() -> None:
        scraper = Scraper(Target("http://127.0.0.1:1"), 0.01)
        task = asyncio.create_task(scraper.run())
        await asyncio.sleep(0.01)
        scraper.stopping = True
        task.cancel()
        await asyncio.wait_for(task, 5)

    asyncio.run(main())

"""The server's own view beside the client's."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from fakes.loads import record, result
from wattmark.runs.record import SeriesData
from wattmark.serving.figures.server_view import server_view
from wattmark.serving.figures.steady import Window
from wattmark.serving.load.client import ClosedLoop, Lengths, Limits, Synthetic, Target, run_load
from wattmark.serving.server.exposition import Histogram
from wattmark.sources.base import Series
from wattmark.testing.scripted_server import Script, ScriptedServer

S = 1_000_000_000


def series(name: str, *values: float) -> SeriesData:
    times = np.arange(len(values)) * S
    return SeriesData(Series(name, "requests", "server"), times, np.array(values, np.float32))


def test_gauges_are_of_the_window_and_latencies_of_the_load() -> None:
    load = result(record(0)).load
    load.series = (series("server/running", 0, 4, 6, 8, 0), series("server/waiting", 0, 0, 2, 4, 0))
    load.latencies = {"ttft": Histogram(4.0, 2.0, {0.5: 2.0, 1.0: 4.0, float("inf"): 4.0})}
    view = server_view(load, Window(S, 3 * S, "steady"))
    assert view is not None
    assert (view.gauges["running"].mean, view.gauges["running"].most) == (6.0, 8.0)
    assert view.gauges["waiting"].mean == 2.0
    ttft = view.latencies["ttft"]
    assert (ttft.count, ttft.mean_s) == (4, 0.5)
    at = ttft.percentiles[95]
    assert at is not None
    assert (at.low, at.high) == (0.5, 1.0)  # somewhere in its bucket
    assert view.as_dict()["latencies"]["ttft"]["percentiles"]["50"]["value"] == 0.5


def test_a_server_that_says_nothing_has_no_view() -> None:
    assert server_view(result(record(0)).load, None) is None


@pytest.mark.parametrize(("made", "others"), [(100, False), (104, False), (140, True)])
def test_other_users_of_the_server_are_seen_by_its_tokens(made: int, others: bool) -> None:
    load = result(*(record(n, output_tokens=10) for n in range(10))).load
    load.series = (series("server/output-tokens", 0, made), series("server/running", 1, 1))
    view = server_view(load, None)
    assert view is not None
    assert bool(view.warnings) is others


def test_where_tokens_of_ours_are_not_counted_nobody_else_is_suspected() -> None:
    load = result(record(0), record(1, output_tokens=None)).load
    load.series = (series("server/output-tokens", 0, 900), series("server/running", 1, 1))
    view = server_view(load, None)
    assert view is not None
    assert view.warnings == ()


def test_a_queue_is_in_the_servers_own_time_to_the_first_token() -> None:
    """Two slots, six at a time: the server's own count and mean are those that the client saw."""

    async def main():
        script = Script(ttft_s=0.01, gap_s=0.002)
        async with ScriptedServer(script, slots=2, live_metrics=True) as server:
            at = Target(server.url, model="m", dialect="vllm")
            workload = Synthetic(Lengths.fixed(8), Lengths.fixed(4))
            limits = Limits(requests=30, scrape_s=0.02)
            return await run_load(at, ClosedLoop.of(6), workload, limits=limits), server

    load, server = asyncio.run(main())
    view = server_view(load, None)
    assert view is not None
    assert view.gauges["running"].most == 2
    assert view.gauges["waiting"].most >= 3
    own = view.latencies["ttft"]
    assert own.count == 30  # those from before the load are not in it, and the last ones are
    ours = [(entry.first_token_ns or 0) - entry.received_ns for entry in server.log]
    assert own.mean_s == pytest.approx(sum(ours) / len(ours) / 1e9)
    assert view.counted["output_tokens"] == pytest.approx(120)
    assert view.warnings == ()

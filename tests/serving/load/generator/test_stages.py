"""Loads that follow each other, caps, and warm-up: what reaches the server, and when."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wattmark.errors import ConfigError
from wattmark.serving.load.arrivals import ClosedLoop, OpenLoop, Segment, stages_of
from wattmark.serving.load.client import Lengths, Limits, Synthetic, Target, run_load
from wattmark.serving.load.records import LoadResult
from wattmark.testing.scripted_server import Script, ScriptedServer


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("rate:5@30", [(30, 5, 5)]),
        ("rate:1-20@60,20@30s", [(60, 1, 20), (30, 20, 20)]),
        ("rate:0.5-2@1.5m, 2-0@1h", [(90, 0.5, 2), (3600, 2, 0)]),
    ],
)
def test_rates_follow_each_other(text: str, segments: list[tuple[float, float, float]]):
    assert stages_of(text, "constant") == OpenLoop(tuple(Segment(*each) for each in segments), "constant")


@pytest.mark.parametrize(
    ("text", "stages"),
    [
        ("concurrency:1@30,8@10", ((1, 30), (8, 10))),
        ("concurrency:1-4@8", ((1, 2), (2, 2), (3, 2), (4, 2))),
        ("concurrency:3-1@3,2@5", ((3, 1), (2, 1), (1, 1), (2, 5))),
    ],
)
def test_concurrencies_follow_each_other(text: str, stages: tuple[tuple[int, float], ...]):
    assert stages_of(text) == ClosedLoop(stages)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rate:",
        "rate:5",
        "rate:5@",
        "rate:a@5",
        "rate:5@inf",
        "concurrency:1.5@9",
        "users:5@9",
        "rate:5@0",
    ],
)
def test_what_is_no_sequence_is_told(text: str):
    with pytest.raises(ConfigError):
        stages_of(text)


def run(arrivals: Any, script: Script, **limits: Any) -> tuple[LoadResult, ScriptedServer, list[int]]:
    """A load, the server, and how many requests it had at work as each came."""
    at_work: list[int] = []

    async def main() -> tuple[LoadResult, ScriptedServer]:
        async with ScriptedServer() as server:

            def choose(_number: int, _body: object) -> Script:
                at_work.append(sum(1 for entry in server.log if entry.end_ns is None))
                return script

            server.choose = choose
            target = Target(server.url, model="m", dialect="vllm")
            load = Synthetic(Lengths.fixed(8), Lengths.fixed(2))
            return await run_load(target, arrivals, load, limits=Limits(scrape_s=None, **limits)), server

    result, server = asyncio.run(main())
    return result, server, at_work


@pytest.mark.parametrize("processes", [1, 2])
def test_an_open_loop_with_a_cap_waits_for_a_place_and_stays_due(processes: int):
    slow = Script(ttft_s=0.02)
    result, _, at_work = run(
        OpenLoop.at(1_000, "constant"), slow, requests=24, in_flight=4, processes=processes
    )
    assert result.counts == {"ok": 24}
    assert max(at_work) == 4
    due = [(record.scheduled_ns - result.started_ns) / 1e9 for record in result.records]
    assert due == pytest.approx([n / 1_000 for n in range(1, 25)], abs=1e-6)
    (warning,) = [text for text in result.warnings if "places" in text]
    assert "one of the 4 places" in warning
    assert not any("could not keep up" in text for text in result.warnings)


def test_without_a_cap_nothing_waits():
    _, _, at_work = run(OpenLoop.at(1_000, "constant"), Script(ttft_s=0.2), requests=12)
    assert max(at_work) == 12


def test_stages_of_users_end_by_themselves():
    result, _, at_work = run(stages_of("concurrency:1@0.15,3@0.15"), Script(ttft_s=0.01))
    assert set(result.counts) == {"ok"}
    assert max(at_work) == 3
    ended_s = (result.stopped_sending_ns - result.started_ns) / 1e9
    assert 0.15 < ended_s <= 0.31

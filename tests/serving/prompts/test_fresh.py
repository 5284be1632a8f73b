"""A load finds none of its prompts in a server's prefix cache, unless a shared prefix was asked for."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from wattmark.serving.load.client import ClosedLoop, Lengths, Limits, LoadResult, Synthetic, Target, run_load
from wattmark.serving.prompts.base import Conversation, Fixed, Turn, Workload
from wattmark.serving.prompts.synthetic import SIGNS, WORDS, Filler, Texts
from wattmark.serving.prompts.traces import Row, Trace
from wattmark.testing.scripted_server import PrefixCache, ScriptedServer

FIXED = Synthetic(Lengths.fixed(64), Lengths.fixed(2))
SPREAD = Synthetic(Lengths.uniform(20, 200), Lengths.fixed(2))


def loads(
    *workloads: Workload, requests: int = 60, endpoint: str = "chat"
) -> tuple[list[LoadResult], list[int]]:
    """Loads one after the other on one server with a prefix cache; and the cached tokens of each request."""
    cache = PrefixCache()

    async def main() -> list[LoadResult]:
        async with ScriptedServer(cache) as server:
            at = Target(server.url, model="m", dialect="vllm", endpoint=endpoint)  # type: ignore[arg-type]
            limits = Limits(requests=requests, scrape_s=None)
            return [await run_load(at, ClosedLoop.of(1), workload, limits=limits) for workload in workloads]

    return asyncio.run(main()), cache.hits


@pytest.mark.parametrize("first", [FIXED, SPREAD, replace(FIXED, token_ids=(0, 5_000))])
def test_the_same_load_twice_finds_nothing_cached(first: Synthetic):
    endpoint = "chat" if first.token_ids is None else "completions"
    results, hits = loads(first, first, endpoint=endpoint)
    assert hits == [0] * 120
    assert all(result.cached_share == 0 for result in results)
    assert not any("prefix cache" in warning for result in results for warning in result.warnings)


def test_loads_of_other_lengths_find_nothing_cached_either():
    _, hits = loads(FIXED, replace(FIXED, input=Lengths.fixed(128)), SPREAD, replace(SPREAD, seed=1))
    assert hits == [0] * 240


def test_many_prompts_of_one_load_begin_differently():
    for units in (WORDS, SIGNS):
        texts = Texts(units, 3)
        assert len({texts.text(number, 0, 8) for number in range(40_000)}) == 40_000
    starts = [talk.turns[0].text for talk in replace(SPREAD, requests=2_000).conversations()]
    assert len({tuple(text.split()[:8]) for text in starts}) == 2_000


def test_a_shared_prefix_is_cached_because_it_was_asked_for_and_new_in_each_load():
    shared = replace(FIXED, prefix_tokens=48)
    results, hits = loads(shared, shared, requests=10)
    assert hits == [0, *[48] * 9] * 2
    assert results[0].cached_share == pytest.approx(9 * 48 / 640)
    assert any("prefix cache" in warning for warning in results[0].warnings)


def test_texts_can_be_sent_again():
    results, _ = loads(FIXED, requests=10)
    seed = results[0].text_seed
    assert seed is not None
    again, hits = loads(replace(FIXED, text_seed=seed), replace(FIXED, text_seed=seed), requests=10)
    assert [result.text_seed for result in again] == [seed, seed]
    assert hits == [0] * 10 + [64] * 10
    assert "100% of the prompt tokens came from the server's prefix cache" in " ".join(again[1].warnings)


def test_prompts_of_a_file_that_are_sent_again_are_pointed_out():
    given = Fixed((Conversation(0, (Turn("one two", output_tokens=1),)),), once=False, name="p.jsonl")
    results, _ = loads(given, requests=3)
    assert any("1 prompts of p.jsonl were sent 3 times" in warning for warning in results[0].warnings)


def test_a_trace_shares_the_blocks_that_it_says_and_nothing_else():
    rows = [Row(0.0, 1_024, 1, blocks) for blocks in ((1, 2), (1, 3), (16_385, 4), ())]
    results, hits = loads(Trace("t", tuple(rows), 0).workload(filler=Filler()), requests=4)
    assert hits == [0, 512, 0, 0]
    again, _ = loads(Trace("t", tuple(rows), 0).workload(filler=Filler()), requests=4)
    assert again[0].text_seed != results[0].text_seed

"""Workloads: exact lengths, distributions, prefixes, files; seeded, and dealt out to several processes."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from wattmark.errors import ConfigError, ImportFileError
from wattmark.serving.load.client import (
    ClosedLoop,
    Lengths,
    Limits,
    Synthetic,
    Target,
    find_filler,
    probe,
    run_load,
)
from wattmark.serving.prompts.base import Conversation, Fixed, Turn
from wattmark.serving.prompts.files import read_jsonl, read_sharegpt
from wattmark.serving.prompts.synthetic import SIGNS, WORDS, Filler, Pool, calibrate
from wattmark.testing.scripted_server import ScriptedServer


def draws(lengths: Lengths, count: int = 20_000) -> np.ndarray:
    dice = random.Random(1)
    return np.array([lengths.draw(dice) for _ in range(count)])


def test_lengths_have_the_shape_asked_for():
    assert set(draws(Lengths.fixed(7), 10)) == {7}
    assert set(draws(Lengths.uniform(3, 5))) == {3, 4, 5}
    normal = draws(Lengths.normal(500, 50))
    assert normal.mean() == pytest.approx(500, rel=0.01)
    assert normal.std() == pytest.approx(50, rel=0.03)
    lognormal = draws(Lengths.lognormal(500, 250))
    assert lognormal.mean() == pytest.approx(500, rel=0.02)
    assert lognormal.std() == pytest.approx(250, rel=0.05)
    histogram = draws(Lengths.histogram({10: 1, 20: 3}))
    assert np.mean(histogram == 20) == pytest.approx(0.75, abs=0.02)
    assert draws(Lengths.normal(5, 100, least=2, most=9)).min() == 2


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("128", Lengths.fixed(128)),
        ("64-256", Lengths.uniform(64, 256)),
        ("normal:512,64", Lengths.normal(512, 64)),
        ("lognormal:512,64", Lengths.lognormal(512, 64)),
    ],
)
def test_lengths_are_read_from_text(text: str, lengths: Lengths):
    assert Lengths.parse(text) == lengths


@pytest.mark.parametrize("text", ["", "0", "x", "5-2", "normal:5", "weibull:1,2", "1-2-3"])
def test_text_that_is_no_length_is_refused(text: str):
    with pytest.raises(ConfigError):
        Lengths.parse(text)


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_prompts_are_exactly_as_long_as_asked_once_the_tokenizer_is_known(endpoint: str):
    async def main():
        async with ScriptedServer() as server:
            target = Target(server.url, endpoint=endpoint)
            profile = await probe(target)
            filler = await find_filler(target, profile)
            workload = Synthetic(
                Lengths.uniform(20, 90), Lengths.uniform(1, 6), filler=filler, prefix_tokens=10
            )
            return filler, await run_load(
                target, ClosedLoop.of(4), workload, profile=profile, limits=Limits(requests=30)
            )

    filler, result = asyncio.run(main())
    assert filler.exact
    assert filler.overhead_tokens == (4 if endpoint == "chat" else 0)
    assert all(record.input_tokens == record.wanted_input_tokens for record in result.records)
    assert all(record.output_tokens == record.wanted_output_tokens for record in result.records)
    assert len({record.input_tokens for record in result.records}) > 10


def test_a_tokenizer_of_single_signs_gets_signs():
    async def bytes_plus_three(text: str) -> int:
        return 3 + len(text.encode())

    async def two_thirds(text: str) -> int:
        return 2 + round(len(text) * 2 / 3)

    async def unknown(text: str) -> None:
        return None

    assert asyncio.run(calibrate(bytes_plus_three)) == Filler(SIGNS, 1.0, 3, exact=True)
    rough = asyncio.run(calibrate(two_thirds))
    assert (rough.units, rough.exact) == (WORDS, False)
    assert len(Pool(WORDS, 5).text(0, rough.units_for(300))) * 2 / 3 == pytest.approx(300, rel=0.1)
    assert not asyncio.run(calibrate(unknown)).exact


def test_one_seed_gives_one_workload_and_parts_make_up_the_whole():
    workload = Synthetic(
        Lengths.uniform(5, 50), Lengths.uniform(1, 9), turns=2, think_time_s=1, requests=20, seed=4
    )
    whole = list(workload.conversations())
    assert whole == list(workload.conversations())
    assert [talk.number for talk in whole] == list(range(20))
    parts = [list(workload.conversations(part, 3)) for part in range(3)]
    assert sorted((talk for part in parts for talk in part), key=lambda talk: talk.number) == whole
    assert whole != list(
        Synthetic(Lengths.uniform(5, 50), Lengths.uniform(1, 9), turns=2, requests=20, seed=5).conversations()
    )
    assert len({talk.turns[0].text for talk in whole}) == 20


def test_prefixes_are_shared_within_a_group_only():
    workload = Synthetic(Lengths.fixed(40), Lengths.fixed(1), prefix_tokens=30, prefix_groups=3, requests=60)
    texts = [talk.turns[0].text.split() for talk in workload.conversations()]
    assert len({tuple(text[:30]) for text in texts}) == 3
    assert {len(text) for text in texts} == {40}
    assert len({tuple(text) for text in texts}) == 60


def test_token_ids_are_exact_by_themselves():
    workload = Synthetic(
        Lengths.fixed(12), Lengths.fixed(2), token_ids=(100, 200), prefix_tokens=4, requests=5
    )
    ids = [talk.turns[0].token_ids for talk in workload.conversations()]
    assert all(len(each) == 12 and set(each) <= set(range(100, 200)) for each in ids if each)
    assert len({each[:4] for each in ids if each}) == 1

    async def main():
        async with ScriptedServer() as server:
            target = Target(server.url, endpoint="completions")
            return await run_load(target, ClosedLoop.of(2), workload)

    assert [record.input_tokens for record in asyncio.run(main()).records] == [12] * 5


def test_a_long_stretch_of_a_pool_goes_around_its_end():
    pool = Pool(("ab", "c", "def"), 1, size=10)
    assert pool.text(0, 25) == pool.text(0, 10) * 2 + pool.text(0, 5)
    assert pool.text(7, 5) == pool.text(7, 3) + pool.text(0, 2)


def test_jsonl_prompts_of_all_forms(tmp_path: Path):
    file = tmp_path / "p.jsonl"
    rows = [
        "plain",
        {"prompt": "a", "output_tokens": 5, "input_tokens": 9},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "b"}]},
    ]
    file.write_text("\n".join(map(json.dumps, rows)) + '\n\n{"text": "bad \\ud800 half"}\n')
    one, two, three, four = read_jsonl(file, output_tokens=7).conversations()
    assert one == Conversation(0, (Turn("plain", output_tokens=7),))
    assert two.turns[0] == Turn("a", None, 9, 5)
    assert (three.before, three.turns[0].text) == (({"role": "system", "content": "s"},), "b")
    assert four.turns[0].text == "bad ? half"
    again = list(islice(read_jsonl(file, once=False).conversations(), 9))
    assert [talk.number for talk in again] == list(range(9))


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "line 1: not JSON"), ('{"x": 1}', "line 1: no prompt"), ("[]", "no prompt"), ("", "no prompts")],
)
def test_jsonl_that_is_none_is_refused_with_its_line(tmp_path: Path, text: str, message: str):
    (tmp_path / "p").write_text(text)
    with pytest.raises(ImportFileError, match=message):
        read_jsonl(tmp_path / "p")


def test_sharegpt_conversations_keep_their_turns(tmp_path: Path):
    talk = [("human", "q1"), ("gpt", "a" * 40), ("human", "q2"), ("gpt", "b" * 8), ("human", "q3")]
    rows = [
        {"conversations": [{"from": who, "value": said} for who, said in talk]},
        {"conversations": []},
        {"x": 1},
    ]
    file = tmp_path / "s.json"
    file.write_text(json.dumps(rows))
    (found,) = read_sharegpt(file).conversations()
    assert [(turn.text, turn.output_tokens) for turn in found.turns] == [("q1", 10), ("q2", 2), ("q3", None)]
    (short,) = read_sharegpt(file, turns=1, output_tokens=3).conversations()
    assert short.turns == (Turn("q1", output_tokens=3),)
    for text in ("{}", "[]", "no"):
        file.write_text(text)
        with pytest.raises(ImportFileError):
            read_sharegpt(file)


def test_a_given_list_ends_or_goes_around():
    talks = tuple(Conversation(number, (Turn(str(number)),)) for number in range(3))
    assert [talk.turns[0].text for talk in Fixed(talks).conversations(1, 2)] == ["1"]
    assert [talk.turns[0].text for talk in islice(Fixed(talks, once=False).conversations(1, 2), 4)] == [
        "1",
        "0",
        "2",
        "1",
    ]


def test_prompts_of_one_length_differ_and_are_the_same_however_they_are_shared_out():
    load = Synthetic(Lengths.fixed(12), Lengths.fixed(3), seed=5, prefix_tokens=4, requests=600)
    whole = list(load.conversations())
    assert len({talk.turns[0].text for talk in whole}) == 600
    dealt = [list(load.conversations(part, 3)) for part in range(3)]
    assert sorted(itertools.chain(*dealt), key=lambda talk: talk.number) == whole
    other = Synthetic(Lengths.fixed(12), Lengths.fixed(3), seed=6, prefix_tokens=4, requests=600)
    assert [talk.turns[0].text for talk in other.conversations()] != [talk.turns[0].text for talk in whole]
    assert all(len(talk.turns[0].text.split()) == 12 for talk in whole)
    assert len({tuple(talk.turns[0].text.split()[:4]) for talk in whole}) == 1


def test_rows_without_a_limit_get_one_drawn_from_a_range_and_recorded_answers_are_not_sent(tmp_path: Path):
    path = tmp_path / "p.jsonl"
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    rows = [{"prompt": f"p {n}"} for n in range(30)] + [
        {"prompt": "own", "max_tokens": 5},
        {"messages": messages},
    ]
    path.write_text("\ufeff" + "\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = read_jsonl(path, output=Lengths.uniform(10, 20)).given
    lengths = [talk.turns[0].output_tokens for talk in found]
    assert all(10 <= (length or 0) <= 20 for length in lengths[:30])
    assert len(set(lengths[:30])) > 3
    assert lengths[30] == 5
    assert (found[-1].turns[0].text, found[-1].before) == ("hi", ())


def test_a_server_with_a_short_context_is_asked_with_shorter_units() -> None:
    """A token a character and room for 256: a probe of words is refused, one of signs is not."""

    async def short_context(text: str) -> int | None:
        return len(text) if len(text) <= 256 else None

    assert asyncio.run(calibrate(short_context)) == Filler(SIGNS, 1.0, 0, exact=True)

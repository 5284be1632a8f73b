"""Public traces are read as they are published, and replayed."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from wattmark.errors import ImportFileError
from wattmark.serving.load.client import ClosedLoop, Limits, Target, run_load
from wattmark.serving.prompts.base import Lengths
from wattmark.serving.prompts.traces import read_trace
from wattmark.testing.scripted_server import ScriptedServer

HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
AZURE_2023 = HEAD + "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
AZURE_2024 = HEAD + "2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:01+00:00,2399,6\n"
BURSTGPT = (
    "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,0,0,0,API log\n118,GPT-4,417,276,693,Conversation log\n"
)
BURSTGPT_2 = (
    "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "7.5,a,1.5,ChatGPT,10,20,30,Conversation log\n"
)


def mooncake(*rows: tuple[int, int, int, list[int]]) -> str:
    names = ("timestamp", "input_length", "output_length", "hash_ids")
    return "".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows)


def read(tmp_path: Path, text: str):
    file = tmp_path / "trace"
    file.write_text(text)
    return read_trace(file)


@pytest.mark.parametrize(
    ("text", "gaps", "lengths"),
    [
        (AZURE_2023, [0, 4.314579], [(374, 44), (396, 109)]),
        (AZURE_2024, [0, 0.99007], [(2162, 5), (2399, 6)]),
        (BURSTGPT, [0, 113], [(472, 18), (417, 276)]),
        (BURSTGPT_2, [0], [(10, 20)]),
        (
            mooncake((27_482, 6_955, 52, [46, 47]), (30_535, 900, 26, [46])),
            [0, 3.053],
            [(6_955, 52), (900, 26)],
        ),
    ],
)
def test_each_format(tmp_path: Path, text: str, gaps: list[float], lengths: list[tuple[int, int]]):
    trace = read(tmp_path, text)
    assert list(trace.arrivals().offsets_s()) == pytest.approx(gaps, abs=1e-5)
    assert [(row.input_tokens, row.output_tokens) for row in trace.rows] == lengths


def test_failed_requests_are_skipped_and_counted(tmp_path: Path):
    assert read(tmp_path, BURSTGPT).skipped == 1


def test_shared_blocks_share_text(tmp_path: Path):
    trace = read(tmp_path, mooncake((0, 1_200, 1, [7, 8, 9]), (1, 1_100, 1, [7, 8, 11]), (2, 600, 1, [4, 5])))
    first, second, third = (talk.turns[0].text.split() for talk in trace.workload().conversations())
    assert (len(first), len(second), len(third)) == (1_200, 1_100, 600)
    assert first[:1024] == second[:1024]
    assert first[1024:1100] != second[1024:]
    assert third[:100] != first[:100]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no trace that is known"),
        (HEAD + "yesterday,1,2\n", "holds no request with tokens .line 2: not as"),
        ('{"timestamp": 0}\n', "line 1: there is no input_length"),
        ('{"timestamp": 0, "input_length": 2.5, "output_length": 1}\n', "line 1: .*no number of tokens"),
        ('{"timestamp": 0, "input_length": 5, "output_length": 1, "hash_ids": 3}\n', "line 1: not as"),
        (HEAD, "holds no request"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, message: str):
    with pytest.raises(ImportFileError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "good", "message"),
    [
        (AZURE_2023 + "yesterday,1,2\n", 2, "1 of 3 rows of trace were left out .line 4: not as"),
        (AZURE_2023 + "2023-11-16 18:15:46.68,1\n", 2, "line 4: there is no GeneratedTokens"),
        (
            AZURE_2023 + "2023-11-16 18:15:46.68,-1,2\n",
            2,
            "line 4: .*ContextTokens is -1, no number of tokens",
        ),
        (BURSTGPT + "9,ChatGPT,many,2,2,x\n", 2, "line 5: not as"),
        (BURSTGPT + "nan,ChatGPT,1,2,2,x\n", 2, "line 5: .*Timestamp is nan"),
        (BURSTGPT + "9,ChatGPT,1e300,2,2,x\n", 2, "line 5: .*Request tokens is 1e300"),
        ('{"timestamp": 0, "input_length": 5, "output_length": 1}\n\n{"torn', 1, "line 3: not JSON"),
        ('{"timestamp": 0, "input_length": 5, "output_length": 1}\n[1]\n', 1, "line 2: .*no JSON object"),
    ],
)
def test_a_bad_row_is_left_out_counted_and_named(tmp_path: Path, text: str, good: int, message: str):
    trace = read(tmp_path, text)
    assert len(trace.rows) == good
    (note,) = trace.notes
    assert re.search(message, note)


def test_all_fields_but_tokens_or_text_are_optional(tmp_path: Path):
    rows = [
        {"input_length": 9},
        {"text_input": "say this", "output_length": 3},
        {"input_length": 4, "output_length": 2},
    ]
    trace = read(tmp_path, "\n".join(map(json.dumps, rows)))
    assert not trace.timed
    turns = [talk.turns[0] for talk in trace.workload(output=Lengths.fixed(7)).conversations()]
    assert [turn.output_tokens for turn in turns] == [7, 3, 2]
    assert [turn.input_tokens for turn in turns] == [9, None, 4]
    assert turns[1].text == "say this"
    with pytest.raises(ImportFileError, match="does not tell when"):
        trace.arrivals()


def test_a_replay_sends_the_lengths_at_their_times(tmp_path: Path):
    trace = read(tmp_path, mooncake((0, 30, 3, []), (1_000, 9_000, 2, []), (3_000, 40, 4, [])))

    async def main():
        async with ScriptedServer() as server:
            target = Target(server.url, model="m", dialect="vllm", endpoint="completions")
            limits = Limits(scrape_s=None)
            return await run_load(
                target, trace.arrivals(speed=20), trace.workload(most_tokens=50), limits=limits
            )

    result = asyncio.run(main())
    assert [(record.input_tokens, record.output_tokens) for record in result.records] == [
        (30, 3),
        (50, 2),
        (40, 4),
    ]
    scheduled = [(record.scheduled_ns - result.started_ns) / 1e9 for record in result.records]
    assert scheduled == pytest.approx([0, 0.05, 0.15], abs=1e-6)


SESSIONS = """{"timestamp": 5000, "input_length": 30, "output_length": 3}
{"session_id": "a", "timestamp": 1000, "input_length": 20, "output_length": 4}
{"session_id": "b", "timestamp": 2000, "input_length": 12, "output_length": 2}
{"session_id": "a", "delay": 40, "input_length": 10, "output_length": 5}
{"session_id": "b", "timestamp": 2500, "input_length": 11, "output_length": 2}
"""


def test_lines_of_one_session_are_turns_of_one_conversation(tmp_path: Path):
    trace = read(tmp_path, SESSIONS)
    assert list(trace.arrivals().offsets_s()) == pytest.approx([0, 1, 4])
    talks = list(trace.workload().conversations())
    assert [[turn.output_tokens for turn in talk.turns] for talk in talks] == [[4, 5], [2, 2], [3]]
    assert [talk.turns[1].think_s for talk in talks[:2]] == [0.04, 0.5]
    assert [talk.turns[0].input_tokens for talk in talks] == [20, 12, 30]
    assert talks[0].turns[0].text.split()[:5] != talks[0].turns[1].text.split()[:5]
    halves = [list(trace.workload().conversations(part, 2)) for part in range(2)]
    assert sorted(halves[0] + halves[1], key=lambda talk: talk.number) == talks


def test_sessions_without_times_are_for_a_closed_loop(tmp_path: Path):
    lines = [{"session_id": name, "input_length": 9, "output_length": 2} for name in "aabb"]
    trace = read(tmp_path, "".join(json.dumps(line) + "\n" for line in lines))

    async def main():
        async with ScriptedServer() as server:
            target = Target(server.url, model="m", dialect="vllm")
            result = await run_load(target, ClosedLoop.of(1), trace.workload(), limits=Limits(scrape_s=None))
            return result, server

    result, server = asyncio.run(main())
    assert [(record.conversation, record.turn) for record in result.records] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
    ]
    assert len(server.log[1].body["messages"]) == 3

"""What goes out for a turn: shares by model, chat templates, fields of one request, several choices."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from wattmark.errors import ConfigError
from wattmark.serving.asked import shares_of
from wattmark.serving.load.client import ClosedLoop, Lengths, Limits, Synthetic, Target, probe, run_load
from wattmark.serving.load.generator.bodies import Mix
from wattmark.serving.load.records import LoadResult
from wattmark.serving.prompts.base import Conversation, Fixed, Turn
from wattmark.serving.prompts.template import ChatTemplate
from wattmark.testing.scripted_server import Script, ScriptedServer

TWO_TURNS = Synthetic(Lengths.fixed(8), Lengths.fixed(2), turns=2)


def load(workload: Any = TWO_TURNS, requests: int = 20, **target: Any) -> tuple[LoadResult, ScriptedServer]:
    async def main() -> tuple[LoadResult, ScriptedServer]:
        async with ScriptedServer() as server:
            at = Target(server.url, **{"model": "m", "dialect": "vllm", **target})
            limits = Limits(requests=requests, scrape_s=None)
            return await run_load(at, ClosedLoop.of(1), workload, limits=limits), server

    return asyncio.run(main())


@pytest.mark.parametrize("shares", [{"a": 0.7, "b": 0.3}, {"a": 7, "b": 3}, {"base": 1, "x": 1, "y": 2}])
@pytest.mark.parametrize("number", [10, 100, 1_000])
def test_shares_come_out_to_within_two_requests(shares: dict[str, float], number: int):
    mix = Mix(shares)
    counts = Counter(mix.of(n) for n in range(number))
    whole = sum(shares.values())
    assert all(abs(counts[name] - number * share / whole) <= 2 for name, share in shares.items())


def test_a_conversation_stays_with_its_adapter():
    result, server = load(models={"base": 0.5, "lora": 0.5}, model=None)
    models = [entry.body["model"] for entry in server.log]
    assert [each.model for each in result.records] == models
    assert Counter(models) == {"base": 10, "lora": 10}
    by_talk = {each.conversation: each.model for each in result.records}
    assert all(by_talk[each.conversation] == each.model for each in result.records)


def test_adapters_that_the_server_does_not_list_are_told():
    async def main() -> list[str]:
        async with ScriptedServer() as server:
            return list((await probe(Target(server.url, models={"m": 1, "other": 1}))).warnings)

    assert asyncio.run(main()) == ["the server does not list other among its models"]


@pytest.mark.parametrize(
    ("text", "shares"),
    [
        ("a=0.7,b=0.3", {"a": 0.7, "b": 0.3}),
        ("a:0.7, b:0.3", {"a": 0.7, "b": 0.3}),
        ("llama3:8b=2,org/x:y=1", {"llama3:8b": 2, "org/x:y": 1}),
        ("llama3:8b", {}),
        ("m", {}),
    ],
)
def test_shares_in_words(text: str, shares: dict[str, float]):
    assert shares_of(text) == shares


@pytest.mark.parametrize("text", ["a=0.7,b", "a,b", "a=1,b=0", "a=1,=2", "a=x,b=1"])
def test_shares_that_are_none_are_told(text: str):
    with pytest.raises(ConfigError, match="no share"):
        shares_of(text)


SAID = [
    {"role": role, "content": text}
    for role, text in (("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "v"))
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "chatml",
            "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n"
            "<|im_start|>user\nv<|im_end|>\n<|im_start|>assistant\n",
        ),
        ("plain", "System: s\nUser: u\nAssistant: a\nUser: v\nAssistant:"),
    ],
)
def test_built_in_templates(name: str, text: str):
    assert ChatTemplate.of(name).text(SAID) == text


JINJA = "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}" + (
    "{% if add_generation_prompt %}[bot]{% endif %}"
)


@pytest.mark.parametrize("name", ["t.jinja", "tokenizer_config.json"])
def test_templates_of_files(tmp_path: Path, name: str):
    pytest.importorskip("jinja2")
    (tmp_path / name).write_text(JINJA if name.endswith("jinja") else json.dumps({"chat_template": JINJA}))
    template = ChatTemplate.of(str(tmp_path / name))
    assert template.text(SAID[1:2]) == "[user] u\n[bot]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% for %}", "no Jinja template"),
        ("{{ raise_exception('only one') }}", "refuses these messages: only one"),
    ],
)
def test_templates_that_cannot_be_used_are_told_before_the_load(tmp_path: Path, text: str, said: str):
    pytest.importorskip("jinja2")
    (tmp_path / "t.jinja").write_text(text)
    with pytest.raises(ConfigError, match=said):
        ChatTemplate.of(str(tmp_path / "t.jinja"))
    with pytest.raises(ConfigError, match="no chat template"):
        ChatTemplate.of(str(tmp_path / "other.jinja"))


def test_completions_are_asked_with_the_whole_conversation_in_the_template():
    _, server = load(requests=2, endpoint="completions", chat_template=ChatTemplate.of("plain"))
    first, second = (entry.body["prompt"] for entry in server.log)
    assert first.startswith("User: ")
    assert first.endswith("\nAssistant:")
    assert second.startswith(first + " aa\nUser: ")
    assert second.endswith("\nAssistant:")


def test_fields_of_one_request_go_out_with_it_alone():
    talks = (
        Conversation(0, (Turn("a", output_tokens=2, fields={"temperature": 0.9}),)),
        Conversation(1, (Turn("b", output_tokens=2),)),
    )
    _, server = load(Fixed(talks), requests=2)
    assert [entry.body["temperature"] for entry in server.log] == [0.9, 0]
    assert {entry.body["max_tokens"] for entry in server.log} == {2}


def chunk(index: int, text: str, reason: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": {"content": text}, "finish_reason": reason}


def test_all_choices_of_a_request_are_counted_and_none_is_taken_for_too_many_tokens():
    events = [
        {"choices": [chunk(0, "a"), chunk(1, "b")]},
        {"choices": [chunk(1, "b", "length")]},
        {"choices": [chunk(0, "a", "length")]},
        {"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": 4}},
    ]
    stream = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"
    script = Script(
        steps=(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n" % len(stream)
            + stream,
        )
    )

    async def main() -> LoadResult:
        async with ScriptedServer(script) as server:
            at = Target(server.url, model="m", dialect="vllm", extra_body={"n": 2})
            limits = Limits(requests=1, scrape_s=None, keep_text=True)
            return await run_load(
                at, ClosedLoop.of(1), Synthetic(Lengths.fixed(8), Lengths.fixed(2)), limits=limits
            )

    (record,) = asyncio.run(main()).records
    assert (record.answers, record.output_tokens, record.text) == (2, 4, "aa")
    assert len(record.chunk_ns) == 4
    assert record.usage_note is None


@pytest.mark.parametrize("stream", [True, False])
def test_tool_calls_are_text_without_the_frame_around_them(stream: bool):
    calls = [
        {
            "index": 0,
            "id": "call_" + "x" * 900,
            "type": "function",
            "function": {"name": "find", "arguments": '{"a":1}'},
        }
    ]
    usage = {"prompt_tokens": 8, "completion_tokens": 2}
    if stream:
        events = [
            {"choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]},
            {"choices": [], "usage": usage},
        ]
        data = (
            b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"
        )
    else:
        data = json.dumps(
            {
                "choices": [
                    {"message": {"content": None, "tool_calls": calls}, "finish_reason": "tool_calls"}
                ],
                "usage": usage,
            }
        ).encode()
    script = Script(body=data)

    async def main() -> LoadResult:
        async with ScriptedServer(script) as server:
            at = Target(server.url, model="m", dialect="vllm", stream=stream)
            limits = Limits(requests=1, scrape_s=None)
            return await run_load(
                at, ClosedLoop.of(1), Synthetic(Lengths.fixed(8), Lengths.fixed(2)), limits=limits
            )

    (record,) = asyncio.run(main()).records
    assert (record.outcome, record.finish_reason, record.text_size) == (
        "ok",
        "tool_calls",
        len('find{"a":1}'),
    )
    assert (record.output_tokens, record.usage_problem) == (2, None)

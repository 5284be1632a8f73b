"""Servers side by side, calls to hosted models, and the commands of both."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import wattmark as wm
from wattmark.cli.predict.command import app
from wattmark.errors import ConfigError
from wattmark.predict.llm.question import cheapest

OPENAI = {"model": "gpt-4o-mini", "usage": {"prompt_tokens": 100, "completion_tokens": 50}}
ANTHROPIC = {
    "model": "claude-sonnet-4",
    "usage": {"input_tokens": 10, "output_tokens": 50, "cache_read_input_tokens": 90},
}
GOOGLE = {
    "modelVersion": "gemini-2.5-pro",
    "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20, "thoughtsTokenCount": 30},
}


def test_servers_side_by_side_the_cheapest_first() -> None:
    answers = wm.predict_llm(["llama-3.1-8b", "llama-3.1-70b"], gpu=["h100-sxm", "b200"], concurrency=64)
    assert len(answers) == 4
    assert [one.token_j.value for one in answers] == sorted(one.token_j.value for one in answers)
    assert cheapest(answers) is answers[0]
    assert cheapest(answers, 1e-9) is None
    big = next(
        one
        for one in answers
        if one.subject.model.name == "llama-3.1-70b" and one.subject.hardware.id == "h100-sxm"
    )
    assert big.subject.accelerators > 1
    assert big.misfit is None
    for one in answers:
        assert one.tokens_per_s.value * one.token_j.value == pytest.approx(one.request.power.value, rel=1e-6)


def test_one_card_that_cannot_hold_it_says_so() -> None:
    (answer,) = wm.predict_llm("llama-3.1-405b", gpus=1)
    assert answer.misfit
    assert cheapest([answer]) is None


def test_the_command_says_what_the_function_says() -> None:
    words = [
        "llm",
        "llama-3.1-8b",
        "--gpu",
        "h100-sxm",
        "--concurrency",
        "64",
        "--input",
        "500",
        "--output",
        "200",
    ]
    result = CliRunner().invoke(app, [*words, "--json", "-"])
    (row,) = json.loads(result.stdout)["predictions"]
    (answer,) = wm.predict_llm("llama-3.1-8b", concurrency=64)
    assert row["token_j"]["value"] == answer.token_j.value
    assert row["prefill_j"]["value"] + row["decode_j"]["value"] == pytest.approx(row["request_j"]["value"])
    table = CliRunner().invoke(app, [*words, "--latency", "100"]).stdout
    assert "engine vllm-v1 was not measured" in table
    assert "fewest joules within 100 ms a token" in table


def test_calls_of_three_shapes_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "usage.jsonl"
    log.write_text("\n".join(map(json.dumps, (OPENAI, ANTHROPIC, GOOGLE, OPENAI))))
    rows = {row.model: row for row in wm.predict_api(log)}
    assert rows["gpt-4o-mini"].calls == 2
    assert [(row.input_tokens / row.calls, row.output_tokens / row.calls) for row in rows.values()] == [
        (100, 50)
    ] * 3
    for row in rows.values():
        low, high = row.energy.interval(0.9)
        assert high / low > 50, "what a provider runs is not known"
    told = json.loads(CliRunner().invoke(app, ["api", "--usage", str(log), "--json", "-"]).stdout)
    assert [row["calls"] for row in told["models"]] == [row.calls for row in rows.values()]


def test_the_log_of_an_assistant_counts_each_answer_once_and_passes_over_the_rest(tmp_path):
    answer = {"id": "m1", "model": "gpt-4o", "usage": {"input_tokens": 3, "cache_read_input_tokens": 1000}}
    rows = [
        {"type": "user", "message": {"role": "user", "content": "hello"}},
        {"type": "assistant", "message": {**answer, "usage": {**answer["usage"], "output_tokens": 1}}},
        {"type": "assistant", "message": {**answer, "usage": {**answer["usage"], "output_tokens": 200}}},
        {"type": "summary", "summary": "hello"},
        {
            "type": "assistant",
            "message": {**answer, "id": "m2", "usage": {"input_tokens": 10, "output_tokens": 20}},
        },
    ]
    log = tmp_path / "session.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (use,) = wm.predict_api(log)
    assert (use.calls, use.input_tokens, use.output_tokens) == (2, 1013, 220)
    log.write_text(json.dumps(rows[0]))
    with pytest.raises(ConfigError, match="has no calls"):
        wm.predict_api(log)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no calls"),
        ("{", "line 1 is no JSON"),
        ("[]", "line 1 has no usage"),
        ('{"usage": {"prompt_tokens": 3}}', "has no model"),
        ('{"model": "x", "usage": {"prompt_tokens": -3}}', "not a number of tokens"),
        ('{"model": "x", "usage": {"prompt_tokens": NaN}}', "not a number of tokens"),
    ],
)
def test_a_log_that_cannot_be_counted_says_where(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "log").write_text(text)
    with pytest.raises(ConfigError, match=words):
        wm.predict_api(tmp_path / "log")


def test_requests_a_second_become_requests_in_flight_by_littles_law() -> None:
    (answer,) = wm.predict_llm("llama-3.1-8b", rate=20, input_tokens=500, output_tokens=200)
    assert answer.misfit is None
    assert answer.subject.concurrency == pytest.approx(20 * answer.request_s.value, rel=1e-3)
    assert answer.tokens_per_s.value == pytest.approx(20 * 200)
    (again,) = wm.predict_llm("llama-3.1-8b", concurrency=answer.subject.concurrency)
    assert again.tokens_per_s.value == pytest.approx(20 * 200, rel=1e-3)
    assert again.token_j.value == pytest.approx(answer.token_j.value)


def test_a_server_that_mostly_waits_pays_for_waiting() -> None:
    (rare,), (often,) = (wm.predict_llm("llama-3.1-8b", rate=rate) for rate in (0.01, 5.0))
    assert rare.busy < 0.02
    assert rare.dominant == "idle"
    idle = 0.15 * 700 / 0.01
    assert (rare.request.terms or {})["idle"] == pytest.approx(idle, rel=0.02)
    assert rare.request.power.value == pytest.approx(rare.request.energy.value * 0.01)
    assert rare.token_j.value > 20 * often.token_j.value
    assert sum((rare.request.terms or {}).values()) == pytest.approx(rare.request.energy.value)


def test_a_rate_that_no_batch_reaches_says_how_many_copies_it_takes() -> None:
    (answer,) = wm.predict_llm("llama-3.1-8b", rate=5000, gpus=1)
    assert "too slow" in str(answer.misfit) or "needs" in str(answer.misfit)
    assert cheapest([answer]) is None
    for rate in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match="requests a second"):
            wm.predict_llm("llama-3.1-8b", rate=rate)
    result = CliRunner().invoke(app, ["llm", "llama-3.1-8b", "--rate", "5", "--concurrency", "3"])
    assert isinstance(result.exception, ConfigError)


def test_a_shape_that_was_held_against_nothing_says_so() -> None:
    checked, unchecked = wm.predict_llm(["llama-3.1-8b", "qwen2-7b"])
    if checked.subject.model.name != "llama-3.1-8b":
        checked, unchecked = unchecked, checked
    assert checked.as_dict()["checked"] == "litgpt 0.5.13"
    assert not any("written down" in note for note in checked.notes)
    assert unchecked.as_dict()["checked"] is None
    assert any("written down and held against nothing" in note for note in unchecked.notes)

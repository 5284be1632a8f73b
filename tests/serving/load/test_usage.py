"""Token counts as servers send them: true ones are taken whatever their shape, impossible ones are left out."""

from __future__ import annotations

from array import array
from typing import Any

import pytest

from wattmark.serving.load.records import RequestRecord
from wattmark.serving.load.usage import merge_usage, usage_counts


def test_counts_of_one_choice_are_taken_for_each_of_several():
    record = RequestRecord(0, 0, 0, 0, 0, chunk_ns=array("q", range(16)), answers=2, text_size=40)
    usage_counts(record, {"prompt_tokens": 9, "completion_tokens": 8}, 16)
    assert record.output_tokens == 16
    assert "told of one of 2 choices" in (record.usage_note or "")
    whole = RequestRecord(0, 0, 0, 0, 0, chunk_ns=array("q", range(16)), answers=2, text_size=40)
    usage_counts(whole, {"prompt_tokens": 9, "completion_tokens": 16}, 16)
    assert (whole.output_tokens, whole.usage_note) == (16, None)


@pytest.mark.parametrize(
    ("made", "reason", "tokens"), [(8, "length", 16), (8, "stop", 8), (11, "length", 11)]
)
def test_choices_that_came_at_once_are_counted_by_how_the_first_ended(made: int, reason: str, tokens: int):
    record = RequestRecord(0, 0, 0, 0, 0, answers=2, text_size=40, finish_reason=reason)
    usage_counts(record, {"prompt_tokens": 9, "completion_tokens": made}, 16)
    assert record.output_tokens == tokens


def taken(
    usage: dict[str, Any], *, chunks: int = 4, asked: int | None = 4, size: int = 16, thoughts: int = 0
) -> RequestRecord:
    record = RequestRecord(0, 0, 0, 0, 0, chunk_ns=array("q", range(chunks)))
    record.text_size, record.reasoning_chunks = size, thoughts
    usage_counts(record, usage, asked)
    return record


@pytest.mark.parametrize(
    ("usage", "how", "made", "note"),
    [
        ({"prompt_tokens": 12, "completion_tokens": 4}, {}, 4, None),
        ({"prompt_tokens": 12.0, "completion_tokens": 4.0}, {}, 4, None),
        ({"prompt_tokens": "12", "completion_tokens": "4"}, {}, 4, None),
        ({"input_tokens": 12, "output_tokens": 4}, {}, 4, None),
        ({"prompt_tokens": 12, "completion_tokens": 5}, {}, 5, "at most 4 were asked for"),
        ({"prompt_tokens": 12, "completion_tokens": 50}, {"chunks": 50, "size": 200}, 50, "at most 4"),
        ({"prompt_tokens": 12, "completion_tokens": 4}, {"chunks": 16}, 4, "cut anew"),
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 4,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            {"chunks": 24, "size": 100, "asked": None, "thoughts": 20},
            24,
            "added",
        ),
        (
            {
                "prompt_tokens": 12,
                "completion_tokens": 24,
                "completion_tokens_details": {"reasoning_tokens": 20},
            },
            {"chunks": 4, "asked": None},
            24,
            None,
        ),
    ],
)
def test_true_counts_are_taken_and_what_is_odd_is_said(
    usage: dict[str, Any], how: dict[str, Any], made: int, note: str | None
):
    record = taken(usage, **how)
    assert (record.input_tokens, record.output_tokens, record.usage_problem) == (12, made, None)
    assert record.usage_note is None if note is None else note in (record.usage_note or "")


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 12, "completion_tokens": 0},
        {"prompt_tokens": 12, "completion_tokens": 100_000},
        {"prompt_tokens": 0, "completion_tokens": 4},
        {"prompt_tokens": -1, "completion_tokens": 4},
        {"prompt_tokens": 12, "completion_tokens": 4.5},
        {"prompt_tokens": True, "completion_tokens": 4},
        {"prompt_tokens": 12},
    ],
)
def test_impossible_counts_are_left_out(usage: dict[str, Any]):
    record = taken(usage)
    assert (record.input_tokens, record.output_tokens) == (None, None)
    assert record.usage_problem


def test_a_later_object_with_details_only_adds_to_the_counts():
    counts = {"prompt_tokens": 12, "completion_tokens": 4}
    later = {"prompt_tokens": None, "prompt_tokens_details": {"cached_tokens": 8}}
    record = taken(merge_usage(merge_usage(None, counts), later))
    assert (record.input_tokens, record.output_tokens, record.cached_tokens) == (12, 4, 8)


def test_no_more_of_a_prompt_is_cached_than_it_has():
    record = taken({"prompt_tokens": 12, "completion_tokens": 4, "prompt_cache_hit_tokens": 64})
    assert record.cached_tokens == 12

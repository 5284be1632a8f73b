"""Token counts that servers tell: several ``usage`` objects of one answer become one, and what cannot be true is left out.

Cached and reasoning tokens are in ``prompt_tokens_details`` and ``completion_tokens_details`` (OpenAI API reference, "The
usage object"). Servers differ in what they count: some leave reasoning out of ``completion_tokens`` (xAI), send a second
object with details only (SGLang) or one with every chunk (vLLM, ``continuous_usage_stats``), or write 12.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from wattmark.serving.load.records import RequestRecord

MOST_CHARACTERS_A_TOKEN = 256
"""No vocabulary in use has text tokens this long on average; the longest single ones (runs of spaces) have 128."""
HELD_BACK = 2
"""Chunks that a server may send beyond its tokens: the rest of what it held back."""


def merge_usage(before: dict[str, Any] | None, usage: Any) -> dict[str, Any]:
    """The counts so far with those of one more object: what the later one knows replaces, what it leaves out stays."""
    if not isinstance(usage, dict):
        return {**(before or {}), "not_an_object": True}
    given = cast("dict[str, Any]", usage)
    return {**(before or {}), **{name: value for name, value in given.items() if value is not None}}


def usage_of_timings(timings: Mapping[str, float]) -> dict[str, Any] | None:
    """llama.cpp's counts where its answer has ``timings`` and no ``usage`` (tools/server/README.md: ``prompt_n`` tokens were
    worked through, ``cache_n`` were in its cache); None where they are not there."""
    given, made = timings.get("prompt_n"), timings.get("predicted_n")
    if given is None or made is None:
        return None
    return {"prompt_tokens": given + timings.get("cache_n", 0.0), "completion_tokens": made}


def usage_counts(record: RequestRecord, usage: dict[str, Any], asked_tokens: int | None) -> None:
    """Take the token counts of a ``usage`` object into the record, if they can be true; ``usage_note`` says what is odd.

    Counts that cannot be true are left None and ``usage_problem`` says why. More tokens than asked for, or fewer than
    chunks, can be true: servers ignore limits, and proxies cut chunks anew.
    """
    given = _count(usage, "prompt_tokens", "input_tokens")
    made = _count(usage, "completion_tokens", "output_tokens")
    thought = _detail(usage, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens")
    thought = _count(usage, "reasoning_tokens") if thought is None else thought
    chunks, size = len(record.chunk_ns), record.text_size
    notes: list[str] = []
    if given is None or made is None:
        record.usage_problem = "usage without whole numbers of tokens"
        return
    apart = record.reasoning_chunks > 0 and made + HELD_BACK < chunks <= made + (thought or 0) + HELD_BACK
    if thought and (thought > made or apart):
        notes.append("reasoning tokens are told beside the output tokens; they are added")
        made += thought
    several = record.answers
    if several > 1 and _of_one_choice(record, made, asked_tokens):  # llama.cpp
        notes.append(f"the output tokens are told of one of {several} choices; they are taken for each")
        made *= several
    problem = _impossible(given, made, thought or 0, chunks, size)
    if problem is not None:
        record.usage_problem = problem
        return
    if chunks > made + HELD_BACK:
        notes.append(f"{chunks} chunks of text for {made} output tokens: the text was cut anew on the way")
    if asked_tokens is not None and made > asked_tokens:
        notes.append(f"{made} output tokens though at most {asked_tokens} were asked for")
    record.input_tokens, record.output_tokens, record.reasoning_tokens = given, made, thought
    record.cached_tokens = _cached(usage, given)
    record.usage_note = "; ".join(notes) or None


def input_counts(record: RequestRecord, usage: Any) -> None:
    """The counts of an answer that holds no tokens (vectors, an order of documents): prompt tokens, and 0 or a few made."""
    named = cast("dict[str, Any]", usage) if isinstance(usage, dict) else {}
    given = _count(named, "prompt_tokens", "input_tokens", "total_tokens")
    if given:
        record.input_tokens = given
        record.output_tokens = _count(named, "completion_tokens", "output_tokens") or 0


def _of_one_choice(record: RequestRecord, made: int, asked_tokens: int | None) -> bool:
    """Whether the output tokens are those of one choice: more chunks came, or the first choice alone needed all of them
    (it ended at its limit). asked_tokens: of all choices."""
    several, chunks = record.answers, len(record.chunk_ns)
    if chunks:
        return made + HELD_BACK < chunks <= several * (made + HELD_BACK)
    return record.finish_reason == "length" and asked_tokens == made * several


def _impossible(given: int, made: int, thought: int, chunks: int, size: int) -> str | None:
    """Why counts cannot be true; None if they can. A token is a byte or more, a character four or fewer."""
    if given == 0:
        return "usage says that there was no input"
    if made == 0 and (chunks or size):
        return "usage says no output tokens, but text came"
    if size > MOST_CHARACTERS_A_TOKEN * made > 0:
        return f"usage says {made} output tokens, but {size} characters of text came"
    if size and made - thought > 4 * size + 64:
        return f"usage says {made} output tokens, but only {size} characters of text came"
    return None


def _cached(usage: dict[str, Any], given: int) -> int | None:
    """Prompt tokens from a prefix cache, never more than the prompt has."""
    cached = _detail(usage, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens")
    if cached is None:
        cached = _count(usage, "prompt_cache_hit_tokens", "cached_tokens")  # DeepSeek; others
    return None if cached is None else min(cached, given)


def _detail(usage: dict[str, Any], groups: tuple[str, ...], name: str) -> int | None:
    for group in groups:
        details: Any = usage.get(group)
        if isinstance(details, dict):
            return _count(cast("dict[str, Any]", details), name)
    return None


def _count(data: dict[str, Any], *names: str) -> int | None:
    """The first of the names that holds a whole number of at least 0 (12, 12.0 and "12" alike)."""
    for name in names:
        value = data.get(name)
        if type(value) is int and 0 <= value < 1 << 53:  # what nearly all servers send
            return value
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value[:18])
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53:
            return value
    return None

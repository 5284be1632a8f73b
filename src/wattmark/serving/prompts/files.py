"""Prompts from files: what is asked by each row, whichever of the common forms it has.

A row is a text; an object with a text (:data:`TEXTS`), with ``messages``, ``turns`` or ``conversations`` (ShareGPT); or
a line of OpenAI's batch API, whose ``body`` goes out as it is. Where several names stand in a row, the first counts.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from wattmark.errors import ImportFileError
from wattmark.serving.prompts.base import Conversation, Fixed, Lengths, Turn
from wattmark.serving.prompts.rows import Skipped, rows_of

CHARACTERS_PER_TOKEN = 4
"""OpenAI's rule of thumb for English ("What are tokens and how to count them", help.openai.com); for lengths of
recorded answers only, where no token count is given."""
USERS = ("human", "user")
ANSWERERS = ("gpt", "assistant", "chatgpt", "bard", "bing", "model")
TEXTS = (
    "prompt",
    "text",
    "text_input",
    "question",
    "instruction",
    "query",
    "input",
    "problem",
    "user_input",
    "content",
)
"""Names that datasets have for what is asked; ``input`` beside ``instruction`` goes with it (Alpaca)."""
SAID = ("messages", "conversations", "conversation", "turns")
LIMITS = ("output_tokens", "max_tokens", "max_completion_tokens", "output_length", "expected_output_len")
GIVEN = ("input_tokens", "prompt_tokens", "input_length")
OWN_FIELDS = ("tools", "tool_choice", "response_format")
"""Fields of a request that rows of messages may bring along."""
OURS = ("model", "stream", "stream_options", "messages", "prompt", "input", *LIMITS)
"""Fields of a batch line that the load client writes itself."""
HINT = 'each row: {"prompt": "..."}, {"messages": [...]}, or a column named by --column'


class Asking(NamedTuple):
    """How rows are taken. output: limit of answers for rows that have none of their own (None: the model ends by itself).

    recorded: take the length of a recorded answer before ``output``. turns: at most so many of a conversation; messages
    are taken apart into turns where it is above 1 (None: all, and messages stay one request). column: where the text is.
    """

    output: Lengths | None = None
    recorded: bool = True
    turns: int | None = None
    column: str | None = None
    seed: int = 0


def read_jsonl(
    path: str | Path,
    *,
    output_tokens: int | None = None,
    once: bool = True,
    output: Lengths | None = None,
    seed: int = 0,
) -> Fixed:
    """One prompt a row: a string, or an object with ``prompt`` (or ``text``) or ``messages``, and perhaps
    ``output_tokens`` (or ``max_tokens``), ``input_tokens``.

    output_tokens, or drawn from ``output``: the limit of rows that have none of their own. Messages that end in the
    assistant's are sent without that answer. Rows that hold no prompt are left out and counted (``skipped``). Raises
    ImportFileError if there is none that does.
    """
    fixed = None if output_tokens is None else Lengths.fixed(output_tokens)
    return read_prompts(path, Asking(output or fixed, recorded=False, seed=seed), once=once)


def read_sharegpt(
    path: str | Path, *, turns: int | None = None, output_tokens: int | None = None, once: bool = True
) -> Fixed:
    """Conversations of ``[{"conversations": [{"from": "human", "value": ...}, {"from": "gpt", ...}]}, ...]``.

    turns: at most so many of each (None: all). What the recorded assistant said is not sent: the server's own answers
    are the context. Answers are as long as the recorded ones (estimated, 4 characters a token) unless
    ``output_tokens`` says otherwise. Raises ImportFileError.
    """
    output = None if output_tokens is None else Lengths.fixed(output_tokens)
    return read_prompts(path, Asking(output, recorded=output is None, turns=turns), once=once)


def read_prompts(path: str | Path, asking: Asking, *, once: bool = True) -> Fixed:
    """The prompts of a file of any form. Raises ImportFileError if there is none in it."""
    skipped = Skipped()
    return prompts_in(rows_of(Path(path), skipped), Path(path).name, asking, skipped, once=once)


def prompts_in(
    rows: Iterable[tuple[str, Any]], name: str, asking: Asking, skipped: Skipped, *, once: bool = True
) -> Fixed:
    """The prompts of rows that were read already. Raises ImportFileError if there is none."""
    conversations: list[Conversation] = []
    dice = random.Random(asking.seed)
    for where, row in rows:
        limit = None if asking.output is None else asking.output.draw(dice)
        found = conversation_of(row, asking, limit)
        if found is None:
            skipped.add(where, "no prompt in it" + _columns(row))
        else:
            conversations.append(found._replace(number=len(conversations)))
    if not conversations:
        raise ImportFileError(
            f"{name} holds no prompts" + (f" ({skipped.first[0]})" if skipped.first else ""), hint=HINT
        )
    note = skipped.note(name, len(conversations))
    return Fixed(tuple(conversations), once, name, () if note is None else (note,))


def conversation_of(row: Any, asking: Asking, limit: int | None) -> Conversation | None:
    """What a row asks; None if that cannot be told. limit: of answers, for rows that have none of their own."""
    if isinstance(row, str):
        return _single(Turn(row, output_tokens=limit)) if row.strip() else None
    if not isinstance(row, dict):
        return None
    data = cast("dict[str, Any]", row)
    body = data.get("body")
    if isinstance(body, dict) and ("custom_id" in data or "url" in data or "method" in data):
        return _batch_line(cast("dict[str, Any]", body), asking, limit)
    wanted, given = _count(data, *LIMITS) or limit, _count(data, *GIVEN)
    fields = {name: data[name] for name in OWN_FIELDS if data.get(name)} or None
    if asking.column is not None:
        return _asked(data.get(asking.column), data, asking, given, wanted, fields)
    for name in (*TEXTS[:1], *SAID, *TEXTS[1:]):
        found = _asked(data.get(name), data, asking, given, wanted, fields)
        if found is not None:
            return found
    return None


def _asked(
    value: Any,
    data: Mapping[str, Any],
    asking: Asking,
    given: int | None,
    wanted: int | None,
    fields: Mapping[str, Any] | None,
) -> Conversation | None:
    if isinstance(value, str) and value.strip():
        more = data.get("input") if value is data.get("instruction") else None
        text = f"{value}\n\n{more}" if isinstance(more, str) and more.strip() else value
        pictures = list(_pictures(data))
        message = (
            {"role": "user", "content": [*pictures, {"type": "text", "text": text}]} if pictures else None
        )
        documents = tuple(str(each) for each in _list(data.get("documents")))
        return _single(Turn(text, None, given, wanted, message=message, fields=fields, texts=documents))
    listed = _list(value)
    if listed and all(isinstance(each, str) and each.strip() for each in listed):
        texts = cast("list[str]", listed)
        if value is data.get("input"):  # embeddings: several inputs of one request
            return _single(Turn(texts[0], None, given, wanted, texts=tuple(texts)))
        return Conversation(0, tuple(Turn(text, output_tokens=wanted) for text in texts[: asking.turns]))
    if not listed or not all(isinstance(each, dict) for each in listed):
        return None
    said = cast("list[dict[str, Any]]", listed)
    if "from" in said[0] or (value is data.get("conversation")) or (asking.turns or 0) > 1:
        return _talk(said, asking, wanted)
    if "role" in said[0]:
        return _messages(said, given, wanted, fields)
    return _timed_turns(said, asking, wanted)


def _single(turn: Turn) -> Conversation:
    return Conversation(0, (turn,))


def _batch_line(body: dict[str, Any], asking: Asking, limit: int | None) -> Conversation | None:
    """A line of OpenAI's batch API: its body's own fields go out with it."""
    found = conversation_of(body, asking._replace(column=None, turns=None), limit)
    if found is None:
        return None
    own = {name: value for name, value in body.items() if name not in OURS} or None
    return found._replace(turns=tuple(turn._replace(fields=own) for turn in found.turns))


def _messages(
    said: list[dict[str, Any]], given: int | None, wanted: int | None, fields: Mapping[str, Any] | None
) -> Conversation | None:
    """One request with all that was said before; a recorded answer at the end is not the user's words."""
    while len(said) > 1 and said[-1].get("role") == "assistant":
        said = said[:-1]
    *before, last = said
    content = last.get("content")
    if isinstance(content, str):
        plain = set(last) == {"role", "content"} and last["role"] == "user"
        turn = Turn(content, None, given, wanted, message=None if plain else last, fields=fields)
    else:
        parts = [cast("dict[str, Any]", part) for part in _list(content) if isinstance(part, dict)]
        if not parts:
            return None
        text = " ".join(str(part["text"]) for part in parts if "text" in part)
        turn = Turn(text, None, given, wanted, message=last, fields=fields)
    return Conversation(0, (turn,), tuple(before))


def _talk(said: list[dict[str, Any]], asking: Asking, wanted: int | None) -> Conversation | None:
    """A recorded conversation: the user's part is sent turn by turn, the server's own answers are the context."""
    lines = [
        (str(each.get("from", each.get("role", ""))).lower(), each.get("value", each.get("content")))
        for each in said
    ]
    before = tuple(
        {"role": "system", "content": text}
        for who, text in lines[:1]
        if who == "system" and isinstance(text, str)
    )
    turns: list[Turn] = []
    for place, (who, text) in enumerate(lines):
        if who not in USERS or not isinstance(text, str) or not text.strip():
            continue
        after = lines[place + 1] if place + 1 < len(lines) else ("", None)
        answer = after[1] if after[0] not in USERS and isinstance(after[1], str) else ""
        length = _length(answer) if asking.recorded else None
        turns.append(Turn(text, output_tokens=length or wanted))
    return Conversation(0, tuple(turns[: asking.turns]), before) if turns else None


def _timed_turns(said: list[dict[str, Any]], asking: Asking, wanted: int | None) -> Conversation | None:
    """``[{"text": ..., "delay": ms}, ...]`` (AIPerf, multi-turn)."""
    turns: list[Turn] = []
    for each in said:
        text = next((each[name] for name in TEXTS if isinstance(each.get(name), str)), "")
        if text.strip():
            delay = each.get("delay")
            pause_s = max(0.0, float(delay)) / 1e3 if isinstance(delay, (int, float)) and turns else 0.0
            turns.append(Turn(text, None, None, _count(each, *LIMITS) or wanted, pause_s))
    return Conversation(0, tuple(turns[: asking.turns])) if turns else None


def _pictures(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Images that a row names by their address."""
    for name in ("image", "images", "image_url"):
        value = data.get(name)
        for each in [value] if isinstance(value, str) else _list(value):
            if isinstance(each, str) and each.startswith(("http://", "https://", "data:")):
                yield {"type": "image_url", "image_url": {"url": each}}


def _columns(row: Any) -> str:
    if not isinstance(row, dict):
        return ""
    names = [str(name) for name in cast("dict[Any, Any]", row)][:8]
    return f"; it has {', '.join(names)}" if names else ""


def _length(answer: str) -> int | None:
    return max(1, round(len(answer) / CHARACTERS_PER_TOKEN)) if answer else None


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _count(data: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = data.get(name)
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():  # CSV
            value = int(value.strip()[:9])
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None

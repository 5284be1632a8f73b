"""Prompts from files: JSON lines, and conversations in the ShareGPT format."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from wattmark.errors import ImportFileError
from wattmark.serving.prompts.base import Conversation, Fixed, Lengths, Turn

CHARACTERS_PER_TOKEN = 4
"""OpenAI's rule of thumb for English ("What are tokens and how to count them", help.openai.com); for lengths of
recorded answers only, where no token count is given."""
USERS = ("human", "user")


def read_jsonl(
    path: str | Path,
    *,
    output_tokens: int | None = None,
    once: bool = True,
    output: Lengths | None = None,
    seed: int = 0,
) -> Fixed:
    """One prompt a line: a string, or an object with ``prompt`` (or ``text``) or ``messages``, and perhaps
    ``output_tokens`` (or ``max_tokens``), ``input_tokens``.

    output_tokens, or drawn from ``output``: the limit of rows that have none of their own. Messages that end in the
    assistant's are sent without that answer. Raises ImportFileError with the line's number for anything else.
    """
    conversations: list[Conversation] = []
    dice = random.Random(seed)
    for number, row in _lines(Path(path)):
        turn_before = _row(row, output_tokens if output is None else output.draw(dice))
        if turn_before is None:
            raise ImportFileError(
                f"{path}, line {number}: no prompt in it",
                hint='each line: {"prompt": "..."} or {"messages": [...]}',
            )
        turn, before = turn_before
        conversations.append(Conversation(len(conversations), (turn,), before))
    if not conversations:
        raise ImportFileError(f"{path} holds no prompts")
    return Fixed(tuple(conversations), once, Path(path).name)


def read_sharegpt(
    path: str | Path, *, turns: int | None = None, output_tokens: int | None = None, once: bool = True
) -> Fixed:
    """Conversations of ``[{"conversations": [{"from": "human", "value": ...}, {"from": "gpt", ...}]}, ...]``.

    turns: at most so many of each (None: all). What the recorded assistant said is not sent: the server's own answers
    are the context. Answers are as long as the recorded ones (estimated, 4 characters a token) unless
    ``output_tokens`` says otherwise. Raises ImportFileError.
    """
    try:
        rows: Any = _sendable(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ImportFileError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(rows, list):
        raise ImportFileError(f"{path} is no list of conversations")
    conversations: list[Conversation] = []
    for row in rows:  # pyright: ignore[reportUnknownVariableType]
        said = _messages(row)[: None if turns is None else 2 * turns]
        pairs = [
            (user, said[place + 1][1] if place + 1 < len(said) else "")
            for place, (who, user) in enumerate(said)
            if who in USERS and user.strip()
        ]
        if pairs:
            conversations.append(
                Conversation(
                    len(conversations),
                    tuple(
                        Turn(user, output_tokens=output_tokens or _length(answer)) for user, answer in pairs
                    ),
                )
            )
    if not conversations:
        raise ImportFileError(f"{path} holds no conversation with a user in it")
    return Fixed(tuple(conversations), once, Path(path).name)


def _sendable(data: Any) -> Any:
    """The same without lone surrogates, which JSON files may hold and UTF-8 cannot."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))
    return data


def _messages(row: Any) -> list[tuple[str, str]]:
    data = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
    listed: Any = data.get("conversations", data.get("messages"))
    entries = cast("list[Any]", listed) if isinstance(listed, list) else []
    return [
        (str(entry.get("from", entry.get("role", ""))), str(entry.get("value", entry.get("content", ""))))
        for entry in (cast("dict[str, Any]", each) for each in entries if isinstance(each, dict))
    ]


def _length(answer: str) -> int | None:
    return max(1, round(len(answer) / CHARACTERS_PER_TOKEN)) if answer else None


def _row(row: Any, output_tokens: int | None) -> tuple[Turn, tuple[Mapping[str, Any], ...]] | None:
    if isinstance(row, str):
        return (Turn(row, output_tokens=output_tokens), ()) if row else None
    if not isinstance(row, dict):
        return None
    data = cast("dict[str, Any]", row)
    wanted = _count(data, "output_tokens", "max_tokens") or output_tokens
    given = _count(data, "input_tokens", "prompt_tokens")
    text = data.get("prompt", data.get("text"))
    if isinstance(text, str) and text:
        return Turn(text, None, given, wanted), ()
    messages: Any = data.get("messages")
    said = cast("list[Any]", messages) if isinstance(messages, list) else []
    if said and all(isinstance(each, dict) for each in said):
        while (
            len(said) > 1 and said[-1].get("role") == "assistant"
        ):  # the recorded answer, not the user's words
            said = said[:-1]
        *before, last = said
        if isinstance(last.get("content"), str):
            return Turn(last["content"], None, given, wanted), tuple(before)
    return None


def _count(data: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = data.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield number, _sendable(json.loads(line))
                    except ValueError as error:
                        raise ImportFileError(f"{path}, line {number}: not JSON ({error})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ImportFileError(f"{path} cannot be read: {error}") from error

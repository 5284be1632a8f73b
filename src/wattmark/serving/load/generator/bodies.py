"""What goes out for a turn: the body for each endpoint, and which of several models is asked."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from wattmark.serving.load.records import RequestRecord
from wattmark.serving.load.wire.body import BodyWriter, asked_otherwise
from wattmark.serving.load.wire.dialects import Dialect
from wattmark.serving.load.wire.endpoints import GENERATING, Endpoint
from wattmark.serving.load.wire.target import Target
from wattmark.serving.prompts.base import ConversationState, Turn
from wattmark.serving.prompts.media import heard_s, seen

GOLDEN = 0.6180339887498949
"""Multiples of it fill [0, 1) evenly at every length (Knuth, The Art of Computer Programming 3, 6.4): shares come out to
within a request or two, without marching in step."""


class Mix:
    """Which model a conversation asks for, by shares of all: the same however conversations are dealt out."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._names = list(shares)
        whole = sum(shares.values())
        self._ends = [end / whole for end in accumulate(shares.values())][:-1]

    def of(self, conversation: int) -> str:
        """The model of a conversation, by its number."""
        return self._names[bisect(self._ends, (conversation + 0.5) * GOLDEN % 1.0)]


class Bodies:
    """Writes what is asked, and into the record how much of it there is beside text."""

    def __init__(self, target: Target, dialect: Dialect, model: str | None) -> None:
        self._target, self._model, self._documents = target, model, dialect.documents
        self._endpoint: Endpoint = target.endpoint
        self._template = target.chat_template
        self._generating = target.endpoint in GENERATING
        self._writer = BodyWriter(target, dialect, model)

    def body(self, state: ConversationState, turn: Turn, record: RequestRecord) -> bytes:
        """The body of the conversation's next turn, which is part of what was said from now on."""
        if not self._generating:
            return self._otherwise(turn, record)
        said: Mapping[str, Any] = turn.message or {"role": "user", "content": turn.text}
        if turn.message is not None:
            record.images, record.audio_s = seen(turn.message), heard_s(turn.message)
        write = self._writer.write
        if self._endpoint == "chat":
            state.messages.append(said)
            return write("messages", state.messages, turn.output_tokens, record.model, turn.fields)
        if turn.token_ids is not None:
            return write("prompt", turn.token_ids, turn.output_tokens, record.model, turn.fields)
        state.messages.append({"role": said["role"], "content": turn.text})
        if self._template is not None:
            text = self._template.text(state.messages)
        else:
            text = "".join(str(message.get("content", "")) for message in state.messages)
        return write("prompt", text, turn.output_tokens, record.model, turn.fields)

    def _otherwise(self, turn: Turn, record: RequestRecord) -> bytes:
        record.inputs = len(turn.texts) or 1
        if turn.audio is not None:
            record.audio_s = turn.audio.seconds
        extra = {**self._target.extra_body, **(turn.fields or {})}
        model = record.model or self._model
        return asked_otherwise(self._endpoint, turn, model, extra, self._documents)

"""Request bodies as JSON. All but the prompt and the length is the same for every request, so it is written once.

JSON by orjson where it is installed, by the standard library otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from wattmark.errors import ConfigError
from wattmark.serving.load.wire.dialects import Dialect
from wattmark.serving.load.wire.endpoints import BOUNDARY, Endpoint
from wattmark.serving.load.wire.target import Target
from wattmark.serving.prompts.base import Recording, Turn

try:
    from orjson import dumps, loads
except ModuleNotFoundError:

    def loads(data: bytes | str, /) -> Any:
        """Parse; ValueError for whatever is wrong with the text, also if it is nested too deeply."""
        try:
            return json.loads(data)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    def dumps(data: Any, /) -> bytes:
        """Compact UTF-8, as orjson writes it."""
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


__all__ = ["BodyWriter", "dumps", "loads"]

MOST_TEMPLATES = 4_096
MODEST: Mapping[str, Any] = {"voice": "alloy", "response_format": "wav"}
"""Speech: a voice has to be named; of a WAV file it can be told how long it is. ``--body`` says otherwise."""
_PLACE = "\x00the prompt comes here\x00"


class BodyWriter:
    """Writes bodies from templates, one per model and number of output tokens: a third of the time of writing them whole."""

    def __init__(self, target: Target, dialect: Dialect, model: str | None) -> None:
        self._target, self._dialect, self._model = target, dialect, model
        self._templates: dict[tuple[str, int | None, str | None], tuple[bytes, bytes | None]] = {}

    def write(
        self,
        name: Literal["messages", "prompt"],
        prompt: Any,
        output_tokens: int | None,
        model: str | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> bytes:
        """The body of a request whose ``messages`` or ``prompt`` is this. model: another than usual; fields: of it alone."""
        if fields:
            return dumps(self._whole({name: prompt}, output_tokens, model or self._model, fields))
        template = self._templates.get((name, output_tokens, model))
        before, after = template or self._template(name, output_tokens, model)
        return before if after is None else before + dumps(prompt) + after

    def _whole(
        self, prompt: dict[str, Any], output_tokens: int | None, model: str | None, fields: Mapping[str, Any]
    ) -> dict[str, Any]:
        extra = {**self._target.extra_body, **fields}
        return self._dialect.body(
            model=model, prompt=prompt, output_tokens=output_tokens, stream=self._target.stream, extra=extra
        )

    def _template(
        self, name: str, output_tokens: int | None, model: str | None
    ) -> tuple[bytes, bytes | None]:
        """What comes before and after the prompt; None for the second if ``extra_body`` brings a prompt of its own."""
        whole = dumps(self._whole({name: _PLACE}, output_tokens, model or self._model, {}))
        before, placeholder, after = whole.partition(dumps(_PLACE))
        if len(self._templates) >= MOST_TEMPLATES:
            self._templates.clear()
        template = self._templates[name, output_tokens, model] = (before, after if placeholder else None)
        return template


def asked_otherwise(
    endpoint: Endpoint, turn: Turn, model: str | None, extra: Mapping[str, Any], documents: str = "documents"
) -> bytes:
    """The body of a request to an endpoint that makes no tokens; ``extra`` comes last and may change all of it.
    Raises ConfigError if there is nothing to send."""
    named: dict[str, Any] = {} if model is None else {"model": model}
    if endpoint == "embeddings":
        return dumps({**named, "input": list(turn.texts) or turn.text, **extra})
    if endpoint == "rerank":
        return dumps({**named, "query": turn.text, documents: list(turn.texts) or [turn.text], **extra})
    if endpoint == "speech":
        return dumps({**named, "input": turn.text, **MODEST, **extra})
    if turn.audio is None:
        raise ConfigError(
            "there is no sound to write down", hint="add --audio 10 (seconds), or --audio FOLDER"
        )
    return form({**named, **extra}, turn.audio)


def form(fields: Mapping[str, Any], recording: Recording) -> bytes:
    """Fields and a file as ``multipart/form-data`` (RFC 7578)."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    safe = recording.name.replace('"', "_").replace("\r", "_").replace("\n", "_")
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{safe}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return b"".join((*parts, head.encode(), recording.data, f"\r\n--{BOUNDARY}--\r\n".encode()))

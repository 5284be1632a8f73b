"""Request bodies as JSON. All but the prompt and the length is the same for every request, so it is written once.

JSON by orjson where it is installed, by the standard library otherwise.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from wattmark.serving.load.wire.dialects import Dialect
from wattmark.serving.load.wire.target import Target

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
_PLACE = "\x00the prompt comes here\x00"


class BodyWriter:
    """Writes bodies from templates, one per number of output tokens: a third of the time of writing them whole."""

    def __init__(self, target: Target, dialect: Dialect, model: str | None) -> None:
        self._target, self._dialect, self._model = target, dialect, model
        self._templates: dict[tuple[str, int | None], tuple[bytes, bytes | None]] = {}

    def write(self, name: Literal["messages", "prompt"], prompt: Any, output_tokens: int | None) -> bytes:
        """The body of a request whose ``messages`` or ``prompt`` is this."""
        template = self._templates.get((name, output_tokens))
        before, after = template or self._template(name, output_tokens)
        return before if after is None else before + dumps(prompt) + after

    def _template(self, name: str, output_tokens: int | None) -> tuple[bytes, bytes | None]:
        """What comes before and after the prompt; None for the second if ``extra_body`` brings a prompt of its own."""
        whole = dumps(
            self._dialect.body(
                model=self._model,
                prompt={name: _PLACE},
                output_tokens=output_tokens,
                stream=self._target.stream,
                extra=self._target.extra_body,
            )
        )
        before, placeholder, after = whole.partition(dumps(_PLACE))
        if len(self._templates) >= MOST_TEMPLATES:
            self._templates.clear()
        template = self._templates[name, output_tokens] = (before, after if placeholder else None)
        return template

"""Calls to hosted models from their token counts: nobody outside knows the model, so the interval spans what it may be."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from wattmark.errors import ConfigError
from wattmark.predict.base import amount
from wattmark.predict.conformal import spread_by
from wattmark.predict.hardware.accelerators import find
from wattmark.predict.llm import architecture
from wattmark.predict.llm.predictor import shipped
from wattmark.predict.llm.subject import Serving
from wattmark.quantity import Quantity

_SMALL, _MIDDLE = "llama-3.1-8b", "llama-3.3-70b"
_SMALL_WORDS = ("mini", "nano", "haiku", "flash", "lite", "small", "8b", "7b", "gemma")
_HOSTED = math.log(10)
"""Half width of the logarithm where the weights are secret: a factor of ten either way."""
_INPUT = ("prompt_tokens", "input_tokens", "promptTokenCount")
_OUTPUT = ("completion_tokens", "output_tokens", "candidatesTokenCount")


@dataclass(frozen=True, slots=True)
class ApiUse:
    """Calls of one model: tokens, and joules of the accelerators that served them (no host, no cooling)."""

    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    energy: Quantity
    assumed: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data; the interval is of 90 %."""
        return {
            "model": self.model,
            "calls": self.calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "energy_j": amount(self.energy),
            "assumed": self.assumed,
        }


def predict_api(usage: str | Path) -> list[ApiUse]:
    """Joules by model of a log of calls: one JSON object a line, shaped as the answers of OpenAI (``usage.prompt_tokens``),
    Anthropic (``usage.input_tokens``, cached tokens beside it) or Google (``usageMetadata.promptTokenCount``), alone or as
    the ``response``, ``body`` or ``message`` of a line. An answer that stands there several times, by its id, is one call;
    lines with a ``type`` and no usage are of something else.

    Raises ConfigError for a file that cannot be read, a line that is no such object (with its number), or no call at all.
    """
    path = Path(usage)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    calls: dict[str, tuple[str, int, int]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _row(line, f"{path}, line {number}")
        if _is_beside(row):
            continue
        call = _counted(row, f"{path}, line {number}")
        key = str(_answer(row).get("id") or f"line {number}")
        before = calls.get(key, call)  # a log that is written while an answer comes in has it several times
        calls[key] = (call[0], max(before[1], call[1]), max(before[2], call[2]))
    sums: dict[str, list[int]] = {}
    for model, prompt, output in calls.values():
        total = sums.setdefault(model, [0, 0, 0])
        total[0], total[1], total[2] = total[0] + 1, total[1] + prompt, total[2] + output
    if not sums:
        raise ConfigError(f"{path} has no calls", hint="one JSON object with its usage a line")
    return [_use(model, *row) for model, row in sorted(sums.items())]


def predict_call(answer: Mapping[str, Any]) -> ApiUse:
    """Joules of one call, from its answer as :func:`predict_api` reads them. Raises ConfigError where it has no counts."""
    model, prompt, output = _counted(answer, "the answer")
    return _use(model, 1, prompt, output)


def _row(line: str, where: str) -> Mapping[str, Any]:
    try:
        data: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is no JSON: {error}") from error
    row = _object(data)
    if not row:
        raise ConfigError(
            f"{where} has no usage", hint="lines as OpenAI, Anthropic or Google answer, with usage"
        )
    return row


def _answer(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer in a line, whatever the log puts around it."""
    answer = _object(row.get("response") or row.get("body") or row.get("message") or row)
    return _object(answer.get("body") or answer)


def _is_beside(row: Mapping[str, Any]) -> bool:
    """Whether a line is of another kind than a call: logs of assistants hold questions, tools and notes, with a type."""
    return isinstance(row.get("type"), str) and not (
        {"usage", "usageMetadata", "usage_metadata"} & {*row, *_answer(row)}
        or {*_INPUT, *_OUTPUT} & {*_answer(row)}
    )


def _counted(row: Mapping[str, Any], where: str) -> tuple[str, int, int]:
    answer = _answer(row)
    usage = _object(
        answer.get("usage") or answer.get("usageMetadata") or answer.get("usage_metadata") or answer
    )
    model = answer.get("model") or answer.get("modelVersion") or row.get("model")
    prompt, output = _tokens(usage, _INPUT, where), _tokens(usage, _OUTPUT, where)
    if not isinstance(model, str) or prompt is None:
        lacking = "model" if prompt is not None else "usage with input tokens"
        raise ConfigError(
            f"{where} has no {lacking}", hint="lines as OpenAI, Anthropic or Google answer, with usage"
        )
    cached = sum(
        _tokens(usage, (name,), where) or 0
        for name in ("cache_creation_input_tokens", "cache_read_input_tokens")
    )
    thought = _tokens(usage, ("thoughtsTokenCount",), where) or 0
    return model, prompt + cached, (output or 0) + thought


def _object(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _tokens(usage: Mapping[str, Any], names: tuple[str, ...], where: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if value is None:
            continue
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not math.isfinite(value)
            or value < 0
        ):
            raise ConfigError(f"{where}: {name} is {value!r}, not a number of tokens")
        return int(value)
    return None


def _use(name: str, calls: int, prompt: int, output: int) -> ApiUse:
    folded = name.casefold()
    try:
        model, wide = architecture.find(name), math.log(3)
    except ConfigError:
        small = any(word in folded for word in _SMALL_WORDS)
        model, wide = architecture.find(_SMALL if small else _MIDDLE), _HOSTED
    tokens = max(1.0, output / calls)
    count = 1
    while True:
        subject = Serving(
            model, find("h100-sxm"), prompt / calls, tokens, 32, min(count, 8), math.ceil(count / 8)
        )
        if subject.misfit is None or count >= 32:
            break
        count *= 2
    request = shipped().predict(subject).energy.value
    energy = spread_by(request * calls, wide, f"api/{name}", unit="J", source="assumed model and server")
    return ApiUse(name, calls, prompt, output, energy, str(subject))

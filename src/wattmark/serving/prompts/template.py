"""Chat templates: messages as one text, for servers (or models) that are asked through ``/v1/completions``.

A few common ones by name, each after its model card; any other as a Jinja file, or as the ``chat_template`` of a
``tokenizer_config.json`` (Hugging Face, "Chat templates"). Jinja is only needed for files.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """How messages become one text. name: of a built-in one, or of the file; source: the Jinja text of a file."""

    name: str
    source: str | None = None

    @classmethod
    def of(cls, name: str) -> ChatTemplate:
        """A built-in template, or that of a file. Raises ConfigError for what is neither."""
        path = Path(name).expanduser()
        if name in BUILT_IN:
            return cls(name)
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"there is no chat template {name!r}",
                hint=f"one of {', '.join(BUILT_IN)}; or the path of a .jinja file or a tokenizer_config.json",
            ) from error
        template = cls(path.name, _of_config(text) if path.suffix == ".json" else text)
        template.text([{"role": "user", "content": "Hello"}])  # what is wrong with it is said now
        return template

    def text(self, messages: Messages) -> str:
        """The messages as the model reads them, with the beginning of its answer. Raises ConfigError."""
        if self.source is None:
            return BUILT_IN[self.name](messages)
        return _compiled(self.source, self.name)(messages)


def _chatml(messages: Messages) -> str:
    said = "".join(f"<|im_start|>{each['role']}\n{each.get('content', '')}<|im_end|>\n" for each in messages)
    return said + "<|im_start|>assistant\n"


def _llama3(messages: Messages) -> str:
    said = "".join(
        f"<|start_header_id|>{each['role']}<|end_header_id|>\n\n{each.get('content', '')}<|eot_id|>"
        for each in messages
    )
    return said + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def _gemma(messages: Messages) -> str:
    roles = {"assistant": "model"}
    said = "".join(
        f"<start_of_turn>{roles.get(each['role'], 'user')}\n{each.get('content', '')}<end_of_turn>\n"
        for each in messages
    )
    return said + "<start_of_turn>model\n"


def _mistral(messages: Messages) -> str:
    return "".join(
        f" {each.get('content', '')}</s>"
        if each["role"] == "assistant"
        else f"[INST] {each.get('content', '')}[/INST]"
        for each in messages
    )


def _plain(messages: Messages) -> str:
    return (
        "".join(f"{str(each['role']).capitalize()}: {each.get('content', '')}\n" for each in messages)
        + "Assistant:"
    )


BUILT_IN: Mapping[str, Callable[[Messages], str]] = {
    "chatml": _chatml,
    "llama3": _llama3,
    "gemma": _gemma,
    "mistral": _mistral,
    "plain": _plain,
}
"""ChatML (Qwen and others), Llama 3, Gemma, Mistral 7B Instruct v0.3, and lines of ``User:`` and ``Assistant:``; the
server's tokenizer adds the token that begins a text."""


def _of_config(text: str) -> str:
    try:
        found: Any = json.loads(text).get("chat_template")
    except (ValueError, AttributeError):
        found = None
    if isinstance(found, list):  # several by name
        named: dict[str, str] = {each["name"]: each["template"] for each in found}  # pyright: ignore[reportUnknownVariableType]
        found = named.get("default")
    if not isinstance(found, str):
        raise ConfigError(
            "there is no chat_template in that file", hint="name a .jinja file, or chatml, llama3 ..."
        )
    return found


@cache
def _compiled(source: str, name: str) -> Callable[[Messages], str]:
    try:
        sandbox = import_module("jinja2.sandbox")
        jinja = import_module("jinja2")
    except ImportError as error:
        raise ConfigError(
            "a chat template of a file needs the package jinja2",
            hint=f"pip install jinja2; or one of {', '.join(BUILT_IN)}",
        ) from error

    def raise_exception(message: str) -> None:
        raise ConfigError(f"the chat template {name} refuses these messages: {message}")

    environment = sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = raise_exception
    try:
        template: Any = environment.from_string(source)
    except jinja.TemplateError as error:
        raise ConfigError(f"{name} is no Jinja template: {error}") from error

    def text(messages: Messages) -> str:
        try:
            return str(
                template.render(
                    messages=list(messages), add_generation_prompt=True, bos_token="", eos_token=""
                )
            )
        except jinja.TemplateError as error:
            raise ConfigError(f"the chat template {name} cannot be used: {error}") from error

    return text

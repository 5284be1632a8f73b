"""How servers that all say "OpenAI-compatible" differ, as data; and how to tell which one is there.

Sources: vLLM (docs.vllm.ai, OpenAI-compatible server: extra parameters), llama.cpp (tools/server/README.md), SGLang
(docs.sglang.ai, OpenAI APIs), TGI (router/src/lib.rs), Ollama (docs/openai.md), transformers (cli/serving: unknown
fields are refused with 422), OpenAI (API reference, chat: ``max_completion_tokens``, ``stream_options``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

from wattmark.errors import ConfigError, ServerError


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one family of servers needs, knows and leaves out.

    stream_options: ``include_usage`` must be asked for to get token counts of a stream. ignore_eos, min_tokens: fields
    by which it makes exactly as many tokens as asked (False: ignored or refused, so not sent). max_tokens: name of the
    limit. token_ids: ``/v1/completions`` takes token ids as a prompt. done: ends its streams with ``[DONE]``.
    extra: fields for every request. metrics: it may serve Prometheus text at ``/metrics``. documents: name of what is
    ranked (``texts`` of Text Embeddings Inference).
    """

    name: str
    stream_options: bool = True
    ignore_eos: bool = False
    min_tokens: bool = False
    max_tokens: str = "max_tokens"
    token_ids: bool = False
    done: bool = True
    metrics: bool = False
    documents: str = "documents"
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def exact_output(self) -> bool:
        """Whether a number of output tokens can be forced."""
        return self.ignore_eos or self.min_tokens

    def body(
        self,
        *,
        model: str | None,
        prompt: dict[str, Any],
        output_tokens: int | None,
        stream: bool,
        extra: Mapping[str, Any],
    ) -> dict[str, Any]:
        """The JSON body of a request. ``prompt`` holds ``messages`` or ``prompt``."""
        body: dict[str, Any] = {} if model is None else {"model": model}
        body.update(prompt)
        body["stream"] = stream  # in words: some servers stream unless told not to
        if stream and self.stream_options:
            body["stream_options"] = {"include_usage": True}
        if output_tokens is not None:
            body[self.max_tokens] = output_tokens
            if self.ignore_eos:
                body["ignore_eos"] = True
            if self.min_tokens:
                body["min_tokens"] = output_tokens
        body.update(self.extra)
        body.update(extra)
        return body

    def without(self, fields: list[str]) -> Dialect:
        """The same, with optional fields left out that the server refused."""
        changed = self
        for name in fields:
            if name in ("stream_options", "ignore_eos", "min_tokens"):
                changed = replace(changed, **{name: False})
            elif name == "max_tokens":
                changed = replace(changed, max_tokens="max_completion_tokens")
            else:
                changed = replace(
                    changed, extra={key: value for key, value in changed.extra.items() if key != name}
                )
        return changed


DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            "vllm", ignore_eos=True, min_tokens=True, token_ids=True, metrics=True, extra={"temperature": 0}
        ),
        # min_tokens is unknown to it and ignored; the prompt cache would make every request but the first cheaper.
        Dialect(
            "llama.cpp",
            ignore_eos=True,
            token_ids=True,
            metrics=True,
            extra={"temperature": 0, "cache_prompt": False},
        ),
        Dialect(
            "sglang", ignore_eos=True, min_tokens=True, token_ids=True, metrics=True, extra={"temperature": 0}
        ),
        Dialect("tgi", metrics=True, extra={"temperature": 0}),
        Dialect("ollama", extra={"temperature": 0}),
        Dialect("transformers", stream_options=False, done=False, extra={"temperature": 0}),
        # Reasoning models refuse max_tokens and any temperature but their own.
        Dialect("hosted", max_tokens="max_completion_tokens"),
        Dialect("compatible", extra={"temperature": 0}),
    )
}


def named(name: str) -> Dialect:
    """The dialect of that name. Raises ConfigError with the names that there are."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise ConfigError(
            f"there is no server dialect {name!r}", hint=f"use auto or one of: {', '.join(DIALECTS)}"
        ) from None


class Clue(NamedTuple):
    """What one GET request brought: status (None: not asked), and the JSON object if it was one."""

    status: int
    data: Mapping[str, Any]
    server: str = ""


CLUE_PATHS = ("/v1/models", "/props", "/version", "/info", "/api/version", "/get_model_info", "/openapi.json")
"""Asked in this order until :func:`recognise` knows; the first comes with model names."""


def recognise(host: str, clues: Mapping[str, Clue]) -> Dialect | None:
    """The dialect that the clues so far (by path) tell, or None. Pure: no request is made here."""
    models = clues.get("/v1/models")
    owners = {str(entry.get("owned_by", "")) for entry in model_entries(models)}
    if owners & {"vllm", "sglang"}:
        return DIALECTS["vllm" if "vllm" in owners else "sglang"]
    if "llamacpp" in owners or any(clue.server == "llama.cpp" for clue in clues.values()):
        return DIALECTS["llama.cpp"]
    if host.endswith(
        (".openai.com", ".azure.com", ".groq.com", ".together.xyz", ".mistral.ai", "openrouter.ai")
    ):
        return DIALECTS["hosted"]
    answers = {path: clue.data for path, clue in clues.items() if clue.status == 200}
    if "default_generation_settings" in answers.get("/props", {}):
        return DIALECTS["llama.cpp"]
    if "version" in answers.get("/api/version", {}):
        return DIALECTS["ollama"]
    if "text-generation" in str(answers.get("/info", {}).get("router", "")):
        return DIALECTS["tgi"]
    if "model_path" in answers.get("/get_model_info", {}):
        return DIALECTS["sglang"]
    described = answers.get("/openapi.json", {})
    paths = described.get("paths", {})
    if (
        "/v1/responses" in paths
        and "/version" not in paths
        and described.get("info", {}).get("title") == "FastAPI"
    ):
        return DIALECTS["transformers"]
    return None


def model_entries(clue: Clue | None) -> list[Mapping[str, Any]]:
    """The entries of an answer to ``/v1/models``; empty if it is not one."""
    if clue is None or clue.status != 200:
        return []
    data: Any = clue.data.get("data")
    listed = cast("list[Any]", data) if isinstance(data, list) else []
    return [cast("dict[str, Any]", entry) for entry in listed if isinstance(entry, dict)]


def choose_model(wanted: str | None, entries: list[Mapping[str, Any]]) -> str | None:
    """The model to ask for: the wanted one, or the only one. Raises ServerError if that is not clear."""
    names = [str(entry["id"]) for entry in entries if "id" in entry]
    if wanted is not None or not names:
        return wanted
    if len(names) > 1:
        few = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise ServerError(f"the server has {len(names)} models: {few}", hint="name one of them")
    return names[0]


def refused_fields(status: int, text: str, body: Mapping[str, Any]) -> list[str]:
    """The optional fields of ``body`` that an error answer complains about (they can be left out)."""
    if status not in (400, 422):
        return []
    optional = [name for name in body if name not in ("model", "messages", "prompt", "stream")]
    return [name for name in optional if name in text]

"""What the scripted model server answers: scripts, kinds of servers, and what it logs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from wattmark.serving.prompts.media import SAMPLES_PER_S, wav_head

RESET = "reset"
"""A step: cut the connection with a TCP reset."""
CLOSE = "close"
"""A step: close the connection in good order."""
HANG = "hang"
"""A step: never do anything again on this connection."""
Step = bytes | float | Literal["reset", "close", "hang"]
"""A step of a scripted answer: bytes to send, seconds to wait, or one of the words above."""

FLAVOURS: dict[str, dict[str, Any]] = {
    "vllm": {"/v1/models": {"data": [{"id": "m", "owned_by": "vllm"}]}, "/version": {"version": "0.11.0"}},
    "llama.cpp": {
        "/v1/models": {"data": [{"id": "m", "owned_by": "llamacpp"}]},
        "/props": {"default_generation_settings": {}, "total_slots": 1},
    },
    "sglang": {
        "/v1/models": {"data": [{"id": "m", "owned_by": "sglang"}]},
        "/get_model_info": {"model_path": "m"},
    },
    "tgi": {
        "/v1/models": {"data": [{"id": "m", "owned_by": "org"}]},
        "/info": {"router": "text-generation-router"},
    },
    "ollama": {
        "/v1/models": {"data": [{"id": "m", "owned_by": "library"}]},
        "/api/version": {"version": "0.12.0"},
    },
    "transformers": {
        "/v1/models": {"data": [{"id": "m", "owned_by": "org"}]},
        "/openapi.json": {"info": {"title": "FastAPI"}, "paths": {"/v1/responses": {}, "/v1/models": {}}},
    },
    "compatible": {"/v1/models": {"data": [{"id": "m", "owned_by": "someone"}]}},
}
"""What servers of each kind answer to GET, as far as a client can tell them by it."""
REFUSED_BY = {"transformers": ("ignore_eos", "min_tokens", "stream_options", "cache_prompt")}


@dataclass(frozen=True, slots=True)
class Script:
    """One answer. Without ``steps`` it is a well-formed one of as many tokens as asked for (``tokens`` overrides).

    ttft_s: wait before the first token; gap_s: before each further chunk; merge: tokens in a chunk. usage: False for
    none, or an object sent in its place. done: end a stream with ``[DONE]``. steps: everything after the request is
    exactly this. keep: keep the connection afterwards; close_silently: close it once the answer is out, though the
    head promised to keep it (the race that clients of kept connections must survive).
    """

    ttft_s: float = 0.0
    gap_s: float = 0.0
    merge: int = 1
    tokens: int | None = None
    usage: bool | dict[str, Any] = True
    done: bool = True
    timings: dict[str, float] | None = None
    status: int = 200
    headers: tuple[str, ...] = ()
    body: bytes | None = None
    steps: Sequence[Step] | None = None
    keep: bool = True
    close_silently: bool = False
    text: str = "a"


class PrefixCache:
    """Answers of a server with a prefix cache: prompts are worked through in ``prefill_s`` seconds a word,
    but for their beginning as far as it was seen before, in whole blocks (vLLM: 16 tokens). ``usage`` says what was cached.

    hits: cached tokens of each request, in the order of arrival.
    """

    def __init__(self, prefill_s: float = 0.0, *, block: int = 16, gap_s: float = 0.0) -> None:
        self.prefill_s, self.block, self.gap_s = prefill_s, block, gap_s
        self.hits: list[int] = []
        self._seen: set[tuple[str, ...]] = set()

    def __call__(self, number: int, body: dict[str, Any]) -> Script:
        """The answer to one request."""
        words = words_of(body)
        blocks = [
            tuple(words[: end + self.block]) for end in range(0, len(words) - self.block + 1, self.block)
        ]
        cached = self.block * next(
            (at for at, seen in enumerate(blocks) if seen not in self._seen), len(blocks)
        )
        self._seen.update(blocks)
        self.hits.append(cached)
        made = tokens_of(Script(), body)
        usage = {
            "prompt_tokens": len(words),
            "completion_tokens": made,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        return Script(ttft_s=(len(words) - cached) * self.prefill_s, gap_s=self.gap_s, usage=usage)


def words_of(body: dict[str, Any]) -> list[str]:
    """The prompt of a request as words (a list of ids as its numbers); each is a token here."""
    if "messages" in body:
        return " ".join(str(message["content"]) for message in body["messages"]).split()
    prompt = body["prompt"]
    return prompt.split() if isinstance(prompt, str) else [str(token) for token in prompt]


@dataclass(slots=True)
class Logged:
    """One request as the server saw it; times in monotonic ns."""

    request_id: str
    path: str
    received_ns: int
    headers: dict[str, str]
    body: dict[str, Any]
    first_token_ns: int | None = None
    end_ns: int | None = None
    chunk_ns: list[int] = field(default_factory=list[int])


def tokens_of(script: Script, body: dict[str, Any]) -> int:
    """How many tokens the answer has."""
    return (
        script.tokens
        if script.tokens is not None
        else int(body.get("max_tokens", body.get("max_completion_tokens", 16)))
    )


def other_answer(script: Script, path: str, body: dict[str, Any]) -> tuple[str, bytes] | None:
    """What an endpoint that makes no tokens says: content type and bytes; None for paths that are none of them.

    Vectors of two numbers, documents in their order, a second of sound for every ten characters, the text of the script.
    """
    given = body.get("documents") or body.get("input") or ""
    texts = [given] if isinstance(given, str) else given
    words = sum(len(text.split()) + len(body.get("query", "").split()) for text in texts)
    usage = {"prompt_tokens": words, "total_tokens": words}
    if path.endswith("/embeddings"):
        vectors = [
            {"object": "embedding", "index": place, "embedding": [0.5, 0.5]} for place in range(len(texts))
        ]
        return "application/json", json.dumps({"data": vectors, "usage": usage}).encode()
    if path.endswith("/rerank"):
        ranked = [{"index": place, "relevance_score": 0.5} for place in range(len(texts))]
        return "application/json", json.dumps({"results": ranked, "usage": usage}).encode()
    if path.endswith("/audio/speech"):
        size = len(body["input"]) * SAMPLES_PER_S // 10 * 2
        return "audio/wav", wav_head(size, SAMPLES_PER_S) + bytes(size)
    if path.endswith("/audio/transcriptions"):
        return "application/json", json.dumps({"text": script.text}).encode()
    return None


def usage_of(script: Script, body: dict[str, Any]) -> dict[str, Any] | None:
    """The usage object: a word is a token, a list of ids has its length, a chat adds four tokens of template."""
    if script.usage is False:
        return None
    if isinstance(script.usage, dict):
        return script.usage
    given = len(words_of(body)) + 4 * ("messages" in body)
    made = tokens_of(script, body)
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made}

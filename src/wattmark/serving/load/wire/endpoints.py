"""What a server can be asked for: answers in words, vectors, an order of documents, speech, and what was said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Endpoint = Literal["chat", "completions", "embeddings", "rerank", "speech", "transcriptions"]
ENDPOINT_NAMES: tuple[Endpoint, ...] = get_args(Endpoint)
ENDPOINTS: Mapping[Endpoint, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
    "rerank": "/rerank",
    "speech": "/audio/speech",
    "transcriptions": "/audio/transcriptions",
}
"""Their paths below the version (OpenAI API reference; ``/rerank`` of Jina and Cohere, which vLLM, SGLang and
llama.cpp have)."""
GENERATING: tuple[Endpoint, ...] = ("chat", "completions")
"""Endpoints whose answers are tokens, streamed if asked for."""
PAGES = ("/models", "/health", "/metrics", "/docs", "/responses")
"""Other pages of a server, which people paste when its base is meant."""
BOUNDARY = "wattmark-form-part-7d0b5f"
"""Between the parts of a form; nothing that is sent holds it."""
CONTENT_TYPES: Mapping[Endpoint, str] = {"transcriptions": f"multipart/form-data; boundary={BOUNDARY}"}
JSON_TYPE = "application/json"

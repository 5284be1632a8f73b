"""Text that goes on: a hundred tokens, as in the AI Energy Score; the first word tells whether the model knows how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from wattmark.workloads.tasks.base import Answer, ModelEntry, Score, Settings, Task
from wattmark.workloads.tasks.data.texts import endings
from wattmark.workloads.tasks.models.gguf import SMOLLM2, LanguageModel, Prompt, gguf_file, smollm2
from wattmark.workloads.tasks.models.hub import text_generator
from wattmark.workloads.tasks.scoring import share, words_of

TOKENS = 100


class Continued:
    """A language model that goes on with a text."""

    def __init__(self, model: LanguageModel, tokens: int) -> None:
        self._model, self._tokens = model, tokens
        self.facts = model.facts

    def infer(self, inputs: Sequence[str]) -> list[Answer[str]]:
        """What comes next, all of the tokens."""
        replies = self._model.ask([Prompt(text, self._tokens, chat=False, whole=True) for text in inputs])
        return [Answer(reply.text, reply.prompt_tokens, reply.tokens) for reply in replies]

    def close(self) -> None:
        """End the server."""
        self._model.close()


def score(answers: Sequence[str]) -> Score:
    """Whether the first word is the one that everyone would say; chance: the commonest of these words, each time."""
    truths = [one.label.casefold() for one in endings()[: len(answers)]]
    right = [next(iter(words_of(text)), "") == truth for text, truth in zip(answers, truths, strict=True)]
    return share(right, max(Counter(truths).values()) / len(truths))


def _inputs() -> Sequence[str]:
    return [one.text for one in endings()]


def _smollm2(settings: Settings) -> Continued:
    return Continued(smollm2(settings), settings.output or TOKENS)


def _gguf(path: str, settings: Settings) -> Continued:
    return Continued(gguf_file(path, settings), settings.output or TOKENS)


TEXT_GENERATION: Task[str, str] = Task(
    "text-generation",
    "Text generation",
    "token",
    "token",
    _inputs,
    {"smollm2": ModelEntry(_smollm2, "SmolLM2-135M", general=True, package=SMOLLM2)},
    score,
    "right next word",
    "always the commonest of the right words",
    "40 beginnings of sentences whose next word is known",
    {"gguf": _gguf, "hf": lambda name, settings: text_generator(name, settings, settings.output or TOKENS)},
)

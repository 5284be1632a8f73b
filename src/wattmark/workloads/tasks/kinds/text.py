"""Sentiment of reviews: a small encoder with a head trained here or without any, and a general model asked in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from wattmark.workloads.tasks.base import Answer, Model, ModelEntry, Score, Settings, Task
from wattmark.workloads.tasks.data.texts import reviews
from wattmark.workloads.tasks.models.encoder import MINILM, MINILM_INT8, Encoder, minilm, minilm_int8
from wattmark.workloads.tasks.models.gguf import SMOLLM2, LanguageModel, Prompt, gguf_file, smollm2
from wattmark.workloads.tasks.models.hub import text_classifier
from wattmark.workloads.tasks.scoring import share
from wattmark.workloads.tasks.weights import need_module

LABELS = ("positive", "negative")
ANCHORS = ("This is good, I like it.", "This is bad, I do not like it.")
"""What stands for the two labels where there are no examples; written before any answer was seen."""


class ZeroShot:
    """The label whose sentence is nearest to the text."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._anchors, _ = encoder.encode(ANCHORS)
        self.facts = encoder.facts

    def infer(self, inputs: Sequence[str]) -> list[Answer[str]]:
        """A label for each text."""
        vectors, tokens = self._encoder.encode(inputs)
        best = (vectors @ self._anchors.T).argmax(axis=1)
        return [Answer(LABELS[int(place)], count, 1) for place, count in zip(best, tokens, strict=True)]

    def close(self) -> None:
        """Nothing to give back."""


class Head:
    """A logistic regression on the encoder's vectors, trained here on the training reviews."""

    def __init__(self, encoder: Encoder) -> None:
        need_module("sklearn", "scikit-learn", extra="study")
        self._encoder = encoder
        self.facts = encoder.facts
        self._weights = np.zeros(0)
        self._bias = 0.0

    def train(self) -> int:
        """Encode the training reviews and fit."""
        examples = reviews("train")
        vectors, _ = self._encoder.encode([one.text for one in examples])
        kind: Any = import_module("sklearn.linear_model").LogisticRegression
        fitted: Any = kind(C=10.0).fit(vectors, [one.label == LABELS[0] for one in examples])
        self._weights, self._bias = np.asarray(fitted.coef_, np.float64)[0], float(fitted.intercept_[0])
        return len(examples)

    def infer(self, inputs: Sequence[str]) -> list[Answer[str]]:
        """A label for each text."""
        vectors, tokens = self._encoder.encode(inputs)
        scores = vectors @ self._weights + self._bias
        return [
            Answer(LABELS[int(score <= 0)], count, 1) for score, count in zip(scores, tokens, strict=True)
        ]

    def close(self) -> None:
        """Nothing to give back."""


class Asked:
    """A general language model that is asked in words; only the two labels are allowed as answers."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self.facts = model.facts

    def infer(self, inputs: Sequence[str]) -> list[Answer[str]]:
        """A label for each text."""
        replies = self._model.ask([Prompt(_asked(text), 4, chat=False, choices=LABELS) for text in inputs])
        return [Answer(reply.text.strip(), reply.prompt_tokens, reply.tokens) for reply in replies]

    def close(self) -> None:
        """End the server."""
        self._model.close()


def _asked(text: str) -> str:
    examples = "Review: I loved it, great.\nAnswer: positive\n\nReview: It was awful.\nAnswer: negative"
    rule = "Decide whether a review is positive or negative. Answer with one word."
    return f"{rule}\n\n{examples}\n\nReview: {text}\nAnswer: "


def score(answers: Sequence[str]) -> Score:
    """The share of right labels; chance is one of two."""
    return share([got == one.label for got, one in zip(answers, reviews("test"), strict=False)], 0.5)


def _inputs() -> Sequence[str]:
    return [one.text for one in reviews("test")]


def _from(
    encoder: Callable[[Settings], Encoder], kind: Callable[[Encoder], Model[str, str]]
) -> Callable[[Settings], Model[str, str]]:
    return lambda settings: kind(encoder(settings))


TEXT_CLASSIFICATION: Task[str, str] = Task(
    "text-classification",
    "Text classification",
    "token",
    "token",
    _inputs,
    {
        "minilm-head": ModelEntry(
            _from(minilm, Head), "all-MiniLM-L6-v2 with a head trained here", package=MINILM
        ),
        "minilm": ModelEntry(_from(minilm, ZeroShot), "all-MiniLM-L6-v2, nearest label", package=MINILM),
        "minilm-int8": ModelEntry(
            _from(minilm_int8, ZeroShot), "the same in 8 bits, ONNX", package=MINILM_INT8
        ),
        "smollm2": ModelEntry(
            lambda settings: Asked(smollm2(settings)),
            "SmolLM2-135M, asked in words",
            general=True,
            package=SMOLLM2,
        ),
    },
    score,
    "accuracy",
    "one of two labels",
    "50 sentences of reviews, half of them positive",
    {
        "hf": text_classifier,
        "gguf": lambda path, settings: Asked(gguf_file(path, settings)),
    },
)

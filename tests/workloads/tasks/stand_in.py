"""A task and its models without any weights: which of two letters a word has more of."""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.errors import ConfigError
from wattmark.workloads.tasks.base import Answer, ModelEntry, ModelFacts, Score, Settings, Task
from wattmark.workloads.tasks.scoring import share

WORDS = ("anna", "bob", "banana", "abba", "babble", "alabama")
TRUTHS = ("a", "b", "a", "a", "b", "a")


class Counter:
    def __init__(self, settings: Settings, *, random: bool = False) -> None:
        self.settings = settings
        self.facts = ModelFacts(2, 16, random)
        self.closed = False

    def infer(self, inputs: Sequence[str]) -> list[Answer[str]]:
        if not all(inputs):
            raise ConfigError("a word is empty")
        return [Answer("a" if word.count("a") >= word.count("b") else "b", len(word), 1) for word in inputs]

    def close(self) -> None:
        self.closed = True


class Learner(Counter):
    trained = 0

    def train(self) -> int:
        self.trained += 1
        return 12


def score(answers: Sequence[str]) -> Score:
    return share([said == true for said, true in zip(answers, TRUTHS, strict=False)], 0.5)


LETTERS: Task[str, str] = Task(
    "letters",
    "Letters",
    "byte",
    "token",
    lambda: WORDS,
    {
        "counter": ModelEntry(Counter, "counts"),
        "random": ModelEntry(lambda settings: Counter(settings, random=True), "counts, and knows nothing"),
        "learner": ModelEntry(Learner, "learns first"),
        "general": ModelEntry(Counter, "counts everything", general=True),
    },
    score,
    "accuracy",
    "one of two letters",
)

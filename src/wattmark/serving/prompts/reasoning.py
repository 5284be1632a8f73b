"""Reasoning tasks as a load, on any server: what is asked, and what the answers were worth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from wattmark.quantity import Quantity
from wattmark.reasoning import modes, scoring
from wattmark.reasoning.modes import Mode, Style
from wattmark.reasoning.tasks import Problem, problems
from wattmark.serving.load.records import RequestRecord
from wattmark.serving.prompts.base import Conversation, Turn


@dataclass(frozen=True, slots=True)
class ReasoningWorkload:
    """``count`` different test problems of one task, level and mode, one request each, in the same order at every call.

    Send it with ``Target(extra_body=workload.extra_body)``, which limits the answer without forcing its length, and
    ``Limits(requests=workload.count, keep_text=True)``; then :meth:`score` the records. Raises ConfigError for what there
    is none of.
    """

    task: str
    level: int
    mode: Mode
    count: int = 100
    style: Style = "chat"
    seed: int = 0

    def __post_init__(self) -> None:
        self.problems()

    def problems(self) -> list[Problem]:
        """The problems, in the order of their conversations."""
        return problems(self.task, self.level, self.count, seed=self.seed)

    def conversations(self, part: int = 0, parts: int = 1) -> Iterator[Conversation]:
        """One conversation of one turn for each problem."""
        for number, problem in islice(enumerate(self.problems()), part, None, parts):
            yield Conversation(number, (Turn(modes.prompt(problem, self.mode, self.style)),))

    def describe(self) -> str:
        """One phrase for people."""
        return f"{self.count} problems of {self.task}, level {self.level}, {self.mode}"

    @property
    def extra_body(self) -> Mapping[str, Any]:
        """Fields for every request: the limit on the answer, and no sampling."""
        return {"max_tokens": self.mode.max_tokens(self.style), "temperature": 0}

    def score(self, records: Iterable[RequestRecord], energy: Quantity | None = None) -> scoring.Score:
        """Accuracy, tokens and joules per correct answer. ``energy``: of the whole load, in J.

        A problem whose request failed, or of which there is no record, counts as failed.
        """
        answers = {record.conversation: record for record in records if record.ok}
        replies = [
            scoring.Reply(problem, record.text, record.output_tokens)
            if record
            else scoring.Reply(problem, None)
            for number, problem in enumerate(self.problems())
            for record in (answers.get(number),)
        ]
        return scoring.score(replies, self.style, energy)

"""How much is written out: the answer only, worked steps, or steps within a token budget; and the words that ask for it.

Two styles of the same problem: ``chat`` for any chat server (an instruction in plain English) and ``compact`` for the small
models trained here (a letter for the mode, then the problem: ``a12+34=``, ``s12+34=``, ``b8 12+34=``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from wattmark.errors import ConfigError
from wattmark.reasoning.tasks import Problem

Style = Literal["chat", "compact"]
STYLES: tuple[Style, ...] = ("chat", "compact")
END_OF_STEPS = ";"
"""Between the steps and the answer, compact style."""
BUDGETS = (8, 16, 32)
"""Token budgets that the small models are trained on."""
_BUDGET = re.compile(r"budget:([1-9]\d{0,4})")
_ANSWER_TOKENS = {"chat": 48, "compact": 32}
_STEPS_TOKENS = {"chat": 1024, "compact": 224}


@dataclass(frozen=True, slots=True)
class Mode:
    """kind, and for a budget the tokens that the steps may take."""

    kind: Literal["answer", "steps", "budget"]
    budget: int | None = None

    @classmethod
    def parse(cls, text: str) -> Mode:
        """``answer``, ``steps`` or ``budget:16``. Raises ConfigError."""
        match = _BUDGET.fullmatch(text)
        if match is not None:
            return cls("budget", int(match[1]))
        if text == "answer":
            return ANSWER
        if text == "steps":
            return STEPS
        raise ConfigError(
            f"{text!r} is no mode", hint="use answer, steps or budget:16 (tokens for the steps)"
        )

    def __str__(self) -> str:
        return self.kind if self.budget is None else f"budget:{self.budget}"

    def max_tokens(self, style: Style) -> int:
        """The limit to send with a request, in tokens: room for the steps and the answer of any problem here."""
        if self.kind == "answer":
            return _ANSWER_TOKENS[style]
        return (self.budget or _STEPS_TOKENS[style]) + _ANSWER_TOKENS[style]


ANSWER = Mode("answer")
STEPS = Mode("steps")


def prompt(problem: Problem, mode: Mode, style: Style) -> str:
    """The user's message."""
    if style == "compact":
        return {"answer": "a", "steps": "s", "budget": f"b{mode.budget} "}[mode.kind] + problem.compact
    if mode.kind == "answer":
        return f"{problem.question}\nReply with the answer only, without any explanation."
    how = "Work it out step by step."
    if mode.budget is not None:
        how += f" Use at most {mode.budget} tokens for the steps."
    return f"{problem.question}\n{how} End with one line: 'Answer:' and then the answer only."


def completion(problem: Problem, mode: Mode) -> str:
    """The text that a small model is trained to give: with a budget, the first steps that fit and then the answer."""
    steps = problem.steps if mode.kind != "answer" else ()
    if mode.budget is not None:
        steps = _that_fit(steps, mode.budget)
    return f"{','.join(steps)}{END_OF_STEPS}{problem.answer}" if steps else problem.answer


def _that_fit(steps: tuple[str, ...], budget: int) -> tuple[str, ...]:
    used = 0
    for count, step in enumerate(steps):
        used += len(step) + 1  # one character is one token; a comma or the end of the steps follows
        if used > budget:
            return steps[:count]
    return steps

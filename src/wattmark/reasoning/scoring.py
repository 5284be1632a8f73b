"""Right or wrong, and what a right answer costs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from wattmark.quantity import Quantity
from wattmark.reasoning.modes import END_OF_STEPS, Style
from wattmark.reasoning.tasks import Problem

_Z = 1.959963984540054  # two-sided 95 % of the normal distribution
_THOUGHT = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_MARK = re.compile(r"answer\s*(?:is)?\s*:", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_NUMBER = re.compile(r"-?\d{1,3}(?:,\d{3})+(?!\d)|-?\d+")


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one problem. text: None if the request failed. tokens: made by the model, None if unknown."""

    problem: Problem
    text: str | None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """The outcome of a set of problems.

    failed: requests without an answer; they count in no figure. accuracy: of the answered ones, with Wilson's 95 % interval,
    None if there is none. tokens_mean: made per answered problem, None unless all counts are known. joules_per_correct: None
    without energy or without a right answer.
    """

    asked: int
    failed: int
    correct: int
    accuracy: Quantity | None
    tokens_mean: float | None
    energy: Quantity | None = None
    joules_per_correct: Quantity | None = None

    @property
    def answered(self) -> int:
        """Problems that were answered, right or wrong."""
        return self.asked - self.failed


def extract(text: str, problem: Problem, style: Style) -> str | None:
    """The answer in a text, in the form of ``problem.answer``; None if there is none or it is not clear which.

    Looked for in what follows the last ``Answer:`` (chat) or the last semicolon (compact), else in the last line; after its
    last ``=``. Thoughts in ``<think>`` tags are not looked at.
    """
    if style == "compact":
        part = text.rpartition(END_OF_STEPS)[2].strip()
        return part or None
    text = _BOXED.sub(r"\1", _THOUGHT.sub("", text))
    marks = list(_MARK.finditer(text))
    lines = [line for line in text[marks[-1].end() :].splitlines() if line.strip(" *_#`")] if marks else []
    part = lines[0] if lines else next((line for line in reversed(text.splitlines()) if line.strip()), "")
    part = part.rpartition("=")[2]
    if problem.kind == "word":
        words = set(re.findall(r"\b(?:even|odd)\b", part.lower()))
        return words.pop() if len(words) == 1 else None
    if problem.kind == "list":
        return " ".join(re.findall(r"-?\d+", part)) or None
    numbers = [number.replace(",", "") for number in _NUMBER.findall(part)]
    return numbers[0] if len(numbers) == 1 else None


def is_right(text: str, problem: Problem, style: Style) -> bool:
    """Whether the text gives exactly the right answer."""
    return extract(text, problem, style) == problem.answer


def score(replies: Sequence[Reply], style: Style, energy: Quantity | None = None) -> Score:
    """Accuracy, tokens and joules per correct answer. ``energy``: what answering all of them took, in J."""
    answered = [(reply.problem, reply.text, reply.tokens) for reply in replies if reply.text is not None]
    correct = sum(is_right(text, problem, style) for problem, text, _ in answered)
    tokens = [count for _, _, count in answered if count is not None]
    accuracy = wilson(correct, len(answered)) if answered else None
    return Score(
        asked=len(replies),
        failed=len(replies) - len(answered),
        correct=correct,
        accuracy=accuracy,
        tokens_mean=sum(tokens) / len(tokens) if tokens and len(tokens) == len(answered) else None,
        energy=energy,
        joules_per_correct=None
        if energy is None or accuracy is None
        else _per_correct(energy, accuracy, len(answered)),
    )


def wilson(successes: int, trials: int) -> Quantity:
    """A share with Wilson's score interval at 95 % (Wilson, Journal of the American Statistical Association 22, 1927).

    Raises ValueError unless ``0 <= successes <= trials`` and there is a trial.
    """
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} of {trials} is no share")
    share = successes / trials
    scale = 1 + _Z**2 / trials
    centre = (share + _Z**2 / (2 * trials)) / scale
    half = _Z * math.sqrt(share * (1 - share) / trials + _Z**2 / (4 * trials**2)) / scale
    return Quantity(
        share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)), "1", "Wilson"
    )


def _per_correct(energy: Quantity, accuracy: Quantity, answered: int) -> Quantity | None:
    """Energy over right answers; the interval holds what the energy and the accuracy leave open."""
    if accuracy.value == 0:
        return None
    return Quantity(
        energy.value / (answered * accuracy.value),
        energy.low / (answered * accuracy.high),
        energy.high / (answered * accuracy.low),
        "J",
        energy.source,
    )

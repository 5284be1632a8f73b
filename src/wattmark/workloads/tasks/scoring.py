"""How good answers are: shares of right ones, F1 of marked spans, words in common, errors of words and letters; all 0..1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from wattmark.reasoning.scoring import wilson
from wattmark.statistics import resampled_mean
from wattmark.workloads.tasks.base import Score


def share(right: Sequence[bool], chance: float) -> Score:
    """The share of right answers, with Wilson's interval; of at least one answer."""
    value = wilson(sum(right), len(right))
    return Score(value.value, value.low, value.high, chance)


def mean(values: Sequence[float], chance: float) -> Score:
    """The mean of values that are 0..1 each, with the interval of the bootstrap over the inputs."""
    found = resampled_mean(np.array(values, np.float64))
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    return Score(found.value, max(0.0, low), min(1.0, high), chance)


def words_of(text: str) -> list[str]:
    """Words and numbers in small letters, without signs."""
    return re.findall(r"\w+", text.casefold())


def f1(found: Iterable[Hashable], true: Iterable[Hashable]) -> float:
    """The harmonic mean of precision and recall of what was found, with its repetitions; 1 where both are empty."""
    ours, theirs = Counter(found), Counter(true)
    if not ours and not theirs:
        return 1.0
    both = sum((ours & theirs).values())
    return 2 * both / (sum(ours.values()) + sum(theirs.values()))


def rouge1(text: str, reference: str) -> float:
    """F1 of the words that two texts have in common (ROUGE-1: Lin, 2004, without stemming)."""
    return f1(words_of(text), words_of(reference))


def likeness(found: Sequence[Hashable], true: Sequence[Hashable]) -> float:
    """1 less the error rate (insertions, deletions and substitutions over the length of the truth), at least 0; with words
    1 - WER, with letters 1 - CER."""
    if not true:
        return 1.0 if not found else 0.0
    row = list(range(len(found) + 1))
    for i, wanted in enumerate(true, 1):
        above, row[0] = row[0], i
        for j, got in enumerate(found, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (wanted != got))
    return max(0.0, 1.0 - row[-1] / len(true))

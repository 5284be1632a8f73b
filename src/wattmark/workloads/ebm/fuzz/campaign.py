"""So many executions of a parser on inputs that a mutator makes; what reaches a new branch is mutated further."""

from __future__ import annotations

import random
import traceback
from dataclasses import dataclass

from wattmark.workloads.ebm.fuzz.coverage import Branch, Branches
from wattmark.workloads.ebm.fuzz.mutators import Mutator
from wattmark.workloads.ebm.fuzz.targets import Target


@dataclass(frozen=True, slots=True)
class Crash:
    """An error that the parser does not promise: its kind, where it was raised, and an input that leads to it."""

    error: str
    place: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Campaign:
    """branches: reached by the seeds and by everything else. of_seeds: by the seeds alone. kept: inputs that reached
    something new. course: branches known after each tenth of the executions."""

    executions: int
    branches: int
    of_seeds: int
    kept: int
    course: tuple[int, ...]
    crashes: tuple[Crash, ...]


def run_campaign(target: Target, mutator: Mutator, executions: int, seed: int) -> Campaign:
    """One campaign; equal seeds and mutators reach the same."""
    rng, seen = random.Random(seed), Branches(target.files)
    known: set[Branch] = set()
    crashes: dict[tuple[str, str], Crash] = {}
    corpus: list[bytes] = []
    for data in target.seeds:
        branches, error = seen.of(target.parse, data)
        known |= branches
        corpus.append(data)
        _note(target, error, data, crashes)
    of_seeds, course = len(known), list[int]()
    for number in range(1, executions + 1):
        data = mutator.mutate(rng.choice(corpus), rng)
        branches, error = seen.of(target.parse, data)
        if not branches <= known:
            known |= branches
            corpus.append(data)
        _note(target, error, data, crashes)
        if number * 10 // executions > len(course):
            course.append(len(known))
    return Campaign(executions, len(known), of_seeds, len(corpus), tuple(course), tuple(crashes.values()))


def _note(
    target: Target, error: Exception | None, data: bytes, crashes: dict[tuple[str, str], Crash]
) -> None:
    if error is None or isinstance(error, target.promised):
        return
    last = traceback.extract_tb(error.__traceback__)[-1]
    key = (type(error).__name__, f"{last.filename}:{last.lineno}")
    crashes.setdefault(key, Crash(f"{type(error).__name__}: {error}"[:200], key[1], data))

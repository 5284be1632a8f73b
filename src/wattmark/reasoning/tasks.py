"""Problems with one right answer and a dial for difficulty, the same for the same seed everywhere.

A problem belongs to the training or to the test part by a hash of its canonical form (``12+34`` and ``34+12`` are one
problem), so the two are disjoint whatever is drawn. The levels above ``trained`` are never trained on: lengths that a
model has not seen.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from wattmark.errors import ConfigError

Part = Literal["train", "test"]
AnswerKind = Literal["number", "word", "list"]
TEST_SHARE = 8
"""One problem in so many is a test problem."""
_TRIES = 5_000


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with its answer.

    question: for people and for any chat server. compact: for the small models that are trained on it. steps: the worked
    way to the answer, in compact form. key: canonical form, equal for problems that are the same.
    """

    task: str
    level: int
    question: str
    compact: str
    answer: str
    steps: tuple[str, ...]
    key: str
    kind: AnswerKind = "number"

    @property
    def part(self) -> Part:
        """The part that it belongs to, by its canonical form alone."""
        digest = hashlib.blake2b(f"{self.task} {self.key}".encode(), digest_size=4).digest()
        return "test" if int.from_bytes(digest, "big") % TEST_SHARE == 0 else "train"


@dataclass(frozen=True, slots=True)
class Task:
    """A family of problems. dial: what the level counts. trained: levels in training. tested: the lowest level with
    enough test problems, up to the highest that is offered; those that are not in ``trained`` are unseen lengths."""

    name: str
    dial: str
    trained: range
    tested: range
    make: Callable[[int, random.Random], Problem]

    def seen(self, level: int) -> bool:
        """Whether training has problems of this level."""
        return level in self.trained


def problems(task: str, level: int, count: int, *, seed: int = 0, part: Part = "test") -> list[Problem]:
    """``count`` different problems, always the same for the same arguments.

    Raises:
        ConfigError: no such task or level, or it has fewer different problems.
    """
    family = named(task)
    if level not in family.tested and level not in family.trained:
        raise ConfigError(
            f"{task} has no level {level}",
            hint=f"use {family.tested[0]} to {family.tested[-1]} ({family.dial})",
        )
    rng = random.Random(f"{task} {level} {part} {seed}")
    by_key: dict[str, Problem] = {}
    fruitless = 0
    while len(by_key) < count:
        problem = family.make(level, rng)
        fruitless += 1
        if problem.part == part and problem.key not in by_key:
            by_key[problem.key] = problem
            fruitless = 0
        elif fruitless == _TRIES:
            raise ConfigError(
                f"{task} of level {level} has hardly more than {len(by_key)} different {part} problems, not {count}",
                hint="ask for fewer",
            )
    return list(by_key.values())


def training_problems(names: tuple[str, ...], rng: random.Random) -> Iterator[Problem]:
    """Training problems without end: tasks and trained levels alike often."""
    families = [named(name) for name in names]
    while True:
        family = rng.choice(families)
        problem = family.make(rng.choice(family.trained), rng)
        if problem.part == "train":
            yield problem


def named(name: str) -> Task:
    """The task of that name. Raises ConfigError with the names that there are."""
    try:
        return TASKS[name]
    except KeyError:
        raise ConfigError(f"there is no task {name!r}", hint=f"use one of: {', '.join(TASKS)}") from None


def group(name: str) -> tuple[str, ...]:
    """The tasks that a model for ``name`` is trained on: a task, or ``arithmetic``. Raises ConfigError."""
    return GROUPS[name] if name in GROUPS else (named(name).name,)


def _number(digits: int, rng: random.Random) -> int:
    return rng.randrange(0 if digits == 1 else 10 ** (digits - 1), 10**digits)


def _addition(level: int, rng: random.Random) -> Problem:
    first, second = _number(level, rng), _number(level, rng)
    steps: list[str] = []
    carry = 0
    for a, b in zip(reversed(str(first)), reversed(str(second)), strict=True):
        total = int(a) + int(b) + carry
        steps.append(f"{a}+{b}+{carry}={total}")
        carry = total // 10
    low, high = sorted((first, second))
    return Problem(
        "addition",
        level,
        f"What is {first} + {second}?",
        f"{first}+{second}=",
        str(first + second),
        tuple(steps),
        f"{low}+{high}",
    )


def _multiplication(level: int, rng: random.Random) -> Problem:
    # 1: one digit by one, 2: two by one, 3: two by two, 4: three by two, ...
    first, second = _number(level // 2 + 1, rng), _number((level + 1) // 2, rng)
    steps: list[str] = []
    total = 0
    for place, b in enumerate(reversed(str(second))):
        carry = 0
        for a in reversed(str(first)):
            product = int(a) * int(b) + carry
            steps.append(f"{a}*{b}+{carry}={product}")
            carry = product // 10
        row = first * int(b) * 10**place
        steps.append(f"{total}+{row}={total + row}" if place else str(row))
        total += row
    low, high = sorted((first, second))
    return Problem(
        "multiplication",
        level,
        f"What is {first} * {second}?",
        f"{first}*{second}=",
        str(first * second),
        tuple(steps),
        f"{low}*{high}",
    )


def _parity(level: int, rng: random.Random) -> Problem:
    bits = "".join(rng.choice("01") for _ in range(level))
    words = ("even", "odd")
    steps = [f"{bit}{'eo'[bits[: index + 1].count('1') % 2]}" for index, bit in enumerate(bits)]
    return Problem(
        "parity",
        level,
        f"Is the number of ones in {bits} even or odd?",
        f"{bits}=",
        words[bits.count("1") % 2],
        tuple(steps),
        bits,
        "word",
    )


def _sorting(level: int, rng: random.Random) -> Problem:
    numbers = [rng.randrange(10, 100) for _ in range(level)]
    rest, steps = list(numbers), list[str]()
    while len(rest) > 1:
        least = min(rest)
        rest.remove(least)
        steps.append(f"{least}<{' '.join(map(str, rest))}")
    listed = " ".join(map(str, numbers))
    return Problem(
        "sorting",
        level,
        f"Sort these numbers, smallest first, separated by spaces: {listed}",
        f"{listed}=",
        " ".join(map(str, sorted(numbers))),
        tuple(steps),
        listed,
        "list",
    )


_NAMES = ("Ann", "Ben", "Eva", "Tom")
_THINGS = ("apples", "books", "coins", "pens")
_GAINS, _LOSSES = ("buys", "finds", "gets"), ("loses", "sells", "gives away")


def _words(level: int, rng: random.Random) -> Problem:
    name, thing = rng.choice(_NAMES), rng.choice(_THINGS)
    start = total = rng.randrange(2, 60)
    said, steps = list[str](), list[str]()
    for _ in range(level):
        if total > 2 and rng.random() < 0.5:
            verb, amount = rng.choice(_LOSSES), rng.randrange(1, min(total, 40))
            change = -amount
        else:
            verb, amount = rng.choice(_GAINS), rng.randrange(1, 40)
            change = amount
        said.append(f"{verb} {amount}")
        steps.append(f"{total}{change:+d}={total + change}")
        total += change
    then = "".join(f" Then {name} {what}." for what in said)
    return Problem(
        "words",
        level,
        f"{name} has {start} {thing}.{then} How many {thing} does {name} have now?",
        f"{name} has {start} {thing}, {', '.join(said)}=",
        str(total),
        tuple(steps),
        f"{name} {start} {thing} {said}",
    )


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("addition", "digits of both numbers", range(1, 5), range(2, 7), _addition),
        Task(
            "multiplication",
            "digits of both numbers together, less one",
            range(1, 4),
            range(2, 6),
            _multiplication,
        ),
        Task("parity", "bits", range(4, 13), range(10, 21), _parity),
        Task("sorting", "numbers of two digits", range(2, 6), range(2, 9), _sorting),
        Task("words", "things that happen", range(1, 4), range(1, 7), _words),
    )
}
GROUPS: Mapping[str, tuple[str, ...]] = {"arithmetic": ("addition", "multiplication")}

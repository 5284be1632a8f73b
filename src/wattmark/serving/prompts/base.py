"""What is asked: conversations of turns, from any workload; and lengths drawn from distributions.

A workload gives the same conversations at every pass (seeded), and gives conversation ``n`` without knowing what came
of the others, so that several processes can share it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from wattmark.errors import ConfigError


class Recording(NamedTuple):
    """A sound file: its bytes, what it is called, and its length in seconds (None: not known)."""

    data: bytes
    name: str
    seconds: float | None


class Turn(NamedTuple):
    """One thing a user says. ``text``, or ``token_ids`` (completions only); lengths in tokens where known.

    output_tokens: how many to ask for (None: the model ends by itself). think_s: the user's pause before this turn.
    message: sent as it is instead of the user's text (images and the like; chat only). texts: several inputs of one request
    (embeddings), or the documents to rank for ``text``. fields: of this request's body alone. audio: what is to be
    written down (transcriptions).
    """

    text: str = ""
    token_ids: tuple[int, ...] | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    think_s: float = 0.0
    message: Mapping[str, Any] | None = None
    texts: tuple[str, ...] = ()
    fields: Mapping[str, Any] | None = None
    audio: Recording | None = None


class Conversation(NamedTuple):
    """Turns that build on each other: each is sent with all that was said before. ``before``: messages that precede."""

    number: int
    turns: tuple[Turn, ...]
    before: tuple[Mapping[str, Any], ...] = ()


class ConversationState:
    """A conversation under way: what is left to say, what was said."""

    __slots__ = ("conversation", "messages", "turn")

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.turn = 0
        self.messages: list[Any] = list(conversation.before)


class Workload(Protocol):
    """A seeded source of conversations."""

    def conversations(self, part: int = 0, parts: int = 1) -> Iterator[Conversation]:
        """Every ``parts``-th conversation from number ``part`` on, the same at every call."""
        ...

    def describe(self) -> str:
        """One phrase for people."""
        ...


@runtime_checkable
class FreshTexts(Protocol):
    """A workload whose texts can be drawn anew while lengths and order stay: a server's prefix cache has not seen them."""

    @property
    def text_seed(self) -> int | None:
        """Of the texts; None: they are to be drawn anew for each load."""
        ...

    def with_text_seed(self, seed: int) -> Workload:
        """The same lengths in the same order, other texts."""
        ...


@runtime_checkable
class Noted(Protocol):
    """A workload that has something to say of itself: rows that were left out, say."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for people."""
        ...


Shape = Literal["fixed", "uniform", "normal", "lognormal", "histogram"]


@dataclass(frozen=True, slots=True)
class Lengths:
    """A distribution of lengths in tokens; every draw is rounded and kept within ``[least, most]``.

    fixed: value. uniform: least..most. normal: mean, sd. lognormal: mean and sd of the length itself (not of its
    logarithm). histogram: (length, weight) pairs.
    """

    shape: Shape
    mean: float = 0.0
    sd: float = 0.0
    least: int = 1
    most: int = 1_000_000
    bins: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ConfigError("lengths need 1 <= least <= most tokens")
        if self.shape in ("fixed", "normal", "lognormal") and not (self.mean >= 1 and self.sd >= 0):
            raise ConfigError("lengths need a mean of at least 1 token and a spread of at least 0")
        if self.shape == "histogram" and not sum(weight for _, weight in self.bins) > 0:
            raise ConfigError("a histogram of lengths needs a weight above 0")

    @classmethod
    def fixed(cls, tokens: int) -> Lengths:
        """Always the same."""
        return cls("fixed", tokens)

    @classmethod
    def uniform(cls, least: int, most: int) -> Lengths:
        """Each length of a range alike."""
        return cls("uniform", least=least, most=most)

    @classmethod
    def normal(cls, mean: float, sd: float, least: int = 1, most: int = 1_000_000) -> Lengths:
        """Normal, cut to ``[least, most]``."""
        return cls("normal", mean, sd, least, most)

    @classmethod
    def lognormal(cls, mean: float, sd: float, least: int = 1, most: int = 1_000_000) -> Lengths:
        """Log-normal with that mean and standard deviation, cut to ``[least, most]``."""
        return cls("lognormal", mean, sd, least, most)

    @classmethod
    def histogram(cls, bins: Mapping[int, float] | Sequence[tuple[int, float]]) -> Lengths:
        """Lengths with weights (counts of a real load, say)."""
        pairs = bins.items() if isinstance(bins, Mapping) else bins
        return cls("histogram", bins=tuple((int(length), float(weight)) for length, weight in pairs))

    @classmethod
    def parse(cls, text: str) -> Lengths:
        """``128``, ``64-256``, ``normal:512,64``, ``lognormal:512,256`` as flags and factors have them."""
        shape, colon, numbers = text.partition(":")
        try:
            if not colon and "-" in text:
                least, most = text.split("-")
                return cls.uniform(int(least), int(most))
            if not colon:
                return cls.fixed(int(text))
            values = [float(number) for number in numbers.split(",")]
            if shape in ("normal", "lognormal") and len(values) == 2:
                return cls(shape, mean=values[0], sd=values[1])
        except ValueError:
            pass
        raise ConfigError(
            f"{text!r} is no length in tokens", hint="use 128, 64-256, normal:MEAN,SD or lognormal:MEAN,SD"
        )

    def draw(self, dice: random.Random) -> int:
        """One length."""
        if self.shape == "fixed":
            return round(self.mean)
        if self.shape == "uniform":
            return dice.randint(self.least, self.most)
        if self.shape == "histogram":
            lengths, weights = zip(*self.bins, strict=True)
            return max(1, dice.choices(lengths, weights)[0])
        if self.shape == "normal":
            value = dice.gauss(self.mean, self.sd)
        else:
            variance = math.log1p((self.sd / self.mean) ** 2)
            value = dice.lognormvariate(math.log(self.mean) - variance / 2, math.sqrt(variance))
        return min(max(round(value), self.least), self.most)

    def __str__(self) -> str:
        if self.shape == "fixed":
            return f"{self.mean:g}"
        if self.shape == "uniform":
            return f"{self.least}-{self.most}"
        if self.shape == "histogram":
            return f"histogram of {len(self.bins)}"
        return f"{self.shape} {self.mean:g} ± {self.sd:g}"


@dataclass(frozen=True, slots=True)
class Fixed:
    """Given conversations, in order, again from the start when they are used up unless ``once``. notes: what is to be
    known of them."""

    given: tuple[Conversation, ...]
    once: bool = True
    name: str = "given"
    notes: tuple[str, ...] = ()

    def conversations(self, part: int = 0, parts: int = 1) -> Iterator[Conversation]:
        """Every ``parts``-th conversation."""
        index = part
        while self.given and (index < len(self.given) or not self.once):
            yield self.given[index % len(self.given)]._replace(number=index)
            index += parts

    def describe(self) -> str:
        """One phrase for people."""
        return f"{self.name}, {len(self.given)} conversations"

"""Synthetic prompts of exact lengths, in tokens of the server's own tokenizer, without having that tokenizer.

A prompt is made of *units* that are one token each. Which text has that property depends on the tokenizer, so a few
probes find out: the server's ``usage`` for prompts of two sizes gives tokens per unit and the template's overhead.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import NamedTuple, Protocol, runtime_checkable

from wattmark.errors import ConfigError
from wattmark.serving.prompts.base import Conversation, Lengths, Turn, Workload

# ruff: noqa: SIM905 (a list of words reads better as one string)
WORDS = tuple(
    f" {word}"
    for word in (
        "time year people way day man thing woman life child world school state family student group country problem "
        "hand part place case week company system program question work government number night point home water room "
        "mother area money story fact month lot right study book eye job word business issue side kind head house "
        "service friend father power hour game line end member law car city community name president team minute idea "
        "body information back parent face others level office door health person art war history party result change "
        "morning reason research girl guy moment air teacher force education"
    ).split()
)
"""Common English words with the space before them: one token each in most byte-pair vocabularies."""
SIGNS = tuple("etaoinshrdlucmfwypvbgkqjxz")
"""Single letters run together: one token each where tokens are bytes or characters."""
POOL_UNITS = 1 << 14
POOL_STRIDE = 10_127
"""Odd, and near the golden section of the pool: texts that follow each other begin far apart, and at every unit once."""
PROBE_UNITS = (24, 152)
HEAD_UNITS = 8
"""A prompt begins with so many units of its own. Prefix caches (vLLM: hashed blocks of 16 tokens; SGLang: a radix tree)
find nothing of a prompt whose beginning they have not seen, so two prompts may share all that follows."""
_MASK = (1 << 64) - 1


class Filler(NamedTuple):
    """How to write a text of so many tokens: units, tokens of each, and tokens that the server adds to a prompt.

    exact: the probes showed one token per unit, so lengths come out exactly.
    """

    units: tuple[str, ...] = WORDS
    tokens_per_unit: float = 1.0
    overhead_tokens: int = 0
    exact: bool = False

    def units_for(self, tokens: int) -> int:
        """How many units make a whole prompt of that many tokens (at least one)."""
        return max(1, round((tokens - self.overhead_tokens) / self.tokens_per_unit))


@runtime_checkable
class OfUnits(Protocol):
    """A workload whose lengths are exact once it is known which text is one token for this server."""

    def with_filler(self, filler: Filler) -> Workload:
        """The same with these units."""
        ...


async def calibrate(count_tokens: Callable[[str], Awaitable[int | None]]) -> Filler:
    """Find units that are one token each. ``count_tokens``: a prompt's length as the server counts it, or None.

    Two probes a vocabulary, at most four in all. If none fits, words at their measured rate are used and ``exact`` is
    False; the records hold the true lengths in any case.
    """
    fallback = Filler()
    for units in (WORDS, SIGNS):
        pool = Pool(units, seed=0)
        few, many = PROBE_UNITS
        first, second = await count_tokens(pool.text(0, few)), await count_tokens(pool.text(few, many))
        if first is None or second is None:  # too long for its context, say: other units are shorter
            continue
        rate = (second - first) / (many - few)
        overhead = max(0, round(first - few * rate))
        if rate == 1:
            return Filler(units, 1.0, overhead, exact=True)
        if fallback.tokens_per_unit == 1.0 and rate > 0:
            fallback = Filler(units, rate, overhead)
    return fallback


class Pool:
    """A long text of random units; any stretch of it is a prompt, so making one costs a slice."""

    def __init__(self, units: tuple[str, ...], seed: int, size: int = POOL_UNITS) -> None:
        drawn = random.Random(seed).choices(units, k=size)
        self.size = size
        self._text = "".join(drawn)
        self._ends = [0, *accumulate(map(len, drawn))]

    def text(self, start: int, units: int) -> str:
        """``units`` units from ``start`` on, around the end if need be."""
        start %= self.size
        end = start + units
        if end <= self.size:
            return self._text[self._ends[start] : self._ends[end]]
        rest = end - self.size
        return (
            self._text[self._ends[start] :]
            + self._text * (rest // self.size)
            + self._text[: self._ends[rest % self.size]]
        )


class Texts:
    """Texts that begin differently: by their number, and by the seed."""

    def __init__(self, units: tuple[str, ...], seed: int) -> None:
        self._units, self._mix = units, seed * 0xD1B54A32D192ED03 & _MASK
        self.pool = Pool(units, seed)

    def text(self, number: int, start: int, units: int) -> str:
        """``units`` units: a beginning that only this number has, then the pool from ``start`` on."""
        own = min(HEAD_UNITS, units)
        return self._head(number, own) + self.pool.text(start, units - own)

    def _head(self, number: int, count: int) -> str:
        # SplitMix64 (Steele, Lea and Flood 2014) without its state: numbers that follow each other have nothing in common.
        mixed = (number * 0x9E3779B97F4A7C15 + self._mix) & _MASK
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
        mixed ^= mixed >> 31
        base, chosen = len(self._units), list[str]()
        for _ in range(count):
            mixed, digit = divmod(mixed, base)
            chosen.append(self._units[digit])
        return "".join(chosen)


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Conversations of drawn lengths.

    input and output: tokens of the first prompt (template and shared prefix included) and of each answer; later turns
    add ``input`` minus prefix tokens of text each. prefix_tokens: text at the start that all conversations of one of
    ``prefix_groups`` share (prefix caching). turns, think_time_s: turns a conversation, and the mean of the
    exponential pauses between them. token_ids: send ids from this range [from, to) instead of text (completions of
    vLLM, SGLang, llama.cpp): exact without probing. requests: how many conversations there are (None: no end). seed: of
    lengths, groups and pauses. text_seed: of the texts, shared prefixes included; None draws them anew for each load, so
    that no load finds its prompts in a prefix cache.
    """

    input: Lengths
    output: Lengths
    turns: int = 1
    think_time_s: float = 0.0
    prefix_tokens: int = 0
    prefix_groups: int = 1
    token_ids: tuple[int, int] | None = None
    requests: int | None = None
    seed: int = 0
    filler: Filler = field(default_factory=Filler)
    text_seed: int | None = None

    def __post_init__(self) -> None:
        if self.turns < 1 or self.prefix_groups < 1 or self.prefix_tokens < 0 or self.think_time_s < 0:
            raise ConfigError(
                "a synthetic workload needs at least 1 turn and 1 prefix group, and no negative lengths or times"
            )
        if self.token_ids is not None and (self.turns > 1 or not 0 <= self.token_ids[0] < self.token_ids[1]):
            raise ConfigError("token ids need a range [from, to) and single turns")

    def with_text_seed(self, seed: int) -> Synthetic:
        """The same lengths in the same order, other texts."""
        return replace(self, text_seed=seed)

    def with_filler(self, filler: Filler) -> Synthetic:
        """The same with text of these units."""
        return replace(self, filler=filler)

    def conversations(self, part: int = 0, parts: int = 1) -> Iterator[Conversation]:
        """Every ``parts``-th conversation from number ``part`` on."""
        alike = self.input.shape == self.output.shape == "fixed" and self.turns == self.prefix_groups == 1
        return self._alike(part, parts) if alike and self.token_ids is None else self._drawn(part, parts)

    def _alike(self, part: int, parts: int) -> Iterator[Conversation]:
        """Single turns of fixed lengths: only the text differs, and to seed dice for it would cost more than all else."""
        texts, (prefix,) = Texts(self.filler.units, self._own_seed), self._prefixes()
        tokens, answer = round(self.input.mean), round(self.output.mean)
        units = self._own_units(tokens)
        index = part
        while self.requests is None or index < self.requests:
            text = texts.text(index, self.seed + index * POOL_STRIDE, units)
            yield Conversation(index, (Turn(prefix + text, None, tokens, answer),))
            index += parts

    def _drawn(self, part: int, parts: int) -> Iterator[Conversation]:
        texts = Texts(self.filler.units, self._own_seed)
        prefixes = self._prefixes()
        dice = random.Random()
        index = part
        while self.requests is None or index < self.requests:
            dice.seed(self.seed * 1_000_003 + index)
            if self.token_ids is not None:
                turns = (self._ids(dice, index),)
            else:
                turns = tuple(self._turn(dice, texts, prefixes, index, turn) for turn in range(self.turns))
            yield Conversation(index, turns)
            index += parts

    def describe(self) -> str:
        """One phrase for people."""
        shared = f", {self.prefix_tokens} shared by {self.prefix_groups} groups" if self.prefix_tokens else ""
        turns = f", {self.turns} turns" if self.turns > 1 else ""
        return f"synthetic, {self.input} in, {self.output} out{shared}{turns}"

    @property
    def _own_seed(self) -> int:
        return self.seed if self.text_seed is None else self.text_seed

    def _own_units(self, tokens: int) -> int:
        """Units of a prompt's own text, after the shared prefix."""
        shared = round(self.prefix_tokens / self.filler.tokens_per_unit)
        return max(1, self.filler.units_for(tokens) - shared)

    def _prefixes(self) -> list[str]:
        units = round(self.prefix_tokens / self.filler.tokens_per_unit)
        if not units:
            return [""]
        size = max(units, POOL_UNITS)
        return [
            Pool(self.filler.units, self._own_seed * 31 + 7 + group, size).text(0, units)
            for group in range(self.prefix_groups)
        ]

    def _turn(self, dice: random.Random, texts: Texts, prefixes: list[str], index: int, turn: int) -> Turn:
        tokens, answer = self.input.draw(dice), self.output.draw(dice)
        start = dice.randrange(texts.pool.size)
        text = texts.text(index * self.turns + turn, start, self._own_units(tokens))
        if turn == 0:
            prefix = prefixes[dice.randrange(len(prefixes))] if len(prefixes) > 1 else prefixes[0]
            return Turn(prefix + text, None, tokens, answer)
        think = dice.expovariate(1 / self.think_time_s) if self.think_time_s else 0.0
        return Turn(text, None, None, answer, think)

    def _ids(self, dice: random.Random, index: int) -> Turn:
        assert self.token_ids is not None
        tokens, answer = self.input.draw(dice), self.output.draw(dice)
        group = dice.randrange(self.prefix_groups)
        shared = min(self.prefix_tokens, tokens)
        ids = range(*self.token_ids)
        prefix = random.Random(self._own_seed * 31 + 7 + group).choices(ids, k=shared) if shared else []
        own = random.Random(self._own_seed * 1_000_003 + index).choices(ids, k=tokens - shared)
        return Turn("", tuple(prefix + own), tokens, answer)

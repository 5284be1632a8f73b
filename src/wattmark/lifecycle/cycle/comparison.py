"""Which of some models takes the least energy for how much use, and how sure that is.

Two models cross at ``N* = (F_b - F_a) / (e_a - e_b)`` uses. The interval of a crossing is every N at which the difference
``D(N) = (F_a - F_b) + N (e_a - e_b)`` is not clear of zero (E. C. Fieller, Some problems in interval estimation, Journal
of the Royal Statistical Society B 16, 1954): errors that both share cancel in D by their names. It may have no upper end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from wattmark.errors import ConfigError
from wattmark.lifecycle.cycle.stages import FIXED_STAGES, INFERENCE, STAGES, Candidate, stage_dict
from wattmark.quantity import Quantity, spread
from wattmark.statistics import Float64, finite

MOST_USES = 1e24
"""Beyond any use there will be."""
LITERATURE: tuple[tuple[str, tuple[float, float, float], str], ...] = (
    (
        "recommendation model RM1, energy",
        (0.31, 0.29, 0.40),
        "Wu et al., Sustainable AI, MLSys 2022, arXiv 2111.00364",
    ),
    (
        "one company's capacity for AI, power",
        (0.10, 0.20, 0.70),
        "Wu et al., Sustainable AI, MLSys 2022, arXiv 2111.00364: experimentation, training, inference",
    ),
)
"""Splits that others have published. The first is of data, experimentation and training, inference; the second of
experimentation, training, inference."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """From N* on ``after`` takes less than ``before``. low, high: where it is not clear which; None: no upper end is known.

    sure: that they cross at all is clear.
    """

    before: str
    after: str
    uses: float
    low: float
    high: float | None

    @property
    def sure(self) -> bool:
        """Whether it is clear that there is a crossing."""
        return self.high is not None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "before": self.before,
            "after": self.after,
            "uses": self.uses,
            "low": self.low,
            "high": self.high,
        }


@dataclass(frozen=True, slots=True)
class Regime:
    """For uses in [start, end) this model takes the least energy. end: None for ever. clear: the uses of it for which no
    other one may take as little; None where that is nowhere clear, its end None for ever."""

    name: str
    start: float
    end: float | None
    clear: tuple[float, float | None] | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "cheapest": self.name,
            "from": self.start,
            "to": self.end,
            "clear": None if self.clear is None else list(self.clear),
        }


@dataclass(frozen=True, slots=True)
class BreakEven:
    """What making ``name`` from ``base`` costs more, and after how many uses that is paid; None: never, or from the
    first on."""

    name: str
    base: str
    cost: Quantity
    saved_per_use: Quantity
    paid: Crossing | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "name": self.name,
            "base": self.base,
            "cost_j": self.cost.as_dict(),
            "saved_per_use_j": self.saved_per_use.as_dict(),
            "paid_after": None if self.paid is None else self.paid.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class Split:
    """Shares of data, of experiments and training, and of inference at so many uses; they sum to one. base: itself."""

    name: str
    data: float
    training: float
    inference: float


class Cycle:
    """Models and how much they may be used. candidates: in the order in which they were named; usage: (N, weight) pairs of
    how much use is expected. notes: what is to be known before one rests on it."""

    __slots__ = ("candidates", "notes", "usage")

    def __init__(
        self,
        candidates: Sequence[Candidate],
        usage: Sequence[tuple[float, float]],
        notes: Sequence[str] = (),
    ) -> None:
        if not candidates:
            raise ConfigError("there is no model", hint="--stage NAME.training=..., NAME.inference=...")
        for uses, weight in usage:
            if not (math.isfinite(uses) and 0 <= uses <= MOST_USES):
                raise ConfigError(f"{uses:g} uses cannot be", hint="a number of 0 or more: --uses 1e6")
            if not (math.isfinite(weight) and weight > 0):
                raise ConfigError(f"a weight of {weight:g} cannot be", hint="more than 0: --uses 1e6:2")
        for one in candidates:
            one.energy(0.0)  # raises ConfigError for what is missing
        self.candidates = tuple(candidates)
        self.usage = tuple(usage)
        self.notes = (*notes, *_uneven(candidates))

    def __getitem__(self, name: str) -> Candidate:
        """Raises KeyError."""
        for one in self.candidates:
            if one.name == name:
                return one
        raise KeyError(name)

    def at(self, uses: float) -> list[tuple[Candidate, Quantity]]:
        """Every model with its energy at so many uses, the least first."""
        return sorted(((one, one.energy(uses)) for one in self.candidates), key=lambda pair: pair[1].value)

    def rivals(self, uses: float) -> list[str]:
        """The models that may take as little as the cheapest one at so many uses, besides that one."""
        best, *others = (one for one, _ in self.at(uses))
        return [one.name for one in others if not _Gap(best, one).clear(uses)]

    @property
    def crossings(self) -> list[Crossing]:
        """Of every pair that has one at a positive number of uses, by that number."""
        found = [crossing(*pair) for pair in combinations(self.candidates, 2)]
        return sorted((one for one in found if one is not None), key=lambda one: one.uses)

    @property
    def regimes(self) -> list[Regime]:
        """The cheapest model for every number of uses: the lower envelope of the lines."""
        lines = sorted(self.candidates, key=lambda one: (one.fixed.value, one.per_use.value))
        now, start, regimes = lines[0], 0.0, list[tuple[Candidate, float, float | None]]()
        while True:
            later = [
                (at, other.per_use.value, other)
                for other in lines
                if other is not now
                and other.per_use.value < now.per_use.value
                and (at := _crossing_at(now, other)) >= start * (1 - 1e-12)
            ]
            if not later:
                regimes.append((now, start, None))
                break
            at, _, following = min(later, key=lambda item: item[:2])
            at = max(at, start)
            if at > start:
                regimes.append((now, start, at))
            now, start = following, at
        return [Regime(one.name, begin, end, self._clear(one, begin, end)) for one, begin, end in regimes]

    def _clear(self, one: Candidate, start: float, end: float | None) -> tuple[float, float | None] | None:
        """Where within [start, end) all others are clearly dearer."""
        gaps = [_Gap(one, other) for other in self.candidates if other is not one]
        if not gaps:
            return start, end
        return _clear_within(lambda uses: all(gap.clear(uses) for gap in gaps), start, end)

    @property
    def break_evens(self) -> list[BreakEven]:
        """Of every model that was made from another one."""
        found: list[BreakEven] = []
        for one in self.candidates:
            if one.base is None:
                continue
            try:
                base = self[one.base]
            except KeyError:
                continue
            made = crossing(base, one)
            saved = base.per_use - one.per_use
            paid = made if made is not None and made.after == one.name else None
            found.append(BreakEven(one.name, one.base, one.fixed - base.fixed, saved, paid))
        return found

    def score(self, name: str) -> float:
        """How near to the cheapest a model is over the expected usage, 0 to 1: ``sum(w_k min_c E_c(N_k) / E(N_k))`` with
        weights that sum to one. 1: nothing is cheaper at any of these N.

        A usage-weighted score of the full cycle after the idea of arXiv 2108.13465; the formula is ours.
        """
        own = self[name]
        weight = sum(weight for _, weight in self.usage)
        if weight <= 0:
            raise ConfigError(
                "a score needs an expected usage", hint="--uses 1e6, or --uses 1e4:1 --uses 1e8:3"
            )
        sum_ = 0.0
        for uses, own_weight in self.usage:
            least = min(one.energy(uses).value for one in self.candidates)
            energy = own.energy(uses).value
            sum_ += own_weight * (least / energy if energy > 0 else 1.0)
        return sum_ / weight

    def split(self, name: str, uses: float) -> Split | None:
        """Of one model at so many uses; None where it takes nothing at all."""
        one = self[name]
        energies = {stage: one.stage(stage, uses) for stage in STAGES}
        parts = {stage: energy.value for stage, energy in energies.items() if energy is not None}
        whole = math.fsum(parts.values())
        if whole <= 0:
            return None
        data = parts.get("data", 0.0) + parts.get("storage", 0.0)
        inference = parts.get(INFERENCE, 0.0)
        return Split(name, data / whole, (whole - data - inference) / whole, inference / whole)

    def curve(self, points: int = 121) -> Curve:
        """E(N) of every model over the numbers of use that tell them apart: a decade around crossings and usage."""
        marks = [one.uses for one in self.crossings] + [uses for uses, _ in self.usage if uses > 0]
        marks += [one.fixed.value / one.per_use.value for one in self.candidates if one.per_use.value > 0]
        marks = [mark for mark in marks if 1e-3 < mark < MOST_USES]
        low = max(1.0, min(marks, default=1.0) / 30)
        high = max(low * 1e3, max(marks, default=1e6) * 30)
        return curve(self, np.geomspace(low, high, points))

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "candidates": [
                {
                    "name": one.name,
                    "base": one.base,
                    "quality": one.quality,
                    "fixed_j": one.fixed.as_dict(),
                    "per_use_j": one.per_use.as_dict(),
                    "stages": {
                        name: [stage_dict(stage) for stage in one.stages[name]]
                        for name in STAGES
                        if one.stages.get(name)
                    },
                    "score": finite(self.score(one.name)) if self.usage else None,
                }
                for one in self.candidates
            ],
            "crossings": [one.as_dict() for one in self.crossings],
            "cheapest": [one.as_dict() for one in self.regimes],
            "break_even": [one.as_dict() for one in self.break_evens],
            "usage": [
                {
                    "uses": uses,
                    "weight": weight,
                    "energy_j": {one.name: energy.as_dict() for one, energy in self.at(uses)},
                    "may_be_as_cheap": self.rivals(uses),
                    "splits": [
                        {
                            "name": part.name,
                            "data": part.data,
                            "experiments_and_training": part.training,
                            "inference": part.inference,
                        }
                        for one in self.candidates
                        if (part := self.split(one.name, uses)) is not None
                    ],
                }
                for uses, weight in self.usage
            ],
            "literature": [
                {"of": of, "shares": list(shares), "source": source} for of, shares, source in LITERATURE
            ],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Line:
    """E(N) of one model in J, (n,), with the ends of its interval."""

    name: str
    value: Float64
    low: Float64
    high: Float64


@dataclass(frozen=True, slots=True)
class Curve:
    """uses: (n,). lines: one a model. rivals: at each number of uses, who may be as cheap as the cheapest."""

    uses: Float64
    lines: tuple[Line, ...]
    rivals: tuple[tuple[str, ...], ...]


def curve(cycle: Cycle, uses: Float64) -> Curve:
    """E(N) of every model at these numbers of uses (n,)."""
    lines: list[Line] = []
    for one in cycle.candidates:
        rows = [one.energy(float(number)) for number in uses]
        ends = np.array([row.interval() for row in rows])
        lines.append(Line(one.name, np.array([row.value for row in rows]), ends[:, 0], ends[:, 1]))
    return Curve(uses, tuple(lines), tuple(tuple(cycle.rivals(float(number))) for number in uses))


def crossing(a: Candidate, b: Candidate) -> Crossing | None:
    """Where two models take the same, if that is at some positive number of uses; None for lines that do not cross there."""
    before, after = (a, b) if a.fixed.value <= b.fixed.value else (b, a)
    if after.per_use.value >= before.per_use.value or after.fixed.value == before.fixed.value:
        return None
    at = _crossing_at(before, after)
    gap = _Gap(before, after)
    low = _edge(lambda uses: gap.clear(uses), at, 0.0)
    high = _edge(lambda uses: gap.clear(uses), at, MOST_USES)
    return Crossing(before.name, after.name, at, 0.0 if low is None else low, high)


def _crossing_at(before: Candidate, after: Candidate) -> float:
    return (after.fixed.value - before.fixed.value) / (before.per_use.value - after.per_use.value)


class _Gap:
    """How far two models are apart at any number of uses."""

    def __init__(self, one: Candidate, other: Candidate) -> None:
        self._fixed, self._each = other.fixed - one.fixed, other.per_use - one.per_use
        names = sorted({*self._fixed.terms, *self._each.terms})
        none = (0.0, 0.0)
        self._terms = [
            (self._fixed.terms.get(name, none), self._each.terms.get(name, none)) for name in names
        ]

    def clear(self, uses: float) -> bool:
        """Whether the interval of the difference at so many uses is clear of zero."""
        value = self._fixed.value + uses * self._each.value
        below, above = spread(
            (float(fixed[0] + uses * each[0]), float(fixed[1] + uses * each[1]))
            for fixed, each in self._terms
        )
        return value - below > 0 or value + above < 0


def _edge(clear: Callable[[float], bool], inside: float, outside: float) -> float | None:
    """The edge of what is not clear, going from ``inside`` (which is not) to ``outside``; None where it never gets clear."""
    step, at = 1.25 if outside > inside else 0.8, inside
    while not clear(at):
        if (outside > inside and at >= outside) or at < 1e-9:
            return None if outside > inside or not clear(0.0) else 0.0
        inside, at = at, at * step
    for _ in range(60):
        middle = math.sqrt(inside * at)
        inside, at = (inside, middle) if clear(middle) else (middle, at)
    return at


def _clear_within(
    clear: Callable[[float], bool], start: float, end: float | None
) -> tuple[float, float | None] | None:
    """The longest stretch of [start, end) on which ``clear`` holds, looked for on a grid of a twentieth of a decade."""
    top = MOST_USES if end is None else end
    grid = [start, *np.geomspace(max(start, 1e-3), max(top, 1e-3), 600)[1:].tolist()]
    held = [clear(uses) for uses in grid]
    best: tuple[int, int] | None = None
    first: int | None = None
    for place, holds in enumerate([*held, False]):
        if holds and first is None:
            first = place
        elif not holds and first is not None:
            if best is None or place - first > best[1] - best[0]:
                best = (first, place)
            first = None
    if best is None:
        return None
    begin, stop = best
    low = grid[begin] if begin == 0 else _between(clear, grid[begin - 1], grid[begin])
    if stop == len(grid):
        return low, end
    return low, _between(clear, grid[stop], grid[stop - 1])


def _between(clear: Callable[[float], bool], unclear_at: float, clear_at: float) -> float:
    for _ in range(60):
        middle = (unclear_at + clear_at) / 2
        unclear_at, clear_at = (unclear_at, middle) if clear(middle) else (middle, clear_at)
    return clear_at


def _uneven(candidates: Sequence[Candidate]) -> list[str]:
    """Stages that some models have and others have not: what is left out there is not compared."""
    notes: list[str] = []
    for stage in FIXED_STAGES:
        having = [one.name for one in candidates if one.stages.get(stage)]
        lacking = [one.name for one in candidates if not one.stages.get(stage)]
        if having and lacking and stage != "compression":
            notes.append(
                f"{stage} is known of {', '.join(having)}, not of {', '.join(lacking)}: there it is left out"
            )
    if any(
        not stage.measured and not stage.energy.terms
        for one in candidates
        for stages in one.stages.values()
        for stage in stages
        if stage.energy.value
    ):
        notes.append(
            "a number that was stated without a range is taken as exact: 10-12 kWh or 11 kWh +-10% has one"
        )
    return notes

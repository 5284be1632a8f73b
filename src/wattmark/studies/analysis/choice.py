"""Which setting is the cheapest within limits, and which others may cost as little: one rule for terminal, API and report.

Two settings are told apart by the ratio of their costs (:mod:`wattmark.runs.differences`): what both err by alike, such
as the scale of one sensor, does not make them rivals. Limits are held against the values as they were measured.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.runs.comparison import verdict
from wattmark.runs.differences import Difference, times
from wattmark.studies.analysis.data.study_data import DURATION, StudyData

MOST_NAMED = 4
_OTHER_NAMES = {"duration_s": DURATION}
_LIMIT = re.compile(r"\s*([\w.-]+)\s*([<>])=?\s*(-?\d[\d.]*(?:e[+-]?\d+)?)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limit:
    """What a setting must keep within: at least, at most, or both."""

    metric: str
    at_least: float = -math.inf
    at_most: float = math.inf

    def holds(self, metrics: Mapping[str, Quantity]) -> bool:
        """A setting that lacks the metric is not known to keep within it."""
        found = metrics.get(self.metric)
        return found is not None and self.at_least <= found.value <= self.at_most


def parse_limits(text: str) -> list[Limit]:
    """``ttft_p95_s<0.5;accuracy>0.9`` as limits. Raises ConfigError for anything else."""
    limits: list[Limit] = []
    for word in filter(str.strip, text.split(";")):
        match = _LIMIT.fullmatch(word)
        if match is None:
            raise ConfigError(
                f"{word.strip()!r} is no limit", hint="such as 'ttft_p95_s<0.5' or 'accuracy>0.9;e2e_p95_s<2'"
            )
        name, sign, number = match[1], match[2], float(match[3])
        limits.append(Limit(name, at_most=number) if sign == "<" else Limit(name, at_least=number))
    return limits


@dataclass(frozen=True, slots=True)
class Candidate:
    """A setting with its numbers by metric."""

    label: str
    metrics: Mapping[str, Quantity]


@dataclass(frozen=True, slots=True)
class Other:
    """Another setting within the limits. difference: from the cheapest one, None where it is not known."""

    label: str
    cost: Quantity
    difference: Difference | None

    @property
    def may_cost_as_little(self) -> bool:
        """Whether it is not told apart from the cheapest."""
        return self.difference is None or not self.difference.clear

    @property
    def verdict(self) -> str:
        """Beside the cheapest, in words."""
        return verdict(self.difference)


@dataclass(frozen=True, slots=True)
class Choice:
    """The cheapest of the settings within the limits. place: where it stands among the candidates. others: the rest of them
    within the limits, cheapest first. outside: how many keep not within the limits, or do not know the cost."""

    place: int
    label: str
    metric: str
    cost: Quantity
    others: tuple[Other, ...]
    outside: int

    @property
    def rivals(self) -> tuple[Other, ...]:
        """Those that may cost as little."""
        return tuple(other for other in self.others if other.may_cost_as_little)

    def to_dict(self) -> dict[str, Any]:
        """As ``wattmark study show --json`` has it."""
        return {
            "label": self.label,
            "metric": self.metric,
            "cost": self.cost.as_dict(),
            "others": [
                {
                    "label": one.label,
                    "cost": one.cost.as_dict(),
                    "ratio": one.difference and one.difference.ratio and one.difference.ratio.as_dict(),
                    "may_cost_as_little": one.may_cost_as_little,
                    "verdict": one.verdict,
                }
                for one in self.others
            ],
            "outside": self.outside,
            "sentence": self.sentence,
        }

    @property
    def sentence(self) -> str:
        """How sure it is, in words."""
        if not self.others:
            return "It is the only one within the limits."
        if not self.rivals:
            next_one = self.others[0]
            ratio = next_one.difference and next_one.difference.ratio
            return (
                f"Clearly: the next, {next_one.label}, costs {times(ratio)} as much." if ratio else "Clearly."
            )
        count = len(self.rivals)
        named = "; ".join(
            f"{one.label} ({times(one.difference.ratio)})"
            if one.difference is not None and one.difference.ratio is not None
            else one.label
            for one in self.rivals[:MOST_NAMED]
        )
        more = "; …" if count > MOST_NAMED else ""
        which = "one other may" if count == 1 else f"{count} others may"
        return f"Not sure: {which} cost as little, by the ratios: {named}{more}."


def cheapest(
    candidates: Sequence[Candidate],
    metric: str,
    limits: Sequence[Limit],
    difference: Callable[[int, int], Difference | None],
) -> Choice | None:
    """The candidate within all limits with the least of a metric; None where none is within them.

    difference: of the candidate at the second place from that at the first, in that metric; None where it is not known.
    """
    inside = [
        (one.metrics[metric].value, place)
        for place, one in enumerate(candidates)
        if metric in one.metrics and all(limit.holds(one.metrics) for limit in limits)
    ]
    if not inside:
        return None
    (value, best), *rest = sorted(inside)
    others = tuple(
        Other(
            candidates[place].label,
            candidates[place].metrics[metric],
            difference(best, place) if value > 0 else None,
        )
        for _, place in rest
    )
    return Choice(
        best,
        candidates[best].label,
        metric,
        candidates[best].metrics[metric],
        others,
        len(candidates) - len(inside),
    )


def cheapest_cell(data: StudyData, metric: str, limits: Sequence[Limit] = ()) -> Choice | None:
    """The same of a study's cells. Raises ConfigError for a metric that no trial has."""
    limits = [replace(limit, metric=_OTHER_NAMES.get(limit.metric, limit.metric)) for limit in limits]
    for name in (metric, *(limit.metric for limit in limits)):
        if name not in data.metric_names:
            raise ConfigError(
                f"no trial of {data.results.name} has a number for {name!r}",
                hint=f"it is one of {', '.join(data.metric_names)}",
            )
    wanted = {metric, *(limit.metric for limit in limits)}
    candidates = [
        Candidate(cell.label, {name: mean for name in wanted if (mean := data.mean(cell, name)) is not None})
        for cell in data.cells
    ]
    return cheapest(
        candidates,
        metric,
        limits,
        lambda first, second: data.difference(data.cells[first], data.cells[second], metric),
    )

"""How two runs, or two groups of runs, differ, and whether that is more than their intervals or their spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from wattmark.quantity import Quantity
from wattmark.runs.record import RunRecord, Spans
from wattmark.statistics import t_quantile


@dataclass(frozen=True, slots=True)
class Difference:
    """``other - reference`` with its interval, and the same in percent of the reference (None where that is 0)."""

    value: float
    low: float
    high: float
    percent: tuple[float, float, float] | None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    def as_dict(self) -> dict[str, Any]:
        """As ``compare --json`` shows it."""
        names = ("value", "low", "high")
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "percent": None if self.percent is None else dict(zip(names, self.percent, strict=True)),
            "clear": self.clear,
        }


def of_quantities(reference: Quantity, other: Quantity) -> Difference:
    """Two quantities: interval arithmetic, so the difference is clear only if the intervals do not touch."""
    gap = other - reference
    percent = None
    if reference.low > 0:
        percent = (
            (other.value / reference.value - 1) * 100,
            (other.low / reference.high - 1) * 100,
            (other.high / reference.low - 1) * 100,
        )
    return Difference(gap.value, gap.low, gap.high, percent)


def of_groups(reference: Sequence[float], other: Sequence[float]) -> Difference:
    """Two groups of which at least one has two values or more: difference of the means with a 95 % interval.

    Two groups: Welch's, degrees of freedom after Satterthwaite (B. L. Welch, The generalization of "Student's" problem
    when several different population variances are involved, Biometrika 34, 1947). A single value against a group is
    taken to spread as the group does (J. R. Crawford and D. C. Howell, Comparing an individual's test score against
    norms derived from small samples, The Clinical Neuropsychologist 12, 1998). Raises ValueError for two single values.
    """
    groups = (reference, other)
    gap = fmean(other) - fmean(reference)
    repeated = [group for group in groups if len(group) > 1]
    if not repeated:
        raise ValueError("one of the groups needs two values or more")
    half = 0.0
    if len(repeated) == 1:
        freedom = len(repeated[0]) - 1
        half = t_quantile(freedom) * math.sqrt(variance(repeated[0]) * (1 + 1 / len(repeated[0])))
    elif (spread := sum(terms := [variance(group) / len(group) for group in groups])) > 0:
        freedom = spread**2 / sum(
            term**2 / (len(group) - 1) for term, group in zip(terms, groups, strict=True)
        )
        half = t_quantile(freedom) * math.sqrt(spread)
    mean = fmean(reference)
    percent = tuple(value / mean * 100 for value in (gap, gap - half, gap + half)) if mean > 0 else None
    return Difference(gap, gap - half, gap + half, percent)  # pyright: ignore[reportArgumentType]


def counts_of(record: RunRecord) -> dict[str, float]:
    """Sums of the counts of a run's spans; a span inside one that has the same count adds nothing."""
    spans = record.spans
    sums: dict[str, float] = {}
    for row, detail in spans.details.items():
        for name, value in detail.get("counts", {}).items():
            if isinstance(value, int | float) and not _counted_above(spans, row, name):
                sums[name] = sums.get(name, 0.0) + value
    return sums


def _counted_above(spans: Spans, row: int, name: str) -> bool:
    parent = int(spans.parents[row])
    while parent >= 0:
        if name in spans.details.get(parent, {}).get("counts", {}):
            return True
        parent = int(spans.parents[parent])
    return False

"""How two runs, or two groups of runs, differ, and whether that is more than their intervals or their spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from wattmark.quantity import Quantity
from wattmark.runs.record import RunRecord, Spans
from wattmark.statistics import difference_of_means


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
    """Two groups of which at least one has two values or more: difference of the means with a 95 % interval (see
    :func:`wattmark.statistics.difference_of_means`). Raises ValueError for two single values."""
    gap, half = difference_of_means(reference, other)
    low, high, mean = gap - half, gap + half, fmean(reference)
    percent = (gap / mean * 100, low / mean * 100, high / mean * 100) if mean > 0 else None
    return Difference(gap, low, high, percent)


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

"""Prometheus text as exporters and model servers serve it: samples with their labels, and what histograms say of a time
between two readings (exposition formats 0.0.4 and OpenMetrics 1.0)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

_SAMPLE = re.compile(r'([a-zA-Z_:][\w:]*)(?:\{((?:[^"}]|"(?:\\.|[^"\\])*")*)\})?[ \t]+(\S+)')
_LABEL = re.compile(r'([a-zA-Z_]\w*)\s*=\s*"((?:\\.|[^"\\])*)"')
_ESCAPES = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


class Between(NamedTuple):
    """A value and the bounds between which it lies; high is None where there is no upper one."""

    value: float
    low: float
    high: float | None


class Sample(NamedTuple):
    """One line: a name, its labels as they stand between the braces, and a finite value."""

    name: str
    labels: str
    value: float


def samples(text: str, wanted: Callable[[str], bool]) -> Iterator[Sample]:
    """The samples whose name is wanted; lines that cannot be read, and values that are no number, are passed over."""
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if found is None or not wanted(found[1]):
            continue
        try:
            value = float(found[3])
        except ValueError:
            continue
        if math.isfinite(value):  # NaN: the server does not know either
            yield Sample(found[1], found[2] or "", value)


def labels_of(text: str) -> dict[str, str]:
    """The labels between the braces of a sample, by name."""
    return {
        name: re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), value)
        for name, value in _LABEL.findall(text)
    }


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram at one moment, all label sets together. below: counts of values up to each bound, by bound."""

    count: float
    total: float
    below: Mapping[float, float]

    def since(self, before: Histogram) -> Histogram | None:
        """What came in between; None if it was started anew meanwhile, so that counts went back."""
        below = {bound: count - before.below.get(bound, 0.0) for bound, count in self.below.items()}
        count, total = self.count - before.count, self.total - before.total
        if count < 0 or min(below.values(), default=0.0) < 0:
            return None
        return Histogram(count, total, below)

    @property
    def mean(self) -> float | None:
        """The mean of all values; None without any."""
        return self.total / self.count if self.count > 0 else None

    def percentile(self, percent: float) -> Between | None:
        """A percentile, evenly spread within its bucket, with the bounds of the bucket as its interval; None without values.

        No more than one in n values that are not negative exceeds n times their mean (Markov's inequality), which tells more
        than a first bucket that holds them all. Beyond the last bound there is no upper end, and the value is that bound.
        """
        if self.count <= 0 or not self.below:
            return None
        rank = percent / 100 * self.count
        edges = [(0.0, 0.0), *sorted(self.below.items())]
        for (low, fewer), (high, count) in pairwise(edges):
            if count >= rank and count > fewer:
                if percent < 100 and self.total >= 0:
                    high = min(high, max(low, self.total / self.count / (1 - percent / 100)))
                if math.isinf(high):
                    return Between(low, low, None)
                return Between(low + (high - low) * max(0.0, rank - fewer) / (count - fewer), low, high)
        return Between(edges[-1][0], edges[-1][0], None)


def histograms(found: Iterable[Sample]) -> dict[str, Histogram]:
    """The histograms among the samples, by name without the ending; label sets are added up."""
    counts: dict[str, float] = {}
    totals: dict[str, float] = {}
    below: dict[str, dict[float, float]] = {}
    for sample in found:
        base, _, ending = sample.name.rpartition("_")
        if ending == "count":
            counts[base] = counts.get(base, 0.0) + sample.value
        elif ending == "sum":
            totals[base] = totals.get(base, 0.0) + sample.value
        elif ending == "bucket":
            try:
                bound = float(labels_of(sample.labels).get("le", ""))
            except ValueError:
                continue
            own = below.setdefault(base, {})
            own[bound] = own.get(bound, 0.0) + sample.value
    return {
        name: Histogram(count, totals[name], below.get(name, {}))
        for name, count in counts.items()
        if name in totals
    }

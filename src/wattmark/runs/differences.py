"""How two quantities, or two groups of repeats, differ, and whether that is more than what may be wrong with them.

The errors that both have (the scale of one sensor, the grid of one zone) cancel where they should; what is left decides.
The verdict is that of the ratio where there is one: it is clear if its interval leaves out 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from wattmark.quantity import KINDS, SCATTER, Quantity, Shift, kind_of, own_error, total
from wattmark.runs.record import RunRecord, Spans
from wattmark.statistics import Pooled, difference_of_means, mean_half_width
from wattmark.units import significant

_MOST_CAUSES = 2
_NOTHING = 1e-9
"""What is left of a common error, relative to the value: rounding, not an error."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``other - reference`` and ``other / reference``, each with its interval. ratio: None where the reference may be 0.
    common: kinds of error that both have, and that the ratio therefore knows less of."""

    gap: Quantity
    ratio: Quantity | None
    common: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """``other - reference``."""
        return self.gap.value

    @property
    def low(self) -> float:
        """The lower end of the difference."""
        return self.gap.low

    @property
    def high(self) -> float:
        """The upper end of the difference."""
        return self.gap.high

    @property
    def percent(self) -> tuple[float, float, float] | None:
        """The difference in percent of the reference, with its ends; None where the reference may be 0."""
        if self.ratio is None:
            return None
        low, high = self.ratio.interval()
        return (self.ratio.value - 1) * 100, (low - 1) * 100, (high - 1) * 100

    @property
    def clear(self) -> bool:
        """Whether the interval of the ratio leaves out 1 (that of the difference 0, where there is no ratio)."""
        if self.ratio is None:
            low, high = self.gap.interval()
            return low > 0 or high < 0
        low, high = self.ratio.interval()
        return low > 1 or high < 1

    @property
    def rests_on(self) -> tuple[str, ...]:
        """What would have to be wrong for it to be otherwise: the largest errors that do not cancel, in words."""
        budget = (self.ratio or self.gap).budget()
        whole = sum((below + above) ** 2 for _, below, above in budget)
        return tuple(
            KINDS.get(kind, (kind, ""))[0]
            for kind, below, above in budget[:_MOST_CAUSES]
            if (below + above) ** 2 >= 0.05 * whole > 0
        )

    def as_dict(self) -> dict[str, object]:
        """As ``compare --json`` shows it."""
        names = ("value", "low", "high")
        percent = self.percent
        return {
            **self.gap.as_dict(),
            "percent": None if percent is None else dict(zip(names, percent, strict=True)),
            "ratio": None if self.ratio is None else self.ratio.as_dict(),
            "clear": self.clear,
            "common": list(self.common),
            "rests_on": list(self.rests_on),
        }


def times(ratio: Quantity) -> str:
    """A ratio in words: ``3.62 times [2.10, 6.24]``."""
    low, high = ratio.interval()
    return f"{significant(ratio.value)} times [{significant(low)}, {significant(high)}]"


def of_quantities(reference: Quantity, other: Quantity) -> Difference:
    """Two quantities."""
    ratio = other / reference if reference.value > 0 else None
    if ratio is not None and not math.isfinite(ratio.high):
        ratio = None
    shared = {kind_of(name): None for name in reference.terms if name in other.terms}
    return Difference(other - reference, ratio, tuple(shared))


def of_repeats(
    reference: Sequence[Quantity], other: Sequence[Quantity], pooled: Pooled | None = None
) -> Difference:
    """Means of two groups of repeats, of which at least one has two or more; what the repeats share does not shrink.

    The scatter of the ratio is that of the logarithms, so that halves and doubles weigh alike. pooled: theirs over further
    groups that are taken to scatter alike, which two or three repeats say little of by themselves.
    """
    difference = of_quantities(mean_of(reference), mean_of(other))
    groups = [[part.value for part in group] for group in (reference, other)]
    half = difference_of_means(*groups)[1]
    ratio = difference.ratio
    if ratio is not None and all(value > 0 for group in groups for value in group):
        logs = [[math.log(value) for value in group] for group in groups]
        common = None if pooled is None else pooled.half_width(*logs)
        reach = difference_of_means(*logs)[1] if common is None else common
        if common is not None:
            half = math.expm1(common) * fmean(groups[1])
        down, up = ratio.value * -math.expm1(-reach), ratio.value * math.expm1(reach)
        ratio = ratio.with_error(f"{SCATTER}/{own_error()}", down, up)
    return Difference(difference.gap.with_error(f"{SCATTER}/{own_error()}", half), ratio, difference.common)


def mean_of(repeats: Sequence[Quantity]) -> Quantity:
    """The mean with the errors of its parts and without their scatter."""
    whole = total(repeats, repeats[0].unit)
    assert whole is not None, "no mean of nothing"
    return whole / len(repeats)


def mean_with_scatter(repeats: Sequence[Quantity], error: str | None = None) -> Quantity:
    """The mean over repeats: their scatter (Student) in quadrature with what does not shrink by repeating.

    error: the name of the scatter, which nothing shares, if it has none."""
    mean = mean_of(repeats)
    half = mean_half_width([part.value for part in repeats])
    if half is None:
        return mean
    name = error or f"{SCATTER}/{own_error()}"
    return mean.with_error(name, half).with_source(f"mean of {len(repeats)} runs")


@dataclass(frozen=True, slots=True)
class Apart:
    """Quantities with what they all err by taken out.

    own: each with the errors that differ between them, on which their comparison rests. common: how many times what is said
    all of them may be together, 1 with its interval, which no ratio of two of them knows; None where they share nothing.
    """

    own: tuple[Quantity | None, ...]
    common: Quantity | None

    @property
    def words(self) -> str:
        """The common part in one line for a figure; empty where there is none."""
        if self.common is None:
            return ""
        below, above = (100 * abs(end - 1) for end in self.common.interval())
        size = f"-{significant(below, 2)} to +{significant(above, 2)} %"
        causes = [KINDS.get(kind, (kind, ""))[0] for kind, *_ in self.common.budget()[:_MOST_CAUSES]]
        return f"All together may be off by {size} ({'; '.join(causes)}): it changes no ratio between them."


def apart(quantities: Sequence[Quantity | None]) -> Apart:
    """What some quantities of one unit have in common, and what is each one's own.

    An error is common if all of them have it, by the share of the value that it moves them on average; what it moves one of
    them more or less than that stays with it.
    """
    known = [one for one in quantities if one is not None and one.value > 0]
    names = set[str](known[0].terms) if len(known) > 1 else set[str]()
    names.intersection_update(*(one.terms for one in known))
    common: dict[str, Shift] = {}
    for name in known[0].terms if known else ():
        if name in names:
            shares = [(one.terms[name][0] / one.value, one.terms[name][1] / one.value) for one in known]
            common[name] = fmean(down for down, _ in shares), fmean(up for _, up in shares)
    if not common:
        return Apart(tuple(quantities), None)
    whole = Quantity(1.0, unit="", terms=common, at_least=0.0)
    return Apart(tuple(one and _less(one, common) for one in quantities), whole)


def _less(quantity: Quantity, common: Mapping[str, Shift]) -> Quantity:
    """Without the shares of its value that some errors move it by."""
    if quantity.value <= 0:
        return quantity
    terms: dict[str, Shift] = {}
    for name, shift in quantity.terms.items():
        shares = common.get(name, (0.0, 0.0))
        down, up = (end - share * quantity.value for end, share in zip(shift, shares, strict=True))
        if max(abs(down), abs(up)) > _NOTHING * quantity.value:
            terms[name] = down, up
    return Quantity(
        quantity.value, unit=quantity.unit, source=quantity.source, terms=terms,
        at_least=quantity.at_least, at_most=quantity.at_most,
    )  # fmt: skip


def counts_of(record: RunRecord) -> dict[str, float]:
    """Sums of the counts of a run's spans; a span inside one that has the same count adds nothing."""
    spans = record.spans
    sums: dict[str, float] = {}
    for row, detail in spans.details.items():
        for name, value in detail.get("counts", {}).items():
            if not _counted_above(spans, row, name):
                sums[name] = sums.get(name, 0.0) + value
    return sums


def _counted_above(spans: Spans, row: int, name: str) -> bool:
    parent = int(spans.parents[row])
    while parent >= 0:
        if name in spans.details.get(parent, {}).get("counts", {}):
            return True
        parent = int(spans.parents[parent])
    return False

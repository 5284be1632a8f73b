"""More or fewer epochs: the run's own epochs tell what further ones cost, with an interval.

An epoch counts from its start to the next one's start, so what happens between epochs (an evaluation, a checkpoint)
belongs to it; what is before the first and after the last (preparation, export) is there once, however many epochs.
Epochs to come cost the mean of the settled ones. The interval of the sum of ``m`` of them after ``n`` settled ones is
``m`` times the mean plus and minus three parts, added up: ``t s sqrt(m + m^2/n)`` (the prediction interval of a sum:
Hahn and Meeker, Statistical Intervals, 1991, section 4.8), half the drift between the halves of what was measured, and
:data:`DRIFT` over ``sqrt(n)`` for the drift that few epochs cannot show.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wattmark.predict.profile import Rule, settled_block
from wattmark.predict.whatif.state import Unpredictable
from wattmark.quantity import EDGES, FIT, Quantity, own_error, total
from wattmark.runs.record import Float64, Int64, RunRecord
from wattmark.runs.view import RunView
from wattmark.statistics import t_quantile

EPOCH = "epoch"
MOST_EPOCHS = 1_000_000
_EPOCH_RULE = Rule(smallest=0.05)  # one epoch is a whole piece of work, so one alone may be a warm-up
DRIFT = 0.3
"""Early epochs differ from later ones by more than their own spread (a GPU draws less in the first minutes of the
GAISSA trainings). With this share of the mean, over sqrt(n), the interval held for 87 to 100 % of those traces
(benchmarks/results/what_if.md)."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One measured epoch (number from 1): when it began (seconds from the run's start), seconds, joules by component."""

    number: int
    start_s: float
    duration_s: Quantity
    by_component: dict[str, Quantity]

    @property
    def energy_j(self) -> Quantity:
        """All components together."""
        return total(list(self.by_component.values())) or Quantity.exact(0.0)


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """A run with another number of epochs: joules by component and seconds."""

    by_component: dict[str, Quantity]
    duration_s: Quantity
    source: str


def epochs_of(view: RunView) -> tuple[Epoch, ...]:
    """The epochs that the run measured, in time; empty where it has no spans named ``epoch``."""
    edges = _edges(view.record)
    if edges is None:
        return ()
    starts, ends = edges
    energies = view.between(starts, ends)
    return tuple(
        Epoch(
            row + 1,
            float(starts[row] - view.record.start_ns) / 1e9,
            Quantity.exact(float(ends[row] - starts[row]) / 1e9, "s", "measured"),
            {component: got.quantity(row, "measured") for component, got in energies.items() if got.covered_s[row] > 0},
        )
        for row in range(len(starts))
    )  # fmt: skip


def extrapolate(
    view: RunView, count: int, totals: dict[str, Quantity] | None = None
) -> Extrapolation | Unpredictable:
    """The run as if it had had ``count`` epochs. With the number that it had, exactly what it measured.

    totals: the run's joules by component, by default all that it has.
    """
    measured = epochs_of(view)
    if not measured:
        return Unpredictable("the run has no spans named 'epoch'")
    if not 1 <= count <= MOST_EPOCHS:
        return Unpredictable(f"the number of epochs must be from 1 to {MOST_EPOCHS:,}")
    totals = view.energy_by_component if totals is None else totals
    duration_s = Quantity.exact(view.record.duration_s, "s", "measured")
    if count == len(measured):
        return Extrapolation(dict(totals), duration_s, "measured")
    if count < len(measured):
        return _shortened(totals, duration_s, measured, count)
    settled = settled_epochs(measured)
    if len(settled) < 2:
        return Unpredictable("one settled epoch does not say how much epochs differ; measure at least two")
    more = count - len(measured)
    source = (
        f"{len(settled)} settled of {len(measured)} measured epochs, prediction interval of {more:,} more"
    )
    kept = {component for epoch in measured for component in epoch.by_component} & set(totals)
    by_component = dict(totals)
    for component in kept:
        values = [epoch.by_component[component] for epoch in settled if component in epoch.by_component]
        if len(values) < 2:
            return Unpredictable(f"the epochs do not all have joules of {component}")
        by_component[component] = totals[component] + future(values, more, "J", totals[component].source)
    seconds = future([epoch.duration_s for epoch in settled], more, "s", "measured")
    return Extrapolation(by_component, duration_s + seconds, source)


def settled_epochs(epochs: Sequence[Epoch]) -> Sequence[Epoch]:
    """Without the first ones that have not settled (caches, compilation, warm-up), by the rule of
    :mod:`wattmark.predict.profile`: at most a third of them, and none where nothing settled."""
    joules = np.array([epoch.energy_j.value for epoch in epochs])
    if len(epochs) < 3:
        return epochs
    start = settled_block(joules, _EPOCH_RULE) or 0
    return epochs[min(start, len(epochs) // 3) :]


def future(measured: Sequence[Quantity], more: int, unit: str, source: str) -> Quantity:
    """The sum of ``more`` further values after at least two measured ones, with the interval at the top of the file."""
    values = np.array([one.value for one in measured])
    count = len(values)
    mean = float(values.mean())
    half = t_quantile(count - 1) * float(values.std(ddof=1)) * math.sqrt(more + more * more / count)
    half += more * abs(mean) * DRIFT / math.sqrt(count)
    if count >= 4:
        middle = count // 2
        half += more * abs(float(values[-middle:].mean() - values[:middle].mean())) / 2
    whole = total(measured, unit)
    assert whole is not None, "no sum of nothing"
    further = (whole / count * more).without(EDGES).with_source(source)
    return further.with_error(f"{FIT}/{own_error()}", half).bounded(0.0)


def _shortened(
    totals: dict[str, Quantity], duration_s: Quantity, measured: Sequence[Epoch], count: int
) -> Extrapolation:
    """The same run without its last epochs. What they cost was measured, so it is taken off as measured."""
    by_component: dict[str, Quantity] = {}
    for component, whole in totals.items():
        cut = sum(
            epoch.by_component[component].value for epoch in measured[count:] if component in epoch.by_component
        )  # fmt: skip
        share = max(0.0, 1 - cut / whole.value) if whole.value > 0 else 1.0
        by_component[component] = whole * share
    seconds = duration_s.value - sum(epoch.duration_s.value for epoch in measured[count:])
    return Extrapolation(
        by_component,
        Quantity.exact(max(0.0, seconds), "s", "measured"),
        f"the first {count} of {len(measured)} measured epochs and all that was not in an epoch",
    )


def _edges(record: RunRecord) -> tuple[Int64, Int64] | None:
    """Starts and ends of the epochs of the first process that has any; an epoch reaches to the next one's start."""
    spans = record.spans
    named = [place for place, name in enumerate(spans.names) if name.casefold() == EPOCH]
    rows = np.flatnonzero(np.isin(spans.name_ids, named) & ~spans.open)
    if not len(rows):
        return None
    first = rows[0]
    rows = rows[(spans.pids[rows] == spans.pids[first]) & (spans.tids[rows] == spans.tids[first])]
    starts, ends = spans.start_ns[rows], spans.end_ns[rows]
    outer = np.ones(len(rows), np.bool_)
    outer[1:] = (
        starts[1:] >= np.maximum.accumulate(ends)[:-1]
    )  # an epoch inside another one is no epoch of the run
    starts, ends = starts[outer], ends[outer]
    gaps: Float64 = (starts[1:] - ends[:-1]).astype(np.float64)
    parent = int(spans.parents[rows[outer][-1]])
    limit = int(spans.end_ns[parent]) if parent >= 0 else record.end_ns
    usual = int(np.median(gaps)) if len(gaps) else 0
    last = max(int(ends[-1]), min(limit, int(ends[-1]) + usual))
    return starts, np.append(starts[1:], last)

"""The steady part of a load test: warm-up cut off, drain cut off, by a rule that is stated beside the figures.

- The end is the moment when the last request was scheduled: afterwards the load falls (drain).
- The start is found by MSER-5 (White, "An effective truncation heuristic for bias reduction in simulation output",
  Simulation 69(6), 1997): end-to-end times, in the order of sending, are averaged in fives, and the cut is where the
  standard error of what remains is smallest, at most half of them. Earlier than the first whole answer it is never.
- A closed loop of one concurrency C has its window between turnovers: from the (wC)th sending to the (kC)th, the last
  multiple, with w of at least two turnovers of warm-up. Loops of equal answers march in step, prompts together and answers
  together; whole turnovers hold as many prompts as answers however they march, and the batch is full all the time.
Both can be overridden.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError
from wattmark.serving.load.records import LoadResult

BATCH = 5
LEAST_BATCHES = 10
WARM_UP_TURNOVERS = 2
FEWEST_TURNOVERS = 3
TURNOVERS = 10
FEWEST_REQUESTS = 100


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time [start_ns, end_ns), and the rule by which it was chosen."""

    start_ns: int
    end_ns: int
    rule: str

    @property
    def duration_s(self) -> float:
        """Its length in seconds."""
        return (self.end_ns - self.start_ns) / 1e9


def steady_window(
    result: LoadResult, *, warm_up_s: float | None = None, drain_s: float | None = None
) -> Window | None:
    """The steady part of a load test, or None if no request was answered.

    warm_up_s, drain_s: cut off so much at the start and at the end instead (of the time from the first sending to the
    last answer). Raises ConfigError if nothing would be left. Tests of fewer than 50 answers are taken whole.
    """
    pairs = sorted(
        (each.sent_ns, each.end_ns)
        for each in result.ok
        if each.sent_ns is not None and each.end_ns is not None
    )
    if not pairs:
        return None
    sent, ended = np.array(pairs, np.int64).T
    first, last = int(sent[0]), int(ended.max())
    if warm_up_s is not None or drain_s is not None:
        start, end = first + int((warm_up_s or 0) * 1e9), last - int((drain_s or 0) * 1e9)
        if start >= end:
            raise ConfigError(f"nothing is left of {(last - first) / 1e9:.1f} s without warm-up and drain")
        return Window(
            start, end, f"given: {warm_up_s or 0:g} s of warm-up and {drain_s or 0:g} s of drain cut off"
        )
    if len(pairs) < BATCH * LEAST_BATCHES:
        return Window(first, last, f"whole: fewer than {BATCH * LEAST_BATCHES} answers")
    if result.concurrency is not None:
        return _turnovers(sent, ended, result.concurrency) or Window(
            first,
            last,
            f"whole: {len(pairs)} answers hold too few turnovers of {result.concurrency} at a time",
        )
    end = min(last, max(record.scheduled_ns for record in result.records))
    cut = mser_cut((ended - sent).astype(np.float64))
    start = max(int(sent[cut]), int(ended.min())) if cut else first
    if start >= end:  # all were sent at once: there is no time between warm-up and drain
        return Window(first, last, "whole: all requests were sent before the first answer")
    return Window(
        start, end, f"MSER-5: {cut} of {len(pairs)} requests are warm-up; drain from the last sending on"
    )


def requests_for(concurrency: int) -> int:
    """How many requests give a closed loop of this concurrency figures within 2 % of those of a long load (for answers of
    equal length; by benchmarks/serving_bias.py): ten turnovers, and at least a hundred."""
    return max(FEWEST_REQUESTS, TURNOVERS * concurrency + 1 if concurrency > 1 else 0)


def _turnovers(sent: NDArray[np.int64], ended: NDArray[np.int64], concurrency: int) -> Window | None:
    """Whole turnovers of a closed loop; None if fewer than three are left after the warm-up."""
    last = (len(sent) - 1) // concurrency
    settled = mser_cut((ended - sent).astype(np.float64))
    warm = min(max(WARM_UP_TURNOVERS, -(-settled // concurrency)), last // 2)
    if warm < 1 or last - warm < FEWEST_TURNOVERS or sent[warm * concurrency] >= sent[last * concurrency]:
        return None
    return Window(
        int(sent[warm * concurrency]),
        int(sent[last * concurrency]),
        f"steady: {last - warm} turnovers of {concurrency} at a time, {warm} of warm-up before and the drain after left out",
    )


def mser_cut(values: NDArray[np.float64]) -> int:
    """How many values to drop at the start: a multiple of five, at most half. values: (n,), in order."""
    batches = len(values) // BATCH
    means = values[: batches * BATCH].reshape(batches, BATCH).mean(axis=1)
    # Sums from each place to the end, so that all cuts cost one pass; centred first, which keeps the digits.
    means = means - means.mean()
    count = np.arange(batches, 0, -1)
    total, squares = np.cumsum(means[::-1])[::-1], np.cumsum(means[::-1] ** 2)[::-1]
    error = (squares - total**2 / count) / count**2
    return int(np.argmin(error[: batches // 2 + 1])) * BATCH

"""How long a run will take, from marks of its progress: seconds with an interval.

What was done since the first mark (before it the program starts) is cut into at most 20 pieces of equal work; what is left
costs the mean of the later ones. The interval is that of a sum of further pieces
(:func:`wattmark.predict.extrapolate.future`). Where the last mark is much older than a piece takes, the run may stand
still: it is taken to do so as long again as it has, and the interval gets much wider.

Where nobody says how much there is to do, runs of the same name that have ended tell it: the middle one of those that
lasted longer, with what separates them. Without any, nothing can be said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from wattmark.errors import ConfigError
from wattmark.predict.conformal import Z90
from wattmark.predict.extrapolate import future
from wattmark.predict.live.progress import Progress
from wattmark.quantity import FIT, Z95, Quantity
from wattmark.statistics import Float64

PIECES = 20
ONE_PIECE = (1.0, 0.6)
"""By which share less and more (95 %) what is left may be, where one piece of the work is all that was seen: a judgement.
Most of that piece may have been the program's start."""
ALONE = 1.0
"""And of the logarithm of a run's length, where one run that ended is all that is known: a factor of 2.7."""
STALL = 3.0
"""A run is said to stand still when the last mark is older than this many times what the work between two marks takes."""
_TERM = f"{FIT}/length"


def length_of(progress: Progress, now_s: float) -> tuple[Quantity, tuple[str, ...]]:
    """Seconds of the whole run, and what is unusual about them. Raises ConfigError where the total is not known."""
    total, marks = progress.total, progress.marks
    if total is None or not marks or progress.done <= 0:
        raise ConfigError(
            "nothing says how much of the work is done",
            hint="wattmark run --epochs N, run.expect(epochs=N), or a progress bar with its total",
        )
    notes: list[str] = []
    if progress.restarts:
        notes.append(f"the progress went back {progress.restarts} times: what was done before is not counted")
    last_s, done = marks[-1]
    left = max(0.0, total - done)
    pieces, size = _pieces(progress)
    usual_s = float(np.median(pieces)) * _between_marks(marks) / size
    silent_s = now_s - last_s
    if left == 0:
        return Quantity.exact(now_s, "s", "measured"), tuple(notes)
    more = left / size
    if len(pieces) >= 2:
        rest = _sum_of(pieces, more)
    else:
        value = float(pieces[0]) * more
        rest = Quantity(value, unit="s", terms={_TERM: (-ONE_PIECE[0] * value, ONE_PIECE[1] * value)})
        notes.append("only one piece of the work was seen")
    rest_s = max(0.0, rest.value - min(silent_s, usual_s))  # a part of it has gone by
    below, above = rest.value - rest.low, rest.high - rest.value
    late_s = max(0.0, silent_s - max(STALL * usual_s, 1.0))
    if late_s:
        notes.append(f"no progress for {silent_s:.0f} s, where {usual_s:.2g} s are usual")
        # it may stand still as long again as it has (Gott, Nature 363, 1993), or nineteen times as long
        rest_s += silent_s
        above += 18 * silent_s
    time = Quantity(
        now_s + rest_s,
        unit="s",
        source="progress",
        terms={_TERM: (-min(below + (silent_s if late_s else 0.0), rest_s), above)},
        at_least=now_s,
    )
    return time, tuple(notes)


def length_like(earlier_s: Sequence[float], now_s: float) -> Quantity | None:
    """Seconds of the whole run where earlier ones of its kind took these; None where none of them took longer than now."""
    longer = np.log(sorted(one for one in earlier_s if math.isfinite(one) and one > now_s))
    if not len(longer):
        return None
    middle = float(np.median(longer))
    apart = np.sort(np.abs(longer - middle))
    place = math.ceil(0.9 * (len(apart) + 1))
    if len(apart) == 1:
        half = ALONE
    elif place <= len(apart):
        half = max(0.05, float(apart[place - 1]))
    else:
        half = max(0.05, float(apart[-1]) * (len(apart) + 1) / len(apart))
    value = math.exp(middle)
    scale = Z95 / Z90
    return Quantity(
        value,
        unit="s",
        source=f"{len(earlier_s)} earlier runs",
        terms={_TERM: (value * (math.exp(-half) - 1) * scale, value * (math.exp(half) - 1) * scale)},
        at_least=now_s,
    )


def _sum_of(pieces: Float64, more: float) -> Quantity:
    settled = pieces[len(pieces) // 2 :] if len(pieces) >= 4 else pieces
    if more >= 1:
        whole = future([Quantity.exact(float(one), "s") for one in settled], math.ceil(more), "s", "progress")
        return whole * (more / math.ceil(more))
    return future([Quantity.exact(float(one), "s") for one in settled], 1, "s", "progress") * more


def _pieces(progress: Progress) -> tuple[Float64, float]:
    """Seconds of pieces of equal work, (k,), k <= 20, and the size of a piece in units."""
    if len(progress.marks) == 1:  # the start of the program is in it: importing, loading
        return np.array([max(progress.marks[0][0], 1e-9)]), progress.marks[0][1]
    marks: Float64 = np.array(progress.marks, np.float64)
    if progress.unit == "epochs" and len(marks) <= PIECES and np.all(np.diff(marks[:, 1]) == 1.0):
        return np.diff(marks[:, 0]), 1.0
    first, last = float(marks[0, 1]), float(marks[-1, 1])
    count = min(PIECES, len(marks) - 1)
    edges: Float64 = np.linspace(first, last, count + 1)
    return np.maximum(np.diff(np.interp(edges, marks[:, 1], marks[:, 0])), 1e-9), (last - first) / count


def _between_marks(marks: Sequence[tuple[float, float]]) -> float:
    """The units between two marks, the middle one of those that were seen."""
    done = np.array([0.0, *(mark[1] for mark in marks)])
    return float(np.median(np.diff(done))) if len(done) > 1 else float(done[-1])

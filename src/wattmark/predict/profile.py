"""Short profiling: the energy of a whole run from its first part.

The rule, with numbers that are round and the same for every trace: the profiled part is divided into 20 blocks of
equal length. It is split where that lowers the squared deviation of the block means most (each side at least 15 % of
the blocks), and the first side is dropped as long as the two sides' means differ by more than 5 %. What is left is the
settled part, if it is not what comes and goes: a part that draws less than what went before must be half of the
blocks, and a level that was there in the first half of what would be dropped is no end of a warm-up. A run with periodic
stalls (checkpoints) is so *not settled*: nothing is dropped. The energy seen so far is kept as it was measured, and
the rest of the run is taken to draw the settled part's mean, or that of all of it where nothing settled. The same
rule finds the settled epochs (predict/extrapolate.py).

The interval of the rest is the settled part's scatter (Student) and what a share ``w`` of a run cannot show:
:data:`UNSEEN` / w, from the 60 traces of benchmarks/short_profiling.py. Where nothing settled it is twice that, and
at least from the lowest to the highest block.

The length of the run (its duration, or its number of epochs) must be known; an error in it goes straight into the result.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from wattmark.quantity import Quantity
from wattmark.runs.view import RunView
from wattmark.statistics import Float64, t_quantile
from wattmark.studies.results import TrialResult

WINDOWS = (0.02, 0.05, 0.10, 0.15, 0.20, 0.30, 0.50)
_FEWEST_POINTS = 50  # below, 2 % of a run is not even one reading


class Rule(NamedTuple):
    """How the settled part is found: number of blocks, smallest side as a share of them, tolerated difference.

    falling: the least share of a settled part that draws less than what went before. alike: levels that differ by no more
    are one level.
    """

    blocks: int = 20
    smallest: float = 0.15
    tolerance: float = 0.05
    falling: float = 0.5
    alike: float = 0.05


RULE = Rule()
UNSEEN, UNSETTLED = 0.024, 2.0
"""Relative half width (95 %) of the rest's mean power, times the share of the run that was seen; and times this where
nothing settled (benchmarks/short_profiling.py)."""


@dataclass(frozen=True, slots=True)
class Extrapolation:
    """total_j: the whole run's energy, with its 95 % interval without the sensor's own error. settled_s: where the settled
    part begins, in seconds from the start of the run; None: not settled."""

    total_j: Quantity
    settled_s: float | None


@dataclass(frozen=True, slots=True)
class ProfilingError:
    """Errors over ``trials`` runs of totals extrapolated from the first ``window`` (0..1), as shares of the true total.

    mean, median, p90: of the absolute error. bias: the mean with its sign. naive_mean: mean absolute error when the mean
    power of the window is taken for the whole run.
    """

    window: float
    by: Literal["time", "epochs"]
    trials: int
    mean: float
    median: float
    p90: float
    bias: float
    naive_mean: float


def settled_block(blocks: Float64, rule: Rule = RULE) -> int | None:
    """The block at which the settled part begins; None: not settled. blocks: (n,) mean powers or energies of equal
    pieces, in time."""
    start = _last_change(blocks, rule)
    before, rest = blocks[:start], blocks[start:]
    if start == 0:
        return 0
    level = float(rest.mean())
    if before.mean() > level and len(rest) < rule.falling * len(blocks):
        return None
    early = before[: max(1, start // 2)]
    if before.mean() <= level:
        recurs = bool((early >= (1 - rule.alike) * level).any())
    else:
        recurs = bool((early <= (1 + rule.alike) * level).any())
    return None if recurs else start


def _last_change(blocks: Float64, rule: Rule) -> int:
    n = len(blocks)
    smallest = max(1, round(rule.smallest * n))
    start = 0
    while n - start >= 2 * smallest:
        rest = blocks[start:]
        left = np.arange(smallest, len(rest) - smallest + 1)
        sums = np.cumsum(rest)
        before = sums[left - 1] / left
        after = (sums[-1] - sums[left - 1]) / (len(rest) - left)
        split = int(np.argmax(left * (len(rest) - left) * (before - after) ** 2))
        if abs(before[split] - after[split]) <= rule.tolerance * abs(after[split]):
            break
        start += int(left[split])
    return start


def block_powers(t_s: Float64, curve: Float64, rule: Rule = RULE) -> tuple[Float64, Float64]:
    """Edges (blocks + 1,) in seconds, and mean powers (blocks,), of the blocks of a profile. curve: (n,) joules at t_s."""
    edges = np.linspace(float(t_s[0]), float(t_s[-1]), rule.blocks + 1)
    return edges, np.diff(np.interp(edges, t_s, curve)) / (edges[1] - edges[0])


def extrapolate(
    t_s: Float64, power_w: Float64, total_s: float, rule: Rule = RULE, curve: Float64 | None = None
) -> Extrapolation:
    """The total energy of a run of ``total_s`` seconds from its first part.

    t_s: (n,) rising seconds from the start of the run; power_w: (n,) readings; both of the profiled part only. The time
    before the first reading is taken to draw its power. curve: (n,) joules since the first reading, by default of the
    readings. Raises ValueError below two readings or when ``total_s`` is shorter.
    """
    if len(t_s) < 2:
        raise ValueError("a profile needs at least two readings")
    if total_s < t_s[-1]:
        raise ValueError(f"a run of {total_s} s cannot have a profile of {t_s[-1]} s")
    curve = cumulative_j(t_s, power_w) if curve is None else curve
    start, end, seen = float(t_s[0]), float(t_s[-1]), float(curve[-1])
    edges, watts = block_powers(t_s, curve, rule)
    block = settled_block(watts, rule)
    steady = watts[block or 0 :]
    mean_w, rest_s = float(steady.mean()), total_s - end
    scatter_w = t_quantile(len(steady) - 1) * float(steady.std(ddof=1)) / math.sqrt(len(steady))
    half_w = math.hypot(
        scatter_w, mean_w * UNSEEN * total_s / end * (1.0 if block is not None else UNSETTLED)
    )
    low_w, high_w = mean_w - half_w, mean_w + half_w
    if block is None:
        low_w, high_w = min(low_w, float(watts.min())), max(high_w, float(watts.max()))
    known_j = seen + float(power_w[0]) * start
    low, value, high = (known_j + watt * rest_s for watt in (max(0.0, low_w), mean_w, high_w))
    total = Quantity(
        value, min(low, value), max(high, value), "J", "extrapolated" if rest_s > 0 else "measured"
    )
    return Extrapolation(total, None if block is None else float(edges[block]))


def extrapolate_run(view: RunView, total_s: float, rule: Rule = RULE) -> Extrapolation:
    """The energy of a run as if it had gone on for ``total_s`` seconds, from its own joules: measured, modelled or imported.

    Raises ValueError if the run has no joules, no length, or is longer than ``total_s``.
    """
    record = view.record
    if record.duration_s <= 0 or not view.energy_by_component:
        raise ValueError("a run without joules or seconds tells nothing of a longer one")
    edges = np.linspace(record.start_ns, record.end_ns, _FEWEST_POINTS + 1).astype(np.int64)
    energies = view.between(edges[:-1], edges[1:])
    joules = sum((one.value_j for one in energies.values()), np.zeros(_FEWEST_POINTS))
    t_s = (edges - edges[0]) / 1e9
    watts = joules / np.diff(t_s)
    return extrapolate(t_s, np.append(watts, watts[-1]), total_s, rule, np.append(0.0, np.cumsum(joules)))


def extrapolate_epochs(energies_j: Float64, epochs: int, rule: Rule = RULE) -> float:
    """The energy of ``epochs`` epochs from that of the first few, (k,) float64 with k >= 1."""
    start = settled_block(energies_j, rule) or 0
    return float(energies_j.sum() + energies_j[start:].mean() * (epochs - len(energies_j)))


def cumulative_j(t_s: Float64, power_w: Float64) -> Float64:
    """Joules since the first reading, by trapezoids."""
    return np.concatenate(([0.0], np.cumsum((power_w[1:] + power_w[:-1]) * np.diff(t_s) / 2)))


def first_part(t_s: Float64, power_w: Float64, end_s: float) -> tuple[Float64, Float64]:
    """The readings up to ``end_s``, with one interpolated there."""
    inside = t_s < end_s
    edge = float(np.interp(end_s, t_s, power_w))
    return np.append(t_s[inside], end_s), np.append(power_w[inside], edge)


def window_errors(t_s: Float64, power_w: Float64, window: float, rule: Rule = RULE) -> tuple[float, float]:
    """Relative error of one run's extrapolated total, by the rule and by the window's mean power."""
    t_s = t_s - t_s[0]
    total_s = float(t_s[-1])
    truth = float(cumulative_j(t_s, power_w)[-1])
    t, p = first_part(t_s, power_w, window * total_s)
    seen = float(cumulative_j(t, p)[-1])
    return extrapolate(t, p, total_s, rule).total_j.value / truth - 1, seen / window / truth - 1


def profile(trials: Sequence[TrialResult], windows: Iterable[float] = WINDOWS) -> list[ProfilingError]:
    """The errors that short profiling would have made on these trials, by time and by epochs.

    By time: trials whose power profile has at least 50 points. By epochs: the training energy of trials with enough epochs
    for the window to hold one, and measured in all of them.
    """
    traces = [_trace(trial) for trial in trials]
    usable = [trace for trace in traces if len(trace[0]) >= _FEWEST_POINTS and trace[1].sum() > 0]
    epochs = [e for e in map(_epoch_energies, trials) if len(e) > 1]
    found: list[ProfilingError] = []
    for window in windows:
        _append(found, window, "time", [window_errors(t, p, window) for t, p in usable])
    for window in windows:
        _append(
            found, window, "epochs", [_epoch_errors(e, window) for e in epochs if round(window * len(e)) >= 1]
        )
    return found


def _append(
    found: list[ProfilingError],
    window: float,
    by: Literal["time", "epochs"],
    errors: list[tuple[float, float]],
) -> None:
    if errors:
        found.append(summary(window, by, errors))


def summary(
    window: float, by: Literal["time", "epochs"], errors: list[tuple[float, float]]
) -> ProfilingError:
    """(error, naive error) of every run as one row."""
    table = np.array(errors)
    size = np.abs(table[:, 0])
    return ProfilingError(
        window,
        by,
        len(table),
        float(size.mean()),
        float(np.median(size)),
        float(np.quantile(size, 0.9)),
        float(table[:, 0].mean()),
        float(np.abs(table[:, 1]).mean()),
    )


def _trace(trial: TrialResult) -> tuple[Float64, Float64]:
    times, watts = trial.power_profile
    t, p = np.array(times, np.float64), np.array(watts, np.float64)
    known = np.isfinite(t) & np.isfinite(p)
    return t[known], p[known]


def _epoch_energies(trial: TrialResult) -> Float64:
    energies = [stage.energy_j for stage in trial.stages_named("epoch")]
    values = [energy["value"] for energy in energies if energy is not None]
    return np.array(values if len(values) == len(energies) else [], np.float64)


def _epoch_errors(energies: Float64, window: float) -> tuple[float, float]:
    first = energies[: round(window * len(energies))]
    truth = float(energies.sum())
    estimate = extrapolate_epochs(first, len(energies))
    return estimate / truth - 1, float(first.mean()) * len(energies) / truth - 1

"""What a token costs: joules per prefill token, per decode token, and watts of being on, fitted to the intervals of a run.

In every interval of time, energy = prefill tokens x a + decode tokens x b + seconds x c, with a, b, c >= 0: non-negative
least squares (Lawson and Hanson 1974, chapter 23; with three unknowns the best of the seven supports is the solution).
Their intervals come from a moving-block bootstrap over time (Kuensch 1989), since neighbouring intervals are not
independent, widened by the accuracy of the sensor.

The model is linear, a server is not: a decode step for eight requests costs less than eight for one. The costs hold for
the load that they were fitted at. Where the load does not tell two costs apart (the same tokens every second look like
watts of being on), both are None, and a note says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattmark.quantity import FIT, Z95, Quantity, own_error
from wattmark.runs.record import Float64
from wattmark.serving.energy.attribution import (
    EQUAL_WEIGHTS,
    IntervalEnergy,
    RequestColumns,
    TokenWeights,
    tokens_in,
    work_in,
)
from wattmark.statistics import central, t_quantile

FEWEST_BINS = 20
ENOUGH_BINS = 60
"""From so many bins on, a cost of each prompt or of the context that matters is told (benchmarks/serving_bias.py)."""
LONGEST_BIN_S = 2.0
LAGS_S = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Sensors that average or filter come so much later than the work (NVML's averaged power: up to 1 s; Yang, Adamek and
Armour, "Part-time power measurements", 2024)."""
CLEARLY_BETTER = 0.7
"""A lag is believed if it leaves less than this part of the scatter unexplained; chance and starts that are estimated make
smaller differences."""
LEAST_TOLERANCE = 0.02
"""Share of a column (as a sum of squares) that the others must leave unexplained; below it, small errors in the times of
tokens decide how they divide the energy (simulated servers near saturation have 0.003 to 0.02, others 0.1 to 0.6)."""
SAFE_TOLERANCE = 0.2
"""A cost whose column stands this much apart is kept when another could not be told; below it, it may hold part of that."""
MOST_SPREAD = 0.5
"""A cost whose interval reaches further than this part of its value to either side is None: it would be a guess."""
TOLD_ERROR, ESTIMATED_ERROR, PROMPTS_ERROR, EQUAL_ERROR = (0.2, 0.2), (0.25, 0.25), (0.4, 0.4), (0.5, 1.0)
"""What nineteen in twenty requests are within, on nine simulated servers with known costs (benchmarks/serving_bias.py,
which chose these numbers): weighed by fitted costs with starts that the server tells, with estimated ones, with estimated
ones where each prompt costs something of its own, and every token alike."""
_UNITS = ("J/token", "J/token", "W")
_NAMES = ("a prefill token", "a decode token", "being on")


@dataclass(frozen=True, slots=True)
class TokenCosts:
    """Fitted costs, None where the data do not tell them.

    prefill_j, decode_j: J per token. on_w: W of being on, the given watts if they were given. explained: share of
    the variance over time that the costs explain. bins: intervals fitted. notes: what a reader must know. prompt_j: J of a
    prompt, however long; context_j: J of a decode token for each token of its context: each 0 unless the data tell it, and
    then only in ``shape``, the weights of attribution, since it takes its part from the plain costs. lag_s: by how much the
    sensor comes after the work.
    """

    prefill_j: Quantity | None
    decode_j: Quantity | None
    on_w: Quantity | None
    explained: float | None
    bins: int
    notes: tuple[str, ...] = ()
    prompt_j: float = 0.0
    context_j: float = 0.0
    lag_s: float = 0.0
    shape: TokenWeights | None = None

    @property
    def weights(self) -> TokenWeights:
        """How prefill and decode weigh in attribution: by their costs, or all tokens alike if one is not known."""
        if self.prefill_j is None or self.decode_j is None:
            return EQUAL_WEIGHTS
        rule = "prefill and decode tokens by their fitted costs"
        if self.bins < ENOUGH_BINS:
            rule += "; too short a load to tell what each prompt and the context cost"
        return self.shape or TokenWeights(self.prefill_j.value, self.decode_j.value, rule)

    def request_error(self, *, starts_told: bool) -> tuple[float, float]:
        """How far the joules of one request may be off by the rule alone, downwards and upwards, as shares of them.

        starts_told: whether the server says when it began each prompt; else that is estimated from first tokens, and what a
        prompt costs however long it is lands on the wrong one at times.
        """
        if self.prefill_j is None or self.decode_j is None:
            return EQUAL_ERROR
        if starts_told:
            return TOLD_ERROR
        return PROMPTS_ERROR if self.prompt_j > 0 else ESTIMATED_ERROR

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "prefill_j_per_token": self.prefill_j.as_dict() if self.prefill_j else None,
            "decode_j_per_token": self.decode_j.as_dict() if self.decode_j else None,
            "on_w": self.on_w.as_dict() if self.on_w else None,
            "prompt_j": self.prompt_j,
            "context_j_per_token": self.context_j,
            "lag_s": self.lag_s,
            "explained": self.explained,
            "bins": self.bins,
            "notes": list(self.notes),
        }


def fit_costs(
    requests: RequestColumns,
    energy: IntervalEnergy,
    *,
    on_w: float | None = None,
    bin_s: float | None = None,
    resamples: int = 1_000,
    seed: int = 0,
) -> TokenCosts:
    """Costs of tokens from one component's energy over time.

    on_w: watts of being on where they are known from elsewhere (an idle baseline); then they are not fitted. bin_s:
    sampling intervals are joined to bins at least this long, so that the edges of tokens and joules matter little; None
    follows the length of the load (:func:`bin_length_s`).
    """
    bin_s = bin_length_s(energy) if bin_s is None else bin_s
    energy, lag_s = _without_lag(requests, energy, bin_s)
    rows, joules, more = _bins(requests, energy, bin_s)
    if len(rows) < FEWEST_BINS:
        note = (
            f"{len(rows)} intervals of {bin_s:g} s are covered; {FEWEST_BINS} are the fewest to fit costs to"
        )
        return TokenCosts(None, None, _given(on_w), None, len(rows), (note,))
    if on_w is not None:
        joules = joules - on_w * rows[:, 2]
    columns, notes = _usable(rows, fit_on=on_w is None)
    used = rows[:, columns]
    costs = _non_negative(_gram(used), used.T @ joules)
    spread = _bootstrap(used, joules, resamples, seed)
    found: list[Quantity | None] = [None, None, _given(on_w)]
    tolerances = _tolerances(used)
    told = tolerances >= LEAST_TOLERANCE
    for place, column in enumerate(columns):
        if told[place]:
            found[column], note = _quantity(column, float(costs[place]), spread[:, place], energy.total)
            notes += [note] if note else []
            told[place] = found[column] is not None
    doubtful = np.flatnonzero(tolerances < (LEAST_TOLERANCE if told.all() else SAFE_TOLERANCE))
    for place in doubtful:
        found[columns[place]] = None
    if len(doubtful):
        names = " and ".join(_NAMES[columns[place]] for place in doubtful)
        notes.append(
            f"the load was too steady to tell apart what {names} cost: they went up and down together; vary the rate"
            " and the lengths, or leave pauses"
        )
    residual = float(((joules - used @ costs) ** 2).sum())
    variance = float(((joules - joules.mean()) ** 2).sum())
    explained = 1 - residual / variance if variance > 0 and residual <= variance else None
    shape = _shape(rows, more, joules, fit_on=on_w is None)
    prompt_j, context_j = (0.0, 0.0) if shape is None else (shape.prompt, shape.context)
    return TokenCosts(
        found[0], found[1], found[2], explained, len(rows), tuple(notes), prompt_j, context_j, lag_s, shape
    )


def bin_length_s(energy: IntervalEnergy) -> float:
    """Seconds of a bin: a twenty-fifth of the time that is covered, at most 2 s, and at least four samples."""
    samples = np.diff(energy.edges_ns) / 1e9
    if not len(samples):
        return LONGEST_BIN_S
    covered = float(energy.covered_s.sum())
    return min(LONGEST_BIN_S, max(4 * float(np.median(samples)), covered / 25))


def _without_lag(
    requests: RequestColumns, energy: IntervalEnergy, bin_s: float
) -> tuple[IntervalEnergy, float]:
    """The energy moved to the time of the work, and by how much, where the sensor clearly tells of it later."""
    best, least, plain = 0.0, math.inf, math.inf
    for lag_s in LAGS_S:
        rows, joules, _ = _bins(requests, earlier(energy, lag_s), bin_s)
        if len(rows) < FEWEST_BINS:
            return energy, 0.0
        left = _left(rows, joules)
        plain = left if lag_s == 0 else plain
        best, least = (lag_s, left) if left < least else (best, least)
    if least > CLEARLY_BETTER * plain:
        return energy, 0.0
    return earlier(energy, best), best


def earlier(energy: IntervalEnergy, lag_s: float) -> IntervalEnergy:
    """The energy at the time of the work that it is of, where the sensor tells of it ``lag_s`` later."""
    return energy if lag_s == 0 else replace(energy, edges_ns=energy.edges_ns - round(lag_s * 1e9))


def _left(rows: Float64, joules: Float64) -> float:
    """What a fit leaves unexplained, as a mean square."""
    costs = _non_negative(_gram(rows), rows.T @ joules)
    return float(((joules - rows @ costs) ** 2).mean())


def _shape(rows: Float64, more: Float64, joules: Float64, *, fit_on: bool) -> TokenWeights | None:
    """Weights with a cost of each prompt and of the context, where the data clearly tell one of them; else None.

    Of the two further columns those are taken that lower the Bayesian information criterion (Schwarz 1978) by at least 10
    ("very strong", Kass and Raftery 1995).
    """
    base = rows if fit_on else rows[:, :2]
    best: tuple[float, tuple[int, ...]] = (_bic(base, joules), ())
    plain = best[0]
    for chosen in ((0,), (1,), (0, 1)):
        value = _bic(np.concatenate((base, more[:, chosen]), axis=1), joules)
        best = min(best, (value, chosen))
    if best[1] == () or best[0] > plain - 10:
        return None
    columns = np.concatenate((base, more[:, best[1]]), axis=1)
    costs = _non_negative(_gram(columns), columns.T @ joules)
    further = dict(zip(best[1], costs[base.shape[1] :].tolist(), strict=True))
    names = " and ".join(("each prompt", "the context")[which] for which in best[1])
    prompt, context = further.get(0, 0.0), further.get(1, 0.0)
    if not costs[0] + costs[1] + prompt + context > 0:
        return None
    return TokenWeights(
        float(costs[0]),
        float(costs[1]),
        f"prefill and decode tokens, and {names}, by their fitted costs",
        prompt,
        context,
    )


def _bic(rows: Float64, joules: Float64) -> float:
    return len(rows) * math.log(max(_left(rows, joules), 1e-300)) + rows.shape[1] * math.log(len(rows))


def _bins(requests: RequestColumns, energy: IntervalEnergy, bin_s: float) -> tuple[Float64, Float64, Float64]:
    """Prefill tokens, decode tokens and seconds (k, 3), joules (k,), and prompts begun and decode tokens times their context
    (k, 2), of the bins that are covered whole."""
    edges = energy.edges_ns
    number = (edges - edges[0]) // max(1, round(bin_s * 1e9))
    # A bin begins with the first sample of its time, so that no sample is cut in two; a rest at the end is left out.
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    if len(starts) < 2:
        return np.empty((0, 3)), np.empty(0), np.empty((0, 2))
    cut = edges[starts]
    seconds = np.diff(cut) / 1e9
    joules = np.add.reduceat(energy.energy_j[: starts[-1]], starts[:-1])
    covered = np.add.reduceat(energy.covered_s[: starts[-1]], starts[:-1])
    rows = np.stack([tokens_in(requests, cut, 1, 0), tokens_in(requests, cut, 0, 1), seconds], axis=1)
    whole = covered >= 0.99 * seconds
    if not whole.any():
        return rows[whole], joules[whole], np.empty((0, 2))
    nothing = np.zeros(len(requests))
    prompts = work_in(requests, cut, nothing + 1.0, nothing)
    context = work_in(requests, cut, nothing, requests.decode_tokens * requests.context_tokens)
    return rows[whole], joules[whole], np.stack([prompts, context], axis=1)[whole]


def _usable(rows: Float64, fit_on: bool) -> tuple[list[int], list[str]]:
    """Columns that have anything in them, and a note for each that has not."""
    columns = [column for column in (0, 1) if rows[:, column].any()]
    notes = [f"{_NAMES[column]}: there was none" for column in (0, 1) if column not in columns]
    return columns + ([2] if fit_on else []), notes


def _gram(rows: Float64) -> Float64:
    return rows.T @ rows


def _tolerances(rows: Float64) -> Float64:
    """Share of each column's sum of squares that the other columns leave unexplained, (columns,)."""
    gram = _gram(rows)
    scale = np.sqrt(np.diag(gram))
    inverse = np.linalg.pinv(gram / np.outer(scale, scale), rcond=1e-12, hermitian=True)
    rank = np.linalg.matrix_rank(gram / np.outer(scale, scale), tol=1e-9, hermitian=True)
    if rank < len(gram):
        # Exactly tangled: those that take part in the dependence have weight in its direction.
        values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
        return np.where((np.abs(vectors[:, values < 1e-9]) > 1e-3).any(axis=1), 0.0, 1.0)
    return np.asarray(1 / np.diag(inverse), np.float64)


def _non_negative(gram: Float64, projected: Float64) -> Float64:
    """Non-negative least squares from X'X (..., k, k) and X'y (..., k), many problems at once; (..., k).

    The solution is the plain one on its own support, so of all supports whose plain solution is not negative it is the
    one that explains most (y'y less the residual is x'X'y there).
    """
    count = gram.shape[-1]
    best = np.zeros(projected.shape)
    gain = np.zeros(projected.shape[:-1])
    scale = np.sqrt(np.maximum(np.diagonal(gram, axis1=-2, axis2=-1), 1e-300))
    gram = gram / (scale[..., :, None] * scale[..., None, :])
    projected = projected / scale
    for size in range(1, count + 1):
        for support in combinations(range(count), size):
            kept = list(support)
            inner = np.linalg.pinv(gram[..., kept, :][..., :, kept], rcond=1e-12, hermitian=True)
            solved = (inner @ projected[..., kept, None])[..., 0]
            explained = (solved * projected[..., kept]).sum(axis=-1)
            better = (solved >= 0).all(axis=-1) & (explained > gain)
            gain = np.where(better, explained, gain)
            candidate = np.zeros(best.shape)
            candidate[..., kept] = solved
            best = np.where(better[..., None], candidate, best)
    return best / scale


def _bootstrap(rows: Float64, joules: Float64, resamples: int, seed: int) -> Float64:
    """Costs refitted to blocks of neighbouring bins drawn with replacement, (resamples, columns).

    A block has n^(1/3) bins, at least 3: the order that Hall, Horowitz and Jing (1995) give for variances.
    """
    count, columns = rows.shape
    length = max(3, math.ceil(count ** (1 / 3)))
    products = np.concatenate(
        (rows[:, :, None] * rows[:, None, :], (rows * joules[:, None])[:, :, None]), axis=2
    ).reshape(count, -1)
    running = np.concatenate((np.zeros((1, products.shape[1])), np.cumsum(products, axis=0)))
    blocks = running[length:] - running[:-length]
    drawn = np.random.default_rng(seed).integers(0, len(blocks), (resamples, math.ceil(count / length)))
    sums = blocks[drawn].sum(axis=1).reshape(resamples, columns, columns + 1)
    spread = _non_negative(sums[:, :, :columns], sums[:, :, columns])
    # So few blocks scatter less than they should: by their degrees of freedom, and by Student's t beside the normal.
    freedom = max(1, count // length - columns)
    wider = t_quantile(freedom) / Z95 * math.sqrt(1 + (columns + 1) / freedom)
    middle = np.median(spread, axis=0)
    return np.asarray(middle + wider * (spread - middle), np.float64)


def _quantity(
    column: int, value: float, spread: NDArray[np.float64], total: Quantity | None
) -> tuple[Quantity | None, str | None]:
    low, high = central(spread)
    low, high = min(low, value), max(high, value)
    if value <= 0 or max(value - low, high - value) > MOST_SPREAD * value:
        return None, f"what {_NAMES[column]} costs lies somewhere in {low:.3g} to {high:.3g} {_UNITS[column]}"
    own = Quantity(value, low, high, _UNITS[column], "fitted over time", error=f"{FIT}/{own_error()}")
    if total is None or total.value <= 0:
        return own, None
    sensor = total * (value / total.value)
    return Quantity(
        value, unit=own.unit, source=own.source, terms={**sensor.terms, **own.terms}, at_least=0.0
    ), None


def _given(on_w: float | None) -> Quantity | None:
    return None if on_w is None else Quantity.exact(on_w, "W", "given")

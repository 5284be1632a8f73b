"""Sentences that the data at hand carry, each with its evidence; silence where they carry none.

A difference between two levels of a factor is said only if its p-value, corrected over every pair of every factor and metric
in the study, is below 0.05, and if the 95 % interval of the ratio (scatter, and what the sensors leave open between the two)
leaves out 1. Which sentences are chosen is not allowed to matter: the correction covers all that could be.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from wattmark.runs.attribution import OTHERS_BUSY
from wattmark.statistics import ALPHA
from wattmark.studies.analysis.correlate import Predictor
from wattmark.studies.analysis.data.cells import label
from wattmark.studies.analysis.data.quality import ACCURACY, Quality
from wattmark.studies.analysis.effects import Difference, Effect
from wattmark.studies.analysis.pareto import ParetoPoint
from wattmark.studies.results import TrialResult
from wattmark.units import format_energy, significant

Strength = Literal["strong", "moderate", "weak"]
Limited = Callable[[float, bool], tuple[Strength, tuple[str, ...]]]
"""(size of the effect, whether the tests agree) -> strength, and what limits it."""

NEAR_BEST_ACCURACY = 0.02
"""A level counts as an alternative to the best one if it loses at most two points, or, where the quality is no share, if it
is not worse beyond noise."""
_STRONG, _MODERATE = 0.20, 0.05
FEWEST_REPEATS = 3
"""With fewer repeats of a cell no evidence is strong."""
_WORDS = {
    "training_energy_j": "training energy",
    "inference_energy_j": "inference energy",
    "total_energy": "energy",
}
_PREDICTOR_WORDS = {"parameters": "parameters", "macs": "MACs", "macs_param": "MACs per parameter"}
_TARGET_WORDS = {"training_energy_j": "training energy", "inference_energy_j": "inference energy"}


@dataclass(frozen=True, slots=True)
class Guideline:
    """One sentence. evidence: plain data (kind, factor, metric, levels, value, low, high, p_corrected, ...). strength:
    ``strong`` when even the weaker end of the interval is an effect of 20 %, ``moderate`` at 5 %, else ``weak``, and no more
    than repeats, other work and tests allow. limits: what kept it from being stronger, in words."""

    text: str
    evidence: Mapping[str, Any]
    strength: Strength
    limits: tuple[str, ...] = ()


def bounded_strength(
    effect: float, repeats: int, others: float, *, tree: bool = False, agree: bool = True
) -> tuple[Strength, tuple[str, ...]]:
    """How strong the evidence of an effect is, and what keeps it from being stronger.

    effect: as a share, at the weaker end of its interval. repeats: the fewest of a cell. others: the largest share of the
    machine that other work used during a trial. tree: whether the energies are those of process trees. agree: whether the
    tests do. Fewer than three repeats, a busy machine, or tests that differ are never strong.
    """
    order: tuple[Strength, ...] = ("weak", "moderate", "strong")
    most: list[tuple[Strength, str]] = []
    if repeats < FEWEST_REPEATS:
        most.append(
            ("moderate" if repeats > 1 else "weak", f"{repeats} repeat{'s' if repeats > 1 else ''} of a cell")
        )
    if others > OTHERS_BUSY and not tree:
        most.append(("weak", f"other work used up to {others:.0%} of the machine, and is in the joules"))
    elif others > OTHERS_BUSY:
        most.append(
            ("moderate", f"other work used up to {others:.0%} of the machine; its joules are left out")
        )
    if not agree:
        most.append(("moderate", "the tests differ"))
    plain = strength_of(effect)
    limits: list[tuple[Strength, str]] = [
        (bound, why) for bound, why in most if order.index(bound) < order.index(plain)
    ]
    bounds: list[Strength] = [plain]
    bounds.extend(bound for bound, _ in limits)
    return min(bounds, key=order.index), tuple(why for _, why in limits)


def strength_of(effect: float) -> Strength:
    """By the size of an effect alone."""
    return "strong" if effect >= _STRONG else "moderate" if effect >= _MODERATE else "weak"


def fewest_repeats(trials: Sequence[TrialResult]) -> int:
    """Of all cells that have one; 0 without trials."""
    cells = Counter(tuple(sorted((n, str(v)) for n, v in trial.factors.items())) for trial in trials)
    return min(cells.values(), default=0)


def others_at_most(trials: Sequence[TrialResult]) -> float:
    """The largest share of the machine that others used during a trial; 0 where no one looked."""
    return max((trial.contention for trial in trials if trial.contention is not None), default=0.0)


def guidelines(
    trials: Sequence[TrialResult],
    effects: Sequence[Effect],
    predictors: Sequence[Predictor],
    pareto: Sequence[ParetoPoint],
    quality: Quality | None = ACCURACY,
    *,
    tree: bool = False,
    reference: Mapping[str, object] | None = None,
) -> list[Guideline]:
    """All sentences, strongest first. trials: the completed ones. tree: whether their energies are those of the process
    trees, which others on the machine do not make wrong. reference: factor -> the level that all its others are told
    beside (``as it is``); of other factors the largest saving is told."""
    quality = quality or ACCURACY
    by_name = {(effect.factor, effect.metric): effect for effect in effects}
    names = (
        ["training_energy_j", "inference_energy_j"]
        if any(effect.metric in ("training_energy_j", "inference_energy_j") for effect in effects)
        else ["total_energy"]
    )
    repeats, others = fewest_repeats(trials), others_at_most(trials)

    def limited(size: float, agree: bool) -> tuple[Strength, tuple[str, ...]]:
        return bounded_strength(size, repeats, others, tree=tree, agree=agree)

    found: list[Guideline] = []
    for effect in effects:
        if effect.metric in names:
            sayable = [d for d in effect.differences if _sayable(d)]
            outcome = by_name.get((effect.factor, quality.name))
            chosen = _chosen(sayable, outcome, quality, (reference or {}).get(effect.factor))
            found += [_saving(one, effect, outcome, quality, limited) for one in chosen]
    found += _prediction(predictors)
    found += _last_points(pareto, effects, quality, limited)
    order = ("strong", "moderate", "weak")
    return sorted(found, key=lambda one: order.index(one.strength))


# --- differences between levels ---


@dataclass(frozen=True, slots=True)
class _Saving:
    """``frugal`` against ``other``: ratio below 1 with its interval."""

    frugal: Any
    other: Any
    ratio: float
    low: float
    high: float
    p: float
    agree: bool


def _sayable(d: Difference) -> bool:
    if d.p_corrected is None or d.p_corrected >= ALPHA or d.low is None or d.high is None:
        return False
    return d.low > 0 and math.isfinite(d.high) and (d.low > 1 or d.high < 1)


def _chosen(
    sayable: Sequence[Difference], outcome: Effect | None, quality: Quality, reference: object
) -> list[_Saving]:
    """The largest saving against the best level at hardly any loss, else the largest of all; beside a reference level
    all that save."""
    savings = [_as_saving(d) for d in sayable]
    if reference is not None:
        return sorted((s for s in savings if str(s.other) == str(reference)), key=lambda s: s.ratio)
    if not savings:
        return []
    best = None if outcome is None else max(outcome.levels, key=lambda one: quality.sign * one.median).level
    near = [s for s in savings if str(s.other) == str(best) and _is_near(_gain(outcome, s), quality)]
    return [min(near or savings, key=lambda s: s.ratio)]


def _is_near(gain: _Gain, quality: Quality) -> bool:
    if quality.share:
        return quality.sign * gain.value >= -NEAR_BEST_ACCURACY
    return not np.isnan(gain.value) and (quality.sign * gain.value >= 0 or not gain.certain)


def _as_saving(d: Difference) -> _Saving:
    low, high, p = d.low, d.high, d.p_corrected
    assert low is not None
    assert high is not None
    assert p is not None
    agree = d.wilcoxon_p is None or d.wilcoxon_p < ALPHA
    if d.value < 1:
        return _Saving(d.b, d.a, d.value, low, high, p, agree)
    return _Saving(d.a, d.b, 1 / d.value, 1 / high, 1 / low, p, agree)


@dataclass(frozen=True, slots=True)
class _Gain:
    """Quality that the frugal level has more than the other, in its own unit; NaN where it is not known."""

    value: float
    low: float | None = None
    high: float | None = None
    certain: bool = False


def _gain(outcome: Effect | None, saving: _Saving) -> _Gain:
    wanted = {str(saving.frugal), str(saving.other)}
    pairs = () if outcome is None else outcome.differences
    for d in pairs:
        if {str(d.a), str(d.b)} == wanted:
            certain = d.p_corrected is not None and d.p_corrected < ALPHA
            if str(d.b) == str(saving.frugal):
                return _Gain(d.value, d.low, d.high, certain)
            flipped = (None, None) if d.low is None or d.high is None else (-d.high, -d.low)
            return _Gain(-d.value, *flipped, certain)
    return _Gain(float("nan"))


def _saving(
    saving: _Saving, effect: Effect, outcome: Effect | None, quality: Quality, limited: Limited
) -> Guideline:
    gain = _gain(outcome, saving)
    less, least, most = (100 * (1 - ratio) for ratio in (saving.ratio, saving.high, saving.low))
    words = _WORDS[effect.metric]
    frugal, other = (label({effect.factor: one}).replace("=", " ") for one in (saving.frugal, saving.other))
    ratio = tuple(significant(1 / one) for one in (saving.ratio, saving.high, saving.low))
    text = (
        f"{other} needs {ratio[0]} times [{ratio[1]}, {ratio[2]}] the {words} of {frugal}: more, clearly. {frugal} needs "
        f"{significant(less, 2)} % less{_gain_words(gain, quality)}; 95 % interval {significant(least, 2)} to "
        f"{significant(most, 2)} %."
    )
    evidence = {
        "kind": "difference",
        "factor": effect.factor,
        "metric": effect.metric,
        "level": saving.frugal,
        "against": saving.other,
        "ratio": saving.ratio,
        "low": saving.low,
        "high": saving.high,
        "p_corrected": saving.p,
        "trials": effect.trials,
        "quality": quality.name,
        "higher_is_better": quality.higher_is_better,
        "quality_gain": None if np.isnan(gain.value) else gain.value,
        "quality_low": gain.low,
        "quality_high": gain.high,
    }
    return Guideline(text, evidence, *limited(1 - saving.high, saving.agree))


def _gain_words(gain: _Gain, quality: Quality) -> str:
    if np.isnan(gain.value):
        return ""
    size = abs(gain.value / quality.step)
    side = "less" if gain.value < 0 else "more"
    if gain.certain or (gain.low is None and gain.value != 0):
        untested = "" if gain.certain else " (without repeats, not tested)"
        return f" for {significant(size, 2)} {quality.unit} {side}{untested}"
    if gain.low is None or gain.high is None or gain.low == gain.high:
        return f" at the same {quality.name}"
    low, high = (significant(end / quality.step, 2) for end in (gain.low, gain.high))
    points = " points" if quality.share else ""
    if gain.low > 0 or gain.high < 0:  # by itself, and not beside all that was compared
        some = "gain" if quality.sign * gain.value > 0 else "loss"
        ends = f"({low} to {high}{points})"
        return f" with a {some} of {quality.name} {ends} that the correction for all comparisons leaves open"
    return f" with no difference in {quality.name} beyond noise ({low} to {high}{points})"


# --- prediction ---


def _prediction(predictors: Sequence[Predictor]) -> list[Guideline]:
    """The best predictor of a target, where it halves the error of knowing nothing about the model."""
    found: list[Guideline] = []
    for target, words in _TARGET_WORDS.items():
        own = [one for one in predictors if one.target == target]
        if not own:
            continue
        best = own[0]
        if best.p_corrected >= ALPHA or best.error_high > 0.5 * best.error_without:
            continue
        others = "".join(f"; {_PREDICTOR_WORDS[o.predictor]} {100 * o.error:.0f} %" for o in own[1:])
        text = (
            f"{_PREDICTOR_WORDS[best.predictor]} tell the {words} of a model that was not measured to "
            f"{100 * best.error:.0f} % on average (95 % interval {100 * best.error_low:.0f} to "
            f"{100 * best.error_high:.0f} %; "
            f"without, {100 * best.error_without:.0f} %{others})."
        )
        evidence = {
            "kind": "prediction",
            "predictor": best.predictor,
            "metric": target,
            "value": best.error,
            "low": best.error_low,
            "high": best.error_high,
            "error_without": best.error_without,
            "p_corrected": best.p_corrected,
            "architectures": best.architectures,
        }
        found.append(Guideline(text, evidence, strength_of(1 - best.error_high / best.error_without)))
    return found


# --- the last points of quality ---


def _last_points(
    pareto: Sequence[ParetoPoint], effects: Sequence[Effect], quality: Quality, limited: Limited
) -> list[Guideline]:
    """What the last step along the front costs, where both of its differences stand the corrected tests.

    Only for studies of one factor, in which the front's cells are its levels.
    """
    factors = {effect.factor for effect in effects}
    members = [point for point in pareto if point.on_front]
    if len(factors) != 1 or len(members) < 2:
        return []
    cheap, dear = members[-2:]
    if (
        dear.joules_per_point is None
        or dear.joules_per_point_low is None
        or dear.joules_per_point_high is None
    ):
        return []
    energy = _tested(effects, ("training_energy_j", "total_energy"), cheap.cell, dear.cell)
    if not (energy and _tested(effects, (quality.name,), cheap.cell, dear.cell)):
        return []
    points = abs(dear.quality - cheap.quality) / quality.step
    low, high = (format_energy(end) for end in (dear.joules_per_point_low, dear.joules_per_point_high))
    text = (
        f"The last {significant(points, 2)} {quality.unit}, from {cheap.cell} to {dear.cell}, cost "
        f"{format_energy(dear.joules_per_point)} {'a point' if quality.share else 'for each 1'}; "
        f"95 % interval {low} to {high}."
    )
    evidence = {
        "kind": "last-points",
        "quality": quality.name,
        "factor": next(iter(factors)),
        "from": cheap.cell,
        "to": dear.cell,
        "value": dear.joules_per_point,
        "low": dear.joules_per_point_low,
        "high": dear.joules_per_point_high,
    }
    return [Guideline(text, evidence, *limited(1 - cheap.energy_j / dear.energy_j, True))]


def _tested(effects: Sequence[Effect], metrics: Sequence[str], a: str, b: str) -> bool:
    """Whether the first of the metrics that the study has differs between two cells beyond the corrected test."""
    for name in metrics:
        for effect in effects:
            if effect.metric == name:
                return any(
                    {label({effect.factor: d.a}), label({effect.factor: d.b})} == {a, b}
                    and d.p_corrected is not None
                    and d.p_corrected < ALPHA
                    for d in effect.differences
                )
    return False

"""Sentences that the data of a serving study carry, each with its evidence; silence where they carry none.

Everything that could be said of one kind is tested together and corrected for its number (Holm). Idle shares and ratios have
95 % intervals from the scatter over repeats, common to all cells; where joules are modelled the sentence says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wattmark.quantity import Quantity
from wattmark.statistics import ALPHA, t_quantile
from wattmark.studies.analysis.guidelines.training import (
    Guideline,
    bounded_strength,
    fewest_repeats,
    others_at_most,
    strength_of,
)
from wattmark.studies.analysis.serving import (
    LOADS,
    Crossing,
    Scatter,
    ServingCell,
    crossings,
    is_text,
    like_with_like,
    load_factor,
    serving_cells,
)
from wattmark.studies.analysis.significance import holm, scipy_stats
from wattmark.studies.results import StudyResults
from wattmark.units import significant

MOSTLY = 0.5
"""Idle is worth a word where it is more than this share of the energy."""
LITTLE_EXTRA = 1.25
"""A larger model may be taken at no great cost if it is sure to cost less than this many times as much."""


def serving_guidelines(results: StudyResults) -> list[Guideline]:
    """All sentences on serving, strongest first; none for another study."""
    cells, _ = like_with_like(serving_cells(results))
    load = load_factor(results)
    found: list[Guideline] = []
    if load is not None:
        found += _idle(cells, load)
        found += _crossing(crossings(cells, load), _method_words(cells))
    found += _steps(cells)
    found += _cheapest_in_time(cells, load)
    order = ("strong", "moderate", "weak")
    trials = [trial for cell in cells for trial in cell.trials]
    repeats, others, tree = fewest_repeats(trials), others_at_most(trials), results.scope == "tree"
    limited = [_limited(one, repeats, others, tree) for one in found]
    return sorted(limited, key=lambda one: order.index(one.strength))


def _limited(guideline: Guideline, repeats: int, others: float, tree: bool) -> Guideline:
    """No stronger than repeats and other work allow."""
    most, limits = bounded_strength(1.0, repeats, others, tree=tree)
    order = ("weak", "moderate", "strong")
    if order.index(most) >= order.index(guideline.strength):
        return guideline
    return replace(guideline, strength=most, limits=limits)


def _method_words(cells: Sequence[ServingCell]) -> str:
    """A word on joules that no sensor measured."""
    methods = {method for cell in cells for trial in cell.trials for method in trial.methods.values()}
    if methods == {"modelled"}:
        return " (modelled joules)"
    return " (some of the joules modelled)" if "modelled" in methods else ""


# --- idle ---


def _idle(cells: Sequence[ServingCell], load: str) -> list[Guideline]:
    """The highest load up to which idle is sure to be most of the energy whatever the model."""
    known = [cell for cell in cells if is_text(cell) and len(cell.values("idle_share")) >= 2]
    shares = {id(cell): cell.values("idle_share") for cell in known}
    scatter = Scatter.of(list(shares.values()))
    if scatter is None:
        return []
    reach = t_quantile(scatter.freedom, 1 - ALPHA / 2 / len(known)) * scatter.deviation
    most: float | None = None
    for level in sorted({float(cell.levels[load]) for cell in known}):
        here = [cell for cell in known if float(cell.levels[load]) == level]
        if any(cell.mean("idle_share") - reach / math.sqrt(len(shares[id(cell)])) <= MOSTLY for cell in here):
            break
        most = level
    if most is None:
        return []
    here = [cell for cell in known if float(cell.levels[load]) == most]
    least = min(here, key=lambda cell: cell.mean("idle_share"))
    value = least.mean("idle_share")
    half = reach / math.sqrt(len(shares[id(least)]))
    low, high = max(0.0, value - half), min(1.0, value + half)
    models = "whatever the model" if len(here) > 1 else f"with {least.settings.get('model')}"
    text = (
        f"Up to {most:g} {LOADS[load]} idle is at least {_percent(value)} of the energy {models}; 95 % interval "
        f"{_percent(low)} to {_percent(high)}{_method_words(here)}: share the server{_larger_is_cheap(here)}."
    )
    evidence = {
        "kind": "serving-idle",
        "factor": load,
        "metric": "idle_share",
        "level": most,
        "value": value,
        "low": low,
        "high": high,
        "cell": least.label,
        "trials": sum(len(cell.trials) for cell in here),
    }
    return [Guideline(text, evidence, strength_of(low - MOSTLY))]


def _larger_is_cheap(here: Sequence[ServingCell]) -> str:
    """Whether the largest model is sure to cost little more than the smallest at this load."""
    sized = [cell for cell in here if math.isfinite(cell.mean("parameters"))]
    if len(sized) < 2:
        return ""
    small, big = (pick(sized, key=lambda cell: cell.mean("parameters")) for pick in (min, max))
    logs = [np.log(cell.values("j_per_request")) for cell in sized]
    scatter = Scatter.of(logs)
    if scatter is None or small.mean("parameters") == big.mean("parameters"):
        return ""
    ratio, _ = scatter.ratio(
        np.log(big.values("j_per_request")),
        np.log(small.values("j_per_request")),
        (big.energy("j_per_request"), small.energy("j_per_request")),
    )
    if ratio.high >= LITTLE_EXTRA:
        return ""
    return (
        f", or use the larger model: {big.settings['model']} costs {_interval(ratio)} times what "
        f"{small.settings['model']} does there"
    )


# --- larger models at more load ---


def _crossing(crossings: Sequence[Crossing], method: str) -> list[Guideline]:
    sure = [one for one in crossings if one.sure]
    if not sure:
        return []
    best = min(sure, key=lambda one: one.ratio.high)
    text = (
        f"A larger model need not cost more: {best.larger} needs {_interval(best.ratio)} times the joules per token of "
        f"{best.smaller}, idle included{method}; so it is in {len(sure)} of {len(crossings)} such pairs beyond noise."
    )
    evidence = {
        "kind": "serving-crossing",
        "metric": "j_per_token",
        "larger": best.larger,
        "smaller": best.smaller,
        "ratio": best.ratio.value,
        "low": best.ratio.low,
        "high": best.ratio.high,
        "p_corrected": best.p,
        "pairs": len(crossings),
        "sure": len(sure),
    }
    return [Guideline(text, evidence, strength_of(1 - best.ratio.high))]


# --- steps ---


def _steps(cells: Sequence[ServingCell]) -> list[Guideline]:
    """For each model and level, the mode with the cheapest right answer against answering at once."""
    solved = [cell for cell in cells if not is_text(cell) and cell.mean("answered") > 0]
    pairs = [
        (cell, plain)
        for cell in solved
        for plain in solved
        if plain.settings.get("mode") == "answer"
        and cell.settings.get("mode") != "answer"
        and _but_mode(cell) == _but_mode(plain)
    ]
    tested = [(cell, plain, *_more_right(cell, plain)) for cell, plain in pairs]
    if not tested:
        return []
    corrected = holm(np.array([p for *_, p in tested]))
    found: list[Guideline] = []
    for (cell, plain, ratio, _), p in zip(tested, corrected, strict=True):
        if p >= ALPHA:
            continue
        right, at_once = (_share(one, "correct", "answered") for one in (cell, plain))
        what = f"{cell.settings['model']} on {cell.settings['task']} of level {cell.settings.get('level')}"
        text = (
            f"In mode {cell.settings['mode']}, {what} is right in {_percent(right)} of its answers, against "
            f"{_percent(at_once)} at once{_cost_words(ratio)}."
        )
        evidence: dict[str, Any] = {
            "kind": "serving-steps",
            "metric": "j_per_correct",
            "cell": cell.label,
            "against": plain.label,
            "accuracy": right,
            "accuracy_against": at_once,
            "p_corrected": float(p),
            "ratio": None if ratio is None else ratio.value,
            "low": None if ratio is None else ratio.low,
            "high": None if ratio is None else ratio.high,
            "trials": len(cell.trials) + len(plain.trials),
        }
        found.append(Guideline(text, evidence, strength_of(right - at_once)))
    return found


def _cost_words(ratio: Quantity | None) -> str:
    if ratio is None:
        return ", when none was right"
    if ratio.low <= 1 <= ratio.high:
        return f"; whether a right answer costs less so is open ({_interval(ratio)} times the joules)"
    return f", and a right answer then costs {_interval(ratio)} times the joules"


def _more_right(cell: ServingCell, plain: ServingCell) -> tuple[Quantity | None, float]:
    """Ratio of joules per right answer with its 95 % interval (None where nothing was right), and the one-sided p of
    Fisher's exact test that the steps do not make more answers right."""
    right, answered = (int(cell.values(name).sum()) for name in ("correct", "answered"))
    right_plain, answered_plain = (int(plain.values(name).sum()) for name in ("correct", "answered"))
    table = [[right, answered - right], [right_plain, answered_plain - right_plain]]
    p = float(scipy_stats().fisher_exact(table, alternative="greater").pvalue)
    if not (right and right_plain):
        return None, p
    energy, energy_plain = (_joules(one) for one in (cell, plain))
    if energy is None or energy_plain is None:
        return None, p
    # Delta method on the logarithm: binomial error of both accuracies, and the scatter of joules over repeats.
    variance = (1 / right - 1 / answered) + (1 / right_plain - 1 / answered_plain)
    scatter = Scatter.of([np.log(energy), np.log(energy_plain)])
    if scatter is not None:
        variance += scatter.deviation**2 * (1 / len(energy) + 1 / len(energy_plain))
    cost = energy.mean() / (right / answered), energy_plain.mean() / (right_plain / answered_plain)
    reach = t_quantile(math.inf) * math.sqrt(variance)
    ratio = float(cost[0] / cost[1])
    return Quantity(ratio, ratio * math.exp(-reach), ratio * math.exp(reach), ""), p


def _joules(cell: ServingCell) -> Any:
    """Joules per answer of each trial, right or wrong, idle included; None where they are not known."""
    values = cell.values("j_per_request")
    return values if len(values) else None


def _share(cell: ServingCell, part: str, whole: str) -> float:
    return float(cell.values(part).sum() / cell.values(whole).sum())


def _but_mode(cell: ServingCell) -> Mapping[str, Any]:
    return {name: level for name, level in cell.levels.items() if name != "mode"}


# --- in time ---


def _cheapest_in_time(cells: Sequence[ServingCell], load: str | None) -> list[Guideline]:
    """The configuration that answers in time in all its repeats with the fewest joules per request."""
    limited = [cell for cell in cells if "in_time" in cell.trials[0].metrics and len(cell.trials) >= 2]
    meets = [
        cell for cell in limited if (cell.values("in_time") >= 1).all() and len(cell.values("j_per_request"))
    ]
    if not meets:
        return []
    best = min(meets, key=lambda cell: cell.mean("j_per_request"))
    logs = [np.log(cell.values("j_per_request")) for cell in limited]
    scatter = Scatter.of([one for one in logs if len(one)])
    if scatter is None:
        return []
    own = best.values("j_per_request")
    reach = t_quantile(scatter.freedom) * scatter.deviation / math.sqrt(len(own))
    value = float(np.exp(np.log(own).mean()))
    joules = Quantity(value, value * math.exp(-reach), value * math.exp(reach), "J")
    limits = " and ".join(
        f"{best.settings[name]:g} s {words}"
        for name, words in (("ttft_limit_s", "to the first token"), ("tpot_limit_s", "per further token"))
        if best.settings.get(name) is not None
    )
    fast = best.mean("requests_per_s")
    speed = "" if math.isnan(fast) else f" at {significant(fast, 2)} requests/s"
    ratios: list[tuple[ServingCell, Quantity]] = []
    for other in sorted(meets, key=lambda cell: cell.mean("j_per_request")):
        if other is not best:
            sensors = other.energy("j_per_request"), best.energy("j_per_request")
            ratio, _ = scatter.ratio(np.log(other.values("j_per_request")), np.log(own), sensors)
            ratios.append((other, ratio))
    second, ratio = ratios[0] if ratios else (None, None)
    rivals = sum(one.low <= 1 for _, one in ratios)
    text = (
        f"{best.label} needs the fewest joules of the {len(meets)} of {len(limited)} configurations that keep within "
        f"{limits} (95th percentile, in every repeat): {_interval(joules)} J per request, idle included"
        f"{_method_words([best])}{speed}"
    )
    if second is not None and ratio is not None:
        open_words = "" if ratio.low > 1 else ", so the difference may be chance"
        text += f"; next is {second.label} with {_interval(ratio)} times as much{open_words}"
        text += f"; {rivals} in all may cost as little" if rivals > 1 else ""
    text += "."
    evidence = {
        "kind": "serving-in-time",
        "metric": "j_per_request",
        "cell": best.label,
        "value": joules.value,
        "low": joules.low,
        "high": joules.high,
        "factor": load,
        "in_time": len(meets),
        "rivals": rivals,
        "looked_at": len(limited),
        "trials": len(best.trials),
    }
    saved = 0.0 if ratio is None or ratio.low <= 0 else 1 - 1 / ratio.low
    return [Guideline(text, evidence, strength_of(saved))]


def _interval(quantity: Quantity) -> str:
    value, low, high = (significant(one, 2) for one in (quantity.value, quantity.low, quantity.high))
    return f"{value} ({low} to {high})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

"""Tables of what the analysis found: the effects of factors, and what foretells energy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wattmark.quantity import KINDS, kind_of
from wattmark.report.html.markup import Html, join, tag
from wattmark.statistics import ALPHA
from wattmark.studies.analysis import Analysis
from wattmark.studies.analysis.correlate import Predictor
from wattmark.studies.analysis.data.metrics import METRICS
from wattmark.studies.analysis.data.plain import FILES
from wattmark.studies.analysis.data.study_data import StudyData, show_level
from wattmark.studies.analysis.effects import Difference, Effect
from wattmark.units import format_duration, format_energy, significant

MOST_PAIRS = 15
_WORDS = {
    "training_energy_j": "training energy", "inference_energy_j": "inference energy", "total_energy": "energy of a run",
    "energy_per_sample": "training energy per sample", "inference_energy_per_sample": "inference energy per sample",
    "epoch_duration": "duration of an epoch", "macs": "MACs", "macs_param": "MACs per parameter",
}  # fmt: skip
_SHOWN = ("total_energy", "training_energy_j", "inference_energy_j", "epoch_duration")
_EFFECTS_LEAD = (
    "Two levels are compared where all other factors are equal: energies and times as ratios (geometric means), "
    "qualities as differences. Intervals are 95 %, each for itself; p-values are corrected for all comparisons of the study "
    "(Holm), so only those below 0.05 (bold) count as found. They hold the scatter of the runs; the intervals of energies "
    "hold besides what the sensors leave open between the two levels (the sentences above demand both). η² is the share of "
    "the ranks' variance that the factor explains beyond chance, without blocks. A median has an interval from six runs on."
)
_UNCERTAINTY_LEAD = (
    "The 95 % interval of a cell's energy joins these errors in quadrature. An error that is common to all cells makes "
    "every energy wrong by about the same factor, and does not change how the cells compare."
)
_PREDICTORS_LEAD = (
    "energy = a · xᵇ, fitted on logarithms over all architectures but one, and asked for that one: the error is the "
    "mean over the architectures left out, with a 95 % bootstrap interval. To be of use it must beat the error of knowing "
    "nothing (the geometric mean of the others)."
)


def effects_section(data: StudyData, analysis: Analysis) -> Html | None:
    """Tables of the effects of each factor; None where no factor has two levels that were measured."""
    names = [*_SHOWN, *((data.quality,) if data.quality else ())]
    shown = [effect for effect in analysis.effects if effect.metric in names and _differs(effect)]
    if not shown:
        return None
    parts: list[Html] = [tag("p", _EFFECTS_LEAD, class_="lead"), _whole(shown)]
    for effect in shown:
        pairs = _pairs(effect)
        if pairs:
            less = len(effect.differences) - len(pairs)
            note = (
                f" Pairs with {show_level(_reference(effect))}; {less} more are in differences.csv ({FILES})."
                if less
                else ""
            )
            title = tag(
                "summary", f"{effect.factor}: {name_of(effect.metric)}, {len(pairs)} pairs of levels", note
            )
            parts.append(tag("details", title, _differences(effect, pairs)))
    return join(parts)


def uncertainty_section(data: StudyData) -> Html | None:
    """Where the uncertainty of the energies comes from, and what makes it smaller; None where nothing is uncertain."""
    cells = [
        (cell, mean) for cell in data.cells if (mean := data.mean(cell, "total_energy")) and mean.value > 0
    ]
    common = set[str](cells[0][1].terms) if cells else set[str]()
    common.intersection_update(*(mean.terms for _, mean in cells))
    shares: dict[str, list[tuple[float, float]]] = {}
    for _, mean in cells:
        for kind, below, above in mean.budget():
            shares.setdefault(kind, []).append((below / mean.value, above / mean.value))
    if not shares:
        return None
    cancelling = {kind_of(name) for name in common} if len(cells) > 1 else set[str]()
    rows = [
        tag(
            "tr",
            tag("th", KINDS.get(kind, (kind, ""))[0], scope="row"),
            tag("td", f"−{_most(own, 0)} / +{_most(own, 1)} %", class_="n"),
            tag(
                "td",
                "all cells alike: it cancels between them" if kind in cancelling else "each cell by itself",
            ),
            tag("td", KINDS.get(kind, ("", "–"))[1]),
        )
        for kind, own in sorted(shares.items(), key=lambda item: -max(map(sum, item[1])))
    ]
    head = _head(("error", "of a run's energy, at most", "common to", "what makes it smaller"))
    return join(
        tag("p", _UNCERTAINTY_LEAD, class_="lead"), _table("Where the uncertainty comes from", head, rows)
    )


def _most(ends: Sequence[tuple[float, float]], side: int) -> str:
    return significant(100 * max(end[side] for end in ends), 2)


def predictors_section(analysis: Analysis) -> Html | None:
    """What foretells the energy of an architecture that was not measured; None below five architectures."""
    if not analysis.predictors:
        return None
    head = _head(
        (
            "energy",
            "predictor",
            "architectures",
            "exponent b",
            "R²",
            "error on the one left out",
            "error without a predictor",
            "p, corrected",
        )
    )
    targets = {predictor.target for predictor in analysis.predictors}
    whole = {
        "energy_per_sample": "training_energy_j",
        "inference_energy_per_sample": "inference_energy_j",
    }  # differ by the samples alone
    rows = [
        _predictor(predictor)
        for predictor in analysis.predictors
        if whole.get(predictor.target) not in targets
    ]
    return join(tag("p", _PREDICTORS_LEAD, class_="lead"), _table("What foretells energy", head, rows))


def name_of(metric: str) -> str:
    """A metric in words."""
    return _WORDS.get(metric, metric.replace("_", " "))


def _whole(effects: Sequence[Effect]) -> Html:
    head = _head(
        ("factor", "on", "runs", "medians by level, with 95 % interval", "Kruskal-Wallis p, corrected", "η²")
    )
    rows = [
        tag(
            "tr",
            tag("th", effect.factor, scope="row"),
            tag("td", name_of(effect.metric)),
            tag("td", effect.trials, class_="n"),
            tag("td", _medians(effect)),
            _p(effect.p_corrected),
            tag(
                "td", "–" if effect.eta_squared is None else f"{max(0.0, effect.eta_squared):.2f}", class_="n"
            ),
        )
        for effect in effects
    ]
    return _table("Effects of factors", head, rows)


def _medians(effect: Effect) -> Html:
    show = shown_as(effect.metric)
    levels = sorted(effect.levels, key=lambda level: level.median)
    shown = levels if len(levels) <= 6 else [*levels[:2], *levels[-2:]]
    parts = [
        tag(
            "div",
            tag("strong", show_level(level.level)),
            f" {show(level.median)}",
            None
            if level.low is None or level.high is None or level.low == level.high
            else tag("small", f" {show(level.low)} to {show(level.high)}", class_="inline"),
        )
        for level in shown
    ]
    if len(shown) < len(levels):
        parts.insert(2, tag("div", f"… {len(levels) - len(shown)} between …", class_="muted"))
    return join(parts)


def _differs(effect: Effect) -> bool:
    return len({level.median for level in effect.levels}) > 1 or any(
        d.p is not None and d.p < 1 for d in effect.differences
    )


def _reference(effect: Effect) -> object:
    return min(effect.levels, key=lambda level: level.median).level


def _pairs(effect: Effect) -> list[Difference]:
    """All pairs where there are few, else those with the level of the smallest median."""
    if len(effect.differences) <= MOST_PAIRS:
        return list(effect.differences)
    first = str(_reference(effect))
    return [pair for pair in effect.differences if first in (str(pair.a), str(pair.b))]


def _differences(effect: Effect, pairs: Sequence[Difference]) -> Html:
    head = _head(("level", "against", "value", "95 % interval", "blocks", "test", "p, corrected"))
    return _table(f"{effect.factor} on {effect.metric}", head, [_pair(pair, effect.metric) for pair in pairs])


def _pair(pair: Difference, metric: str) -> Html:
    show = _times if pair.scale == "ratio" else _signed(metric)
    interval = "–" if pair.low is None or pair.high is None else f"{show(pair.low)} to {show(pair.high)}"
    test = {"welch": "Welch", "paired-permutation": "paired permutation"}.get(
        pair.test or "", "none: too few runs"
    )
    return tag(
        "tr",
        tag("th", show_level(pair.b), scope="row"),
        tag("td", show_level(pair.a)),
        tag("td", show(pair.value), class_="n"),
        tag("td", interval, class_="n"),
        tag("td", pair.blocks, class_="n"),
        tag("td", test),
        _p(pair.p_corrected),
    )


def _predictor(predictor: Predictor) -> Html:
    return tag(
        "tr",
        tag("th", name_of(predictor.target), scope="row"),
        tag("td", name_of(predictor.predictor)),
        tag("td", predictor.architectures, class_="n"),
        tag("td", f"{predictor.exponent:.2f}", class_="n"),
        tag("td", f"{predictor.r_squared:.2f}", class_="n"),
        tag(
            "td",
            f"{100 * predictor.error:.0f} %",
            tag("small", f"{100 * predictor.error_low:.0f} to {100 * predictor.error_high:.0f} %"),
            class_="n",
        ),
        tag("td", f"{100 * predictor.error_without:.0f} %", class_="n"),
        _p(predictor.p_corrected),
    )


def shown_as(metric: str) -> Callable[[float], str]:
    """How numbers of a metric are written."""
    unit = METRICS[metric].unit if metric in METRICS else ""
    if unit == "J":
        return format_energy
    if unit == "s":
        return format_duration
    return lambda value: f"{significant(value)}{f' {unit}' if unit not in ('', '1') else ''}"


def _times(value: float) -> str:
    return f"{significant(value)} ×"


def _signed(metric: str) -> Callable[[float], str]:
    show = shown_as(metric)
    return lambda value: f"{'+' if value > 0 else '−' if value < 0 else ''}{show(abs(value))}"


def _p(p: float | None) -> Html:
    if p is None:
        return tag("td", tag("span", "–", aria_label="not tested"), class_="n")
    text = "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
    return tag("td", tag("strong", text) if p < ALPHA else text, class_="n")


def _head(names: Sequence[str]) -> Html:
    numbers = {"runs", "η²", "value", "95 % interval", "blocks", "architectures", "exponent b", "R²"}
    return tag(
        "tr",
        (
            tag(
                "th",
                n,
                scope="col",
                class_="n" if n in numbers or n.startswith(("p,", "error", "Krus")) else None,
            )
            for n in names
        ),
    )


def _table(caption: str, head: Html, rows: Sequence[Html]) -> Html:
    table = tag("table", tag("caption", caption, class_="sr"), tag("thead", head), tag("tbody", rows))
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)

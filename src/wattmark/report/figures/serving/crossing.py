"""Where a larger model at more load costs less per token than a smaller one at less load, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.report.drawing.charts import dots
from wattmark.report.drawing.marks import Drawing
from wattmark.report.figures.serving.cells import left_out_words, runs_of, text_cells
from wattmark.report.figures.training import Figure, Panel, has
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.analysis.serving import (
    Crossing,
    crossings,
    like_with_like,
    load_factor,
    serving_cells,
)

MOST_CROSSINGS = 10


def crossing_figure(data: StudyData) -> Figure:
    """The pairs in which the larger model is cheapest against the smaller one."""
    key, title = "serving-crossing", "Where a larger model costs less than a smaller one"
    load = load_factor(data.results)
    if load is None or not has(data, "parameters"):
        return Figure(key, title, "", absent="it needs models of known size at several loads")
    cells, _ = like_with_like(serving_cells(data.results))
    found = crossings(cells, load)
    if not found:
        return Figure(
            key,
            title,
            "",
            absent="it needs two models or more, and two runs or more of each cell with known idle watts",
        )
    best = sorted(found, key=lambda one: one.ratio.value)[:MOST_CROSSINGS]

    def draw() -> Drawing:
        rows = [f"{one.larger} / {one.smaller}" for one in best]
        drawing = dots(rows, [one.ratio for one in best], "ratio of J per output token", against=1.0)
        axes = drawing.figure.axes[0]
        axes.set_xlim(0, max(1.1, *(min(one.ratio.high, 3 * one.ratio.value) * 1.05 for one in best)))
        for row, one in enumerate(best):
            drawing.tips[f"dot-{row}"] += f"; below 1 with a probability of {_percent(one.probability)}"
        return drawing

    panel = Panel(
        key,
        "Joules per token, larger at more load over smaller at less",
        "Dots: ratio of joules per output token with 95 % intervals; below 1 the larger model costs less",
        draw,
    )
    sure = [one for one in found if one.sure]
    words = [
        crossing_sentence(sure, found),
        _method(data),
        left_out_words(data),
        runs_of(text_cells(data)),
    ]
    return Figure(key, title, " ".join(word for word in words if word), [panel])


def crossing_sentence(sure: Sequence[Crossing], found: Sequence[Crossing]) -> str:
    """What the pairs say, and how sure it is."""
    if not sure:
        likely = max(found, key=lambda one: one.probability)
        return (
            f"In none of {len(found)} pairs is it sure that a larger model at more load costs less per token than a smaller "
            f"one at less load; likeliest is {likely.larger} against {likely.smaller}, with {_times(likely)} and a "
            f"probability of {_percent(likely.probability)}."
        )
    best = min(sure, key=lambda one: one.ratio.high)
    p = "below 0.001" if best.p < 0.001 else f"{best.p:.3f}"
    return (
        f"In {len(sure)} of {len(found)} pairs it is sure that the larger model at more load costs less per token, idle "
        f"included. {best.larger} costs {_times(best)} what {best.smaller} does (Student's t over logarithms, p {p} after "
        "Holm's correction for all pairs)."
    )


def _times(one: Crossing) -> str:
    return f"{one.ratio.value:.2f} times ({one.ratio.low:.2f} to {one.ratio.high:.2f})"


def _method(data: StudyData) -> str:
    """Modelled joules have an error of their own that no repeat shows."""
    method = data.method_words("total")
    if "modelled" not in method:
        return "The error of the sensor is common to both and cancels."
    return (
        f"The joules are {method}: an error that is common to both cancels, but the ratio is only as good as the model's "
        "response to load."
    )


def _percent(probability: float) -> str:
    return "more than 99.9 %" if probability > 0.999 else f"{100 * probability:.1f} %"

"""What physics allows bounds every figure: no bar below zero joules, no share above one, no accuracy beyond 0 to 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fakes.studies import study
from wattmark.quantity import Quantity, QuantityDict
from wattmark.report.drawing.charts import bars, dots, lines, points
from wattmark.report.drawing.marks import Line, Part, Point
from wattmark.report.study import study_figures
from wattmark.studies.analysis import analyse
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.results import StudyResults, TrialResult

SHARES = ("share", "accuracy", "(%)")


def ends(axes: Any) -> Iterator[tuple[str, float]]:
    """Every number that is drawn, with the name of its axis."""
    for side, get in (("x", "get_xdata"), ("y", "get_ydata")):
        label = getattr(axes, f"get_{side}label")()
        for line in axes.lines:
            if line.get_transform().contains_branch(axes.transData):
                yield from (
                    (label, float(value)) for value in getattr(line, get)() if not isinstance(value, str)
                )
        for band in axes.collections:
            for path in band.get_paths():
                yield from ((label, float(vertex["xy".index(side)])) for vertex in path.vertices)
    for patch in axes.patches:
        if hasattr(patch, "get_width"):
            yield from (
                (axes.get_xlabel(), float(x)) for x in (patch.get_x(), patch.get_x() + patch.get_width())
            )


def wide(trial: TrialResult, low: float, high: float) -> TrialResult:
    """The trial with errors that reach far below nothing, of its sensor and of its own."""

    def with_terms(part: Any) -> QuantityDict:
        joules = part["value"]
        terms = {
            "scale/lab": (low * joules, high * joules),
            f"character/{trial.factors}": (low * joules, high * joules),
        }
        return Quantity(joules, terms=terms, at_least=0.0).as_dict()

    energy = {name: with_terms(part) for name, part in (trial.energy_j or {}).items()}
    stages = tuple(
        replace(stage, energy_j={"value": (stage.energy_j or {})["value"], "low": 0.0, "high": 9e4})
        for stage in trial.stages
    )
    return replace(trial, energy_j=energy, stages=stages)


def wild(noise: float, low: float, high: float, accuracy: float, share: float) -> StudyResults:
    """Two repeats a cell that scatter widely, beside errors of the sensor as wide."""
    count = [0]

    def metrics(levels: Any) -> dict[str, float]:
        count[0] += 1
        odd = count[0] % 2
        joules = (10 if odd else 0.4) / levels["rate"]
        return {
            "j_per_token": joules, "j_per_token_low": 0.0, "j_per_token_high": 3 * joules, "j_per_request": 16 * joules,
            "parameters": 1e6, "serving_w": 10 * joules, "in_flight": levels["rate"],
            "idle_share": share if odd else 1 - share, "ttft_p95_s": 0.01,
        }  # fmt: skip

    results = study(
        {"model": ["1m", "20m"], "rate": [1.0, 8.0]},
        2,
        noise=noise,
        accuracy=lambda levels: accuracy,
        metrics=metrics,
        epochs=1,
    )
    trials = [wide(trial, low, high) for trial in results.trials]
    scattered = [
        replace(
            trial,
            metrics={**trial.metrics, "accuracy": 1.0 if row % 2 else 0.3},
            stages=tuple(
                replace(stage, attrs={**stage.attrs, "accuracy": 1.0 if row % 2 else 0.3})
                for stage in trial.stages
            ),
        )
        for row, trial in enumerate(trials)
    ]
    return replace(results, trials=scattered)


@settings(max_examples=3, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.floats(0.01, 2.0), st.floats(-2.0, -0.1), st.floats(0.1, 3.0), st.floats(0.5, 1.0), st.floats(0, 1))
def test_no_bar_is_below_zero_and_no_share_above_one(
    noise: float, low: float, high: float, accuracy: float, share: float
) -> None:
    results = wild(noise, low, high, accuracy, share)
    analysis = analyse(results)
    drawn = 0
    for figure in study_figures(StudyData(results, analysis.frame), analysis):
        for panel in figure.panels:
            if figure.key in ("correlations",) or "crossing" in panel.key:
                continue
            for axes in panel.draw().figure.axes:
                for label, value in ends(axes):
                    if not label:  # the places of rows
                        continue
                    drawn += 1
                    where = f"{panel.key}: {label} {value}"
                    assert value >= -1e-9, where
                    if any(word in label for word in SHARES):
                        assert value <= (100.0 if "%" in label else 1.0) + 1e-9, where
    assert drawn > 100


def test_two_kinds_of_bars_are_told_apart() -> None:
    def joules(value: float) -> Quantity:
        terms = {"scale/lab": (-0.4 * value, 0.6 * value), f"scatter/{value}": (-2.0, 2.0)}
        return Quantity(value, terms=terms, at_least=0.0)

    rows, values = ["a", "b"], [joules(100), joules(30)]
    words = "All together may be off by -40 to +60 % (scale of the sensor): it changes no ratio between them."
    for drawing in (bars(rows, [Part("", values)], "energy (J)"), dots(rows, values, "energy (J)")):
        axes = drawing.figure.axes[0]
        thin = [tuple(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) == 2]
        assert thin[:2] == [(98.0, 102.0), (28.0, 32.0)]
        shaded = [(p.get_x(), p.get_x() + p.get_width()) for p in axes.patches if p.get_alpha()]
        assert shaded == [pytest.approx(value.interval()) for value in values]
        assert " ".join(text.get_text() for text in reversed(drawing.figure.texts)) == words
    line = lines([Line("a", [1.0, 2.0], values)], "x", "J")
    (band,) = line.figure.axes[0].collections
    assert {float(y) for _, y in band.get_paths()[0].vertices} == {98.0, 102.0, 28.0, 32.0}
    assert " ".join(text.get_text() for text in reversed(line.figure.texts)) == words
    exact = [Quantity.exact(1.0, "s"), Quantity.exact(2.0, "s")]
    cloud = points([Point(n, q, s) for n, q, s in zip(rows, values, exact, strict=True)], "J", "s")
    reach = [tuple(one.get_xdata()) for one in cloud.figure.axes[0].lines if len(one.get_xdata()) == 2]
    assert reach == [(98.0, 102.0), (28.0, 32.0)]
    assert "All together" in cloud.figure.texts[-1].get_text()


def test_what_is_compared_with_one_and_not_with_one_another_keeps_its_whole_interval() -> None:
    shared = [Quantity(value, unit="", terms={"scale/lab": (-0.2, 0.2)}) for value in (0.8, 1.5)]
    drawing = dots(["a", "b"], shared, "ratio", against=1.0)
    thin = [tuple(line.get_xdata()) for line in drawing.figure.axes[0].lines if len(line.get_xdata()) == 2]
    assert thin[:2] == [pytest.approx((0.6, 1.0)), pytest.approx((1.3, 1.7))]
    assert drawing.figure.texts == []

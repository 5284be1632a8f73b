"""Figures of serving studies, on results with a planted crossing."""

from __future__ import annotations

import pytest

from fakes.studies import study
from wattmark.quantity import Quantity
from wattmark.report.data import StudyData
from wattmark.report.figures_serving import figures
from wattmark.report.figures_serving_crossing import crossing_sentence
from wattmark.report.study import write_report
from wattmark.studies.analysis.serving import Crossing, like_with_like, serving_cells
from wattmark.studies.analysis.serving import crossings as all_crossings

SIZES = {"1m": 1e6, "20m": 2e7}


def planted(repeats: int = 4, noise: bool = False, idle: bool = True):
    """Idle of 10 W shared by the load, and a thousandth of a joule a token of the large model on top."""
    count = [0]

    def metrics(levels):
        count[0] += 1
        wobble = 1 + 0.01 * (count[0] % 3 - 1) + (2.0 * (count[0] % 2) if noise else 0)
        tokens_per_s = 16 * levels["rate"]
        own = 1e-3 if levels["model"] == "20m" else 1e-4
        joules = (10 / tokens_per_s + own) * wobble
        found = {
            "j_per_token": joules, "j_per_token_low": joules * 0.9, "j_per_token_high": joules * 1.1,
            "j_per_request": 16 * joules, "parameters": SIZES[levels["model"]], "serving_w": 10 + levels["rate"],
            "in_flight": levels["rate"] / 10, "ttft_p95_s": 0.01 * levels["rate"],
        }  # fmt: skip
        return {**found, "idle_share": 0.99 - 0.01 * levels["rate"]} if idle else found

    return StudyData(study({"model": ["1m", "20m"], "rate": [1.0, 8.0]}, repeats, metrics=metrics))


def crossings(data: StudyData, load: str) -> list[Crossing]:
    cells, _ = like_with_like(serving_cells(data.results))
    return all_crossings(cells, load)


def test_a_larger_model_at_more_load_that_costs_less_is_found_and_how_sure_it_is() -> None:
    (found,) = crossings(planted(), "rate")
    assert "20m" in found.larger
    assert "1m" in found.smaller
    assert found.ratio.value == pytest.approx((10 / 128 + 1e-3) / (10 / 16 + 1e-4), rel=0.02)
    assert found.ratio.low < found.ratio.value < found.ratio.high < 1
    assert found.p < 0.001


def test_scatter_larger_than_the_difference_is_not_sure() -> None:
    one = Crossing("big", "small", Quantity(0.9, 0.5, 1.6, ""), 0.7, 0.3)
    assert "In none of 3 pairs" in crossing_sentence([], [one] * 3)
    assert "a probability of 70.0 %" in crossing_sentence([], [one] * 3)
    assert "0.90 times (0.50 to 1.60)" in crossing_sentence([one], [one] * 3)
    (found,) = crossings(planted(repeats=2, noise=True), "rate")
    assert found.p > 0.05


def test_one_run_of_each_cell_shows_no_crossing() -> None:
    found = {figure.key: figure for figure in figures(planted(repeats=1))}
    assert "two runs" in found["serving-crossing"].absent


def test_figures_are_drawn_and_say_what_follows() -> None:
    found = {figure.key: figure for figure in figures(planted())}
    assert {key for key, figure in found.items() if figure.absent} == {
        "serving-tasks",
        "serving-lengths",
        "serving-time",
    }
    assert "2 of" not in found["serving-crossing"].lead
    assert "In 1 of 1 pairs" in found["serving-crossing"].lead
    drawing = found["serving-energy"].panels[0].draw()
    assert set(drawing.tips.values()) == {"1m", "20m"}


def test_without_idle_watts_the_figure_of_idle_says_so() -> None:
    found = {figure.key: figure for figure in figures(planted(idle=False))}
    assert found["serving-idle"].absent == "the idle watts are not known"


def test_other_studies_have_none_of_these_figures() -> None:
    assert figures(StudyData(study({"model": ["a", "b"]}, 2))) == []


@pytest.mark.slow
def test_the_report_has_them(tmp_path) -> None:
    page = write_report(planted().results, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Where a larger model costs less" in page

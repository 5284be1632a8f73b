"""Figures of serving studies, on results with a planted crossing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.studies import study
from wattmark.quantity import Quantity
from wattmark.report.figures.serving.cells import task_cells
from wattmark.report.figures.serving.crossing import crossing_sentence
from wattmark.report.figures.serving.lengths import plane_of
from wattmark.report.figures.serving.load import figures
from wattmark.report.figures.serving.tasks import accuracy
from wattmark.report.study import study_figures, write_report
from wattmark.studies.analysis import analyse
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.analysis.serving import Crossing, like_with_like, serving_cells
from wattmark.studies.analysis.serving import crossings as all_crossings
from wattmark.studies.results import Stage

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


def with_tasks(right: float = 45.0):
    def metrics(levels):
        share = right / 50 if levels["mode"] == "steps" else 0.0
        found = {
            "j_per_token": 0.01, "j_per_request": 1.0, "answered": 50, "correct": 50 * share, "accuracy": share,
            "parameters": 1e5, "model_training_j": 900.0,
        }  # fmt: skip
        cost = 1 / share if share else None
        return found if cost is None else {
            **found, "j_per_correct": cost, "j_per_correct_low": cost * 0.8, "j_per_correct_high": cost * 1.2
        }  # fmt: skip

    factors = {"model": ["trained:0.1m", "trained:0.5m"], "mode": ["answer", "steps"], "level": [2, 3]}
    results = study(factors, 2, metrics=metrics)
    return StudyData(type(results)(
        results.name, "", {**results.design, "fixed": {"task": "addition"}}, results.trials
    ))  # fmt: skip


def test_right_answers_are_drawn_against_their_price_and_by_difficulty() -> None:
    (figure,) = figures(with_tasks())
    assert [panel.key for panel in figure.panels] == [
        "serving-tasks", "serving-tasks-accuracy", "serving-tasks-j_per_correct",
    ]  # fmt: skip
    tips = figure.panels[0].draw().tips
    assert len(tips) == 4  # of eight cells only those with steps have a price
    assert any("trained:0.5m, steps" in tip for tip in tips.values())
    assert "Without any right answer, so without a price" in figure.lead
    assert "0.1m 900 J" in figure.lead
    assert set(figure.panels[1].draw().tips.values()) == {
        "trained:0.1m, answer", "trained:0.1m, steps", "trained:0.5m, answer", "trained:0.5m, steps",
    }  # fmt: skip


def test_accuracy_of_a_cell_is_that_of_all_its_repeats() -> None:
    data = with_tasks()
    cell = next(cell for cell in task_cells(data) if cell.levels["mode"] == "steps")
    share = accuracy(data, cell)
    assert share is not None
    assert share.value == pytest.approx(0.9)
    assert (share.low, share.high) == pytest.approx((0.8256, 0.9448), abs=1e-3)  # Wilson, 90 of 100


def with_lengths(models=("5m",), outputs=("16", "64")):
    count = [0]

    def metrics(levels):
        count[0] += 1
        given, made = float(levels["input"]), float(levels["output"])
        joules = (0.05 + 0.001 * given + 0.02 * made) * (1 + 0.01 * (count[0] % 3 - 1))
        return {
            "j_per_token": joules / made, "j_per_request": 2 * joules, "j_per_request_own": joules, "idle_share": 0.5,
            "input_tokens": given, "output_tokens": made, "parameters": 5e6,
        }  # fmt: skip

    return StudyData(
        study(
            {"model": list(models), "input": ["32", "256", "512"], "output": list(outputs)},
            3,
            metrics=metrics,
        )
    )


def test_the_planes_of_prefill_and_decode_are_recovered_with_intervals() -> None:
    data = with_lengths()
    plane = plane_of(data, data.cells, "j_per_request_own")
    assert plane is not None
    for found, planted_j in ((plane.prefill_j, 0.001), (plane.decode_j, 0.02), (plane.on_j, 0.05)):
        assert found.low < planted_j < found.high
        assert found.value == pytest.approx(planted_j, rel=0.15)
    figure = next(figure for figure in figures(data) if figure.key == "serving-lengths")
    assert "a token of the prompt" in figure.lead
    assert figure.panels[0].draw().figure.axes


def test_lengths_that_span_no_plane_have_no_coefficients() -> None:
    data = with_lengths(outputs=("16",))
    assert plane_of(data, data.cells, "j_per_request_own") is None
    figure = next(figure for figure in figures(data) if figure.key == "serving-lengths")
    assert set(figure.panels[0].draw().tips.values()) == {"5m"}


def test_power_is_drawn_over_time_with_the_requests_beneath_it() -> None:
    data = planted()
    stage = Stage(
        "load", "serving/load", 1.0, 2.0, None, attrs={"in_flight_s": [0.0, 0.5, 1.0], "in_flight": [1, 2, 0]}
    )
    trials = [replace(trial, stages=(stage,), power_profile=([0, 1, 2], [9, 20, 9])) for trial in data.trials]
    timed = StudyData(replace(data.results, trials=trials))
    figure = next(figure for figure in figures(timed) if figure.key == "serving-time")
    upper, lower = figure.panels[0].draw().figure.axes
    assert upper.get_shared_x_axes().joined(upper, lower)
    assert list(upper.lines[0].get_xdata()) == [-1, 0, 1]
    assert max(lower.lines[0].get_ydata()) == 2


def test_trials_without_known_idle_are_left_out_and_counted() -> None:
    data = planted()
    first, *rest = data.trials
    unknown = {name: value for name, value in first.metrics.items() if name != "idle_share"}
    mixed = StudyData(replace(data.results, trials=[replace(first, metrics=unknown), *rest]))
    found = {figure.key: figure for figure in figures(mixed)}
    assert "1 of 16 runs are left out" in found["serving-energy"].lead
    assert "1 of 16 runs are left out" in found["serving-crossing"].lead


def test_limits_are_drawn_where_a_study_has_them() -> None:
    data = planted()
    limited = StudyData(
        replace(data.results, design={**data.results.design, "fixed": {"ttft_limit_s": 0.05}})
    )
    figure = next(figure for figure in figures(limited) if figure.key == "serving-latency")
    assert "0.05 s to the first token" in figure.lead
    lines = figure.panels[0].draw().figure.axes[0].lines
    assert any(list(line.get_ydata()) == [0.05, 0.05] for line in lines)


@pytest.mark.slow
def test_a_serving_report_has_no_empty_figures_of_training() -> None:
    data = planted()
    keys = {figure.key: figure.absent for figure in study_figures(data, analyse(data.results))}
    assert "serving-energy" in keys
    assert not any(reason for key, reason in keys.items() if not key.startswith("serving"))

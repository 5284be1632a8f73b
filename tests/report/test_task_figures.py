"""The report of a study of tasks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from fakes.task_study import SENTIMENT, Cell, task_study
from wattmark.predict.whatif.rates import rates_at
from wattmark.report.figures.tasks import figures
from wattmark.report.sections.published import published_section
from wattmark.report.sections.tasks import task_table
from wattmark.report.study import study_figures, write_figures, write_report
from wattmark.studies.analysis import analyse
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.analysis.tasks import task_costs

CELLS = (
    *SENTIMENT,
    Cell("text-generation", "large", 8.0, outputs=100.0, general=True),
    Cell("image-captioning", "vit-random", 2.0, quality=None, outputs=16.0),
)


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_all_figures_are_drawn_from_a_full_study():
    data = StudyData(task_study(CELLS, repeats=2))
    found = {figure.key: figure for figure in figures(data)}
    assert set(found) == {
        "tasks-energy", "tasks-models", "tasks-quality", "tasks-size", "tasks-length", "tasks-general",
    }  # fmt: skip
    for figure in found.values():
        assert not figure.absent, figure
        for panel in figure.panels:
            assert panel.draw().tips
    assert "vit-random" in found["tasks-energy"].lead
    assert [panel.title for panel in found["tasks-models"].panels] == ["Text-classification"]


def test_what_a_study_does_not_carry_is_told():
    data = StudyData(task_study([Cell("t", "noise", 1.0, quality=None)]))
    absent = {figure.key: figure.absent for figure in figures(data)}
    assert absent["tasks-energy"] == ""
    assert "real weights" in absent["tasks-quality"]
    assert "general" in absent["tasks-general"]
    assert "more than one model" in absent["tasks-models"]


def test_the_axis_of_energy_is_logarithmic():
    panel = figures(StudyData(task_study(CELLS)))[0].panels[0]
    assert panel.draw().figure.axes[0].get_xscale() == "log"


def test_the_table_has_carbon_and_money_at_a_place():
    costs = task_costs(StudyData(task_study(SENTIMENT, repeats=2)))
    there = words(task_table(costs, rates_at("FR", None, None, 0.36, "EUR")))
    assert "100 J" in there
    assert "0.0278" in there  # 100 J in Wh
    assert "0.00001" in there  # 100 / 3.6e6 kWh x 0.36 EUR
    assert "EUR" in there
    assert "no place is given" not in there
    nowhere = words(task_table(costs))
    assert "no place is given" in nowhere
    assert "no price is given" in nowhere
    assert "g CO2e per 1,000" in there
    assert "g CO2e per 1,000" not in nowhere
    assert "money per 1,000" not in nowhere


def test_the_table_says_by_what_stars_go_and_when_training_has_paid():
    trained = (Cell("t", "small", 0.1, training_j=0.1), Cell("t", "large", 3.0, general=True))
    there = words(task_table(task_costs(StudyData(task_study(trained, repeats=3)))))
    assert "the first inference" in there
    assert "not all of them have a GPU" in there
    by_gpu = (Cell("t", "a", 10.0, gpu_j=1.0), Cell("t", "b", 9.0, gpu_j=5.0))
    both = words(task_table(task_costs(StudyData(task_study((*by_gpu, *trained[1:], Cell("u", "c", 1.0)))))))
    assert "where all of a task have it" not in both  # t has one without a GPU: nothing goes by GPUs there
    apart = words(task_table(task_costs(StudyData(task_study((*by_gpu, Cell("u", "c", 1.0)))))))
    assert "where all of a task have it" in apart


def test_a_model_that_answered_fewer_inputs_is_named():
    costs = task_costs(StudyData(task_study(SENTIMENT, repeats=2)))
    assert "Not all inputs" not in words(task_table(costs))
    few = [replace(cost, scored=4.0) if cost.general else cost for cost in costs]
    assert "text-classification, large: the first 4 of 40" in words(task_table(few))


def test_the_table_names_what_is_not_above_chance():
    cells = (Cell("t", "good", 1.0, 0.9), Cell("t", "poor", 1.0, 0.55))
    there = words(task_table(task_costs(StudyData(task_study(cells)))))
    assert "Not above chance by more than the inputs&#x27; interval: t, poor." in there


def test_the_report_is_written_whole(tmp_path: Path):
    results = task_study(CELLS, repeats=2)
    text = write_report(results, tmp_path / "tasks.html").read_text(encoding="utf-8")
    assert 'id="tasks"' in text
    assert "30.0" in words(text)
    data = StudyData(results)
    keys = [figure.key for figure in study_figures(data, analyse(results))]
    assert keys[:2] == ["tasks-energy", "tasks-models"]


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "a&b"])
def test_names_from_outside_are_escaped(name: str):
    there = task_table(task_costs(StudyData(task_study([Cell("t", name, 1.0)]))))
    assert "<img" not in there
    assert name not in there


def test_the_published_table_stands_beside_the_study():
    there = words(published_section(task_costs(StudyData(task_study(CELLS, repeats=2)))))
    for told in ("22.7 ×", "26.3 ×", "3.9 ×", "544 ×", "430.8 W", "all eight A100", "here, Wh per 1,000"):
        assert told in there
    assert "text-classification, large over small: 30.0" in there
    assert "Ours:" not in words(published_section([]))


def test_every_cell_with_energy_has_its_label(tmp_path: Path):
    written = write_figures(task_study(CELLS), tmp_path, ("svg",))
    labels = [path for path in written if path.name.startswith("label-")]
    assert len(labels) == len(CELLS)
    assert all(path.read_text(encoding="utf-8").startswith("<svg") for path in labels)

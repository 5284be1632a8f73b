"""The label of a model: stars, names that are only text, and a picture that XML readers take."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from fakes.task_study import Cell, task_study
from wattmark.report.drawing.label import label_svg
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.analysis.tasks import TaskCost, task_costs


def cost(model: str = "minilm", *, gpu_j: float | None = None) -> TaskCost:
    return task_costs(StudyData(task_study([Cell("text-classification", model, 1.5, gpu_j=gpu_j)])))[0]


@pytest.mark.parametrize("stars", [1, 3, 5])
def test_as_many_stars_are_lit(stars: int):
    root = ET.fromstring(label_svg(cost(), stars, "here"))
    fills = [element.get("fill") for element in root.iter("{http://www.w3.org/2000/svg}polygon")]
    assert len(fills) == 5
    assert len(set(fills[:stars])) == 1
    assert fills.count(fills[0]) == stars
    assert f"{stars} of 5 stars" in (root.get("aria-label") or "")


def test_it_says_how_the_energy_was_got_and_by_which_rule():
    text = label_svg(cost(), 4, "here")
    assert "1,500 J for 1,000 inferences" in text
    assert "measured" in text
    assert "AI Energy Score" in text
    assert "GPUs" in label_svg(cost(gpu_j=1.0), 4)


@pytest.mark.parametrize("name", ["</text><script>alert(1)</script>", "a & b", "x" * 200, "\x00\x07name"])
def test_names_are_only_text(name: str):
    root = ET.fromstring(label_svg(replace(cost(), model=name), 2, name))
    assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert not list(root.iter("script"))


@pytest.mark.parametrize("stars", [0, 6])
def test_stars_that_there_are_not_are_refused(stars: int):
    with pytest.raises(ValueError, match="1 to 5 stars"):
        label_svg(cost(), stars)


def test_a_cell_without_energy_has_no_label():
    with pytest.raises(ValueError, match="energy"):
        label_svg(replace(cost(), energy=None), 3)

"""Figures of joules to a quality and of densities, from the trials of a small study."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from fakes.studies import bounds, trial
from wattmark.report.figures import densities, reach
from wattmark.report.study import write_report, write_tables
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.results import Stage, StudyResults, TrialResult
from wattmark.workloads.ebm.picture import Picture


def _trial(method: str, repeat: int, qualities: list[float]) -> TrialResult:
    points = np.random.default_rng(repeat).normal(0, 1, (400, 2))
    picture = Picture.of(points, points, np.full(256, 1 / 256)).as_dict()
    stages = [Stage("picture", "picture", 9.0, 0.1, None, attrs=picture)]
    for number, quality in enumerate(qualities):
        stages.append(Stage("epoch", "epoch", 2.0 * number, 1.0, bounds(10.0, 0.1)))
        stages.append(Stage("evaluation", "evaluation", 2.0 * number + 1, 1.0, None, attrs={"kl": quality}))
    return replace(
        trial({"method": method, "data": "moons"}, repeat=repeat),
        stages=tuple(stages),
        metrics={"kl": qualities[-1]},
    )


def _results() -> StudyResults:
    design = {
        "factors": {"method": ["aloe", "pcd"], "data": ["moons"]},
        "quality": {"metric": "kl", "better": "lower", "target": 0.2},
    }
    trials = [_trial("aloe", n, [0.9, 0.15]) for n in range(2)] + [
        _trial("pcd", n, [0.9, 0.5]) for n in range(2)
    ]
    return StudyResults("small", "Small", design, trials)


def test_who_did_not_come_so_far_is_named() -> None:
    (figure,) = reach.figures(StudyData(_results()))
    assert "pcd" in figure.lead
    assert "0 of 2 runs; over 20 J without" in figure.lead
    bars = figure.panels[0].draw()
    assert next(iter(bars.tips.values())).startswith("aloe")
    for panel in figure.panels:
        panel.draw()


def test_pictures_stand_beside_the_data() -> None:
    (figure,) = densities.figures(StudyData(_results()))
    (panel,) = figure.panels
    drawing = panel.draw()
    assert len(drawing.figure.axes[0].images) == 6  # data twice, two methods each with density and samples


def test_other_studies_have_neither() -> None:
    data = StudyData(StudyResults("other", "", {}, [trial({"model": "a"}), trial({"model": "b"})]))
    assert reach.figures(data) == []
    assert densities.figures(data) == []


def test_report_and_tables_have_them(tmp_path: Path) -> None:
    text = write_report(_results(), tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Joules to a quality" in text
    assert "data:image/png;base64," in text
    write_tables(_results(), tmp_path, ("csv",))
    rows = (tmp_path / "reach.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0].split(",")[:5] == ["method", "quality_metric", "target", "runs", "reached"]
    assert len(rows) == 3

"""One study through the terminal, the files of its report, the report's page and the API: the same numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from fakes import study_folders
from wattmark.cli import main
from wattmark.dashboard.app import create_app
from wattmark.dashboard.context import Options
from wattmark.report.sections.summary import main_table
from wattmark.report.tables import tables
from wattmark.store import open_store
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.execution.state import StudyFolder, studies_dir
from wattmark.units import format_energy


def shown(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code
    return capsys.readouterr().out


def served(root: Path, name: str, tmp_path: Path) -> dict[str, Any]:
    with (
        open_store(str(tmp_path / "store.db")) as store,
        TestClient(create_app(store, Options(studies=root)), base_url="http://127.0.0.1") as client,
    ):
        return client.get(f"/api/v1/studies/{name}").json()


@pytest.mark.parametrize("make", [study_folders.vision, study_folders.serving])
def test_every_surface_gives_the_same_means_with_the_same_ends(
    make: Callable[[Path], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies_dir().mkdir(parents=True)
    folder = make(studies_dir())
    name = folder.name
    terminal = json.loads(shown(["study", "show", name, "--json", "-"], capsys))["cells"]
    page = served(studies_dir(), name, tmp_path)["cells"]
    results = StudyFolder(folder).results()
    files = tables(results)["cells"]
    assert len(terminal) == len(page) == len(files["runs"])
    html = unescape(str(main_table(StudyData(results))))
    for row, (cell, other) in enumerate(zip(terminal, page, strict=True)):
        assert cell["factors"] == other["factors"]
        for metric, mean in cell["means"].items():
            served_mean = other["metrics"]["duration_s" if metric == "total_duration_s" else metric]
            assert {end: served_mean[end] for end in ("value", "low", "high")} == {
                end: mean[end] for end in ("value", "low", "high")
            }, metric
            if metric in files:
                ends = [files[f"{metric}{end}"][row] for end in ("", "_low", "_high")]
                assert ends == [mean[end] for end in ("value", "low", "high")], metric
        energy = cell["means"]["total_energy"]
        assert cell["energy_j"] == energy["value"]
        assert f"{format_energy(energy['low'])} to {format_energy(energy['high'])}" in html
    assert any(
        mean["low"] < mean["value"] < mean["high"] for cell in terminal for mean in cell["means"].values()
    )


def test_the_table_of_the_terminal_has_the_error_of_the_sensor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies_dir().mkdir(parents=True)
    folder = study_folders.vision(studies_dir())
    (cell, *_) = json.loads(shown(["study", "show", folder.name, "--json", "-"], capsys))["cells"]
    sensor = StudyFolder(folder).results().trials[0].energy_j
    assert sensor is not None
    total = sensor["total"]
    own_pct = 100 * (total["high"] - total["low"]) / 2 / total["value"]
    assert cell["energy_pct"] > own_pct  # repeating shrinks the scatter, not what the sensor is off by
    energy = cell["means"]["total_energy"]
    assert cell["energy_pct"] == pytest.approx(50 * (energy["high"] - energy["low"]) / energy["value"])
    table = shown(["study", "show", folder.name], capsys)
    assert re.search(r"± 95 %", table)
    assert f"{cell['energy_pct']:.1f} %" in table


def test_a_cell_of_which_nothing_was_completed_is_shown_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    studies_dir().mkdir(parents=True)
    folder = study_folders.vision(studies_dir())
    trials = folder / "trials.jsonl"
    lines = [json.loads(line) for line in trials.read_text().splitlines()]
    first = lines[0]["factors"]
    for line in lines:
        if line["factors"] == first:
            line["status"] = "failed"
    trials.write_text("".join(json.dumps(line) + "\n" for line in lines))
    cells = json.loads(shown(["study", "show", folder.name, "--json", "-"], capsys))["cells"]
    (lost,) = [cell for cell in cells if cell["factors"] == first]
    assert (lost["runs"], lost["completed"], lost["energy_j"], lost["means"]) == (3, 0, None, {})
    assert "0/3" in shown(["study", "show", folder.name], capsys)

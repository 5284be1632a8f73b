"""Studies through the API: real folders on disk, the same figures as the report's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from fakes import study_folders
from wattmark.dashboard.app import create_app
from wattmark.dashboard.context import Options
from wattmark.store import open_store
from wattmark.studies.analysis.data.study_data import StudyData
from wattmark.studies.designs.design import load_design
from wattmark.studies.execution.state import StudyFolder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    study_folders.vision(folder)
    study_folders.serving(folder)
    return folder


@pytest.fixture(scope="module")
def client(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with open_store(str(tmp_path_factory.mktemp("store") / "store.db")) as store:
        app = create_app(store, Options(studies=root))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            yield client


def test_the_list_says_how_far_each_study_is(client: TestClient) -> None:
    found = {one["name"]: one for one in client.get("/api/v1/studies").json()}
    assert found["vision"]["done"] == 84
    assert found["vision"]["failed"] == 1
    assert not found["vision"]["running"]
    assert found["genops-quick"]["serving"]
    assert found["genops-quick"]["modelled"]


def test_a_study_that_a_runner_holds_is_running_and_looking_does_not_disturb(
    client: TestClient, root: Path
) -> None:
    folder = StudyFolder(root / "vision")
    with folder.lock():
        assert client.get("/api/v1/studies/vision/progress").json()["running"]
    assert not client.get("/api/v1/studies/vision/progress").json()["running"]
    for _ in range(5):  # looking takes no lock, so a runner that starts now is not refused
        client.get("/api/v1/studies/vision/progress")
    with folder.lock():
        pass


def test_cells_are_the_means_of_the_report(client: TestClient, root: Path) -> None:
    study = client.get("/api/v1/studies/vision").json()
    data = StudyData(StudyFolder(root / "vision").results())
    assert [cell["label"] for cell in study["cells"]] == [cell.label for cell in data.cells]
    for shown, cell in zip(study["cells"], data.cells, strict=True):
        mean = data.mean(cell, "training_energy_j")
        assert mean is not None
        assert shown["metrics"]["training_energy_j"]["value"] == mean.value
        assert (
            shown["metrics"]["training_energy_j"]["low"]
            <= mean.value
            <= shown["metrics"]["training_energy_j"]["high"]
        )
    assert study["quality"] == "accuracy"
    assert {trial["status"] for trial in study["trials"]} == {"completed", "out-of-memory"}


def test_the_command_of_a_cell_is_one_that_the_study_takes(client: TestClient) -> None:
    import shlex

    cell = client.get("/api/v1/studies/vision").json()["cells"][0]
    words = shlex.split(cell["command"])
    changes = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
    design = load_design(words[3], changes)
    for factor, level in cell["factors"].items():
        assert design.factors.get(factor, [design.fixed.get(factor)]) == [level]


def test_findings_are_those_of_the_analysis(client: TestClient) -> None:
    found = client.get("/api/v1/studies/vision/findings").json()
    assert any(point["on_front"] for point in found["pareto"])
    assert found["correlations"][0]["names"]
    assert found["guidelines"]
    assert json.dumps(found, allow_nan=False)


def test_epochs_are_means_over_repeats(client: TestClient) -> None:
    epochs = client.get("/api/v1/studies/vision/epochs").json()
    first = next(iter(epochs.values()))
    assert [row["epoch"] for row in first] == list(range(1, 11))
    assert first[0]["trials"] == 3
    assert first[0]["energy_j"] > 0


def test_a_log_is_read_and_nothing_beside_the_logs(client: TestClient, root: Path) -> None:
    study = client.get("/api/v1/studies/vision").json()
    trial = study["trials"][-1]["trial_id"]
    (root / "vision" / "logs" / f"{trial}.log").write_text("out of memory\n", encoding="utf-8")
    answer = client.get("/api/v1/studies/vision/log", params={"trial": trial})
    assert answer.json() == {"log": "out of memory\n"}
    secret = os.path.relpath("/etc/hostname", root / "vision" / "logs")
    assert client.get("/api/v1/studies/vision/log", params={"trial": secret}).status_code == 404


@pytest.mark.parametrize("name", ["nothing", "..", "a b", "x" * 200])
def test_a_study_that_is_not_there(client: TestClient, name: str) -> None:
    assert client.get(f"/api/v1/studies/{name}").status_code in (404, 422)


@pytest.mark.slow
def test_the_report_comes_as_a_file(client: TestClient) -> None:
    answer = client.get("/api/v1/studies/genops-quick/report")
    assert answer.headers["content-disposition"] == 'attachment; filename="genops-quick.html"'
    assert "<!doctype html>" in answer.text[:100]

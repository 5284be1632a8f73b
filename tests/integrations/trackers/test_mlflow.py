"""MLflow itself, with a store in a folder: metrics at their steps, system metrics, tags, artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.tracked import epochs_of, measured, trained
from wattmark.errors import ConfigError

mlflow: Any = pytest.importorskip("mlflow", exc_type=ImportError)

from wattmark.integrations.trackers.mlflow import log_run  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:(?!wattmark)")


@pytest.fixture(autouse=True)
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.create_experiment("mine", artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment("mine")


def kept(run_id: str) -> tuple[Any, dict[str, list[Any]]]:
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    return run, {name: client.get_metric_history(run_id, name) for name in run.data.metrics}


def test_a_training_is_told_to_the_active_run() -> None:
    with mlflow.start_run() as active:
        energy = trained()
    run, metrics = kept(active.info.run_id)
    assert [metric.step for metric in metrics["energy/epoch_j"]] == [4, 8]
    assert [metric.value for metric in metrics["energy/epoch_j"]] == pytest.approx(
        epochs_of(energy.run), rel=0.01
    )
    for low, value, high in zip(
        metrics["energy/epoch_low_j"], metrics["energy/epoch_j"], metrics["energy/epoch_high_j"], strict=True
    ):
        assert low.value <= value.value <= high.value
    assert run.data.metrics["energy/total_j"] <= energy.run.energy.value
    assert run.data.metrics["energy/mean_power_w"] == pytest.approx(50, rel=0.1)
    assert "system/cpu_power_watts" in metrics
    assert run.data.tags["wattmark.run_id"]
    files = {file.path for file in mlflow.MlflowClient().list_artifacts(active.info.run_id, "wattmark")}
    assert files == {"wattmark/energy.html", "wattmark/model-card-section.md"}
    page = Path(
        mlflow.artifacts.download_artifacts(run_id=active.info.run_id, artifact_path="wattmark/energy.html")
    )
    assert "wattmark-data" in page.read_text()


def test_a_finished_run_is_added_to_one() -> None:
    run = measured()
    with pytest.raises(ConfigError, match="no run of MLflow is active"):
        log_run(run)
    with mlflow.start_run() as active:
        log_run(run)
    _, metrics = kept(active.info.run_id)
    assert [metric.step for metric in metrics["energy/epoch_j"]] == [4, 8]
    assert [metric.step for metric in metrics["energy/total_j"]] == [4, 8]
    assert [100 * metric.value for metric in metrics["energy/per_sample_j"]] == pytest.approx(epochs_of(run))
    other = mlflow.MlflowClient().create_run(active.info.experiment_id).info.run_id
    log_run(run, other)
    assert "energy/total_j" in kept(other)[1]

"""Weights & Biases itself, offline: its file is read back record by record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fakes.tracked import epochs_of, measured, trained
from wattmark.errors import ConfigError

wandb: Any = pytest.importorskip("wandb", exc_type=ImportError)

from wattmark.integrations.trackers.wandb import log_run  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:(?!wattmark)")


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))


def records(folder: Path) -> list[Any]:
    """What the file of an offline run holds: records as LevelDB's logs have them (its doc/log_format.md), after 7 bytes."""
    from wandb.proto import wandb_internal_pb2  # pyright: ignore[reportMissingImports]

    (path,) = folder.rglob("run-*.wandb")
    data = path.read_bytes()
    found: list[Any] = []
    at, parts = 7, b""
    while at + 7 <= len(data):
        if at % 32768 > 32768 - 7:  # the rest of a block that has no room for a header
            at += 32768 - at % 32768
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            found.append(record)
            parts = b""
    return found


def rows(found: list[Any]) -> list[dict[str, Any]]:
    return [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in found
        if record.WhichOneof("record_type") == "history"
    ]


def summary(found: list[Any]) -> dict[str, Any]:
    return {
        item.key or "/".join(item.nested_key): json.loads(item.value_json)
        for record in found
        if record.WhichOneof("record_type") == "summary"
        for item in record.summary.update
    }


def test_a_training_is_told_to_the_active_run(tmp_path: Path) -> None:
    run = wandb.init(project="mine", dir=tmp_path, settings=wandb.Settings(console="off"))
    energy = trained()
    run.finish()
    found = records(tmp_path)
    history = rows(found)
    epochs = [row for row in history if "energy/epoch_j" in row]
    assert [row["energy/step"] for row in epochs] == [4, 8]
    assert [row["energy/epoch_j"] for row in epochs] == pytest.approx(epochs_of(energy.run), rel=0.01)
    assert all(
        row["energy/epoch_low_j"] <= row["energy/epoch_j"] <= row["energy/epoch_high_j"] for row in epochs
    )
    figures = summary(found)
    assert figures["energy/mean_power_w"] == pytest.approx(50, rel=0.1)
    assert figures["energy/total_j"] == pytest.approx(energy.energy.value)
    assert any("html-file" in row.values() for row in history)
    steps = [record.metric for record in found if record.WhichOneof("record_type") == "metric"]
    assert any(metric.glob_name == "energy/*" and metric.step_metric == "energy/step" for metric in steps)


def test_a_finished_run_is_added_to_one(tmp_path: Path) -> None:
    measured_run = measured()
    with pytest.raises(ConfigError, match="no run of W&B is active"):
        log_run(measured_run)
    run = wandb.init(project="mine", dir=tmp_path, settings=wandb.Settings(console="off"))
    log_run(measured_run)
    run.finish()
    epochs = [row for row in rows(records(tmp_path)) if "energy/epoch_j" in row]
    assert [row["energy/step"] for row in epochs] == [4, 8]

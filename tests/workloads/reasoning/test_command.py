"""``wattmark llm train``, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wattmark.cli.app import run_app
from wattmark.errors import ConfigError

pytest.importorskip("torch")
pytest.importorskip("gguf")

TRAIN = ["llm", "train", "--task", "addition", "--size", "60k", "--steps", "3"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(tmp_path))
    return tmp_path


def test_it_writes_models_and_tells_what_they_can_do(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert run_app([*TRAIN, "--test", "5", "--json", "-"]) == 0
    first = capsys.readouterr()
    (model,) = json.loads(first.out)["models"]
    assert Path(model["path"]).read_bytes()[:4] == b"GGUF"
    assert model["steps"] == 3
    rows: list[dict[str, Any]] = model["test"]
    assert {row["mode"] for row in rows} == {"answer", "budget:16", "steps"}
    assert {row["level"] for row in rows if not row["seen_in_training"]} == {5}
    assert all(row["problems"] == 5 and 0 <= row["accuracy"]["value"] <= 1 for row in rows)
    assert "step 3" in first.err

    # What is there already is not trained again.
    assert run_app([*TRAIN, "--test", "0"]) == 0
    again = capsys.readouterr()
    assert "step" not in again.err
    assert model["path"] in again.out.replace("\n", "")
    assert "accuracy" not in again.out


@pytest.mark.parametrize("wrong", [["--task", "algebra"], ["--size", "1b"], ["--seconds", "3"]])
def test_what_cannot_be_trained_is_said(folder: Path, wrong: list[str]):
    with pytest.raises(ConfigError):
        run_app([*TRAIN, *wrong])

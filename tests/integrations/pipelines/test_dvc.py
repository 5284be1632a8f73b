"""DVC itself: stages are runs, cached ones are none, `dvc metrics diff` shows joules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wattmark as wm

pytest.importorskip("dvc", exc_type=ImportError)
pytestmark = [
    pytest.mark.filterwarnings("ignore:(?!wattmark)"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(not shutil.which("git"), reason="no git"),
]
STAGES = """
stages:
  prepare:
    cmd: {run} prepare --metrics prepare.json -- {python} -c "open('rows','w').write('1')"
    deps: [input]
    outs: [rows]
    metrics: [prepare.json: {{cache: false}}]
  train:
    cmd: {run} train --model small --metrics train.json -- {python} work.py
    deps: [rows, work.py]
    outs: [model]
    metrics: [train.json: {{cache: false}}]
  evaluate:
    cmd: {run} evaluate --metrics evaluate.json -- {python} -c "open('score','w').write(open('model').read())"
    deps: [model]
    outs: [score]
    metrics: [evaluate.json: {{cache: false}}]
"""


def dvc(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "dvc", *words]
    env = {**os.environ, "DVC_NO_ANALYTICS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
        cwd=folder,
        check=True,
        capture_output=True,
    )


def test_a_pipeline_runs_what_changed_and_shows_joules(tmp_path: Path, fake_machine: Any) -> None:
    folder = tmp_path / "churn"
    folder.mkdir()
    run = f"{sys.executable} -m wattmark stage"
    (folder / "dvc.yaml").write_text(STAGES.format(run=run, python=sys.executable))
    (folder / "input").write_text("1")
    (folder / "work.py").write_text("import time; time.sleep(0.3); open('model', 'w').write('1')")
    git(folder, "init", "-q")
    dvc(folder, "init", "-q")
    dvc(folder, "repro")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    runs = wm.runs(tag="pipeline=churn")
    assert sorted(run.tags["stage"] for run in runs) == ["data", "experiments", "training"]
    dvc(folder, "repro")
    assert len(wm.runs(tag="pipeline=churn")) == 3
    (folder / "work.py").write_text("import time; time.sleep(0.6); open('model', 'w').write('2')")
    dvc(folder, "repro")
    again = wm.runs(tag="pipeline=churn")
    assert sorted(run.tags["step"] for run in again) == ["evaluate", "evaluate", "prepare", "train", "train"]
    diff = json.loads(dvc(folder, "metrics", "diff", "--json"))
    train = diff["train.json"]["train.energy_j"]
    before, after = sorted(
        (run for run in again if run.tags["step"] == "train"), key=lambda run: run.started_at
    )
    assert before.energy is not None
    assert after.energy is not None
    assert train["old"] == pytest.approx(before.energy.value, rel=1e-3)
    assert train["new"] == pytest.approx(after.energy.value, rel=1e-3)
    first = json.loads((folder / "train.json").read_text())["train"]
    assert first["energy_low_j"] <= first["energy_j"] <= first["energy_high_j"]

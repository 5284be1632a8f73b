"""Airflow's own listener manager: its specification of the hooks, and what becomes of a task's tries."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import wattmark as wm

pytestmark = [pytest.mark.filterwarnings("ignore:(?!wattmark)"), pytest.mark.timeout(300)]


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    pytest.importorskip("airflow", exc_type=ImportError)
    from airflow.listeners.listener import get_listener_manager  # pyright: ignore[reportMissingImports]

    from wattmark.integrations.pipelines.airflow import EnergyListener

    manager = get_listener_manager()
    manager.clear()  # examples of Airflow's own
    manager.add_listener(EnergyListener())
    yield manager.hook
    manager.clear()


def instance(task: str, attempt: int = 1, **params: Any) -> Any:
    return SimpleNamespace(
        dag_id="churn",
        run_id="today",
        task_id=task,
        map_index=-1,
        try_number=attempt,
        task=SimpleNamespace(params=params),
    )


def test_tries_are_runs(hook: Any, fake_machine: object) -> None:
    first, second = instance("train"), instance("train", 2)
    hook.on_task_instance_running(previous_state=None, task_instance=first)
    hook.on_task_instance_failed(previous_state=None, task_instance=first, error=ValueError("no"))
    hook.on_task_instance_running(previous_state=None, task_instance=second)
    hook.on_task_instance_success(previous_state=None, task_instance=second)
    third = instance("seven", wattmark="inference")
    hook.on_task_instance_running(previous_state=None, task_instance=third)
    hook.on_task_instance_failed(previous_state=None, task_instance=third, error="killed")
    runs = sorted(wm.runs(), key=lambda run: run.started_at)
    assert [(run.name, run.status, run.tags["stage"], run.tags.get("attempt")) for run in runs] == [
        ("train", "failed", "training", None),
        ("train", "completed", "training", "2"),
        ("seven", "failed", "inference", None),
    ]
    assert {run.tags["dag_run"] for run in runs} == {"today"}

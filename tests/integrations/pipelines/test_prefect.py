"""Prefect itself: each try of a task is a run, a cached one is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import wattmark as wm

pytest.importorskip("prefect", exc_type=ImportError)
pytestmark = [pytest.mark.filterwarnings("ignore:(?!wattmark)"), pytest.mark.timeout(300)]


def test_tries_are_runs_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_machine: object
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    from prefect.testing.utilities import prefect_test_harness  # pyright: ignore[reportMissingImports]

    from wattmark.integrations.pipelines.prefect import energy_flow, energy_task

    tries: list[int] = []

    @energy_task
    def prepare() -> int:
        return 3

    @energy_task(retries=1, name="train model")
    def train(rows: int) -> int:
        tries.append(rows)
        if len(tries) == 1:
            raise ValueError("once")
        return rows

    @energy_task
    def failing() -> None:
        raise KeyError("no")

    @energy_flow(log_prints=False)
    def churn() -> Any:
        train(prepare())
        state = failing(return_state=True)
        return state.is_failed()

    with prefect_test_harness(server_startup_timeout=120):
        assert churn() is True
    (run,) = wm.runs()
    assert run.name == "churn"
    spans = [span for span in run.spans if span.attrs.get("measure")]
    assert [span.name for span in spans] == ["prepare", "train model", "train model", "failing"]
    assert [str(span.attrs.get("attempt", "1")) for span in spans] == ["1", "1", "2", "1"]
    assert [span.attrs.get("stage") for span in spans][:2] == ["data", "training"]

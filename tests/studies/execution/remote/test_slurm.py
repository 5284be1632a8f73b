"""The contract of SLURM's executor, on a real SLURM of one node."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.clusters import slurm
from wattmark.studies.execution.executors import Executor
from wattmark.studies.execution.remote.slurm import SlurmExecutor
from wattmark.studies.results import TrialResult
from wattmark.testing.executor_contract import ExecutorContract, job_of, wait, wait_for

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("WATTMARK_LONG_TESTS"), reason="WATTMARK_LONG_TESTS=1 starts SLURM"
    ),
    pytest.mark.skipif(not slurm.is_here(), reason="no SLURM here, or not root (Debian: slurm-wlm, munge)"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    pytest.importorskip("submitit")
    with slurm.cluster({}) as variables:
        yield variables


@pytest.fixture
def executor_factory(
    cluster: dict[str, str], fake_machine: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    for key, value in cluster.items():
        monkeypatch.setenv(key, value)
    return lambda: SlurmExecutor(at_once=2, folder=tmp_path / "shared", python=sys.executable)


class TestSlurmExecutor(ExecutorContract):
    ended_s = 90.0

    @pytest.fixture
    def executor(self, executor_factory) -> Executor:
        self.make = executor_factory
        return executor_factory()

    def fresh_executor(self) -> Executor:
        return self.make()


def test_trials_that_wait_together_are_one_array(executor_factory, tmp_path: Path) -> None:
    executor = executor_factory()
    handles = [executor.submit(job_of(tmp_path, "/bin/sh", "-c", f"echo '{{\"n\": {n}}}'")) for n in range(3)]
    for number, handle in enumerate(handles):
        outcome = wait(executor, handle, 90.0)
        assert outcome.result is not None
        assert TrialResult.from_json(outcome.result["result"]).metrics == {"n": number}
    ids = [(Path(handle["home"]) / handle["key"] / "job").read_text().strip() for handle in handles]
    assert len({job_id.partition("_")[0] for job_id in ids}) == 1
    assert [job_id.partition("_")[2] for job_id in ids] == ["0", "1", "2"]


def test_a_requeued_job_runs_its_trial_again_once(executor_factory, tmp_path: Path) -> None:
    mark, begun, go = tmp_path / "mark", tmp_path / "begun", tmp_path / "go"
    script = f"echo x >> {begun}; echo $$ > {mark}; while [ ! -e {go} ]; do sleep 0.05; done"
    executor = executor_factory()
    handle = executor.submit(job_of(tmp_path, "/bin/sh", "-c", script))
    wait_for(mark)
    job_id = (Path(handle["home"]) / handle["key"] / "job").read_text().strip()
    mark.unlink()
    subprocess.run(["scontrol", "requeue", job_id], check=True)
    assert executor.poll(handle) is None
    go.touch()
    now = ["scontrol", "update", f"JobId={job_id}", "StartTime=now"]  # SLURM waits two minutes by itself
    deadline = time.monotonic() + 60
    while begun.read_text() == "x\n" and time.monotonic() < deadline:
        subprocess.run(now, check=False, capture_output=True)
        time.sleep(0.5)
    outcome = wait(executor, handle, 100.0)
    assert outcome.result is not None, outcome.log_tail
    assert begun.read_text() == "x\nx\n"

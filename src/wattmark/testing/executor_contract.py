"""What every executor must do. Subclass it, say how to make yours, and run it with pytest::

class TestMyExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return MyExecutor(...)

    def fresh_executor(self):
        return MyExecutor(...)  # one that knows nothing of the jobs of another
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from wattmark.studies.designs.design import Command, Design, Quiet
from wattmark.studies.designs.plan import plan
from wattmark.studies.execution.executors import Executor, Handle, Job, TrialOutcome
from wattmark.studies.execution.trial import log_file, spec_of
from wattmark.studies.results import TrialResult

ENDED_S = 30.0


class ExecutorContract:
    """Tests of an executor; each job is a trial whose work is a small command. ended_s: so long may one take, with the
    time that the executor's queue needs."""

    ended_s = ENDED_S

    @pytest.fixture
    def executor(self) -> Executor:
        """The executor to test."""
        raise NotImplementedError

    def fresh_executor(self) -> Executor:
        """Another executor of the same kind, as a later process would make it."""
        raise NotImplementedError

    def test_a_job_leaves_its_result(self, executor: Executor, tmp_path: Path) -> None:
        """What the command printed becomes metrics; the log has it too."""
        job = job_of(tmp_path, "/bin/sh", "-c", """echo '{"accuracy": 0.5}'""")
        outcome = wait(executor, executor.submit(job), self.ended_s)
        assert outcome.exit_code == 0
        assert outcome.result is not None
        result = TrialResult.from_json(outcome.result["result"])
        assert (result.trial_id, result.status, result.metrics) == (
            job.trial_id,
            "completed",
            {"accuracy": 0.5},
        )
        assert "accuracy" in outcome.log_tail

    def test_poll_never_waits(self, executor: Executor, tmp_path: Path) -> None:
        """None while the job goes on."""
        handle = executor.submit(job_of(tmp_path, "sleep", "30"))
        assert executor.poll(handle) is None
        executor.cancel(handle)

    def test_a_failing_job_says_so(self, executor: Executor, tmp_path: Path) -> None:
        """Its exit code is not 0, its log has its words."""
        outcome = wait(
            executor,
            executor.submit(job_of(tmp_path, "/bin/sh", "-c", "echo broken >&2; exit 3")),
            self.ended_s,
        )
        assert outcome.exit_code not in (0, None)
        assert not outcome.timed_out
        assert "broken" in outcome.log_tail

    def test_a_job_that_takes_too_long_is_ended_with_all_that_it_started(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """Grandchildren included."""
        mark = tmp_path / "grandchild"
        script = f"(echo $$ > {mark}; sleep 60) & sleep 60"
        handle = executor.submit(job_of(tmp_path, "/bin/sh", "-c", script, timeout_s=3.0))
        outcome = wait(executor, handle, self.ended_s)
        assert outcome.timed_out
        assert outcome.result is None
        assert not sleeps_in(mark)

    def test_cancelled_jobs_are_gone(self, executor: Executor, tmp_path: Path) -> None:
        """When cancel returns, nothing of the job runs."""
        mark = tmp_path / "mark"
        handle = executor.submit(job_of(tmp_path, "/bin/sh", "-c", f"echo $$ > {mark}; sleep 60"))
        wait_for(mark, self.ended_s)
        executor.cancel(handle)
        assert not sleeps_in(mark)

    def test_a_later_executor_cancels_what_a_former_one_began(
        self, executor: Executor, tmp_path: Path
    ) -> None:
        """A handle is plain data that survives the runner."""
        mark = tmp_path / "mark"
        handle = executor.submit(job_of(tmp_path, "/bin/sh", "-c", f"echo $$ > {mark}; sleep 60"))
        wait_for(mark, self.ended_s)
        later: Handle = json.loads(json.dumps(handle))
        self.fresh_executor().cancel(later)
        assert not sleeps_in(mark)
        wait(executor, handle, self.ended_s)

    def test_cancelling_twice_or_too_late_is_no_error(self, executor: Executor, tmp_path: Path) -> None:
        """The job may have ended by itself."""
        handle = executor.submit(job_of(tmp_path, "true"))
        wait(executor, handle, self.ended_s)
        executor.cancel(handle)
        executor.cancel(handle)


def job_of(folder: Path, *argv: str, timeout_s: float | None = None) -> Job:
    """A trial that runs a command on a machine that need not be quiet."""
    data: dict[str, Any] = {
        "name": "contract",
        "repeats": 1,
        "command": Command.model_validate({"argv": list(argv)}),
        "quiet": Quiet.model_validate({"baseline_s": 0, "cooldown_max_s": 0}),
    }
    design = Design.model_validate(data)
    trial = plan(design)[0]
    return Job(trial.id, spec_of(design, trial, folder), log_file(folder, trial.id), timeout_s)


def wait(executor: Executor, handle: Handle, ended_s: float = ENDED_S) -> TrialOutcome:
    """The outcome, within a generous time."""
    deadline = time.monotonic() + ended_s
    while time.monotonic() < deadline:
        outcome = executor.poll(handle)
        if outcome is not None:
            return outcome
        time.sleep(0.01)
    raise AssertionError(f"the job did not end within {ended_s:.0f} s")


def wait_for(mark: Path, ended_s: float = ENDED_S) -> None:
    """Until a job has written the file."""
    deadline = time.monotonic() + ended_s
    while not mark.exists() or not mark.read_text().strip():
        assert time.monotonic() < deadline, "the job did not begin"
        time.sleep(0.01)


def sleeps_in(mark: Path) -> bool:
    """Whether the process that wrote its number into the file still runs; one just killed gets a moment to go."""
    wait_for(mark)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{mark.read_text().strip()}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        if state in "ZX":
            return False
        time.sleep(0.02)
    return True

"""Running a study: every trial once, whatever happens to the trials or to the runner.

The runner starts trials through an executor, keeps what they found, and moves on. It measures nothing itself (trials do),
and imports no framework.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError, StoreError
from wattmark.paths import journals_dir
from wattmark.runs.reading.session import session_folders
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.store import Store, open_store
from wattmark.store.ingest import ingest_session
from wattmark.studies.designs.design import Design, check_design
from wattmark.studies.designs.plan import Trial, further_trials, plan
from wattmark.studies.execution.executors import (
    Executor,
    Handle,
    Job,
    LocalExecutor,
    TrialOutcome,
    log_tail,
    read_result,
)
from wattmark.studies.execution.measured import environment_of, with_run
from wattmark.studies.execution.memory import speaks_of_memory
from wattmark.studies.execution.preparation import prepare
from wattmark.studies.execution.quiet import baseline_file, read_baseline
from wattmark.studies.execution.state import StudyFolder
from wattmark.studies.execution.trial import log_file, result_file, spec_of
from wattmark.studies.results import StudyResults, TrialResult
from wattmark.tracker.process import WattmarkWarning

_FIRST_POLL_S, _LAST_POLL_S = 0.02, 0.1
_JOURNAL_S = 3.0
"""So long may a recorder take to notice that its process was killed."""
_RECENT_SESSIONS = 20


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """How a study stands. left_s: an estimate, None before the first trial of this runner has ended.

    begun: the trial that starts now, or None. ended: the result that has just come in, or None. preparing: what is made
    before the first trial, and how far it is; nothing else is known then.
    """

    total: int
    done: int
    failed: int
    energy_j: float
    elapsed_s: float
    left_s: float | None
    begun: Trial | None = None
    ended: TrialResult | None = None
    preparing: str = ""


def run_study(
    design: Design,
    *,
    executor: Executor | None = None,
    on_progress: Callable[[StudyProgress], None] = lambda _: None,
    fresh: bool = False,
    retry_failed: bool = False,
) -> StudyResults:
    """Run what is left of a study and return all that it found.

    A study that was begun before goes on where it stood: trials that are done are kept, one that was interrupted is run
    again. fresh: begin anew. retry_failed: run failed trials again. A KeyboardInterrupt ends the running trial and leaves
    a study that can be resumed. Raises ConfigError for a design that cannot be used or a study that is being run.
    """
    check_design(design)
    folder = StudyFolder.create(design, fresh=fresh)
    if folder.is_merged():
        raise ConfigError(f"{design.name} was merged from other studies, there is nothing to run")
    with folder.lock():
        if executor is None:  # elsewhere every trial sees to it by itself
            prepare(
                design,
                folder.path,
                lambda step: on_progress(StudyProgress(0, 0, 0, 0.0, 0.0, None, preparing=step)),
            )
        _Runner(design, folder, executor or LocalExecutor(), on_progress).run(retry_failed)
    return folder.results()


@dataclass(slots=True)
class _Runner:
    design: Design
    folder: StudyFolder
    executor: Executor
    on_progress: Callable[[StudyProgress], None]
    done: dict[str, TrialResult] = field(default_factory=dict[str, TrialResult])
    running: dict[str, tuple[Trial, Handle]] = field(default_factory=dict[str, tuple[Trial, Handle]])
    total: int = 0
    began: float = 0.0
    done_before: int = 0

    def run(self, retry_failed: bool) -> None:
        self._recover(retry_failed)
        self.began = time.monotonic()
        self.done_before = len(self.done)
        with _StoreOrJournals() as store:
            try:
                while pending := self._pending():
                    self.total = len(self.done) + len(pending)
                    self._run_all(pending, store)
            finally:
                store.keep_one_run_each(
                    self.design.name,
                    {name: trial.run_id for name, trial in self.done.items() if trial.run_id},
                    self.folder.begun_at(),
                )

    def _pending(self) -> list[Trial]:
        left = [trial for trial in plan(self.design) if trial.id not in self.done]
        return left or further_trials(self.design, list(self.done.values()))

    def _recover(self, retry_failed: bool) -> None:
        """End what a killed runner left running, and keep the results that it had no time to keep."""
        for handle in self.folder.running().values():
            self.executor.cancel(handle)
        self.folder.set_running({})
        self.folder.mend()
        self.done = {trial.trial_id: trial for trial in self.folder.trials()}
        for path in sorted((self.folder.path / "results").glob("*.json")):
            data = read_result(path)
            if data is not None and path.stem not in self.done:
                tail = log_tail(log_file(self.folder.path, path.stem))
                self._keep(_explained(self._result_of(data), tail, speaks_of_memory(tail)))
            path.unlink()
        if retry_failed:
            failed = {name for name, trial in self.done.items() if trial.status != "completed"}
            self.folder.drop(failed)
            self.done = {name: trial for name, trial in self.done.items() if name not in failed}

    def _run_all(self, pending: list[Trial], store: _StoreOrJournals) -> None:
        pause = _FIRST_POLL_S
        waiting = list(pending)
        try:
            while waiting or self.running:
                while waiting and len(self.running) < self.executor.slots:
                    self._begin(waiting.pop(0))
                    pause = _FIRST_POLL_S
                time.sleep(pause)
                pause = min(pause * 1.2, _LAST_POLL_S)
                for trial, handle in list(self.running.values()):
                    outcome = self.executor.poll(handle)
                    if outcome is not None:
                        self._end(trial, outcome, store)
        except BaseException:
            for _, handle in self.running.values():
                self.executor.cancel(handle)
            self.running.clear()
            self._note_running()
            raise

    def _begin(self, trial: Trial) -> None:
        path = self.folder.path
        result_file(path, trial.id).unlink(missing_ok=True)
        quiet = self.design.quiet
        timeout_s = self.design.timeout_s
        if timeout_s is not None:
            timeout_s += quiet.baseline_s + quiet.cooldown_max_s
        job = Job(trial.id, spec_of(self.design, trial, path), log_file(path, trial.id), timeout_s)
        self._tell(begun=trial)
        self.running[trial.id] = (trial, self.executor.submit(job))
        self._note_running()

    def _end(self, trial: Trial, outcome: TrialOutcome, store: _StoreOrJournals) -> None:
        if outcome.result is not None:
            session = outcome.result.get("session")
            if session:
                store.keep_session(f"{journals_dir()}/{session}")
            result = self._result_of(outcome.result)
        else:
            result = self._killed(trial, outcome, store)
        self._keep(_explained(result, outcome.log_tail, outcome.out_of_memory))
        del self.running[trial.id]
        self._note_running()
        result_file(self.folder.path, trial.id).unlink(missing_ok=True)
        self._tell(ended=result)

    def _killed(self, trial: Trial, outcome: TrialOutcome, store: _StoreOrJournals) -> TrialResult:
        """A trial without a result: what its journal says, and why it ended."""
        result = TrialResult(trial.id, trial.index, trial.repeat, trial.factors, "failed")
        record = store.run_of_trial(self.design.name, trial.id)
        if record is not None:
            result = with_run(result, RunView(record))
            self.folder.set_environment(record.host, environment_of(record))
            baseline = read_baseline(baseline_file(self.folder.path, record.host))
            result = replace(result, idle_w=(baseline or {}).get("idle_w") or None)
        if outcome.timed_out:
            return replace(result, status="timeout", error=f"not done after {self.design.timeout_s:g} s")
        if outcome.out_of_memory:
            return replace(result, status="out-of-memory", error="ended for lack of memory")
        code = outcome.exit_code
        how = "ended" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        return replace(result, error=f"the trial's process ended with {how} and left no result")

    def _result_of(self, data: Mapping[str, Any]) -> TrialResult:
        result = TrialResult.from_json(data["result"])
        self.folder.set_environment(result.host, data.get("environment") or {})
        return result

    def _keep(self, result: TrialResult) -> None:
        self.folder.append(result)
        self.done[result.trial_id] = result

    def _note_running(self) -> None:
        self.folder.set_running({name: handle for name, (_, handle) in self.running.items()})

    def _tell(self, begun: Trial | None = None, ended: TrialResult | None = None) -> None:
        elapsed_s = time.monotonic() - self.began
        here = len(self.done) - self.done_before
        self.on_progress(
            StudyProgress(
                total=self.total,
                done=len(self.done),
                failed=sum(trial.status != "completed" for trial in self.done.values()),
                energy_j=sum(trial.total_j or 0.0 for trial in self.done.values()),
                elapsed_s=elapsed_s,
                left_s=elapsed_s / here * (self.total - len(self.done)) if here else None,
                begun=begun,
                ended=ended,
            )
        )


def _explained(result: TrialResult, log: str, out_of_memory: bool) -> TrialResult:
    """A trial that did not complete with the end of its log, and told from others if it was memory that ended it."""
    if result.status == "completed":
        return result
    lacked = result.status == "failed" and out_of_memory
    return replace(result, log=log, status="out-of-memory" if lacked else result.status)


class _StoreOrJournals:
    """The store, for runs of trials. If it cannot be used the study goes on, and the runs stay in their journals."""

    def __init__(self) -> None:
        self._store: Store | None = None

    def __enter__(self) -> _StoreOrJournals:
        try:
            self._store = open_store()
        except StoreError as error:
            self._without(error)
        return self

    def __exit__(self, *_: object) -> None:
        if self._store is not None:
            self._store.close()

    def keep_session(self, folder: str) -> list[RunRecord]:
        """Read a session's runs into the store; those that are new."""
        if self._store is None or not Path(folder).is_dir():
            return []
        try:
            return ingest_session(self._store, folder)
        except StoreError as error:
            self._without(error)
            return []

    def keep_one_run_each(self, study: str, runs: Mapping[str, str], since: datetime) -> None:
        """Put the other runs of trials away that a killed runner had begun: a trial that was taken over counts once.

        runs: the run of each trial that is done. since: when the study was begun; older runs are of another one.
        """
        for folder in session_folders(journals_dir())[-_RECENT_SESSIONS:]:
            self.keep_session(folder)
        if self._store is None:
            return
        try:
            stored = self._store.summaries(tag=f"study={study}", since=since)
            stored_ids = {run.run_id for run in stored}
            others = [
                run.run_id
                for run in stored
                if runs.get(run.tags.get("trial", ""), run.run_id) in stored_ids - {run.run_id}
            ]
            if others:
                self._store.discard(others)
        except StoreError as error:
            self._without(error)

    def run_of_trial(self, study: str, trial_id: str) -> RunRecord | None:
        """The run of a trial that was killed, once its recorder has ended; None if it had not begun to measure."""
        deadline = time.monotonic() + _JOURNAL_S
        while True:
            waiting = False
            for folder in reversed(session_folders(journals_dir())[-_RECENT_SESSIONS:]):
                for record in self.keep_session(folder):
                    if record.tags.get("study") == study and record.tags.get("trial") == trial_id:
                        return record
                waiting = waiting or Path(folder).is_dir()
            if not waiting or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        if self._store is None:
            return None
        # another command may have been quicker to read it into the store
        stored = self._store.summaries(tag=[f"study={study}", f"trial={trial_id}"], limit=1)
        return self._store.get(stored[0].run_id) if stored and stored[0].status != "completed" else None

    def _without(self, error: StoreError) -> None:
        warnings.warn(
            f"wattmark: runs of this study stay in {journals_dir()}: {error}", WattmarkWarning, stacklevel=3
        )
        self._store = None

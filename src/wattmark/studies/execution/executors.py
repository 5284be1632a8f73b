"""Where trials run. The interface is small, and made for machines that a trial has to itself.

A handle is plain data, so that a runner that was killed can be followed by one that cancels what it left behind: a
process here, a job of SLURM, a task of Ray.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wattmark.recorder import tree
from wattmark.recorder.launch import SESSION_ENV
from wattmark.studies.execution.memory import oom_kills, speaks_of_memory

Handle = Mapping[str, Any]
TAIL_BYTES = 4_000
_GONE_S = 5.0


@dataclass(frozen=True, slots=True)
class Job:
    """A trial to run: ``spec`` for ``python -m wattmark.studies.execution.trial``, where its output goes, and its
    time limit."""

    trial_id: str
    spec: Mapping[str, Any]
    log: Path
    timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """How a job ended. exit_code: negative where a signal ended it, None if unknown. result: what the trial wrote.

    log_tail: the end of what it printed.
    """

    exit_code: int | None
    result: Mapping[str, Any] | None
    log_tail: str
    timed_out: bool = False
    out_of_memory: bool = False


class Executor(Protocol):
    """Runs jobs, each in a fresh process on a machine that is its own for the time."""

    @property
    def slots(self) -> int:
        """How many jobs may run at once: the number of machines."""
        ...

    def submit(self, job: Job) -> Handle:
        """Start a job, or queue it; returns at once. Raises WattmarkError if that is impossible."""
        ...

    def poll(self, handle: Handle) -> TrialOutcome | None:
        """The outcome once the job has ended; None while it goes on. Never waits."""
        ...

    def cancel(self, handle: Handle) -> None:
        """End a job and all that it started, also one that a former executor began; it is gone afterwards."""
        ...


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    job: Job
    deadline: float | None
    oom_kills: int


class LocalExecutor:
    """This machine, one trial at a time: a fresh process in a group of its own."""

    slots = 1

    def __init__(self, python: str = sys.executable, environ: Mapping[str, str] | None = None) -> None:
        """environ: variables that trials have beside those of this process."""
        self._python = python
        self._environ = dict(environ or {})
        self._running: dict[int, _Running] = {}

    def submit(self, job: Job) -> Handle:
        """Start the trial's process. Raises OSError if its files cannot be written."""
        spec = job.log.with_suffix(".json")
        result = Path(job.spec["result"])
        for folder in (job.log.parent, result.parent):
            folder.mkdir(parents=True, exist_ok=True)
        spec.write_text(json.dumps(job.spec), encoding="utf-8")
        environ = {key: value for key, value in os.environ.items() if key != SESSION_ENV} | self._environ
        before = oom_kills()
        with job.log.open("wb") as log:
            process = subprocess.Popen(
                # -u: else a killed trial takes the end of its log with it
                [self._python, "-u", "-m", "wattmark.studies.execution.trial", str(spec)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environ,
                start_new_session=True,
            )
        deadline = None if job.timeout_s is None else time.monotonic() + job.timeout_s
        self._running[process.pid] = _Running(process, job, deadline, before)
        return {"pid": process.pid, "ticks": tree.start_ticks(process.pid), "host": os.uname().nodename}

    def poll(self, handle: Handle) -> TrialOutcome | None:
        """The outcome once the process has ended or was ended for taking too long."""
        running = self._running[handle["pid"]]
        exit_code = running.process.poll()
        late = running.deadline is not None and time.monotonic() > running.deadline
        if exit_code is None and not late:
            return None
        timed_out = exit_code is None
        if timed_out:
            _kill_group(running.process.pid)
            exit_code = running.process.wait()
        del self._running[handle["pid"]]
        _kill_group(running.process.pid)  # what it left behind must not run into the next trial
        tail = log_tail(running.job.log)
        killed = exit_code == -signal.SIGKILL and not timed_out
        short = killed and oom_kills() > running.oom_kills
        return TrialOutcome(
            exit_code,
            read_result(Path(running.job.spec["result"])),
            tail,
            timed_out,
            exit_code != 0 and (short or speaks_of_memory(tail)),
        )

    def cancel(self, handle: Handle) -> None:
        """Kill the process group, if it is the one that the handle means."""
        pid = int(handle["pid"])
        running = self._running.pop(pid, None)
        if running is not None:
            _kill_group(pid)
            running.process.wait()
        elif handle.get("host") == os.uname().nodename and tree.is_alive(pid, handle.get("ticks")):
            _kill_group(pid)
            deadline = time.monotonic() + _GONE_S
            while tree.is_alive(pid, handle.get("ticks")) and time.monotonic() < deadline:
                time.sleep(0.01)


def read_result(path: Path) -> dict[str, Any] | None:
    """What a trial left, or None if it left nothing."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return data


def log_tail(path: Path, size: int = TAIL_BYTES) -> str:
    """The last lines of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - size))
            return file.read().decode(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return

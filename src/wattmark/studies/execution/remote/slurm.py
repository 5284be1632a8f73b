"""SLURM, through submitit: trials that wait together go as one array of jobs, each job with a node to itself.

The study's folder must be on a file system that the nodes share, as submitit wants it: shipments, parcels and what jobs
print lie there. A job that SLURM queues again (its node failed, it was preempted) runs its trial again, once.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wattmark.errors import WattmarkError
from wattmark.extras import module_of
from wattmark.paths import data_dir
from wattmark.studies.execution.executors import Handle, log_tail
from wattmark.studies.execution.remote.base import Lost, RemoteExecutor
from wattmark.studies.execution.remote.shipment import Parcel, Shipment, nothing, work

GATHERED_S = 0.2
"""Trials that are submitted within this time become one array."""
_LOOK_S = 1.0
_SHARED_LAG_S = 10.0
_GONE_S = 120.0
_SLACK_MIN = 10
_GOES_ON = {"PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "COMPLETING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED",
            "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SPECIAL_EXIT"}  # fmt: skip
_LOST = {"NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED"}


@dataclass(slots=True)
class Queued:
    """A trial for SLURM. job_id: as SLURM has it (``12_3``), empty until it was submitted."""

    shipment: Shipment
    avoid: tuple[str, ...]
    job_id: str = ""
    trouble: str = ""
    over_since: float | None = None
    state: str = ""
    node: str = ""


@dataclass(slots=True)
class _Waiting:
    tasks: list[Queued] = field(default_factory=list[Queued])
    timer: threading.Timer | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class SlurmExecutor(RemoteExecutor[Queued]):
    """Runs trials as jobs of SLURM."""

    def __init__(
        self,
        *,
        at_once: int = 8,
        folder: Path | None = None,
        python: str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """at_once: how many jobs are queued or run together. folder: on a shared file system; in the data folder by default.
        parameters: those of submitit's SlurmExecutor (``partition``, ``gres``, ``account`` ...). Raises MissingExtra."""
        self._folder = (Path(data_dir()) / "slurm" if folder is None else folder).absolute()
        super().__init__(str(self._folder / "trials"))
        self._submitit = module_of("slurm", "submitit")
        self._at_once = at_once
        self._python = python
        self._parameters = dict(parameters or {})
        self._waiting = _Waiting()
        self._states: dict[str, tuple[str, str]] = {}
        self._looked: float | None = None

    @property
    def slots(self) -> int:
        """How many jobs are queued or run together."""
        return self._at_once

    def send(self, shipment: Shipment, avoid: Sequence[str]) -> Queued:
        """Queue a trial; those that come within a moment go together."""
        task = Queued(shipment, tuple(avoid))
        with self._waiting.lock:
            self._waiting.tasks.append(task)
            if self._waiting.timer is None:
                self._waiting.timer = threading.Timer(GATHERED_S, self._flush)
                self._waiting.timer.daemon = True
                self._waiting.timer.start()
        return task

    def arrival(self, task: Queued) -> Parcel | Lost | None:
        """The parcel in the shared folder; where there is none, what SLURM says of the job."""
        if task.trouble:
            return nothing(f"SLURM did not take the trial: {task.trouble}", exit_code=1)
        if not task.job_id:
            return None
        path = self._place(task.shipment["key"]) / "parcel.json"
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            parcel: Parcel = json.loads(path.read_text(encoding="utf-8"))
            return parcel
        state, node = self._state(task.job_id)
        if state in _GOES_ON:
            task.over_since = None
            task.node = node or task.node
            return None
        now = time.monotonic()
        task.over_since = now if task.over_since is None else task.over_since
        if now - task.over_since < _SHARED_LAG_S and state not in _LOST:
            return None  # the file may be on its way
        if state in _LOST or not state:
            return Lost(task.node or "a node of SLURM", f"job {task.job_id}: {state or 'SLURM forgot it'}")
        said = self._said(task.job_id)
        return nothing(
            f"job {task.job_id} ended as {state} and left nothing\n{said}".strip(),
            host=task.node,
            exit_code=1,
            timed_out=state in ("TIMEOUT", "DEADLINE"),
            out_of_memory=state == "OUT_OF_MEMORY",
        )

    def call_off(self, handle: Handle) -> None:
        """Cancel the job, and wait until SLURM has ended it. Raises WattmarkError if it does not."""
        key = str(handle["key"])
        place = Path(str(handle["home"])) / key
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        (place / "cancelled").touch()
        self._flush()
        try:
            job_id = (place / "job").read_text(encoding="ascii").split()[-1]
        except (FileNotFoundError, IndexError):
            return  # it was never submitted, and is not any more
        _slurm("scancel", "--quiet", job_id, check=False)
        deadline = time.monotonic() + _GONE_S
        while _states().get(job_id, ("", ""))[0] in _GOES_ON:
            if time.monotonic() > deadline:
                raise WattmarkError(f"SLURM's job {job_id} does not end", hint=f"scontrol show job {job_id}")
            time.sleep(0.1)

    def _flush(self) -> None:
        """Submit what waits, as one array for each set of nodes to be avoided."""
        with self._waiting.lock:
            tasks, self._waiting.tasks, self._waiting.timer = self._waiting.tasks, [], None
            groups: dict[tuple[str, ...], list[Queued]] = {}
            for task in tasks:
                if not (self._place(task.shipment["key"]) / "cancelled").exists():
                    groups.setdefault(task.avoid, []).append(task)
            for avoid, group in groups.items():
                try:
                    self._submit(group, avoid)
                except Exception as error:  # noqa: BLE001 - submitit's own, and told as the trials' failure
                    for task in group:
                        task.trouble = f"{type(error).__name__}: {error}"

    def _submit(self, tasks: Sequence[Queued], avoid: Sequence[str]) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        python = {} if self._python is None else {"python": self._python}
        executor = self._submitit.SlurmExecutor(folder=self._folder / "jobs", **python)
        limits = [task.shipment["timeout_s"] for task in tasks]
        minutes = (
            {} if None in limits else {"time": int(max(limit or 0 for limit in limits) / 60) + _SLACK_MIN}
        )
        # REQUEUE: what SLURM begins again after a failed node finds its folder, and counts its tries
        additional = {"requeue": True, **self._parameters.get("additional_parameters", {})}
        given = {**self._parameters, "additional_parameters": additional}
        excluded = {"exclude": ",".join(avoid)} if avoid and all(" " not in name for name in avoid) else {}
        executor.update_parameters(
            **{
                "job_name": "wattmark",
                "nodes": 1,
                "ntasks_per_node": 1,
                "exclusive": True,
                "stderr_to_stdout": True,
            },
            **{"array_parallelism": self._at_once},
            **minutes,
            **excluded,
            **given,
        )
        jobs = executor.map_array(work, [task.shipment for task in tasks])
        for task, job in zip(tasks, jobs, strict=True):
            task.job_id = str(job.job_id)
            place = self._place(task.shipment["key"])
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (place / "job").open("a", encoding="ascii") as file:
                file.write(f"{task.job_id}\n")

    def _place(self, key: str) -> Path:
        return Path(self._home) / key

    def _state(self, job_id: str) -> tuple[str, str]:
        now = time.monotonic()
        if self._looked is None or now - self._looked > _LOOK_S:
            self._states, self._looked = _states(), now
        return self._states.get(job_id, ("", ""))

    def _said(self, job_id: str) -> str:
        logs = sorted((self._folder / "jobs").glob(f"{job_id}_*_log.out"))
        return log_tail(logs[-1]) if logs else ""


def _states() -> dict[str, tuple[str, str]]:
    """State and node of each job of this user that SLURM still knows, each task of an array by itself."""
    lines = _slurm("squeue", "-h", "-r", "-t", "all", "-u", getpass.getuser(), "-o", "%i|%T|%N").splitlines()
    states: dict[str, tuple[str, str]] = {}
    for line in lines:
        job_id, state, node = line.split("|", 2)
        states[job_id.strip()] = (state.strip(), node.strip())
    return states


def _slurm(*command: str, check: bool = True) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise WattmarkError(
            f"{command[0]} is not on the path", hint="run the study where SLURM's commands are"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise WattmarkError(f"{command[0]} did not answer", hint="look at slurmctld") from error
    if check and done.returncode != 0:
        raise WattmarkError(f"{command[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout

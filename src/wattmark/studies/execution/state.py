"""A study's folder: its design, the trials that are done, what runs now, and a lock.

``<data folder>/studies/<name>/`` holds ``study.toml``, ``trials.jsonl`` (one line per trial that ended, appended and
flushed to the disk), ``running.json``, ``environment.json``, ``baselines/``, ``results/`` (on their way into
``trials.jsonl``) and ``logs/``. Whatever moment a runner is killed at, the next one finds every finished trial.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError
from wattmark.paths import data_dir
from wattmark.studies.designs.design import Design, load_design
from wattmark.studies.results import StudyResults, TrialResult, read_trials
from wattmark.workloads.registry import did_you_mean

DESIGN, TRIALS, LOCK = "study.toml", "trials.jsonl", "lock"
RUNNING, ENVIRONMENT, MERGED = "running.json", "environment.json", "merged"


def studies_dir() -> Path:
    """Where all studies are kept."""
    return Path(data_dir()) / "studies"


def study_names() -> list[str]:
    """The studies that are kept, by name."""
    return sorted(path.parent.name for path in studies_dir().glob(f"*/{DESIGN}"))


class StudyFolder:
    """The folder of one study."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, design: Design, *, fresh: bool = False) -> StudyFolder:
        """The folder for a design: a new one, or the one that was begun with the very same design.

        fresh: throw away what is there. Raises ConfigError if a study of that name has another design.
        """
        folder = cls(studies_dir() / design.name)
        if fresh and folder.path.exists():
            with folder.lock():
                shutil.rmtree(folder.path)
        if folder.exists():
            if folder.design() != design:
                raise ConfigError(
                    f"there is a study {design.name!r} already, with another design",
                    hint="give this one another name (--name), or throw the old one away (--fresh)",
                )
            return folder
        folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(folder.path / DESIGN, design.as_toml())
        return folder

    @classmethod
    def open(cls, name: str) -> StudyFolder:
        """The study of that name, or in that folder. Raises ConfigError if there is none."""
        for path in (studies_dir() / name, Path(name)):
            if (path / DESIGN).is_file():
                return cls(path)
        names = study_names()
        hint = did_you_mean(name, names) if names else "there are none yet: wattmark study run vision-quick"
        raise ConfigError(f"there is no study {name!r}", hint=hint)

    def exists(self) -> bool:
        """Whether a study was begun here."""
        return (self.path / DESIGN).is_file()

    def begun_at(self) -> datetime:
        """When the study was begun."""
        return datetime.fromtimestamp((self.path / DESIGN).stat().st_mtime, timezone.utc)

    def design(self) -> Design:
        """What is studied."""
        return load_design(self.path / DESIGN)

    def is_merged(self) -> bool:
        """Whether this holds the results of other studies, which nothing is to be added to."""
        return (self.path / MERGED).exists()

    def mark_merged(self) -> None:
        """Say that this holds the results of other studies."""
        (self.path / MERGED).touch()

    @contextmanager
    def lock(self) -> Generator[None]:
        """Be the only runner of this study. Raises ConfigError if another one is at it."""
        handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(
                    f"the study {self.path.name!r} is being run by another process",
                    hint=f"wattmark study status {self.path.name}",
                ) from error
            yield
        finally:
            os.close(handle)

    def is_locked(self) -> bool:
        """Whether a runner is at it now."""
        try:
            with self.lock():
                return False
        except ConfigError:
            return True

    def trials(self) -> list[TrialResult]:
        """The trials that ended, in the order in which they did."""
        return read_trials(self.path / TRIALS)

    def append(self, result: TrialResult) -> None:
        """Keep a trial for good."""
        with (self.path / TRIALS).open("ab") as file:
            file.write(result.to_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def mend(self) -> None:
        """Cut off the torn last line that a kill or a full disk has left; under the lock only."""
        try:
            with (self.path / TRIALS).open("r+b") as file:
                data = file.read()
                end = data.rfind(b"\n") + 1
                if end < len(data):
                    file.truncate(end)
        except FileNotFoundError:
            return

    def drop(self, trial_ids: set[str]) -> None:
        """Forget trials, so that they are run again; under the lock only."""
        remaining = [trial for trial in self.trials() if trial.trial_id not in trial_ids]
        _replace(self.path / TRIALS, "".join(f"{trial.to_json()}\n" for trial in remaining))

    def running(self) -> dict[str, dict[str, Any]]:
        """Handles of the trials that run, or ran when the last runner was killed, by trial id."""
        return _read(self.path / RUNNING)

    def set_running(self, handles: Mapping[str, Mapping[str, object]]) -> None:
        """Note what runs now."""
        _replace(self.path / RUNNING, json.dumps(handles))

    def environment(self) -> dict[str, dict[str, Any]]:
        """The machines on which trials ran, by host."""
        return _read(self.path / ENVIRONMENT)

    def set_environment(self, host: str, facts: Mapping[str, object]) -> None:
        """Note what is known of a host."""
        environments = self.environment()
        if facts and environments.get(host) != facts:
            _replace(self.path / ENVIRONMENT, json.dumps({**environments, host: dict(facts)}, default=str))

    def revision(self) -> tuple[tuple[str, int, int, int], ...]:
        """A value that is another one whenever a file that the results are read from was written."""
        files = [self.path / name for name in (DESIGN, TRIALS, ENVIRONMENT, MERGED)]
        states: list[tuple[str, int, int, int]] = []
        for path in (*files, *sorted((self.path / "baselines").glob("*.json"))):
            try:
                state = path.stat()
            except FileNotFoundError:
                continue
            states.append((path.name, state.st_ino, state.st_size, state.st_mtime_ns))
        return tuple(states)

    def results(self) -> StudyResults:
        """All that the study found so far."""
        design = self.design()
        environment = self.environment()
        for path in sorted((self.path / "baselines").glob("*.json")):
            baseline = _read(path)
            if path.stem in environment:
                environment[path.stem]["baseline"] = baseline
        return StudyResults(
            design.name, design.title, design.as_data(), self.trials(), environment
        ).in_scope()


def load_results(name: str) -> StudyResults:
    """The results of the study of that name, or in that folder. Raises ConfigError."""
    return StudyFolder.open(name).results()


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return data


def _replace(path: Path, text: str) -> None:
    """Write a file in one piece: after a kill there is the old one or the new one."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)

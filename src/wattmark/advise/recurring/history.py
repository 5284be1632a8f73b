"""What is kept of a recurring job between its runs: a file in the data folder, whole or not there, locked while it runs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from wattmark.advise.cap.curve import Window
from wattmark.advise.recurring.bandit import Trial
from wattmark.documents import mapping, mappings, number
from wattmark.errors import ConfigError
from wattmark.limits.record import lock
from wattmark.paths import data_dir

VERSION = 1
_NAME = re.compile(r"[\w][\w.-]{0,99}")


@dataclass(slots=True)
class History:
    """trials: runs so far. windows: by size, work under caps, a unit of it (an epoch, or a run) each."""

    name: str
    trials: list[Trial] = field(default_factory=list[Trial])
    windows: dict[int, list[Window]] = field(default_factory=dict[int, list[Window]])
    eta: float = 1.0

    def write(self) -> None:
        """Put it on the disk."""
        data = {
            "version": VERSION,
            "eta": self.eta,
            "trials": [trial._asdict() for trial in self.trials],
            "windows": [{"size": size, **one._asdict()} for size, row in self.windows.items() for one in row],
        }
        path = _path(self.name, ".json")
        fresh = path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)


@contextmanager
def history_of(name: str, eta: float) -> Generator[History]:
    """The history of a job, for this process alone. Raises ConfigError for a name that cannot be, a job that runs already, a
    file that cannot be read, and one that was kept for another objective."""
    if _NAME.fullmatch(name) is None:
        raise ConfigError(f"a job cannot be named {name!r}", hint="letters, digits, '.', '-' and '_'")
    path = _path(name, ".json")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    held = lock(str(_path(name, ".lock")), create=True)
    if held is None:
        raise ConfigError(
            f"the job {name!r} runs already", hint="wait until it has ended; its cost is learnt from then"
        )
    try:
        yield _read(name, path, eta)
    finally:
        os.close(held)


def _read(name: str, path: Path, eta: float) -> History:
    try:
        data = mapping(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return History(name, eta=eta)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}", hint="remove it, and the job is learnt anew"
        ) from error
    kept = number(data.get("eta"))
    if data.get("version") != VERSION or kept is None:
        raise ConfigError(
            f"{path} is no history of a job that this version knows",
            hint="remove it, and the job is learnt anew",
        )
    if kept != eta:
        raise ConfigError(
            f"the job {name!r} was learnt with eta {kept:g}, not {eta:g}: costs of two kinds do not compare",
            hint="use another name, or the same eta",
        )
    history = History(name, eta=eta)
    for row in mappings(data.get("trials")):
        size, cost = number(row.get("size")), number(row.get("cost"))
        if size is not None and cost is not None and cost > 0:
            history.trials.append(Trial(int(size), cost, row.get("reached") is True))
    for row in mappings(data.get("windows")):
        values = [number(row.get(key)) for key in ("size", "cap_w", "seconds", "watts")]
        size, *figures = [value for value in values if value is not None and value > 0] or [0.0]
        if len(figures) == 3:
            history.windows.setdefault(int(size), []).append(Window(*figures))
    return history


def _path(name: str, ending: str) -> Path:
    return Path(data_dir(), "recurring", f"{name}{ending}")

"""What a study makes once before its first trial (models that are trained here), each in a process of its own.

``python -m wattmark.studies.execution.preparation SPEC``, SPEC the workload and a trial's levels as JSON, makes one of
them and tells how far it is on standard output: ``{"share": 0.5, "detail": "loss 0.2"}``, a line each.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from wattmark.errors import WattmarkError
from wattmark.recorder.launch import SESSION_ENV
from wattmark.studies.designs.design import Design
from wattmark.studies.designs.plan import cells
from wattmark.studies.execution.executors import log_tail
from wattmark.workloads.registry import Config, complete, load

TOLD_EVERY_S = 0.25
Tell = Callable[[str], None]


@runtime_checkable
class Prepares(Protocol):
    """A workload that needs something made before its trials. What was made is kept, and found by them."""

    def preparation(self, config: Config) -> str | None:
        """What trials of these levels still need, in words; equal words are the same thing. None: nothing."""
        ...

    def prepare(self, config: Config, on_progress: Callable[[float, str], None]) -> None:
        """Make it. on_progress: share done (0..1), and a few words."""
        ...


@dataclass(slots=True)
class _Child:
    what: str
    process: subprocess.Popen[bytes]
    log: Path
    said: str = "begins"


def missing(design: Design) -> dict[str, dict[str, Any]]:
    """What the trials of a study need and is not there yet: in words -> the levels of a trial that needs it."""
    if design.command is not None:
        return {}
    workload = load(design.workload)
    if not isinstance(workload, Prepares):
        return {}
    needs: dict[str, dict[str, Any]] = {}
    for cell in cells(design):
        levels = {**design.fixed, **cell}
        what = workload.preparation(complete(workload, levels))
        if what is not None:
            needs.setdefault(what, levels)
    return needs


def prepare(design: Design, folder: Path, tell: Tell, at_once: int | None = None) -> None:
    """Make what is missing, one on each core at a time. tell: is called with a line for people now and then.

    Raises WattmarkError if one of them fails; the rest is ended then, as on KeyboardInterrupt.
    """
    waiting = list(missing(design).items())
    most = at_once or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else at_once or 1
    children: list[_Child] = []
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or children:
                while waiting and len(children) < most:
                    what, levels = waiting.pop(0)
                    child = _start(what, {"workload": design.workload, "levels": levels}, folder)
                    assert child.process.stdout is not None
                    selector.register(child.process.stdout, selectors.EVENT_READ, child)
                    children.append(child)
                for key, _ in selector.select(TOLD_EVERY_S):
                    if not _heard(key.data):
                        selector.unregister(key.fileobj)
                        children.remove(key.data)
                        _ended(key.data)
                if children:
                    tell("; ".join(f"{child.what}: {child.said}" for child in children))
        finally:
            for child in children:
                child.process.kill()
                child.process.wait()


def main(spec: str, out: Callable[[str], object] = sys.stdout.write) -> int:
    """Make one thing; 0 if it is there then."""
    data: Mapping[str, Any] = json.loads(spec)
    workload = load(data["workload"])
    assert isinstance(workload, Prepares)
    reported_s = 0.0

    def on_progress(share: float, detail: str) -> None:
        nonlocal reported_s
        now = time.monotonic()
        if now - reported_s >= TOLD_EVERY_S or share >= 1:
            reported_s = now
            out(json.dumps({"share": share, "detail": detail}) + "\n")
            sys.stdout.flush()

    try:
        workload.prepare(complete(workload, data["levels"]), on_progress)
    except WattmarkError as error:
        sys.stderr.write(f"{error}{f' ({error.hint})' if error.hint else ''}\n")
        return 1
    return 0


def _start(what: str, spec: Mapping[str, Any], folder: Path) -> _Child:
    log = folder / "logs" / f"{what.replace(os.sep, '_').replace(' ', '-')[:100]}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environ = {key: value for key, value in os.environ.items() if key != SESSION_ENV}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "wattmark.studies.execution.preparation", json.dumps(spec)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
            env=environ,
        )
    return _Child(what, process, log)


def _heard(child: _Child) -> bool:
    """Read what it has to say; False once it has ended."""
    assert child.process.stdout is not None
    data = os.read(child.process.stdout.fileno(), 65_536)
    lines: Sequence[bytes] = data.splitlines()
    for line in lines[-1:]:
        try:
            said = json.loads(line)
        except ValueError:
            continue  # half a line; the next one says more
        child.said = f"{said['share']:.0%}, {said['detail']}".replace("%", " %")
    return bool(data)


def _ended(child: _Child) -> None:
    assert child.process.stdout is not None
    child.process.stdout.close()
    if child.process.wait() != 0:
        lines = log_tail(child.log).splitlines()
        why = lines[-1] if lines else f"exit code {child.process.returncode}"
        raise WattmarkError(f"could not {child.what}: {why}", hint=f"see {child.log}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

"""Starting what is measured: a fake tree with its writer, and one task of one tool in a namespace over that tree."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import faketree
import watch
from environments import Tool

HERE = Path(__file__).parent


class TrialError(Exception):
    """A tool did not do what was asked: it failed, or took too long. The message ends with its last words."""


class FakeTree:
    """A powercap tree that counts known watts while the context lasts."""

    def __init__(self, scenario: str, folder: Path) -> None:
        self.scenario = scenario
        self.root = folder / f"tree-{scenario}-{uuid.uuid4().hex[:6]}"
        command = [sys.executable, str(HERE / "faketree.py"), str(self.root), scenario]
        self._writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        self.start_ns = json.loads(self._writer.stdout.readline())["start_ns"]

    def truth_j(self, begin_ns: int, end_ns: int) -> float:
        return faketree.true_energy_j(self.scenario, self.start_ns, begin_ns, end_ns)

    def counter(self, zone: str = "intel-rapl:0") -> str:
        return str(self.root / "class" / "powercap" / zone / "energy_uj")

    def wraps(self) -> tuple[int, int]:
        """When the package's counter first wraps and how often, in ns; for a constant power."""
        plan = faketree.SCENARIOS[self.scenario]
        uj_per_ns = plan.wave.watts / 1e3
        first = self.start_ns + (plan.range_uj - plan.start_uj) / uj_per_ns
        return int(first), int((plan.range_uj + 1) / uj_per_ns)

    def __enter__(self) -> FakeTree:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.kill()
        self._writer.wait()


class Task:
    """One task of one tool, in a process group and a folder of its own, ended with all that it started."""

    def __init__(self, tool: Tool, driver: str, task: str, args: list[Any], tree: FakeTree | None) -> None:
        self.tool = tool
        self.token = uuid.uuid4().hex
        self._temporary = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
        self.folder = Path(self._temporary.name)
        command = [tool.python, "-W", "ignore", str(HERE / "tasks.py"), driver, task, self._temporary.name]
        if tree is not None:
            command = [sys.executable, str(HERE / "sandbox.py"), str(tree.root), *command]
        self._errors = self.folder.with_suffix(".err").open("w+")
        self.process = subprocess.Popen(
            [*command, *map(str, args)],
            cwd=self.folder,
            env={**os.environ, "HOME": self._temporary.name, watch.TOKEN: self.token},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            if line.startswith("{"):
                self._lines.put(json.loads(line))
        self._lines.put(None)

    def next(self, timeout_s: float) -> dict[str, Any]:
        """The next line of JSON that the task prints."""
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise TrialError(f"no answer in {timeout_s:.0f} s") from None
        if line is None:
            raise TrialError(self.last_words())
        return line

    def go(self) -> None:
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def last_words(self) -> str:
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        return lines[-1][:300] if lines else "ended without a word"

    def family(self) -> set[int]:
        return watch.family(self.token, self.process.pid if self.process.poll() is None else None)

    def signal_group(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def __enter__(self) -> Task:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        watch.end(self.family())
        self.process.wait()
        self._errors.close()
        self.folder.with_suffix(".err").unlink(missing_ok=True)
        self._temporary.cleanup()


def ask(
    tool: Tool, task: str, args: list[Any], tree: FakeTree | None, timeout_s: float, **more: Any
) -> dict[str, Any]:
    """Run a task to its one answer. ``driver`` in ``more`` replaces the tool's (for the bare baseline)."""
    with Task(tool, more.get("driver", tool.driver), task, args, tree) as run:
        return run.next(timeout_s)


def wall_s(command: list[str]) -> float:
    """Seconds of a whole process. Waits without a limit of time, which ``subprocess`` keeps by looking at intervals that
    double: 3.5, 7.5, 15.5 ms, and no import would be read any finer."""
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        guard = threading.Timer(120.0, process.kill)
        guard.start()
        code = process.wait()
        seconds = time.perf_counter() - begin
        guard.cancel()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return seconds

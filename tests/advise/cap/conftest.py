from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from wattmark.testing.machines import capped as capped_machine


class Served:
    """A machine whose caps act, as a process of its own."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.root = root
        self.process = subprocess.Popen(
            [sys.executable, "-m", "wattmark.testing.machines.capped", "serve", str(root), *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.before: dict[str, int] = json.loads(self.process.stdout.readline())["limits"]

    def now(self) -> dict[str, int]:
        return {path: int((self.root / path).read_text()) for path in self.before}

    def work(self, seconds: float, steps: int = 0) -> list[str]:
        words = ["work", str(self.root), "--seconds", str(seconds), "--steps", str(steps)]
        return [
            sys.executable,
            "-I",
            "-S",
            capped_machine.__file__,
            *words,
        ]  # what starts late is not slowed by a cap

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """One CPU package of 120 W that idles at 40, capped at 125; seen by this process and its children."""
    served = Served(tmp_path / "capped", "--cpu")
    monkeypatch.setenv("WATTMARK_SYSFS", str(served.root))
    monkeypatch.setenv("WATTMARK_SOURCES", "rapl")
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    yield served
    served.stop()

"""Fixtures that every part of the tests shares: a private data folder, and a machine that burns known watts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No deadlines: these machines are shared. The gate tries the same examples every time; at a desk they are new ones.
settings.register_profile("desk", deadline=None)
settings.register_profile("gate", deadline=None, derandomize=True)
settings.load_profile("gate" if os.environ.get("CI") else "desk")

# What starts the tests in the background may leave these ignored, and every process that they start would inherit that.
for _ended_by in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_ended_by) == signal.SIG_IGN:
        signal.signal(_ended_by, signal.default_int_handler if _ended_by == signal.SIGINT else signal.SIG_DFL)

ROOT = Path(__file__).parent.parent
POWERCAP = ROOT / "tests" / "fakes" / "powercap.py"


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every test has a data folder of its own, no settings from outside, and leaves no recorder behind."""
    for name in [name for name in os.environ if name.startswith("WATTMARK_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "wattmark-data"
    monkeypatch.setenv("WATTMARK_DATA_DIR", str(folder))
    yield folder
    module = sys.modules.get("wattmark.tracker.process")
    if module is not None and module._process is not None:
        module._process.end()
        module._process = None


class FakeMachine:
    """A powercap tree whose counters a separate process advances by known watts."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.root = root
        self._process = subprocess.Popen(
            [sys.executable, str(POWERCAP), str(root), *arguments], stdout=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 20
        while not list(root.glob("class/powercap/*/energy_uj")):
            assert self._process.poll() is None, "the fake machine did not start"
            assert time.monotonic() < deadline, "the fake machine is not ready"
            time.sleep(0.01)
        time.sleep(0.03)

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a process that should see this machine and no other."""
        return {**os.environ, "WATTMARK_SYSFS": str(self.root), "WATTMARK_SOURCES": "rapl"}

    def stop(self) -> dict[str, Any]:
        """End the writer; the true energies that it prints, if any."""
        self._process.send_signal(signal.SIGINT)
        try:
            output, _ = self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
        try:
            return json.loads(output)
        except ValueError:
            return {}


@pytest.fixture
def fake_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMachine]:
    """One package at a constant 50 W, seen by this process and its children."""
    machine = FakeMachine(tmp_path / "sys", "--watts", "50", "--seconds", "100", "--domains", "package")
    monkeypatch.setenv("WATTMARK_SYSFS", str(machine.root))
    monkeypatch.setenv("WATTMARK_SOURCES", "rapl")
    yield machine
    machine.stop()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser's tests come last: their driver keeps an event loop running until the session ends."""
    items.sort(key=lambda item: "browser" in item.path.parts)

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from wattmark.limits.discovery import choose_limits, find_limits
from wattmark.sources.base import Host
from wattmark.testing.machines.capped import CappedMachine

HOLD = """
import sys, time
from wattmark.limits.discovery import choose_limits, find_limits
from wattmark.limits.session import Caps
from wattmark.sources.base import Host
host = Host.here()
with Caps(choose_limits(find_limits(host)), host) as caps:
    caps.set(float(sys.argv[1]))
    print(caps.keeper_pid, flush=True)
    time.sleep(60)
"""
"""A program that holds a cap until it is ended; it prints its keeper's pid."""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CappedMachine:
    """A machine without devices yet, seen by this process and its children."""
    monkeypatch.setenv("WATTMARK_SYSFS", str(tmp_path / "sys"))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    return CappedMachine(tmp_path / "sys")


def limits_of(machine: CappedMachine, *wanted: str):
    return choose_limits(find_limits(Host(sysfs=str(machine.root))), wanted)


@pytest.fixture
def holding():
    """Words that start a program which holds a cap."""
    return lambda cap_w: [sys.executable, "-c", HOLD, str(cap_w)]


@pytest.fixture
def records(data_dir: Path):
    """The names of the records of caps."""
    return lambda: sorted(os.listdir(data_dir / "caps")) if (data_dir / "caps").exists() else []

"""Work at several levels, so that a constant can be told from a slope: every CPU busy for a share of each tenth of a
second."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType

LEVELS = (0.0, 1.0, 0.5, 0.25, 0.75, 0.0, 0.6, 1.0, 0.3)
"""In no regular order, so that a meter's clock is found without doubt."""
_SPIN = """
import sys, time
duty, end = float(sys.argv[1]), time.monotonic() + float(sys.argv[2])
x = 1.0001
while (now := time.monotonic()) < end:
    until = now + 0.1 * duty
    while time.monotonic() < until:
        for _ in range(2000):
            x = x * 1.0000001 + 1e-9
    rest = 0.1 * (1 - duty)
    if rest > 0:
        time.sleep(rest)
"""
"""What one CPU does: arithmetic for a share of each tenth of a second."""


class Busy:
    """All CPUs of this process busy for a share of the time, as long as the block lasts."""

    def __init__(self, share: float, seconds: float, cpus: int | None = None) -> None:
        self._share, self._seconds = share, seconds
        self._cpus = cpus or len(os.sched_getaffinity(0))
        self._workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> None:
        if self._share > 0:
            words = [sys.executable, "-I", "-S", "-c", _SPIN, f"{self._share}", f"{self._seconds + 5}"]
            self._workers = [subprocess.Popen(words) for _ in range(self._cpus)]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.wait()


def work(seconds: float, levels: Sequence[float] = LEVELS, tell: Callable[[str], None] | None = None) -> None:
    """``seconds`` in all, the same time at each level; ``tell`` hears of each."""
    each = seconds / len(levels)
    for level in levels:
        if tell is not None:
            tell(f"{level * 100:.0f} % of every CPU for {each:.0f} s")
        with Busy(level, each):
            time.sleep(each)

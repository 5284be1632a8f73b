"""Runs in a peer's own environment: ``python tasks.py DRIVER TASK FOLDER [NUMBER...]``; prints lines of JSON.

A driver (drivers/*.py) is the little that a user of that tool would write:
``measure(work, period_s, folder)`` runs ``work()`` measured and gives joules (or a function that gives them, where
asking for the result is a step of its own); optional are ``windows(n, folder)``, seconds of each of n further
measurements in the same process, ``spans(n, folder)``, seconds per named interval inside a measurement, and
``saved(folder)``, the joules that are on disk after the process is gone.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from pathlib import Path


def say(**values: object) -> None:
    os.write(1, (json.dumps(values) + "\n").encode())


def load(name: str):
    path = Path(__file__).parent / "drivers" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"driver_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def energy(result) -> dict[str, float | None]:
    """Joules, and their interval where the tool gives one."""
    result = result() if callable(result) else result
    if isinstance(result, tuple):
        return dict(zip(("joules", "low", "high"), map(float, result), strict=True))
    return {"joules": None if result is None else float(result)}


def start_stop(driver, folder: str, period_s: str) -> None:
    """First window of a fresh process, after the import, up to the end of stop; the result is asked for later."""
    if hasattr(driver, "MODULE"):
        importlib.import_module(driver.MODULE)
    begin = time.perf_counter()
    driver.measure(lambda: None, float(period_s), folder)
    say(seconds=time.perf_counter() - begin)


def windows(driver, folder: str, n: str) -> None:
    """Further windows in the same process."""
    say(seconds=driver.windows(int(n), folder) if hasattr(driver, "windows") else None)


def spans(driver, folder: str, n: str) -> None:
    """Seconds per span."""
    say(seconds=driver.spans(int(n), folder) if hasattr(driver, "spans") else None)


def sleep(driver, folder: str, period_s: str, seconds: str, align: str = "") -> None:
    """A block that does nothing; the truth is between the two moments that are printed.

    align: ``FIRST,EVERY,PAST`` in ns: go on until PAST after the next moment of that series (a counter's wraps).
    """

    def work() -> None:
        begin = time.monotonic_ns()
        say(event="begin", t_ns=begin)
        end = begin + int(float(seconds) * 1e9)
        if align:
            first, every, past = map(int, align.split(","))
            end = first + -(-(end - first) // every) * every + past
        time.sleep(max(0.0, (end - time.monotonic_ns()) / 1e9))
        say(event="end", begin_ns=begin, t_ns=time.monotonic_ns())

    say(event="result", **energy(driver.measure(work, float(period_s), folder)))


def sleep_together(driver, folder: str, *numbers: str) -> None:
    """As sleep, but what is slow to import is imported first, and the rest begins when a line comes in."""
    if hasattr(driver, "MODULE"):
        importlib.import_module(driver.MODULE)
    say(event="ready")
    sys.stdin.readline()
    sleep(driver, folder, *numbers)


def _python_loop(turns: int) -> int:
    total = 0
    for i in range(turns):
        total += i & 3
    return total


def loops(driver, folder: str, period_s: str, turns: str, products: str) -> None:
    """A loop that holds the GIL, then matrix products that keep all cores busy; wall and thread time of each."""
    found: dict[str, float] = {}

    def work() -> None:
        import numpy as np

        a = np.random.default_rng(0).standard_normal((768, 768), np.float32)
        out = a @ a
        _python_loop(100_000)
        wall, thread = time.perf_counter(), time.thread_time()
        _python_loop(int(turns))
        found["gil_s"], found["gil_thread_s"] = time.perf_counter() - wall, time.thread_time() - thread
        wall = time.perf_counter()
        for _ in range(int(products)):
            np.matmul(a, a, out=out)
        found["blas_s"] = time.perf_counter() - wall

    driver.measure(work, float(period_s), folder)
    say(**found)


def hold_gil(driver, folder: str, period_s: str, seconds: str) -> None:
    """A pure Python loop for some seconds; the harness sees from outside when the counters are read."""

    def work() -> None:
        begin = time.monotonic_ns()
        say(event="begin", t_ns=begin)
        end = begin + int(float(seconds) * 1e9)
        while time.monotonic_ns() < end:
            _python_loop(20_000)
        say(event="end", t_ns=time.monotonic_ns())

    driver.measure(work, float(period_s), folder)
    say(event="result")


def saved(driver, folder: str) -> None:
    say(joules=driver.saved(folder) if hasattr(driver, "saved") else None)


TASKS = {f.__name__: f for f in (start_stop, windows, spans, sleep, sleep_together, loops, hold_gil, saved)}

if __name__ == "__main__":
    TASKS[sys.argv[2]](load(sys.argv[1]), *sys.argv[3:])

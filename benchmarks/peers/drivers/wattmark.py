"""Wattmark: ``with wm.measure(...)``; the default sources, the period as asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

MODULE = "wattmark"
API = "from wattmark import measure"  # its names are imported on first use
SETTINGS = "measure(period_s=period)"


def measure(work, period_s, folder):
    import wattmark as wm

    os.environ["WATTMARK_DATA_DIR"] = folder
    with wm.measure("bench", period_s=period_s) as run:
        work()
    return lambda: (run.energy.value, run.energy.low, run.energy.high) if run.energy is not None else None


def windows(n, folder):
    import wattmark as wm

    os.environ["WATTMARK_DATA_DIR"] = folder
    seconds = []
    with wm.measure("first"):
        pass
    for _ in range(n):
        begin = time.perf_counter()
        with wm.measure("next"):
            pass
        seconds.append(time.perf_counter() - begin)
    return seconds


def spans(n, folder):
    import wattmark as wm

    os.environ["WATTMARK_DATA_DIR"] = folder
    with wm.measure("bench") as run:
        begin = time.perf_counter()
        for _ in range(n):
            with run.span("step"):
                pass
        return (time.perf_counter() - begin) / n


def saved(folder):
    command = [os.path.join(os.path.dirname(sys.executable), "wattmark"), "ls", "--json", "-"]
    done = subprocess.run(
        command, env={**os.environ, "WATTMARK_DATA_DIR": folder}, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    runs = json.loads(done.stdout)
    energy = runs[0]["energy_j"] if runs else None
    return energy["value"] if isinstance(energy, dict) else energy

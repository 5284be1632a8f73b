"""A quiet machine: its idle power before a study, and the wait until it is back there before each trial.

Runs in the process of a trial, so that it is done on whatever machine the trial has to itself.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from wattmark.documents import mapping, number, numbers
from wattmark.recorder import launch
from wattmark.recorder.live import Live
from wattmark.tracker.process import this_process

WINDOW_S = 0.3
"""Power is judged over this long: three samples of the slowest sensors (NVML's, about 0.1 s)."""
BUSY_SHARE = 0.1
"""More than this share of the CPUs busy while the machine should idle is somebody else's work."""


class Rest(TypedDict):
    """How the machine is brought to rest before a trial, as :class:`~wattmark.studies.designs.design.Quiet` says it."""

    baseline_s: float
    cooldown_within_pct: float
    cooldown_max_s: float


class Idle(TypedDict):
    """What was measured of the idle machine. idle_w: component -> W; cpu_busy: 0..1, None if not known."""

    idle_w: dict[str, float]
    seconds: float | None
    cpu_busy: float | None
    measured_at: float | None


def baseline_file(folder: Path, host: str) -> Path:
    """Where a study keeps the idle power of a host."""
    return folder / "baselines" / f"{re.sub(r'[^A-Za-z0-9_.-]', '_', host)[:100] or '_'}.json"


def read_baseline(path: Path) -> Idle | None:
    """What :func:`prepare` kept."""
    try:
        data = mapping(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
    return {
        "idle_w": numbers(data.get("idle_w")),
        "seconds": number(data.get("seconds")),
        "cpu_busy": number(data.get("cpu_busy")),
        "measured_at": number(data.get("measured_at")),
    }


def prepare(path: Path, quiet: Rest) -> tuple[dict[str, float] | None, list[dict[str, str]]]:
    """Before a trial: measure the idle machine if that was not done yet, and wait until it is idle again.

    quiet: ``baseline_s``, ``cooldown_within_pct``, ``cooldown_max_s`` of the design. Returns idle watts by component
    (None if unknown) and what a reader of the trial must know.
    """
    wanted = quiet["baseline_s"]
    baseline = read_baseline(path)
    if wanted <= 0 or (baseline is not None and not baseline["idle_w"]):
        return None, []
    session = _session()
    if session is None:
        return None, [
            {"code": "no-baseline", "message": "the idle machine was not measured: no recorder ran"}
        ]
    if baseline is None:
        baseline = _measure(session, wanted)
        _write(path, baseline)
        warnings = _busy(baseline)
    else:
        warnings = _cool_down(session, baseline["idle_w"], quiet)
    return baseline["idle_w"] or None, warnings


def _measure(session: launch.Session, seconds: float) -> Idle:
    cpu, before = _cpu_seconds(), _reading(session)
    time.sleep(seconds)
    after, cpu_after = _reading(session), _cpu_seconds()
    busy = None
    if cpu and cpu_after and cpu_after[1] > cpu[1]:
        busy = (cpu_after[0] - cpu[0]) / (cpu_after[1] - cpu[1])
    return {"idle_w": _watts(before, after), "seconds": seconds, "cpu_busy": busy, "measured_at": time.time()}


def _cool_down(session: launch.Session, idle_w: Mapping[str, float], quiet: Rest) -> list[dict[str, str]]:
    idle = sum(idle_w.values())
    limit = idle * (1 + quiet["cooldown_within_pct"] / 100)
    deadline = time.monotonic() + quiet["cooldown_max_s"]
    before = _reading(session)
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        time.sleep(min(WINDOW_S, left))
        after = _reading(session)
        now = _watts(before, after)
        power = sum(now.get(component, 0.0) for component in idle_w)
        if now and power <= limit:
            return []
        before = after
    message = f"power was not back at the idle {idle:.1f} W (within {quiet['cooldown_within_pct']} %)"
    return [{"code": "not-quiet", "message": f"{message} after {quiet['cooldown_max_s']} s"}]


def _busy(baseline: Idle) -> list[dict[str, str]]:
    share = baseline["cpu_busy"]
    if share is None or share < BUSY_SHARE:
        return []
    message = f"{100 * share:.0f} % of the CPUs were busy while the idle machine was measured"
    return [{"code": "busy-baseline", "message": message}]


def _session() -> launch.Session | None:
    """This process's recorder: the one that the trial's run will use, since starting one takes a tenth of a second."""
    process = this_process()
    with process.lock:
        process.attach({})
    return process.session


def _reading(session: launch.Session) -> Live:
    session.sync()
    return session.live.read()


def _watts(before: Live, after: Live) -> dict[str, float]:
    seconds = (after.t_ns - before.t_ns) / 1e9
    if seconds <= 0:
        return {}
    return {
        component: (energy - before.by_component_j[component]) / seconds
        for component, energy in after.by_component_j.items()
        if component in before.by_component_j
    }


def _cpu_seconds() -> tuple[float, float] | None:
    """Busy and all CPU time of the machine so far, in ticks (proc_stat(5)); None where it is not told."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
    except (OSError, ValueError):
        return None
    return (sum(ticks) - ticks[3] - ticks[4], sum(ticks)) if len(ticks) >= 5 else None


def _write(path: Path, data: Idle) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(json.dumps(data), encoding="utf-8")
    new.replace(path)

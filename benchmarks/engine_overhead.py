"""Claim: the study engine adds less than a second to a trial, on top of the start of the trial's own process.

Run: python benchmarks/engine_overhead.py [--repeats 20]. Trivial commands as trials of a study (a fresh process each, with
its recorder, result, store and log); between two trials the same command is run bare, and a process is started that only
imports what a trial's does. Once without an idle baseline, once with the wait for a quiet machine before each trial (at
its shortest: the machine counts as quiet at once). Wall time depends on what else the machine does, processor time hardly
does, so both are kept with the load. Results: benchmarks/results/engine_overhead.{json,md}.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wattmark.studies.designs.design import Design
from wattmark.studies.execution.runner import StudyProgress, run_study

RESULTS = Path(__file__).parent / "results"
COMMANDS = {
    "true": ["true"],
    "awk, a short loop": ["awk", "BEGIN { for (i = 0; i < 1000000; i++) s += i; print s }"],
}
QUIETS = {
    "no baseline": {"baseline_s": 0.0},
    "quiet at once": {"baseline_s": 0.5, "cooldown_within_pct": 1e6, "cooldown_max_s": 5.0},
}
BUDGET_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WATTMARK_DATA_DIR"] = folder
        rows = [row(name, repeats) for name in COMMANDS]
    found = {
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        },
        "load_average": {"before": before, "after": os.getloadavg()},
        "repeats": repeats,
        "budget_s": BUDGET_S,
        "commands": rows,
    }
    RESULTS.joinpath("engine_overhead.json").write_text(json.dumps(found, indent=1) + "\n")
    RESULTS.joinpath("engine_overhead.md").write_text(markdown(found))
    print(markdown(found))


def row(name: str, repeats: int) -> dict[str, Any]:
    """One command: bare, the start of a trial's process alone, and as trials."""
    command = COMMANDS[name]
    start = [sys.executable, "-c", "import wattmark.studies.execution.trial"]
    ways: dict[str, list[tuple[float, float]]] = {"bare": [], "process start": []}
    for quiet, settings in QUIETS.items():
        ways[quiet] = trials = []
        clock = Clock()

        def between(progress: StudyProgress, trials: Any = trials, clock: Clock = clock) -> None:
            if progress.ended is None:
                return
            assert progress.ended.status == "completed", progress.ended
            if progress.done > 1:  # the first makes the store and the baseline
                trials.append(clock.read())
            ways["bare"].append(timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)))
            ways["process start"].append(timed(lambda: subprocess.run(start, check=True)))
            clock.restart()

        design = Design.model_validate(
            {"name": "overhead", "repeats": repeats + 1, "command": {"argv": command}, "quiet": settings}
        )
        run_study(design, fresh=True, on_progress=between)
    return {
        "command": name,
        "ways": {
            way: {
                "wall_s": statistics.median(wall for wall, _ in values),
                "wall_least_s": min(wall for wall, _ in values),
                "cpu_s": statistics.median(cpu for _, cpu in values),
                "runs": len(values),
            }
            for way, values in ways.items()
        },
    }


class Clock:
    """Wall seconds, and CPU seconds of this process and of all that it waited for."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.cpu, self.begun = sum(os.times()[:4]), time.perf_counter()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self.begun, sum(os.times()[:4]) - self.cpu


def timed(work: Callable[[], object]) -> tuple[float, float]:
    clock = Clock()
    work()
    return clock.read()


def markdown(found: dict[str, Any]) -> str:
    """The table for people."""
    machine, load = found["machine"], found["load_average"]
    lines = [
        "# What the study engine adds to a trial",
        "",
        f"{machine['system']}, {machine['cores']} cores, Python {machine['python']}. Load average {load['before'][0]:.1f} "
        f"before and {load['after'][0]:.1f} after (more than 2: others used the machine). Medians of {found['repeats']} "
        "trials, least in brackets. Processor time holds the runner, the trial's process, the recorder and the command.",
        "",
        "| command | way | wall ms | CPU ms | wall over bare | added wall ms beyond the process start | added CPU ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in found["commands"]:
        bare, start = one["ways"]["bare"], one["ways"]["process start"]
        for way, taken in one["ways"].items():
            added = ["", ""]
            if way in QUIETS:
                added = [f"{1e3 * (taken[key] - bare[key] - start[key]):.0f}" for key in ("wall_s", "cpu_s")]
                added[0] += (
                    f" ({1e3 * (taken['wall_least_s'] - bare['wall_least_s'] - start['wall_least_s']):.0f})"
                )
            lines.append(
                f"| {one['command']} | {way} | {1e3 * taken['wall_s']:.0f} ({1e3 * taken['wall_least_s']:.0f}) "
                f"| {1e3 * taken['cpu_s']:.0f} | {taken['wall_s'] / bare['wall_s']:.1f} | {' | '.join(added)} |"
            )
    lines += [
        "",
        "`process start`: Python and what a trial's process imports. `quiet at once`: power is judged over 0.3 s, the least "
        f"that the wait for a quiet machine takes. Budget: {1e3 * found['budget_s']:.0f} ms beyond the process start.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

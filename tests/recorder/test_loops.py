"""Kills and looks at random moments, again and again; ``LOOP_SECONDS=600`` makes each loop last that long."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import FakeMachine
from wattmark.paths import journals_dir
from wattmark.recorder import tree
from wattmark.runs.view import RunView
from wattmark.workspace.runs import find_run, list_runs, store_here

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
SECONDS = float(os.environ.get("LOOP_SECONDS", "4"))

JOB = """
import sys, time
import wattmark as wm
spans, pause_s = int(sys.argv[1]), float(sys.argv[2])
with wm.measure("job", tags={"n": spans}) as run:
    print(run.id, flush=True)
    for _ in range(spans):
        with run.span("step"):
            pass
    time.sleep(pause_s)
"""
LOOKER = """
import json, sys
from wattmark.workspace.runs import find_run, list_runs, store_here
seen = set()
missing = []
looks = 0
print("ready", flush=True)
while not sys.stdin.closed:
    with store_here() as store:
        now = {run.run_id for run in list_runs(store)}
        missing += seen - now
        seen |= now
        for run_id in sorted(seen)[-1:]:
            find_run(store, run_id)
    looks += 1
    import os, select
    if select.select([sys.stdin], [], [], 0)[0]:
        break
print(json.dumps({"seen": sorted(seen), "missing": missing, "looks": looks}))
"""


def job(spans: int, pause_s: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", JOB, str(spans), str(pause_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def recorders(data_dir: Path) -> list[int]:
    """Processes that write below a data folder."""
    found: list[int] = []
    for name in os.listdir("/proc"):
        if name.isdigit() and tree.is_alive(int(name), None):
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes()
            except OSError:
                continue
            if b"wattmark.recorder.process" in words and str(data_dir).encode().hex().encode() in words:
                found.append(int(name))
    return found


def test_a_process_that_lists_runs_all_the_time_harms_none(fake_machine: FakeMachine, data_dir: Path) -> None:
    chance = random.Random(5)
    looker = subprocess.Popen(
        [sys.executable, "-c", LOOKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert looker.stdin is not None
    assert looker.stdout is not None
    assert looker.stdout.readline() == "ready\n"
    expected: dict[str, int] = {}
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        spans = chance.choice([1, 50, 3000])
        process = job(spans, chance.choice([0, 0, 0.02]))
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert err == ""
        expected[out.strip()] = spans
    with store_here() as store:
        for _ in range(200):  # the last recorder may be about to end
            if {run.run_id for run in list_runs(store)} >= set(expected):
                break
        looked = json.loads(looker.communicate("\n", timeout=60)[0])
        assert looked["missing"] == []
        assert len(list_runs(store)) == len(expected)
        for run_id, spans in expected.items():
            view = find_run(store, run_id)
            assert view.record.status == "completed"
            assert len(view.record.spans) == spans
            assert view.record.tags == {"n": str(spans)}
            assert view.energy is not None, (view.record.warnings, view.record.curves, view.record.duration_s)
    assert not (Path(journals_dir()) / "damaged").exists()


def test_kills_at_any_moment_leave_each_run_once_and_no_orphan(
    fake_machine: FakeMachine, data_dir: Path
) -> None:
    chance = random.Random(11)
    announced: set[str] = set()
    killed = 0
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        process = job(200, 0.05)
        time.sleep(0.25 * chance.random())
        victims = [process.pid, *recorders(data_dir)]
        killed += len(victims) - 1
        chance.shuffle(victims)
        for victim in victims[: chance.randint(1, len(victims))]:
            os.kill(victim, chance.choice([signal.SIGKILL, signal.SIGTERM]))
        out, _ = process.communicate(timeout=60)
        announced |= set(out.split())
        with store_here() as store:
            assert {run.run_id for run in list_runs(store)} >= announced
    assert killed, "no recorder was seen"
    deadline = time.monotonic() + 30
    while recorders(data_dir):
        assert time.monotonic() < deadline, "an orphan"
        time.sleep(0.02)
    with store_here() as store:
        kept = store.summaries()
        assert len({run.run_id for run in kept}) == len(kept)
        assert {run.run_id for run in kept} >= announced
        assert {run.status for run in kept} <= {"completed", "interrupted", "failed"}
        for run in kept:
            RunView(store.get(run.run_id)).spans()
    left = [path.name for path in Path(journals_dir()).iterdir() if not path.name.startswith(".")]
    assert [name for name in left if name == "damaged"] == []

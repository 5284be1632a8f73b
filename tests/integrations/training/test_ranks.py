"""Two ranks of one host, whichever of them begins: one run, one training, which goes on after both were killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import wattmark as wm
from wattmark.integrations.training.loop import Loop
from wattmark.testing.training.contract import Recording
from wattmark.tracker.process import this_process
from wattmark.workspace.runs import store_here

RANK = """
import json, os, sys, time
from pathlib import Path
from wattmark.integrations.training.loop import Loop

rank, folder = int(os.environ["RANK"]), Path(sys.argv[1])

def reached(name):
    (folder / f"{name}{rank}").touch()
    while not (folder / f"{name}{1 - rank}").exists():
        time.sleep(0.002)

if rank == 0:  # the other one opens the run
    while not (folder / "begun1").exists():
        time.sleep(0.002)
with Loop("ranks", trackers=[], main=lambda: rank == 0) as energy:
    (folder / f"begun{rank}").touch()
    for epoch in energy.epochs(range(2)):
        for batch in energy.steps(range(3)):
            time.sleep(0.05)
        reached(f"epoch{epoch}-")
        if rank == 0 and epoch == 0:
            (folder / "state.json").write_text(json.dumps(energy.state_dict()))
    reached("spent")
    time.sleep(60)
"""


def _when_its_recorder_has_ended() -> wm.Run:
    """The only run, kept in the store: until then its recorder may still write what it read after the kill."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with store_here() as store:
            if kept := store.summaries():
                (run,) = kept
                return wm.load(run.run_id)
        time.sleep(0.02)
    raise AssertionError("the killed run was never kept")


def test_what_was_used_after_the_checkpoint_is_known_when_two_killed_ranks_are_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    base = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "WATTMARK_JOB": "two"}
    base |= {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    ranks = [
        subprocess.Popen([sys.executable, str(script), str(tmp_path)], env={**base, "RANK": rank})
        for rank in "10"
    ]
    try:
        while not all((tmp_path / f"spent{rank}").exists() for rank in "01"):
            assert all(rank.poll() is None for rank in ranks)
            time.sleep(0.01)
    finally:
        for rank in ranks:
            rank.send_signal(signal.SIGKILL)
            rank.wait()
    before = _when_its_recorder_has_ended()
    assert before.status == "interrupted"
    assert sum(span.name == "epoch" and span.counts == {} for span in before.spans) == 4
    assert before.energy is not None
    lag_s = 0.25  # what the writer of 50 W may be late with its counter on a busy machine
    assert 50 * (before.duration_s - lag_s) <= before.energy.value <= 50 * (before.duration_s + lag_s)
    told = Recording()
    energy = Loop("ranks", trackers=[told])
    energy.load_state_dict(json.loads((tmp_path / "state.json").read_text()))
    with energy:
        for _ in energy.epochs(range(1)):
            for _ in energy.steps(range(2)):
                time.sleep(0.05)
    after = energy.run
    assert after is not None
    assert after.energy is not None
    assert after.tags["training"] == before.tags["training"]
    assert (before.tags["piece"], after.tags["piece"]) == ("0", "1")
    assert before.energy is not None
    assert energy.energy is not None
    assert energy.energy.value == pytest.approx(before.energy.value + after.energy.value, rel=0.2)
    this_process().end()

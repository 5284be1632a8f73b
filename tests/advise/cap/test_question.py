"""A cap is found for real work on a machine whose caps act, and is gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import wattmark as wm
from wattmark.advise.cap.choice import Goal
from wattmark.advise.cap.work import CommandFailed
from wattmark.errors import ConfigError
from wattmark.limits.base import NothingToCap
from wattmark.limits.restoring import put_back
from wattmark.limits.session import KeeperLost
from wattmark.testing.machines.capped import Law

CAPS = (45, 60, 80, 100)


def tried(machine, **more):
    return wm.advise_cap(machine.work(0.6), apply=True, caps_w=CAPS, settle_s=0, seed=3, **more)


@pytest.mark.slow
def test_the_best_cap_is_found_proven_and_the_old_one_is_back(machine):
    advice = tried(machine)
    assert advice.basis == "measured"
    assert advice.cap_w in (45, 60, 80)  # 60 by the law; what starting a process takes, no cap changes
    assert advice.energy is not None
    assert advice.energy.low < 1
    assert 0.6 < advice.energy.value / (Law().joules(advice.cap_w) / Law().joules(None)) < 1.3
    assert len([one for one in advice.windows if one.cap_w == 125]) >= 3
    assert machine.now() == machine.before
    assert not list((Path(os.environ["WATTMARK_DATA_DIR"]) / "caps").iterdir())
    assert advice.methods == {"cpu": "counter"}
    assert advice.to_dict()["basis"] == "measured"


def test_a_slow_down_that_is_allowed_is_kept_to(machine):
    advice = tried(machine, goal=Goal(slowdown=1.12), prove=0, windows=3)
    assert advice.cap_w == 125 or (advice.time is not None and advice.time.value <= 1.12)
    assert machine.now() == machine.before


def test_without_consent_nothing_is_set(machine):
    advice = wm.advise_cap(machine.work(0.2), caps_w=CAPS)
    assert (advice.basis, advice.cap_w, advice.applied) == ("untried", None, False)
    assert any("--apply" in note for note in advice.notes)
    assert not list(Path(os.environ["WATTMARK_DATA_DIR"]).glob("caps/*"))


def test_a_cap_that_is_kept_stays_until_it_is_put_back(machine):
    advice = tried(machine, keep=True, prove=0, windows=2)
    assert advice.kept
    assert advice.cap_w is not None
    assert min(machine.now().values()) in (1, advice.cap_w * 1e6)
    put_back(kept=True)
    assert machine.now() == machine.before


def test_a_command_that_fails_on_its_third_window_is_told_and_the_old_cap_is_back(machine, tmp_path):
    script = (
        "import pathlib, sys\n"
        f"path = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "n = int(path.read_text()) + 1 if path.exists() else 1\n"
        "path.write_text(str(n))\n"
        "import time; time.sleep(0.3)\n"
        "if n == 4: sys.exit('out of memory')\n"
    )
    with pytest.raises(CommandFailed, match=r"ended with 1 in window 4 .*out of memory"):
        wm.advise_cap([sys.executable, "-c", script], apply=True, caps_w=CAPS, settle_s=0)
    assert machine.now() == machine.before


def test_a_command_that_is_not_there_is_told_before_anything_is_set(machine):
    with pytest.raises(ConfigError, match="no-such-command: command not found"):
        wm.advise_cap(["no-such-command"], apply=True)


@pytest.mark.parametrize("caps", [(20, 60), (60, 400)])
def test_caps_out_of_range_are_told_with_the_range(machine, caps):
    with pytest.raises(ConfigError, match=r"out of the range of cpu0: 37.5 to 125 W"):
        wm.advise_cap(machine.work(0.1), apply=True, caps_w=caps)


def test_joules_of_a_model_decide_nothing(machine, monkeypatch):
    monkeypatch.setenv("WATTMARK_SOURCES", "cpu-model")
    with pytest.raises(ConfigError, match="a model knows nothing of a cap"):
        wm.advise_cap(machine.work(0.1), apply=True, settle_s=0)
    assert machine.now() == machine.before
    assert not list(Path(os.environ["WATTMARK_DATA_DIR"]).glob("caps/*"))


def test_a_sensor_that_falls_silent_decides_nothing(machine):
    """Its counter stands still from some time on, so that it is a hole."""
    killer = threading.Timer(1.0, machine.process.kill)
    killer.start()
    with pytest.raises(wm.WattmarkError):
        wm.advise_cap(machine.work(0.6), apply=True, caps_w=CAPS, settle_s=0)
    killer.cancel()
    assert machine.now() == machine.before


def test_a_machine_with_nothing_to_cap_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("WATTMARK_SYSFS", str(tmp_path / "nothing"))
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    with pytest.raises(NothingToCap, match="nothing here can be capped"):
        wm.advise_cap(["true"])


def test_a_keeper_that_is_killed_ends_the_search_and_the_old_cap_is_back(machine):
    seen: list[str] = []

    def kill() -> None:
        while not (keepers := keepers_of(os.getpid())) or machine.now() == machine.before:
            time.sleep(0.01)
        os.kill(keepers[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(KeeperLost):
        tried(machine, tell=seen.append)
    thread.join()
    assert machine.now() == machine.before


def keepers_of(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            try:
                if "wattmark.limits.keeper" in Path(f"/proc/{child}/cmdline").read_text():
                    found.append(int(child))
            except OSError:
                continue
    return found


def test_a_command_is_tried_as_it_goes_on_and_its_exit_code_is_ours(machine):
    work = machine.work(5.0, steps=500)
    advice = wm.advise_cap(
        work, apply=True, live=True, caps_w=(60, 90), settle_s=0.05, window_s=0.3, prove=1, windows=2, seed=1
    )
    assert advice.exit_code == 0
    assert advice.cap_w == 60
    assert advice.unit == "step"
    assert machine.now() == machine.before


def test_a_process_that_runs_is_tried_by_the_lines_of_its_log(machine, tmp_path):
    log = tmp_path / "train.log"
    with log.open("w") as file:
        process = subprocess.Popen(machine.work(4.0, steps=400), stdout=file)
    advice = wm.advise_cap(
        pid=process.pid,
        apply=True,
        log=str(log),
        caps_w=(60, 90),
        settle_s=0.05,
        window_s=0.3,
        prove=0,
        windows=2,
    )
    assert process.wait() == 0
    assert advice.cap_w == 60
    assert machine.now() == machine.before


def test_work_that_ends_before_it_is_decided_is_told(machine):
    advice = wm.advise_cap(
        machine.work(1.2, steps=120), apply=True, live=True, caps_w=(60, 90), settle_s=0.05, window_s=0.4
    )
    assert advice.cap_w is None
    assert any("ended before its cap was decided" in note for note in advice.notes)
    assert machine.now() == machine.before


def test_a_process_whose_progress_nobody_sees_is_refused(machine):
    process = subprocess.Popen(["sleep", "20"])
    try:
        with pytest.raises(ConfigError, match="cannot be seen"):
            wm.advise_cap(pid=process.pid, apply=True)
    finally:
        process.kill()
        process.wait()
    with pytest.raises(ConfigError, match="there is no process"):
        wm.advise_cap(pid=process.pid, apply=True)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"keep": True}, "only kept where it is set"),
        ({"live": True}, "only where caps may be set"),
        ({"apply": True}, "no command"),
        ({"pid": 1, "live": True, "apply": True}, "one of them"),
        ({"windows": 1}, "at least two windows"),
        ({"method": "guess"}, "no method"),
    ],
)
def test_what_cannot_be_asked_for_is_told(machine, asked, told):
    with pytest.raises(ConfigError, match=told):
        wm.advise_cap([], **asked)

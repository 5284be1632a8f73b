from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from wattmark.recorder.tree import ProcessTree, host_busy_s, is_alive, start_ticks

BURN = "import time\nend = time.process_time() + {s}\nwhile time.process_time() < end: pass\n"


def test_children_that_have_exited_stay_in_the_sum() -> None:
    tree = ProcessTree([os.getpid()], set())
    before = tree.cpu_s()
    subprocess.run([sys.executable, "-I", "-S", "-c", BURN.format(s=0.3)], check=True)
    assert tree.cpu_s() - before >= 0.25


def test_a_child_seen_alive_is_not_counted_again_when_it_is_collected() -> None:
    tree = ProcessTree([os.getpid()], set())
    before = tree.cpu_s()
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", BURN.format(s=0.4)])
    while child.poll() is None:
        tree.cpu_s()
        time.sleep(0.02)
    after = tree.cpu_s() - before
    assert after >= 0.35
    assert after <= 0.4 + time.process_time()
    assert tree.cpu_s() - before == pytest.approx(after, abs=0.1)


def test_a_skipped_process_does_not_count() -> None:
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", BURN.format(s=0.3) + "time.sleep(60)"])
    try:
        tree = ProcessTree([os.getpid()], {child.pid})
        time.sleep(0.5)
        tree.cpu_s()
        assert child.pid not in tree.pids
    finally:
        child.kill()
        child.wait()


def test_a_root_added_later_counts_from_its_start() -> None:
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", BURN.format(s=0.2) + "time.sleep(60)"])
    try:
        tree = ProcessTree([], set())
        tree.add_root(child.pid)
        deadline = time.monotonic() + 30
        while tree.cpu_s() < 0.15:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        child.kill()
        child.wait()


def test_a_pid_used_again_is_not_the_same_process() -> None:
    ticks = start_ticks(os.getpid())
    assert ticks is not None
    assert is_alive(os.getpid(), ticks)
    assert not is_alive(os.getpid(), ticks + 1)
    assert start_ticks(2**22 + 5) is None


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "pass"])
    deadline = time.monotonic() + 10
    while is_alive(child.pid, None) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(child.pid, None)
    child.wait()


def test_busy_time_is_read_from_the_given_root(tmp_path) -> None:
    (tmp_path / "stat").write_text("cpu  100 200 300 9999 9999 10 20 5 0 0\nintr 1\n")
    assert host_busy_s(str(tmp_path)) == pytest.approx(6.3)
    assert host_busy_s(str(tmp_path / "absent")) is None

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from wattmark.plan.stopping import Keeper, StoppableTree, run_command
from wattmark.recorder.tree import children_of, is_stopped

TREE = """
import os, subprocess, sys, time
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)  # leaves the group
print(os.getpid(), inner.pid, flush=True)
time.sleep(60)
"""
"""A process with a child that is in a session of its own."""


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.fixture
def tree() -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    process = subprocess.Popen([sys.executable, "-c", TREE], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    pids = [int(word) for word in process.stdout.readline().split()]
    yield process, pids
    process.stdout.close()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait()


def test_a_whole_tree_is_stopped_and_goes_on(tree: tuple[subprocess.Popen[str], list[int]]) -> None:
    process, pids = tree
    keeper = Keeper()
    own = StoppableTree(process.pid, keeper)
    assert own.pause()
    assert own.paused
    assert all(is_stopped(pid) for pid in pids)
    assert not is_stopped(keeper.pid)
    os.kill(pids[1], signal.SIGCONT)  # somebody continues a part of it
    assert until(lambda: not is_stopped(pids[1]))
    own.pause()
    assert all(is_stopped(pid) for pid in pids)
    own.resume()
    assert until(lambda: not any(is_stopped(pid) for pid in pids))
    keeper.close()


def test_what_somebody_else_stopped_stays_so(tree: tuple[subprocess.Popen[str], list[int]]) -> None:
    process, pids = tree
    os.kill(pids[1], signal.SIGSTOP)
    assert until(lambda: is_stopped(pids[1]))
    keeper = Keeper()
    own = StoppableTree(process.pid, keeper)
    own.pause()
    own.resume()
    assert until(lambda: not is_stopped(pids[0]))
    assert is_stopped(pids[1])
    keeper.close()


FORKING = """
import os, time
for _ in range(400):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
    time.sleep(0.002)
time.sleep(30)
"""


HOLDER = """
import sys, time
from wattmark.plan.stopping import Keeper, StoppableTree
own = StoppableTree(int(sys.argv[1]), Keeper())
assert own.pause()
print("held", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_tree_goes_on_when_its_holder_dies(
    tree: tuple[subprocess.Popen[str], list[int]], number: signal.Signals
) -> None:
    _, pids = tree
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(pids[0])],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.stdout.close()
    assert all(is_stopped(pid) for pid in pids)
    holder.send_signal(number)
    holder.wait()
    assert until(lambda: not any(is_stopped(pid) for pid in pids))


def test_a_keeper_that_was_killed_is_replaced(tree: tuple[subprocess.Popen[str], list[int]]) -> None:
    process, pids = tree
    keeper = Keeper()
    own = StoppableTree(process.pid, keeper)
    first = keeper.pid
    os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert own.pause()
    assert keeper.pid != first
    keeper.close()  # as if we had died
    assert until(lambda: not any(is_stopped(pid) for pid in pids))


def test_children_that_are_begun_while_it_is_stopped_are_found() -> None:
    process = subprocess.Popen([sys.executable, "-c", FORKING], start_new_session=True)
    try:
        assert until(lambda: len(children_of(process.pid)) > 20)
        keeper = Keeper()
        own = StoppableTree(process.pid, keeper)
        own.pause()
        assert all(is_stopped(pid) for pid in (process.pid, *children_of(process.pid)))
        own.resume()
        keeper.close()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_users_command_has_the_pid(tmp_path) -> None:
    assert (
        run_command([sys.executable, "-c", "import sys; sys.exit(int(sys.argv[1]) == 41)", "{pid}"], 42) == 0
    )
    assert "No such file" in str(run_command(["/nowhere/at/all"], 1))

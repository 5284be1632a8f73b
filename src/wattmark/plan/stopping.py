"""A process tree stopped and continued by signals, and a keeper that continues it should we be killed meanwhile.

Stopped are all processes of the tree, also those that left its process group or lost their parent, and only those that we
stopped are continued. Before a process is stopped its pid and start are told to the keeper, a small process that outlives
us: when its pipe closes it continues what is still held.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from wattmark.recorder.tree import ProcessTree, children_of, is_alive, is_stopped, start_ticks

_ROUNDS = 60
_PAUSE_S = 0.002
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)

_KEEPER = """
import os, signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE):
    signal.signal(number, signal.SIG_IGN)
def start(pid):
    try:
        with open("/proc/%s/stat" % pid, "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""
held, resume = [], sys.argv[1:]
away = False
for line in sys.stdin:
    words = line.split()
    if not line.endswith("\\n") or not words:
        continue
    if words[0] == "hold":
        held, away = [word.split(":") for word in words[1:]], True
    else:
        held, away = [], False
for pid, ticks in held:
    if start(pid) == ticks:
        try:
            os.kill(int(pid), signal.SIGCONT)
        except OSError:
            pass
if away and resume:
    os.execvp(resume[0], resume)
"""
"""Standard library only, by -c, so that it needs no file of ours."""


class Keeper:
    """The process that continues what is held if this one dies. resume: a command that it runs then, besides."""

    def __init__(self, resume: Sequence[str] = ()) -> None:
        self._resume = list(resume)
        self._process: subprocess.Popen[str] | None = None
        self._start()

    @property
    def pid(self) -> int:
        """Its pid; 0 without one."""
        return self._process.pid if self._process is not None else 0

    def hold(self, pids: Sequence[int]) -> bool:
        """These will be stopped; whether somebody will continue them should we die."""
        pairs = [(pid, start_ticks(pid)) for pid in pids]
        return self._tell("hold " + " ".join(f"{pid}:{ticks}" for pid, ticks in pairs if ticks is not None))

    def release(self) -> None:
        """Nothing is stopped any more."""
        self._tell("release")

    def close(self) -> None:
        """It ends; what is still held it continues."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _KEEPER, *self._resume],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            bufsize=1,
        )

    def _tell(self, line: str) -> bool:
        for attempt in range(2):
            process = self._process
            if process is not None and process.poll() is None and process.stdin is not None:
                try:
                    process.stdin.write(line + "\n")
                    process.stdin.flush()
                    return True
                except OSError:
                    pass
            if attempt == 0:  # somebody ended it
                self.close()
                with suppress(OSError):
                    self._start()
        return False


class StoppableTree:
    """The tree of ``root``. skip: processes that are not of it. Orphans of it come to this process and are found here."""

    def __init__(self, root: int, keeper: Keeper, skip: Sequence[int] = ()) -> None:
        self._keeper = keeper
        self._skip = {os.getpid(), keeper.pid, *skip}
        self._tree = ProcessTree([root], set(self._skip))
        self._stopped: dict[int, int | None] = {}

    @property
    def paused(self) -> bool:
        """Whether it is held."""
        return bool(self._stopped)

    def pause(self) -> bool:
        """Stop all of it; also again, for what somebody continued. Whether there was something to stop.

        Without a keeper nothing is stopped.
        """
        for _ in range(_ROUNDS):
            running = [pid for pid in self._look() if not is_stopped(pid) and is_alive(pid, None)]
            if not running:
                break
            if not self._keeper.hold([*self._stopped, *running]):
                return False
            for pid in running:
                self._stopped[pid] = start_ticks(pid)
                with suppress(OSError):
                    os.kill(pid, signal.SIGSTOP)
            time.sleep(_PAUSE_S)
        return bool(self._stopped)

    def resume(self) -> None:
        """Continue what we stopped, and nothing else."""
        for pid, ticks in self._stopped.items():
            if ticks is not None and start_ticks(pid) == ticks:
                with suppress(OSError):
                    os.kill(pid, signal.SIGCONT)
        self._stopped.clear()
        self._keeper.release()

    def _look(self) -> tuple[int, ...]:
        for pid in children_of(os.getpid()):
            if pid not in self._skip and pid not in self._tree.pids and pid != self._keeper.pid:
                self._tree.add_root(pid)  # an orphan of the tree
        self._tree.cpu_s()
        return tuple(pid for pid in self._tree.pids if pid not in self._skip and pid != self._keeper.pid)


def adopt_orphans() -> bool:
    """Let processes of our tree that lose their parent come to us (Linux); whether that is so."""
    try:
        return ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    except (OSError, AttributeError):
        return False


def with_pid(words: Sequence[str], pid: int) -> list[str]:
    """The words of a command with ``{pid}`` replaced."""
    return [word.replace("{pid}", str(pid)) for word in words]


def run_command(words: Sequence[str], pid: int) -> int | str:
    """A user's command to pause or go on, ``{pid}`` in it replaced; its exit code, or why it could not be run."""
    try:
        return subprocess.run(with_pid(words, pid), stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as error:
        return error.strerror or str(error)

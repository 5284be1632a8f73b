"""The command's output on its way to ours: written on at once, then read.

Where ours is a terminal the command gets one as well (a pseudo-terminal of the same size that changes nothing of what
is written), so that it prints as it would without us; else it gets a pipe. Its input stays what it was, and so does the
terminal that controls it: Ctrl-C and Ctrl-Z reach it as ever.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import termios
import threading
from collections.abc import Callable

MOST_BYTES = 65536
_DRAIN_S = 0.2
"""How long is waited for output that a command which has ended left in the pipe."""


class Output:
    """Pipes or pseudo-terminals in the place of standard output and standard error.

    read: is given what came. lock: held while something is written on (the live line is drawn under it as well).
    """

    def __init__(self, read: Callable[[bytes], None], *, stdout_to_stderr: bool = False) -> None:
        self._read = read
        self.lock = threading.Lock()
        self.before: Callable[[bytes], None] = _nothing
        """Called under the lock before output is written on to a terminal; ``after`` follows it."""
        self.after: Callable[[bytes], None] = _nothing
        self._ways: dict[int, int] = {}
        self._theirs: dict[int, int] = {}
        self._terminals: list[int] = []
        ends: dict[object, int] = {}
        for ours in (1, 2):
            way = 2 if stdout_to_stderr else ours
            terminal = os.isatty(way)
            key = "terminal" if terminal else os.fstat(way)[1:3]  # inode and device
            if key not in ends:  # one way for both where both go to one place, so that it stays in order
                source, ends[key] = self._terminal(way) if terminal else os.pipe()
                os.set_inheritable(ends[key], False)
                self._ways[source] = way
            self._theirs[ours] = ends[key]
        self._stop, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._copy, name="wattmark-output", daemon=True)

    @property
    def file_actions(self) -> list[tuple[int, int, int]]:
        """What makes the command write to us (``os.posix_spawn``)."""
        return [(os.POSIX_SPAWN_DUP2, theirs, ours) for ours, theirs in self._theirs.items()]

    def begin(self) -> None:
        """The command has been started: from here on only it holds its ends, and what comes is written on."""
        self._close_theirs()
        self._thread.start()

    def resize(self) -> None:
        """Take the size that our terminal has now."""
        for source in self._terminals:
            if source in self._ways:
                _take_size(self._ways[source], source)

    def end(self) -> None:
        """The command has ended: write on what is left, and let go."""
        self._close_theirs()
        if self._thread.ident is not None:
            os.write(self._wake, b".")
            self._thread.join()
        for end in (*self._ways, self._stop, self._wake):
            os.close(end)
        self._ways.clear()

    def _close_theirs(self) -> None:
        for end in set(self._theirs.values()):
            os.close(end)
        self._theirs.clear()

    def _terminal(self, way: int) -> tuple[int, int]:
        source, theirs = os.openpty()
        modes = termios.tcgetattr(theirs)
        modes[1] &= ~termios.OPOST  # ours does what a terminal does to what is written
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
        _take_size(way, source)
        os.set_inheritable(source, False)
        self._terminals.append(source)
        return source, theirs

    def _copy(self) -> None:
        """Until all writers are gone, or the command has ended and nothing more comes."""
        open_ends = set(self._ways)
        ending = False
        while open_ends:
            watched = [*open_ends, *([] if ending else [self._stop])]
            ready, _, _ = select.select(watched, [], [], _DRAIN_S if ending else None)
            if not ready:
                return
            if self._stop in ready:
                ending = True
            for source in open_ends & set(ready):
                try:
                    data = os.read(source, MOST_BYTES)
                except OSError:  # EIO: nobody has the terminal any more
                    data = b""
                if not data or not self._write_on(source, data):
                    open_ends.discard(source)
                    os.close(
                        source
                    )  # where our reader is gone the command must hear of it, as it would without us
                    del self._ways[source]

    def _write_on(self, source: int, data: bytes) -> bool:
        way = self._ways[source]
        with self.lock:
            self.before(data)
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[os.write(way, rest) :]
            except BlockingIOError:
                select.select([], [way], [])
                return self._write_on(source, bytes(rest))
            except OSError:  # whoever read us is gone: so is the command's reader
                return False
            self.after(data)
        self._read(data)
        return True


def on_resize(output: Output) -> None:
    """Let a change of the terminal's size reach the command's terminal."""

    def resize(_signal: int, _frame: object) -> None:
        output.resize()

    signal.signal(signal.SIGWINCH, resize)


def _take_size(way: int, source: int) -> None:
    try:
        size = fcntl.ioctl(way, termios.TIOCGWINSZ, bytes(8))
        fcntl.ioctl(source, termios.TIOCSWINSZ, size)
    except OSError:
        return


def _nothing(_: bytes) -> None:
    return

"""One line of ours on a terminal that a command writes on: below what it writes, never in it."""

from __future__ import annotations

import os
import re
import sys
import threading

_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x09\x0b\x0c\x0e-\x1f]")
_MOST_TAIL = 4096


class Screen:
    """Draws the line, and takes it away while the command writes. lock: held while anything is written there."""

    def __init__(self, lock: threading.Lock | None = None) -> None:
        self._lock = lock or threading.Lock()
        self._tail = b""
        """What the command wrote on the line that the cursor is in."""
        self._at_start = True
        self._shown = False

    def draw(self, line: str) -> None:
        """Show this line, in the place of the one before."""
        width = os.get_terminal_size(2).columns or 80  # 0 where the terminal does not say
        text = line[: width - 2]
        with self._lock:
            if not self._tail:
                self._put(f"\r\x1b[2K{text}")
            elif len(_CONTROL.sub(b"", self._tail).decode("utf-8", "replace")) < width:
                self._put(f"\n\r\x1b[2K{text}\x1b[A\r", self._tail, "\r" if self._at_start else "")
            else:
                return  # the command's own line goes over more than one
            self._shown = True

    def clear(self) -> None:
        """Take it away."""
        with self._lock:
            self._erase()

    def before(self, data: bytes) -> None:
        """The command is about to write this. The lock is held."""
        if not self._tail or b"\n" in data:
            self._erase()

    def after(self, data: bytes) -> None:
        """It was written. The lock is held."""
        line = (self._tail + data)[-_MOST_TAIL:].rpartition(b"\n")[2]
        pieces = [piece for piece in line.split(b"\r") if piece]
        self._tail = pieces[-1] if pieces else b""
        self._at_start = line.endswith(b"\r") or not line

    def _erase(self) -> None:
        if not self._shown:
            return
        self._shown = False
        if not self._tail:
            self._put("\r\x1b[2K")
        else:
            self._put("\n\r\x1b[2K\x1b[A\r", self._tail, "\r" if self._at_start else "")

    def _put(self, *parts: str | bytes) -> None:
        data = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
        sys.stderr.flush()
        while data:
            data = data[os.write(2, data) :]

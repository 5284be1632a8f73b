"""One RAPL counter file, read over and over, whatever happens to the file."""

from __future__ import annotations

import os
import time

UPDATE_PERIOD_S = 0.001
"""RAPL registers are renewed about every millisecond (Intel SDM vol. 3B, RAPL interfaces)."""
TRIES = 5
BACKOFF_S = (0.001, 1.0)


class Counter:
    """One ``energy_uj`` file, kept open: a pread of about a microsecond.

    A value that has not changed is checked against the file behind the path, because the descriptor of a
    removed or replaced file goes on giving its last value on an ordinary file system. A lost file is tried
    again, after a millisecond at first and then ever less often, down to once a second.
    """

    __slots__ = ("_backoff_s", "_fd", "_identity", "_last", "_retry_at", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._fd = -1
        self._last = b""
        self._identity = (0, 0)
        self._backoff_s, self._retry_at = BACKOFF_S[0], 0.0

    def read(self) -> int | None:
        """The counter in µJ, or None if it cannot be read now."""
        try:
            if self._fd < 0:
                return None if time.monotonic() < self._retry_at else self._open()
            data = os.pread(self._fd, 32, 0)
            if data != self._last:
                return self._parse(data)
            if self._is_current():
                return self._parse(data)
            self.close()
            return self._open()
        except OSError:  # gone, not permitted, a directory, a domain whose register cannot be read
            self._lose()
            return None

    def close(self) -> None:
        """Give the descriptor back; the next read opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._last = -1, b""

    def _open(self) -> int | None:
        self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(self._fd)
        self._identity = (status.st_dev, status.st_ino)
        value = self._parse(os.pread(self._fd, 32, 0))
        self._backoff_s = BACKOFF_S[0]
        return value

    def _parse(self, data: bytes) -> int | None:
        """The number; a text that is none is empty or torn because its writer is at work, and soon whole.

        A negative one is none either: the kernel's value has no sign.
        """
        for _ in range(TRIES):
            try:
                value = int(data)
            except ValueError:
                os.sched_yield()
                data = os.pread(self._fd, 32, 0)
                continue
            self._last = data
            return value if value >= 0 else None
        return None

    def _is_current(self) -> bool:
        """Whether the path still leads to the open file. Raises FileNotFoundError if it leads nowhere."""
        status = os.stat(self.path)
        return self._identity == (status.st_dev, status.st_ino)

    def _lose(self) -> None:
        self.close()
        self._retry_at = time.monotonic() + self._backoff_s
        self._backoff_s = min(2 * self._backoff_s, BACKOFF_S[1])

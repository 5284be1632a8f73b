"""The event journal of one process of a run: spans and run windows, written as they happen.

Each process appends to a file of its own in the session's folder, so ranks, workers and children need no connection
and no lock between them. The file is mapped into memory: an event costs no system call, and what has been
written outlives a SIGKILL. Space is reserved before it is mapped, so a full disk is an error here and never a
signal in the user's program. Standard library only.
"""

from __future__ import annotations

import mmap
import os
import time
from _thread import allocate_lock, get_ident  # threading takes milliseconds to import
from collections.abc import Callable
from itertools import count
from typing import Any
from zlib import crc32

from wattmark.recorder import journal

CHUNK_BYTES = 256 * 1024


class EventLog:
    """Appends the events of this process; thread-safe.

    Any OSError on the way (disk full, folder gone) ends the log: ``failed`` holds the reason, and further
    events are dropped.
    """

    def __init__(self, folder: str, header: dict[str, Any]) -> None:
        self.failed: OSError | None = None
        self._lock = allocate_lock()
        self._names: dict[str, int] = {}
        self._encode: Callable[[object], str] | None = None
        self._numbers = count(1)
        self._map: mmap.mmap | None = None
        self._room = 0
        self._at = 0
        pid = os.getpid()
        self._path = f"{folder}/events-{pid}-{time.monotonic_ns():x}{journal.SUFFIX}"
        self._fd = -1
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self.failed = error
        self.write_json(journal.HEADER, {**header, "role": "events", "format": journal.FORMAT, "pid": pid})

    def write(self, record_type: int, payload: bytes) -> None:
        """Append one record."""
        crc = crc32(payload, crc32(bytes((record_type,))))
        self._put(_PREFIX(len(payload) + 1, crc, record_type) + payload)

    def _put(self, record: bytes) -> None:
        with self._lock:
            at = self._at
            end = at + len(record)
            if end > self._room and not self._grow(len(record)):
                return
            self._map[at:end] = record  # pyright: ignore[reportOptionalSubscript] there is room, so there is a map
            self._at = end

    def write_json(self, record_type: int, data: dict[str, Any]) -> None:
        """Append one JSON record; what JSON does not know is written as text."""
        if self._encode is None:
            import json

            self._encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
        self.write(record_type, self._encode(data).encode())

    def name_id(self, name: str) -> int:
        """The number of a span name; a new name is written down first."""
        known = self._names.get(name)
        if known is not None:
            return known
        with self._lock:
            number = self._names.get(name)
            if number is None:
                number = len(self._names) + 1
        self.write(journal.NAME, journal.NAME_HEAD.pack(number) + name.encode("utf-8", "replace"))
        with self._lock:
            return self._names.setdefault(name, number)

    def open_span(self, name: str, parent: int, t_ns: int) -> int:
        """A span begins; its number in this process (never 0)."""
        span = next(self._numbers)
        payload = _OPEN(span, parent, self._names.get(name) or self.name_id(name), t_ns, get_ident())
        self._put(_PREFIX(_OPEN_BYTES, crc32(payload, _OPEN_CRC), journal.SPAN_OPEN) + payload)
        return span

    def close_span(self, span: int, t_ns: int) -> None:
        """A span ends."""
        payload = _CLOSE(span, t_ns)
        self._put(_PREFIX(_CLOSE_BYTES, crc32(payload, _CLOSE_CRC), journal.SPAN_CLOSE) + payload)

    def close(self) -> None:
        """Cut the reserved space off and close the file."""
        with self._lock:
            if self._map is not None:
                self._map.close()
                self._map = None
            self._room = 0
            if self._fd >= 0:
                try:
                    os.ftruncate(self._fd, self._at)
                except OSError as error:
                    self.failed = error
                os.close(self._fd)
                self._fd = -1

    def abandon(self) -> None:
        """In a forked child: forget the parent's file without touching it."""
        self._map = None
        self._room = 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _grow(self, size: int) -> bool:
        if self._fd < 0:
            return False
        room = self._room + CHUNK_BYTES * (1 + size // CHUNK_BYTES)
        try:
            os.posix_fallocate(self._fd, self._room, room - self._room)
            if self._map is not None:
                self._map.close()
            self._map = mmap.mmap(self._fd, room)
        except OSError as error:
            self.failed = error
            self._map = None
            self._room = 0
            os.close(self._fd)
            self._fd = -1
            return False
        self._room = room
        return True


_PREFIX = journal.PREFIX.pack
_OPEN, _CLOSE = journal.SPAN_OPEN_BODY.pack, journal.SPAN_CLOSE_BODY.pack
_OPEN_BYTES, _CLOSE_BYTES = journal.SPAN_OPEN_BODY.size + 1, journal.SPAN_CLOSE_BODY.size + 1
_OPEN_CRC, _CLOSE_CRC = crc32(bytes((journal.SPAN_OPEN,))), crc32(bytes((journal.SPAN_CLOSE,)))

"""The event journal of one process of a run: spans and run windows, written as they happen.

Each process appends to files of its own in the session's folder, so ranks, workers and children need no connection
and no lock between them. A file is mapped into memory: an event costs no system call, and what has been
written outlives a SIGKILL. Space is reserved before it is mapped, so a full disk is an error here and never a
signal in the user's program. Standard library only.
"""

from __future__ import annotations

import errno
import mmap
import os
from _thread import RLock, get_ident  # threading takes milliseconds to import
from itertools import count
from time import monotonic_ns
from zlib import crc32

from wattmark.recorder import journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

CHUNK_BYTES = 256 * 1024
RESERVE_BYTES = 4096
"""The end of the space that is there belongs to the beginnings and ends of runs, which a full disk must not cost."""
RETRY_NS = 250_000_000
"""A disk that had no room is asked again after this long."""
WAITING_EVENTS = 20_000
"""So many events of spans wait in memory while the disk has no room."""
_URGENT = frozenset((journal.RUN_OPEN, journal.RUN_CLOSE, journal.WINDOW_OPEN, journal.WINDOW_CLOSE))
_KEPT = frozenset((*_URGENT, journal.NAME, journal.NOTE))
_TYPE_AT = journal.PREFIX_BYTES - 1


class EventLog:
    """Appends the events of this process; for any thread, and for signal handlers that interrupt an append.

    A disk without room does not end the log: events wait in memory, a few megabytes at most, and are written when there
    is room again, with a note of how many were lost. ``failed`` holds the reason while that lasts.
    """

    def __init__(self, folder: str, header: dict[str, Any]) -> None:
        self.failed: OSError | None = None
        self.lost = 0
        self._lock = RLock()  # re-entrant, and an append that is interrupted is seen by its busy flag
        self._busy = False
        self._waiting: list[bytes] = []
        self._failed_ns = 0
        self._retry_ns = 0
        self._names: dict[str, int] = {}
        self._name_numbers = count(1)
        self._encode: Callable[[object], str] | None = None
        self._numbers = count(1)
        self._map: mmap.mmap | None = None
        self._room = self._limit = self._at = 0
        self._closed = False
        self._fd = -1
        self._files = 0
        pid = os.getpid()
        self._stem = f"{folder}/events-{pid}-{monotonic_ns():x}"
        self._header = self._record(
            journal.HEADER,
            self._json({**header, "role": "events", "format": journal.FORMAT, "pid": pid}),
        )
        with self._lock:
            self._grow(len(self._header))

    def write(self, record_type: int, payload: bytes) -> None:
        """Append one record."""
        self._put(self._record(record_type, payload))

    def write_json(self, record_type: int, data: dict[str, Any]) -> None:
        """Append one JSON record; what JSON does not know is written as text."""
        self._put(self._record(record_type, self._json(data)))

    def name_id(self, name: str) -> int:
        """The number of a span name; a new name is written down first (twice if two threads are at it at once)."""
        known = self._names.get(name)
        if known is not None:
            return known
        number = next(self._name_numbers)
        self.write(journal.NAME, journal.NAME_HEAD.pack(number) + name.encode("utf-8", "replace"))
        return self._names.setdefault(name, number)

    def number(self) -> int:
        """A span's number in this process, never 0."""
        return next(self._numbers)

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
        """Write what waits, cut the reserved space off and close the file."""
        with self._lock:
            if self._waiting and not self._busy:
                self._retry_ns = 0
                self._write_waiting()
            self._closed = True
            self._waiting.clear()
            if self._map is not None:
                self._map.close()
                self._map = None
            self._room = self._limit = 0
            if self._fd >= 0:
                try:
                    os.ftruncate(self._fd, self._at)
                except OSError as error:
                    self.failed = error
                os.close(self._fd)
                self._fd = -1

    def abandon(self) -> None:
        """In a forked child: forget the parent's file without touching it."""
        self._lock = RLock()  # a thread that does not exist here may hold the old one
        self._busy = False
        self._closed = True
        self._waiting.clear()
        self._map = None
        self._room = self._limit = 0
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _json(self, data: dict[str, Any]) -> bytes:
        if self._encode is None:
            import json

            self._encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
        return self._encode(data).encode()

    @staticmethod
    def _record(record_type: int, payload: bytes) -> bytes:
        crc = crc32(payload, crc32(bytes((record_type,))))
        return _PREFIX(len(payload) + 1, crc, record_type) + payload

    def _put(self, record: bytes) -> None:
        with self._lock:
            if self._busy:  # a signal handler amid an append of its own thread, which writes this one as well
                self._waiting.append(record)
                return
            self._busy = True
            try:
                at = self._at
                end = at + len(record)
                if end > self._limit or self._waiting:
                    self._put_late(record)
                else:
                    self._map[at:end] = record  # pyright: ignore[reportOptionalSubscript] there is room, so a map
                    self._at = end
                while self._waiting and self.failed is None and not self._closed:
                    self._write_waiting()
            finally:
                self._busy = False

    def _put_late(self, record: bytes) -> None:
        """Add a record for which there is no room yet, or that must wait for others."""
        if self._closed:
            return
        end = self._at + len(record)
        kind = record[_TYPE_AT]
        if kind in _URGENT and self.failed is not None and end <= self._room:
            self._append(record)
        elif len(self._waiting) < WAITING_EVENTS or kind in _KEPT:
            self._waiting.append(record)
        else:
            self.lost += 1
        if self.failed is not None:
            self._write_waiting()

    def _write_waiting(self) -> None:
        """Write what waits, in order, as far as there is room."""
        if self.failed is not None:
            if monotonic_ns() < self._retry_ns:
                return
            if not self._grow(len(self._waiting[0]) if self._waiting else 0):
                return
            self._waiting.insert(0, self._note_of_failure())
            self.failed = None
        waiting = self._waiting
        while waiting:
            record = waiting[0]
            if self._at + len(record) > self._limit and not self._grow(len(record)):
                for late in [late for late in waiting if late[_TYPE_AT] in _URGENT]:
                    if self._at + len(late) <= self._room:
                        self._append(late)
                        waiting.remove(late)
                return
            self._append(record)
            del waiting[0]

    def _append(self, record: bytes) -> None:
        at = self._at
        end = at + len(record)
        self._map[at:end] = record  # pyright: ignore[reportOptionalSubscript] there is room, so a map
        self._at = end

    def _note_of_failure(self) -> bytes:
        now = monotonic_ns()
        lost = f"{self.lost} events of spans were lost" if self.lost else "no span was lost"
        message = f"{journal.disk_trouble(self.failed)} for {(now - self._failed_ns) / 1e9:.1f} s: {lost}"
        self.lost = 0
        return self._record(
            journal.NOTE,
            self._json(
                {
                    "code": "disk-full",
                    "t_ns": now,
                    "from_ns": self._failed_ns,
                    "to_ns": now,
                    "message": message,
                }
            ),
        )

    def _grow(self, size: int) -> bool:
        """Room for ``size`` more bytes, and the reserve; False and ``failed`` if there is none."""
        if self._closed:
            return False
        try:
            if self._fd < 0:
                self._next_file()
            try:
                self._extend(size)
            except OSError as error:
                if error.errno != errno.EFBIG or self._at <= len(self._header):
                    raise
                self._next_file()  # ulimit -f is a limit of each file
                self._extend(size)
        except OSError as error:
            if self.failed is None:
                self._failed_ns = monotonic_ns()
            self.failed = error
            self._retry_ns = monotonic_ns() + RETRY_NS
            return False
        return True

    def _next_file(self) -> None:
        """Begin a file: under another name until its header is in it, so that no reader sees one without."""
        path = f"{self._stem}-{self._files:04d}{journal.SUFFIX}"
        fd = os.open(f"{path}.new", os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            room = _reserve(fd, 0, len(self._header))
            new = mmap.mmap(fd, room)
            new[: len(self._header)] = self._header
            os.rename(f"{path}.new", path)
        except OSError:
            os.close(fd)
            raise
        old_fd, old_map, old_end = self._fd, self._map, self._at
        self._files += 1
        self._fd, self._map, self._at = fd, new, len(self._header)
        self._set_room(room)
        if old_map is not None:
            old_map.close()
        if old_fd >= 0:
            os.ftruncate(old_fd, old_end)
            os.close(old_fd)

    def _extend(self, size: int) -> None:
        if self._at + size <= self._limit:
            return
        room = _reserve(self._fd, self._room, size)
        old, self._map = self._map, mmap.mmap(self._fd, room)
        self._set_room(room)
        if old is not None:
            old.close()

    def _set_room(self, room: int) -> None:
        self._room = room
        self._limit = room - RESERVE_BYTES


def _reserve(fd: int, since: int, size: int) -> int:
    """Reserve space behind ``since``: a large chunk, or what is needed where there is little; where it ends now."""
    enough = -(-(size + RESERVE_BYTES) // RESERVE_BYTES) * RESERVE_BYTES
    large = CHUNK_BYTES * (1 + size // CHUNK_BYTES)
    try:
        os.posix_fallocate(fd, since, large)
    except OSError:
        os.posix_fallocate(fd, since, enough)
        return since + enough
    return since + large


_PREFIX = journal.PREFIX.pack
_OPEN, _CLOSE = journal.SPAN_OPEN_BODY.pack, journal.SPAN_CLOSE_BODY.pack
_OPEN_BYTES, _CLOSE_BYTES = journal.SPAN_OPEN_BODY.size + 1, journal.SPAN_CLOSE_BODY.size + 1
_OPEN_CRC, _CLOSE_CRC = crc32(bytes((journal.SPAN_OPEN,))), crc32(bytes((journal.SPAN_CLOSE,)))

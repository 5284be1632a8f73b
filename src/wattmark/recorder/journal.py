"""The journal: records that survive a kill at any moment.

A journal is a file of records, each ``u32 length | u32 crc32 | u8 type | payload``, little-endian, where length and
CRC cover type and payload. The first record of every file is a JSON header, so each file can be read alone. Reading
stops at the first record that is torn, damaged or of length zero (space reserved but not written yet):
everything before it stands.

Standard library only.
"""

from __future__ import annotations

import errno
import os
import struct
import zlib

from wattmark.errors import JournalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = 1
SUFFIX = ".wmj"

HEADER = 1
SAMPLE = 2
SERIES = 3
ANCHOR = 4
NOTE = 5
TREE = 6
COST = 7
END = 8
FACTS = 9
GPU_USERS = 10
GROUPS = 11
NAME = 16
SPAN_OPEN = 17
SPAN_CLOSE = 18
SPAN_DETAIL = 19
RUN_OPEN = 20
RUN_CLOSE = 21
READING = 22
READING_CHANNELS = 23
WINDOW_OPEN = 24
"""As ``RUN_OPEN``, of a measure that began inside another one: a span of it, unless it outlasts it."""
WINDOW_CLOSE = 25
METRICS = 26
EXPECTED = 27
"""How much work a run has before it: epochs, steps or seconds."""
PREDICTION = 28
"""What whoever started a run expects of it as a whole."""
_LAST_TYPE = PREDICTION

PREFIX = struct.Struct("<IIB")
PREFIX_BYTES = PREFIX.size
MAX_RECORD_BYTES = 16 * 1024 * 1024
MISSING = -(2**63)
"""A channel without a value at this tick."""

SAMPLE_HEAD = struct.Struct("<HqI")
"""group, monotonic ns at the middle of the reading, ns that the reading took; then one int64 µJ per channel."""
SERIES_HEAD = struct.Struct("<Hq")
"""group, monotonic ns; then one float32 per series."""
ANCHOR_BODY = struct.Struct("<qqq")
"""monotonic, boottime and wall (since 1970, UTC) ns."""
TREE_BODY = struct.Struct("<qdd")
"""monotonic ns, CPU seconds of the measured process tree, busy CPU seconds of the host; both cumulative."""
COST_BODY = struct.Struct("<qdQ")
"""monotonic ns, CPU seconds and resident bytes of the recorder itself."""
NAME_HEAD = struct.Struct("<I")
SPAN_OPEN_BODY = struct.Struct("<IIIqQ")
"""span, parent (0: none), name, monotonic ns, thread."""
SPAN_CLOSE_BODY = struct.Struct("<Iq")
"""span, monotonic ns."""
READING_HEAD = struct.Struct("<q")
"""monotonic ns; then one int64 raw µJ per channel of the last ``READING_CHANNELS`` record."""


class Record(tuple[int, "memoryview | bytes"]):
    """One record: its type and its payload. Not a NamedTuple, whose import costs a measured process milliseconds."""

    __slots__ = ()

    def __new__(cls, kind: int, payload: memoryview | bytes) -> Record:
        """A record of a type."""
        return super().__new__(cls, (kind, payload))

    @property
    def type(self) -> int:
        """What the record is."""
        return self[0]

    @property
    def payload(self) -> memoryview | bytes:
        """What it holds."""
        return self[1]

    def json(self) -> dict[str, object]:
        """The payload of a JSON record."""
        import json  # a recorder writes its first JSON after its first reading: it starts faster without

        return json.loads(bytes(self.payload))


def encode(record_type: int, payload: bytes) -> bytes:
    """One framed record."""
    crc = zlib.crc32(payload, zlib.crc32(bytes((record_type,))))
    return PREFIX.pack(len(payload) + 1, crc, record_type) + payload


def encode_json(record_type: int, data: dict[str, object]) -> bytes:
    """One framed JSON record."""
    import json

    return encode(record_type, json.dumps(data, separators=(",", ":")).encode())


def decode(data: bytes | memoryview) -> Iterator[Record]:
    """The records of ``data`` up to its end or the first damage, whichever comes first."""
    view = memoryview(data)
    offset, end = 0, len(view)
    unpack = PREFIX.unpack_from
    while offset + PREFIX_BYTES <= end:
        length, crc, record_type = unpack(view, offset)
        stop = offset + PREFIX_BYTES + length - 1
        if length == 0 or length > MAX_RECORD_BYTES or stop > end:
            return
        if zlib.crc32(view[offset + PREFIX_BYTES - 1 : stop]) != crc:
            return
        yield Record(record_type, view[offset + PREFIX_BYTES : stop])
        offset = stop


def after_damage(data: bytes, offset: int) -> int:
    """Where the next whole record begins behind damage at ``offset``; -1 if there is none (a torn tail, reserved space)."""
    budget = 64 * MAX_RECORD_BYTES  # of bytes to be summed up: nobody's file may keep a reader for hours
    for at in range(offset + 1, len(data.rstrip(b"\0")) - PREFIX_BYTES + 1):
        length, crc, kind = PREFIX.unpack_from(data, at)
        stop = at + PREFIX_BYTES + length - 1
        if 0 < kind <= _LAST_TYPE and 0 < length <= MAX_RECORD_BYTES and stop <= len(data):
            budget -= length
            if zlib.crc32(data[at + PREFIX_BYTES - 1 : stop]) == crc:
                return at
            if budget < 0:
                return -1
    return -1


def read_journal(path: str) -> tuple[dict[str, object], Iterator[Record]]:
    """The header of a journal and the records after it.

    Raises JournalError if the file cannot be opened, or is no journal of a version that is known here.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from error
    records = decode(data)
    return _header(path, next(records, None)), records


def read_header(path: str) -> dict[str, object]:
    """The header of a journal alone. Raises JournalError as :func:`read_journal` does."""
    try:
        with open(path, "rb") as file:
            head = file.read(PREFIX_BYTES)
            length = PREFIX.unpack(head)[0] if len(head) == PREFIX_BYTES else 0
            if 0 < length <= MAX_RECORD_BYTES:
                head += file.read(length - 1)
    except OSError as error:
        raise JournalError(f"{path} cannot be read: {error.strerror}") from error
    return _header(path, next(decode(head), None))


def _header(path: str, first: Record | None) -> dict[str, object]:
    if first is None or first.type != HEADER:
        raise JournalError(f"{path} has no readable header", hint="its process was killed as it started")
    try:
        header = first.json()
    except ValueError as error:
        raise JournalError(f"{path} has a damaged header") from error
    if not isinstance(header, dict):  # pyright: ignore[reportUnnecessaryIsInstance] whoever wrote it
        raise JournalError(f"{path} has a damaged header")
    if header.get("format") != FORMAT:
        raise JournalError(
            f"{path} has journal format {header.get('format')}, this Wattmark reads {FORMAT}",
            hint="read it with the version of Wattmark that wrote it, or a newer one",
        )
    return header


def disk_trouble(error: OSError | None) -> str:
    """What kept a journal from being written, for people."""
    if error is None:
        return "the journal could not be written"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"disk full ({error.strerror})"
    if error.errno == errno.EFBIG:
        return f"the limit of a file's size was reached ({error.strerror}; see ulimit -f)"
    return f"the journal could not be written ({error.strerror})"


class SegmentWriter:
    """Appends records to numbered files in a folder; used by the recorder.

    Records wait in memory until ``flush``. While a disk is full or gone they go on waiting, up to ``waiting_bytes``, and
    the oldest are lost first; never the file: a torn tail is cut off again, and the next ``flush`` tries anew. Each file
    has another name until its header is in it, so a reader sees none without.
    """

    def __init__(
        self,
        folder: str,
        stem: str,
        header: dict[str, object],
        segment_bytes: int = 16 * 1024 * 1024,
        waiting_bytes: int = 4 * 1024 * 1024,
    ) -> None:
        self._folder = folder
        self._stem = stem
        self._header = header
        self._segment_bytes = segment_bytes
        self._number = 0
        self._fd = -1
        self._size = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = waiting_bytes
        self.failed: OSError | None = None
        self.lost = 0

    def append(self, record: bytes) -> None:
        """Add a framed record; it is on disk after the next ``flush``."""
        self._waiting.append(record)

    def flush(self) -> bool:
        """Write what waits; False if it could not be written and waits on (``lost`` counts what no longer does)."""
        if not self._waiting:
            return True
        data = b"".join(self._waiting)
        try:
            if self._fd < 0 or self._size >= self._segment_bytes:
                self._next_segment()
            self._write(data)
        except OSError as error:
            if error.errno == errno.EFBIG and self._size:
                self._segment_bytes = (
                    self._size
                )  # the limit is one of each file: the next flush begins another
            self.failed = error
            self._cut_torn_tail()
            self._forget_oldest(len(data))
            return False
        self._waiting.clear()
        self.failed = None
        return True

    def close(self) -> None:
        """Flush and close the file."""
        self.flush()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _next_segment(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        path = f"{self._folder}/{self._stem}-{self._number:06d}{SUFFIX}"
        self._fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._size = 0
        try:
            self._write(encode_json(HEADER, {**self._header, "format": FORMAT, "segment": self._number}))
            os.rename(f"{path}.new", path)
        except OSError:
            self._size = 0
            raise
        self._number += 1

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(self._fd, view)
            view = view[written:]
        self._size += len(data)

    def _forget_oldest(self, waiting: int) -> None:
        while waiting > self._waiting_bytes:
            waiting -= len(self._waiting.pop(0))
            self.lost += 1

    def _cut_torn_tail(self) -> None:
        if self._fd < 0:
            return
        try:
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
        except OSError:
            os.close(self._fd)
            self._fd = -1
        if self._size == 0 and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

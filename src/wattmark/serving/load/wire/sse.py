"""Server-sent events, byte by byte: events come out whole however the network cut them.

Follows the WHATWG HTML standard, section 9.2.6 (event stream interpretation), with two liberties that model servers
ask for: a last event without its blank line counts, and events without data are passed over. Work is on bytes, so a
UTF-8 character cut in half by a chunk boundary is never decoded half.
"""

from __future__ import annotations

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes; a longer line without an end is no event stream."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class ErrorEvent(bytes):
    """The data of an event that the server named ``error``."""


class EventStream:
    """Feed it bytes, get the ``data`` of the events that are complete; of those named ``error`` as :class:`ErrorEvent`."""

    __slots__ = ("_after_return", "_data", "_failed", "_first", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._first = True
        self._failed = False
        self._after_return = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of all events that this chunk completes. Raises ValueError if a line never ends."""
        if self._after_return or b"\r" in chunk:
            chunk = self._line_feeds(chunk)
        lines = (self._rest + chunk if self._rest else chunk).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LONGEST_LINE:
            raise ValueError(f"a line of more than {LONGEST_LINE} bytes in the event stream")
        if self._first and lines:
            self._first = False
            lines[0] = lines[0].removeprefix(BYTE_ORDER_MARK)
        events: list[bytes] = []
        data = self._data
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif not line and data:
                event = data[0] if len(data) == 1 else b"\n".join(data)
                data.clear()
                if event:
                    events.append(ErrorEvent(event) if self._failed else event)
                self._failed = False
            elif line.startswith(b"event:"):
                self._failed = line[6:].strip() == b"error"
        return events

    def end(self) -> list[bytes]:
        """The last event, if the stream ended without the blank line after it."""
        self._after_return = False
        return self.feed(b"\n\n") if self._rest or self._data else []

    def _line_feeds(self, chunk: bytes) -> bytes:
        """CRLF and lone CR as LF. A CR at a chunk's end ends its line at once; an LF that follows it is no other line."""
        if self._after_return and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_return = False
        self._after_return = self._after_return or chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

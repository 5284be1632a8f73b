"""Server-sent events, byte by byte: events come out whole however the network cut them.

Follows the WHATWG HTML standard, section 9.2.6 (event stream interpretation), with two liberties that model servers
ask for: a last event without its blank line counts, and a lone carriage return ends no line (JSON in one ``data``
line cannot hold one). Work is on bytes, so a UTF-8 character cut in half by a chunk boundary is never decoded half.
"""

from __future__ import annotations

LONGEST_LINE = 16 * 1024 * 1024
"""Bytes; a longer line without an end is no event stream."""


class EventStream:
    """Feed it bytes, get the ``data`` of the events that are complete."""

    __slots__ = ("_data", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of all events that this chunk completes. Raises ValueError if a line never ends."""
        lines = (self._rest + chunk if self._rest else chunk).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > LONGEST_LINE:
            raise ValueError(f"a line of more than {LONGEST_LINE} bytes in the event stream")
        events: list[bytes] = []
        data = self._data
        for line in lines:
            if line.endswith(b"\r"):
                line = line[:-1]
            if line.startswith(b"data:"):
                data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif not line and data:
                events.append(data[0] if len(data) == 1 else b"\n".join(data))
                data.clear()
        return events

    def end(self) -> list[bytes]:
        """The last event, if the stream ended without the blank line after it."""
        return self.feed(b"\n\n") if self._rest or self._data else []

"""The wire format of protocol buffers, as far as it takes to walk a message (protobuf.dev, Encoding)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

Value = int | float | bytes


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """(number, value) of every field: int for varints, float for fixed widths, bytes for what has a length. Raises
    ValueError for what is no message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire in (1, 5):
            kind, size = ("<d", 8) if wire == 1 else ("<f", 4)
            if at + size > len(data):
                raise ValueError("a message that is cut off")
            yield number, struct.unpack_from(kind, data, at)[0]
            at += size
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("a message that is cut off")
            yield number, data[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {wire}")


def messages(data: bytes, number: int) -> Iterator[bytes]:
    """The messages, or texts, of one field."""
    return (value for found, value in fields(data) if found == number and isinstance(value, bytes))


def text(data: bytes, number: int) -> str:
    """The last text of one field; empty where there is none."""
    *_, last = (b"", *messages(data, number))
    return last.decode("utf-8", "replace")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("a message that is cut off")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("a number without end")

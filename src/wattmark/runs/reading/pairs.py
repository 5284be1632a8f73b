"""Spans that begin and end one right after the other, as a loop of steps writes them, read in bulk with their checksums."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattmark.recorder import journal

_OPEN_BYTES, _CLOSE_BYTES = 1 + journal.SPAN_OPEN_BODY.size, 1 + journal.SPAN_CLOSE_BODY.size
_FEWEST, _MOST = 16, 65_536
"""Pairs that are looked at together: few at first, since most journals have other records between."""
_LONGEST_DETAIL = 256


@cache
def pair(detail_bytes: int = 0) -> np.dtype[np.void]:
    """A span's beginning, its details if there are any (detail_bytes: type and payload), and its end."""
    parts = [("open", _OPEN_BYTES), ("detail", detail_bytes), ("close", _CLOSE_BYTES)]
    return np.dtype(
        [
            field
            for name, size in parts
            if size
            for field in ((f"{name}_length", "<u4"), (f"{name}_crc", "<u4"), (name, "u1", (size,)))
        ]
    )


class Pairs(NamedTuple):
    """Bodies (type and payload) of records that open and close spans, end to end; payloads of the details that stand
    between; and how many bytes of the journal they were."""

    opens: bytes
    closes: bytes
    details: list[bytes]
    read: int


def pairs_at(data: bytes, offset: int) -> Pairs:
    """The whole and undamaged pairs that follow one another from ``offset`` on, each with details of one length or without
    any; none where the next records are others."""
    kind = pair(_detail_at(data, offset + journal.PREFIX_BYTES - 1 + _OPEN_BYTES))
    left = max(len(data) - offset, 0) // kind.itemsize
    rows = np.frombuffer(data, kind, left, offset) if left else np.empty(0, kind)
    count, size = 0, _FEWEST
    while count < left:
        block = rows[count : count + size]
        good = _are_pairs(block)
        first_bad = len(block) if good.all() else int(good.argmin())
        count += first_bad
        if first_bad < len(block):
            break
        size = min(4 * size, _MOST)
    rows = rows[:count]
    details: list[bytes] = []
    if "detail" in (kind.names or ()) and count:
        payloads = np.ascontiguousarray(rows["detail"][:, 1:])
        details = payloads.view(f"V{payloads.shape[1]}").ravel().tolist()
    return Pairs(rows["open"].tobytes(), rows["close"].tobytes(), details, count * kind.itemsize)


def _detail_at(data: bytes, offset: int) -> int:
    """The length of a span's details there, type and payload; 0 if something else stands there."""
    if offset + journal.PREFIX_BYTES > len(data):
        return 0
    length, _, kind = journal.PREFIX.unpack_from(data, offset)
    return length if kind == journal.SPAN_DETAIL and 1 < length <= _LONGEST_DETAIL else 0


def _are_pairs(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """(n,) whether each row is what it should be, by its lengths, types and checksums."""
    kinds = {"open": journal.SPAN_OPEN, "detail": journal.SPAN_DETAIL, "close": journal.SPAN_CLOSE}
    bodies = {name: rows[name] for name in kinds if name in (rows.dtype.names or ())}
    good = np.ones(len(rows), np.bool_)
    for name, body in bodies.items():
        good &= (rows[f"{name}_length"] == body.shape[1]) & (body[:, 0] == kinds[name])
    if good.any():
        for name, body in bodies.items():
            good &= crc32_of(body) == rows[f"{name}_crc"]
    return good


def crc32_of(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """zlib's CRC-32 of every row of bytes (n, length): (n,). ISO/IEC/IEEE 8802-3, 3.2.9, byte by byte with a table."""
    table = _table()
    state = np.full(len(rows), 0xFFFFFFFF, np.uint32)
    for column in np.ascontiguousarray(rows.T):
        state = table[(state ^ column) & 0xFF] ^ (state >> np.uint32(8))
    return state ^ np.uint32(0xFFFFFFFF)


@cache
def _table() -> NDArray[np.uint32]:
    state = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        state = np.where(state & 1, (state >> np.uint32(1)) ^ np.uint32(0xEDB88320), state >> np.uint32(1))
    return state.astype(np.uint32)

"""Spans that begin and end one right after the other, as a loop of steps writes them, read in bulk with their checksums."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattmark.recorder import journal

_OPEN_BYTES, _CLOSE_BYTES = 1 + journal.SPAN_OPEN_BODY.size, 1 + journal.SPAN_CLOSE_BODY.size
PAIR = np.dtype(
    [
        ("open_length", "<u4"), ("open_crc", "<u4"), ("open", "u1", (_OPEN_BYTES,)),
        ("close_length", "<u4"), ("close_crc", "<u4"), ("close", "u1", (_CLOSE_BYTES,)),
    ]
)  # fmt: skip
_FEWEST, _MOST = 16, 65_536
"""Pairs that are looked at together: few at first, since most journals have other records between."""


class Pairs(NamedTuple):
    """Bodies (type and payload) of records that open and close spans, end to end, and how many bytes of the journal
    they were."""

    opens: bytes
    closes: bytes
    read: int


def pairs_at(data: bytes, offset: int) -> Pairs:
    """The whole and undamaged pairs that follow one another from ``offset`` on; none where the next records are others."""
    left = (len(data) - offset) // PAIR.itemsize
    rows = np.frombuffer(data, PAIR, left, offset) if left else np.empty(0, PAIR)
    count, size = 0, _FEWEST
    while count < left:
        block = rows[count : count + size]
        good = _are_pairs(block)
        first_bad = len(block) if good.all() else int(good.argmin())
        count += first_bad
        if first_bad < len(block):
            break
        size = min(4 * size, _MOST)
    return Pairs(rows["open"][:count].tobytes(), rows["close"][:count].tobytes(), count * PAIR.itemsize)


def _are_pairs(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """(n,) whether each row is what it should be, by its lengths, types and checksums."""
    opens, closes = rows["open"], rows["close"]
    good = (rows["open_length"] == _OPEN_BYTES) & (rows["close_length"] == _CLOSE_BYTES)
    good &= (opens[:, 0] == journal.SPAN_OPEN) & (closes[:, 0] == journal.SPAN_CLOSE)
    if good.any():
        good &= (crc32_of(opens) == rows["open_crc"]) & (crc32_of(closes) == rows["close_crc"])
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

"""Integer and float columns as small compressed blocks: what keeps a curve under four bytes a sample.

A column is cut into blocks of 65,536 values that decode on their own. In a block the values are

1. scaled to the unit that they are whole multiples of, where that loses nothing: a RAPL counter in µJ is
   ``floor(k * unit + phase)`` of the hardware's count ``k`` (Linux computes it so,
   drivers/powercap/intel_rapl_common.c, ``rapl_unit_xlate``), and ``k`` needs six bits less than the µJ;
2. predicted from the one or two values before (order 0, 1 or 2, whichever leaves least);
3. zigzag-coded (small negatives become small unsigned), split into byte planes, and deflated.

All arithmetic is modulo 2**64, so every int64 array survives the round trip exactly.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import StoreError
from wattmark.runs.record import Int64

BLOCK = 65_536
_HEADER = struct.Struct("<BBBxIqqdd")  # version, order, width, count, first, base, unit, phase
HEADER_BYTES = _HEADER.size
_VERSION = 1
_FLOAT_SCALES = (1.0, 1e2, 1e3, 1e6, 1e9)
_EXACT = 2**51  # integers below this times a unit keep their fraction well enough in a float64 to be verified

UInt64 = NDArray[np.uint64]


def encode(values: Int64, units: Sequence[float] = ()) -> list[bytes]:
    """The blocks of a column of int64. ``units`` are candidates for what the values are multiples of."""
    return [_encode_block(values[i : i + BLOCK], units) for i in range(0, len(values), BLOCK)]


def decode(blocks: Iterable[bytes]) -> Int64:
    """The inverse of :func:`encode`. Raises StoreError for a block that is damaged or of a later version."""
    parts = [_decode_block(block) for block in blocks]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def beginnings(headers: Sequence[bytes]) -> tuple[Int64, Int64]:
    """First value and number of values of each block, from its first :data:`HEADER_BYTES` bytes."""
    try:
        fields = [_HEADER.unpack(header) for header in headers]
    except struct.error as error:
        raise StoreError(f"a stored column is damaged ({error})") from error
    first = np.array([field[4] for field in fields], np.int64)
    return first, np.array([field[3] for field in fields], np.int64)


def encode_floats(values: NDArray[Any]) -> list[bytes]:
    """The blocks of a column of float32 or float64, bit for bit; short decimals become small integers.

    The first block is a single value that says how the rest is to be read: 0 as bit patterns, else the scale.
    """
    if not len(values):
        return []
    for scale in _FLOAT_SCALES:
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.rint(values.astype(np.float64) * scale)
            exact = bool(np.all(np.abs(scaled) < _EXACT))  # False for NaN and infinity too
        if not exact:
            break
        ints = scaled.astype(np.int64)
        if (ints / scale).astype(values.dtype).tobytes() == values.tobytes():
            return encode(np.array([int(scale)], np.int64)) + encode(ints)
    bits = _as(values, np.int32 if values.dtype == np.float32 else np.int64).astype(np.int64)
    return encode(np.array([0], np.int64)) + encode(bits)


def decode_floats(blocks: Sequence[bytes], dtype: type[np.floating[Any]]) -> NDArray[Any]:
    """The inverse of :func:`encode_floats`."""
    if not blocks:
        return np.empty(0, dtype)
    scale = int(_decode_block(blocks[0])[0])
    values = decode(blocks[1:])
    if scale:
        return (values / scale).astype(dtype)
    return _as(values.astype(np.int32 if dtype is np.float32 else np.int64), dtype)


def _encode_block(values: Int64, units: Sequence[float]) -> bytes:
    first = int(values[0])
    ints, unit, phase = _in_units(values, units)
    order, base, residuals = min(_predictions(ints), key=lambda option: _cost(option[2]))
    folded = _zigzag(residuals)
    width = (int(folded.max()).bit_length() + 7) // 8 if len(folded) else 0
    bytewise = np.reshape(_as(folded.astype("<u8"), np.uint8), (-1, 8))
    planes = np.transpose(bytewise[:, :width]).tobytes()
    header = _HEADER.pack(_VERSION, order, width, len(values), first, base, unit, phase)
    return header + _deflate(planes) if width else header


def _decode_block(block: bytes) -> Int64:
    try:
        version, order, width, count, first, base, unit, phase = _HEADER.unpack_from(block)
        if version != _VERSION:
            raise StoreError(f"a stored column has format {version}, which this version cannot read")
        size = count - order
        if order > 2 or width > 8 or size < 0 or count > BLOCK:
            raise ValueError("its header makes no sense")
        data = zlib.decompressobj().decompress(block[_HEADER.size :], width * size) if width * size else b""
        planes = np.frombuffer(data, np.uint8)
        wide = np.zeros((size, 8), np.uint8)
        wide[:, :width] = np.transpose(np.reshape(planes, (width, size)))
    except (struct.error, zlib.error, ValueError) as error:
        raise StoreError(f"a stored column is damaged ({error})") from error
    folded: UInt64 = np.ravel(_as(wide, np.dtype("<u8"))).astype(np.uint64, copy=False)
    signs = cast("UInt64", np.negative(folded & np.uint64(1)))  # all ones for the negative
    residuals: Int64 = _as((folded >> np.uint64(1)) ^ signs, np.int64)
    start = np.int64(0 if unit else first)
    if order == 0:
        ints = residuals + np.int64(base)
    else:
        steps = residuals + np.int64(base) if order == 1 else _running(np.int64(base), residuals)
        ints = _running(start, steps)
    return np.int64(first) + _from_units(ints, unit, phase) if unit else ints


def _running(start: np.int64, steps: Int64) -> Int64:
    result = np.empty(len(steps) + 1, np.int64)
    result[0] = start
    result[1:] = steps
    return np.cumsum(result, dtype=np.int64)


def _predictions(ints: Int64) -> list[tuple[int, int, Int64]]:
    """(order, base, residuals) of the predictors that fit the length of the block."""
    options = [(0, *_centred(ints))]
    if len(ints) > 1:
        steps = np.diff(ints)
        options += [(1, *_centred(steps)), (2, int(steps[0]), np.diff(steps))]
    return options


def _centred(values: Int64) -> tuple[int, Int64]:
    """The median, and what is left without it."""
    median = np.partition(values, len(values) // 2)[len(values) // 2]
    return int(median), values - median


def _cost(residuals: Int64) -> float:
    """About how many bits the residuals need."""
    return float(np.log2(np.abs(residuals.astype(np.float64)) + 1).sum())


def _zigzag(values: Int64) -> UInt64:
    unsigned: UInt64 = _as(values, np.uint64)
    signs: UInt64 = _as(values >> np.int64(63), np.uint64)
    return (unsigned << np.uint64(1)) ^ signs


def _as(values: NDArray[Any], dtype: object) -> NDArray[Any]:
    """The same bytes read as another type."""
    return cast("Any", values).view(dtype)


def _deflate(data: bytes) -> bytes:
    """The smaller of two: noise packs best by Huffman codes alone, repetitions need matches."""
    sizes: list[bytes] = []
    for strategy in (zlib.Z_HUFFMAN_ONLY, zlib.Z_DEFAULT_STRATEGY):
        packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
        sizes.append(packer.compress(data) + packer.flush())
    return min(sizes, key=len)


def _in_units(values: Int64, units: Sequence[float]) -> tuple[Int64, float, float]:
    """(ints, unit, phase): the rise over the first value is ``floor(ints * unit + phase)``; else unit 0."""
    rise = values - values[0]
    if not units or rise.min() < 0 or rise.max() >= _EXACT:
        return values, 0.0, 0.0
    common = float(cast("Any", np.gcd).reduce(rise))
    for unit in sorted({common, *units}, reverse=True):
        if unit <= 1:
            break
        counts = np.rint(rise / unit)
        # floor(counts * unit + phase) == rise for every sample bounds the phase from both sides.
        slack = rise - counts * unit
        phase = (float(slack.max()) + 1 + float(slack.min())) / 2
        ints = counts.astype(np.int64)
        if np.array_equal(_from_units(ints, unit, phase), rise):
            return ints, unit, phase
    return values, 0.0, 0.0


def _from_units(ints: Int64, unit: float, phase: float) -> Int64:
    with np.errstate(over="ignore", invalid="ignore"):  # a unit that does not fit, or a damaged one
        return np.floor(ints * unit + phase).astype(np.int64)

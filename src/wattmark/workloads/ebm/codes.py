"""Points of the plane as words of bits: for each axis a sign and the Gray code of the magnitude (arXiv 2011.05363, 5.1).

Neighbouring magnitudes differ in one bit, but zero has two codes: a model must learn that the sign turns round there. The
magnitude is cut, not rounded, so that each code is a square of one size and the two zeros are the squares on either side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattmark.statistics import Float64, Int64
from wattmark.workloads.ebm.points import LIMIT

Bits = NDArray[np.uint8]
MOST_ENUMERATED = 20
"""Words of more bits than this are not gone through one by one."""


@dataclass(frozen=True, slots=True)
class Code:
    """Words of ``bits`` bits for points within ``LIMIT``; the first half is the first axis, its sign first.

    Raises ValueError for a number of bits that is odd, or below 4, or above 62.
    """

    bits: int

    def __post_init__(self) -> None:
        if self.bits % 2 or not 4 <= self.bits <= 62:
            raise ValueError(f"a code of points has an even number of bits from 4 to 62, not {self.bits}")

    @property
    def levels(self) -> int:
        """Magnitudes of an axis."""
        return 1 << (self.bits // 2 - 1)

    def encode(self, points: Float64) -> Bits:
        """Points (n, 2) as words (n, bits) of 0 and 1."""
        magnitude = np.minimum((np.abs(points) * (self.levels / LIMIT)).astype(np.int64), self.levels - 1)
        gray = magnitude ^ (magnitude >> 1)
        places = np.arange(self.bits // 2 - 2, -1, -1)
        digits = (gray[:, :, None] >> places) & 1
        words = np.concatenate((np.signbit(points)[:, :, None], digits), 2)
        return words.reshape(len(points), self.bits).astype(np.uint8)

    def decode(self, words: Bits) -> Float64:
        """The middles (n, 2) of the squares of words (n, bits)."""
        axes = words.reshape(len(words), 2, self.bits // 2)
        binary = np.bitwise_xor.accumulate(axes[:, :, 1:], axis=2).astype(np.int64)
        places = np.arange(self.bits // 2 - 2, -1, -1)
        magnitude = (binary << places).sum(2) + 0.5
        return np.where(axes[:, :, 0] == 1, -1.0, 1.0) * magnitude * (LIMIT / self.levels)

    def every(self) -> Bits:
        """All words (2^bits, bits), in the order of :func:`number`. Raises ValueError for over 20 bits."""
        if self.bits > MOST_ENUMERATED:
            raise ValueError(f"words of {self.bits} bits are too many to go through one by one")
        places = np.arange(self.bits - 1, -1, -1)
        return ((np.arange(1 << self.bits)[:, None] >> places) & 1).astype(np.uint8)


def number(words: Bits) -> Int64:
    """Words (n, bits) read as binary numbers (n,)."""
    bits: int = words.shape[1]
    places = np.arange(bits - 1, -1, -1, dtype=np.int64)
    return words.astype(np.int64) @ (1 << places)

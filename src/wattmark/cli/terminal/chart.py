"""Power over time in block characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

_BLOCKS = " ▁▂▃▄▅▆▇█"
HOLE = "·"


def block_chart(values: Sequence[float], height: int = 4) -> list[str]:
    """``height`` lines, the top one first, from 0 to the largest value; a dot at the foot marks what is not known.

    >>> block_chart([0.0, 1.0, 2.0], height=1)
    [' ▄█']
    """
    finite = [value for value in values if math.isfinite(value)]
    top = max(finite, default=0.0)
    levels = [
        None if not math.isfinite(value) else round(max(0.0, value) / top * height * 8) if top > 0 else 0
        for value in values
    ]
    return ["".join(_block(level, row) for level in levels) for row in range(height - 1, -1, -1)]


def sparkline(values: Sequence[float], width: int) -> str:
    """One line of at most ``width`` signs, from 0 to the largest value; of more values than signs the means of neighbours.

    >>> sparkline([1.0, 2.0, 4.0, 4.0], 2)
    '▃█'
    """
    if len(values) > width:
        edges = [round(part * len(values) / width) for part in range(width + 1)]
        values = [_mean(values[start:end]) for start, end in pairwise(edges)]
    return block_chart(values, height=1)[0]


def stretched(values: Sequence[float], width: int) -> list[float]:
    """Values over ``width`` columns, each of them in as many as it takes."""
    return [values[column * len(values) // width] for column in range(width)] if values else []


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.nan


def _block(level: int | None, row: int) -> str:
    if level is None:
        return HOLE if row == 0 else " "
    return _BLOCKS[min(8, max(0, level - 8 * row))]

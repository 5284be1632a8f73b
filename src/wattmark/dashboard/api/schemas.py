"""Shapes that several answers share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

from fastapi import Path, Query

RunRef = Annotated[
    str,
    Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$", description="An id, its beginning, or a name."),
]
_LONGEST_S = 1e9
Moment = Annotated[
    float | None,
    Query(ge=-_LONGEST_S, le=_LONGEST_S, allow_inf_nan=False, description="Seconds from the run's start."),
]
Width = Annotated[int, Query(ge=1, le=4000, description="Columns of the chart.")]


def numbers(values: Iterable[float]) -> list[float | None]:
    """Numbers for JSON, six significant digits (for drawing); NaN becomes null."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]

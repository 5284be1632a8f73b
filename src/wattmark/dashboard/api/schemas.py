"""Shapes that several answers share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel

from wattmark.quantity import Quantity

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


class Amount(BaseModel):
    """A value with its interval and where it comes from."""

    value: float
    low: float
    high: float
    unit: str
    source: str = ""

    @classmethod
    def of(cls, quantity: Quantity | None) -> Amount | None:
        """None stays None: missing is never 0."""
        if quantity is None or not all(
            math.isfinite(one) for one in (quantity.low, quantity.value, quantity.high)
        ):
            return None
        return cls(
            value=quantity.value,
            low=quantity.low,
            high=quantity.high,
            unit=quantity.unit,
            source=quantity.source,
        )


def numbers(values: Iterable[float]) -> list[float | None]:
    """Numbers for JSON, six significant digits (for drawing); NaN becomes null."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]

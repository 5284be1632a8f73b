"""Small maps side by side: how dense something is over the plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattmark.report.drawing.marks import Drawing, label_pt
from wattmark.report.drawing.style import BLUE, fit, new_figure, styled

SQUARE_IN = 1.05


@dataclass(frozen=True, slots=True)
class MapCell:
    """One map at its column and row. shade: (k, k) of 0 to 255, row 0 at the bottom."""

    column: int
    row: int
    shade: NDArray[np.uint8]


def maps(columns: Sequence[str], rows: Sequence[str], cells: Sequence[MapCell]) -> Drawing:
    """Maps in columns and rows that have names; what is empty shows the page, so that they suit light and dark pages."""
    figure, axes = new_figure(wide=True)
    drawing = Drawing(figure)
    ink = [int(BLUE[place : place + 2], 16) for place in (1, 3, 5)]
    with styled():
        for cell in cells:
            picture: NDArray[Any] = np.empty((*cell.shade.shape, 4), np.uint8)
            picture[..., :3], picture[..., 3] = ink, cell.shade
            left, top = cell.column - 0.46, cell.row - 0.46
            axes.imshow(picture[::-1], extent=(left, left + 0.92, top + 0.92, top), interpolation="nearest")
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xticks(range(len(columns)), columns)
        axes.set_yticks(range(len(rows)), rows)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    fit(figure, SQUARE_IN * len(rows), label_pt(rows), 16.0)
    return drawing

"""What charts are made of: their data, and the bars, markers, ticks, squares and names that they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wattmark.quantity import Quantity
from wattmark.report.drawing.style import BLUE, CHARACTER_PT, INK, MODELLED_HATCH, MUTED, PAPER, Axes, Figure

LEFT_PT, BOTTOM_PT = 42.0, 29.0  # room for numbers and a name beside each axis
Share = float | None
"""How much of the joules is modelled, 0..1; None for numbers that are no joules, or of unknown method."""


@dataclass(slots=True)
class Drawing:
    """A drawn figure and what its parts say when pointed at (gid -> text)."""

    figure: Figure
    tips: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the bars: a value per row (None where missing), its colour, and how much of each row is modelled."""

    label: str
    values: Sequence[Quantity | None]
    colour: str = BLUE
    modelled: Sequence[Share] = ()

    def share(self, row: int) -> float:
        """The modelled share of a row, 0..1."""
        return (self.modelled[row] or 0.0) if self.modelled else 0.0


@dataclass(frozen=True, slots=True)
class Point:
    """A point with its intervals; ``name`` labels it."""

    name: str
    x: Quantity
    y: Quantity
    modelled: Share = None
    colour: str = BLUE
    labelled: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """A line over x, with a band where its values have intervals."""

    name: str
    x: Sequence[float]
    y: Sequence[Quantity]
    modelled: Share = None


def finish(axes: Axes, x_axis: str, y_axis: str, *, grid: str) -> None:
    """Names and grid of the axes, and plain numbers where they are logarithmic."""
    axes.set_xlabel(x_axis)
    axes.set_ylabel(y_axis)
    axes.grid(visible=True, axis=grid)
    for side in (axes.xaxis, axes.yaxis):
        if side.get_major_locator().__class__.__name__ == "FixedLocator":  # its ticks were given
            continue
        if side.get_scale() == "log":
            _log_ticks(side)
        elif max(side.get_view_interval()) >= 1e4:
            side.set_major_formatter(_tick)


def _log_ticks(side: Any) -> None:
    """Plain numbers on a logarithmic axis (1, 2, 5, 10 ... on a short one), as mathematical type is switched off."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = side.get_view_interval()
    decades = np.log10(high / low) if low > 0 else 1.0
    steps = (1.0,) if decades > 2.5 else (1.0, 2.0, 5.0) if decades > 0.7 else tuple(range(1, 10))
    side.set_major_locator(LogLocator(subs=steps, numticks=12))
    side.set_major_formatter(FuncFormatter(_tick))
    side.set_minor_formatter(NullFormatter())


def _tick(value: float, _place: object = None) -> str:
    return _plain(value)


def _plain(value: float) -> str:
    """``2.5e6`` -> ``2.5M``; small numbers as they are."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def three_digits(value: float) -> str:
    """``0.012345`` -> ``0.0123``, ``2500`` -> ``2.5k``."""
    return _plain(float(f"{value:.3g}"))


def _face(colour: str, modelled: bool) -> dict[str, Any]:
    if modelled:
        return {"facecolor": "none", "edgecolor": colour, "hatch": MODELLED_HATCH, "linewidth": 0.8}
    return {"facecolor": colour, "edgecolor": colour, "linewidth": 0.8}


def bar(
    axes: Axes,
    place: float,
    left: float,
    right: float,
    thickness: float,
    colour: str,
    modelled: bool,
    gid: str,
) -> None:
    """One bar from ``left`` to ``right`` at ``place``."""
    (patch,) = axes.barh(place, right - left, thickness, left=left, **_face(colour, modelled))
    patch.set_gid(gid)


def draw_interval(
    axes: Axes, whole: Quantity, own: Quantity, place: float, thickness: float, colour: str = INK
) -> None:
    """A thin line over what a comparison rests on, and a shade over the whole interval where it has more."""
    low, high = own.interval()
    least, most = whole.interval()
    if high > low:
        axes.plot((low, high), (place, place), color=colour, linewidth=0.9, solid_capstyle="butt", zorder=4)
    if most > least and (least, most) != (low, high):
        axes.barh(place, most - least, thickness, left=least, color=MUTED, alpha=0.22, linewidth=0, zorder=3)


def label_rows(axes: Axes, rows: Sequence[str], axis: str) -> None:
    """Names of the rows of a horizontal chart, first on top, and its axis."""
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.spines["left"].set_visible(False)
    finish(axes, axis, "", grid="x")


def swatches(parts: Sequence[Part], modelled: bool) -> list[Any]:
    """The legend of bars: the parts, if there are several, and the hatching."""
    from matplotlib.patches import Patch

    with_modelled = [("modelled", MUTED, True)] if modelled else []
    named = [(part.label, part.colour, False) for part in parts if part.label and len(parts) > 1]
    return [
        Patch(label=label, **_face(colour, hatched)) for label, colour, hatched in [*named, *with_modelled]
    ]


def marker_face(colour: str, modelled: Share, marker: str = "o") -> dict[str, Any]:
    """Filled for measured joules, hollow for modelled ones, half-filled for a mixture."""
    share = modelled or 0.0
    style = "full" if share == 0 else "none" if share == 1 else "left"
    face = PAPER if style == "none" else colour
    if style == "left":
        return {
            "marker": marker,
            "fillstyle": "left",
            "markerfacecolor": colour,
            "markerfacecoloralt": PAPER,
            "markeredgecolor": colour,
        }
    return {"marker": marker, "markerfacecolor": face, "markeredgecolor": colour}


def origin_legend(shares: Sequence[Share]) -> list[Any]:
    """Markers that say what is measured and what modelled; none where all is measured, or there are no joules."""
    from matplotlib.lines import Line2D

    kinds = {0.0 if share == 0 else 1.0 if share == 1 else 0.5 for share in shares if share is not None}
    names = {0.0: "measured", 0.5: "partly modelled", 1.0: "modelled"}
    if kinds <= {0.0}:
        return []
    return [
        Line2D([], [], linestyle="none", label=names[kind], **marker_face(MUTED, kind))
        for kind in sorted(kinds)
    ]


def label_pt(labels: Sequence[str]) -> float:
    """The width that the longest of the labels takes."""
    return CHARACTER_PT * max((len(label) for label in labels), default=0) + 12


def above_nothing(low: float, value: float) -> float:
    """A logarithmic axis has no nothing: an interval that reaches below a tenth of the value is cut there."""
    return max(low, value / 10)


def crosshair(axes: Axes, item: Point, log: str = "") -> None:
    """What the comparison of a point rests on, in both directions. log: the axes that are logarithmic."""
    style = {"color": item.colour, "linewidth": 0.9, "alpha": 0.6, "zorder": 2, "solid_capstyle": "butt"}
    x, y = (
        above_nothing(side.low, side.value) if name in log else side.low
        for name, side in (("x", item.x), ("y", item.y))
    )
    if item.x.high > x:
        axes.plot((x, item.x.high), (item.y.value, item.y.value), **style)
    if item.y.high > y:
        axes.plot((item.x.value, item.x.value), (y, item.y.high), **style)


def tile(column: int, row: int, colour: str, alpha: float) -> Any:
    """One square of a map."""
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.48, row - 0.47), 0.96, 0.94, facecolor=colour, alpha=alpha, linewidth=0)


def shades(table: Any, diverging: bool) -> Any:
    """How dark each square of a map is, 0..1."""
    if diverging:
        return np.abs(np.nan_to_num(table))
    size = np.log(np.where(table > 0, table, np.nan))
    if not np.isfinite(size).any():
        return np.zeros_like(table)
    low, high = np.nanmin(size), np.nanmax(size)
    return np.nan_to_num((size - low) / (high - low or 1.0))


_PLACES = (
    (5, 0, "left", "center"), (-5, 0, "right", "center"), (0, 5, "center", "bottom"), (0, -5, "center", "top"),
    (4, 4, "left", "bottom"), (-4, 4, "right", "bottom"), (4, -4, "left", "top"), (-4, -4, "right", "top"),
)  # fmt: skip


def place_names(figure: Figure, axes: Axes, items: Sequence[Point]) -> None:
    """Write each name at the first of eight places beside its point where it touches no other name and no point.

    A name that fits nowhere is left out: the point still says it when pointed at, and the tables have it.
    """
    from matplotlib.transforms import Bbox

    axes.autoscale_view()
    spots = axes.transData.transform([(item.x.value, item.y.value) for item in items])
    scale = figure.dpi / 72
    taken = [Bbox.from_bounds(x - 3 * scale, y - 3 * scale, 6 * scale, 6 * scale) for x, y in spots]
    frame = axes.get_window_extent()
    for item, (x, y) in zip(items, spots, strict=True):
        if not item.labelled:
            continue
        width, height = 3.75 * scale * len(item.name), 7.4 * scale  # of a 6.3 pt line in a plain font
        for dx, dy, ha, va in _PLACES:
            left = x + dx * scale - {"left": 0.0, "center": width / 2, "right": width}[ha]
            bottom = y + dy * scale - {"bottom": 0.0, "center": height / 2, "top": height}[va]
            box = Bbox.from_bounds(left, bottom, width, height)
            inside = (
                box.x0 >= frame.x0 and box.x1 <= frame.x1 + 4 and box.y0 >= frame.y0 and box.y1 <= frame.y1
            )
            if inside and not any(box.overlaps(other) for other in taken):
                axes.annotate(
                    item.name,
                    (item.x.value, item.y.value),
                    (dx, dy),
                    textcoords="offset points",
                    ha=ha,
                    va=va,
                    fontsize=6.3,
                    color=INK,
                    in_layout=False,
                )
                taken.append(box)
                break

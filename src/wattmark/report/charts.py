"""The kinds of chart that a report has: bars, points, lines and maps, drawn with matplotlib in one style.

Everywhere: solid or filled is measured, hatched or hollow is modelled; a thin line is a 95 % interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from wattmark.quantity import Quantity
from wattmark.report.style import (
    BLUE,
    CHARACTER_PT,
    INK,
    MODELLED_HATCH,
    MUTED,
    PAPER,
    SERIES,
    Axes,
    Figure,
    fit,
    new_figure,
    styled,
)

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
    """A line over x, with a band where ``low`` and ``high`` are given."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    modelled: Share = None


def bars(rows: Sequence[str], parts: Sequence[Part], axis: str) -> Drawing:
    """Horizontal bars with intervals, first row on top, parts side by side: the measured part solid, the modelled hatched."""
    thickness = 0.68 / len(parts)
    figure, axes = new_figure()
    drawing = Drawing(figure)
    with styled():
        for number, part in enumerate(parts):
            for row, quantity in enumerate(part.values):
                if quantity is None:
                    continue
                place = row + (number - (len(parts) - 1) / 2) * thickness
                split = quantity.value * (1 - part.share(row))
                for modelled, left, right in ((False, 0.0, split), (True, split, quantity.value)):
                    if right > left:
                        gid = f"bar-{number}-{row}-{modelled:d}"
                        _bar(axes, place, left, right, thickness * 0.94, part.colour, modelled, gid)
                        drawing.tips[gid] = (
                            f"{rows[row]}{', ' + part.label if part.label else ''}: {quantity}"
                        )
                _interval(axes, quantity, place)
        axes.set_xlim(left=0)
        _rows(axes, rows, axis)
        handles = _swatches(parts, any(part.share(row) > 0 for part in parts for row in range(len(rows))))
    fit(
        figure,
        max(0.4, max(0.19, 0.115 * len(parts) + 0.05) * len(rows)),
        _label_pt(rows),
        BOTTOM_PT,
        handles,
    )
    return drawing


def stacks(rows: Sequence[str], parts: Sequence[Part], axis: str) -> Drawing:
    """Horizontal bars of parts end to end, without intervals; a part that is modelled for the most is hatched."""
    figure, axes = new_figure()
    drawing = Drawing(figure)
    with styled():
        ends = np.zeros(len(rows))
        for number, part in enumerate(parts):
            for row, quantity in enumerate(part.values):
                if quantity is None:
                    continue
                gid = f"bar-{number}-{row}"
                right = ends[row] + quantity.value
                _bar(axes, row, ends[row], right, 0.64, part.colour, part.share(row) > 0.5, gid)
                drawing.tips[gid] = f"{rows[row]}, {part.label}: {quantity}"
                ends[row] = right
        axes.set_xlim(left=0)
        _rows(axes, rows, axis)
        handles = _swatches(parts, any(part.share(row) > 0.5 for part in parts for row in range(len(rows))))
    fit(figure, max(0.4, 0.19 * len(rows)), _label_pt(rows), BOTTOM_PT, handles)
    return drawing


def dots(rows: Sequence[str], values: Sequence[Quantity | None], axis: str, colour: str = BLUE) -> Drawing:
    """A dot with its interval per row, for numbers whose distance from nothing does not matter (an accuracy)."""
    figure, axes = new_figure()
    drawing = Drawing(figure)
    with styled():
        for row, quantity in enumerate(values):
            if quantity is not None:
                _interval(axes, quantity, row, MUTED)
                axes.plot(quantity.value, row, "o", color=colour, gid=f"dot-{row}", linestyle="none")
                drawing.tips[f"dot-{row}"] = f"{rows[row]}: {quantity}"
        axes.margins(x=0.06)
        _rows(axes, rows, axis)
        axes.grid(visible=True, axis="y")
    fit(figure, max(0.4, 0.19 * len(rows)), _label_pt(rows), BOTTOM_PT)
    return drawing


def points(
    items: Sequence[Point], x_axis: str, y_axis: str, *,
    log: Literal["", "x", "y", "xy"] = "", front: Sequence[tuple[float, float]] = (),
    wide: bool = False,
) -> Drawing:  # fmt: skip
    """Points with intervals in both directions; names are written where they fit without touching one another."""
    figure, axes = new_figure(wide=wide)
    drawing = Drawing(figure)
    with styled():
        if "x" in log:
            axes.set_xscale("log")
        if "y" in log:
            axes.set_yscale("log")
        if front:
            axes.step(
                *zip(*front, strict=True),
                where="post",
                color=MUTED,
                linewidth=1.0,
                linestyle=(0, (4, 2)),
                zorder=1,
            )
        few = len(items) <= 60
        for number, item in enumerate(items):
            if few:
                _crosshair(axes, item)
            gid = f"point-{number}"
            axes.plot(
                item.x.value, item.y.value, markersize=4.6 if few else 2.6, markeredgewidth=1.1 if few else 0.6,
                gid=gid, zorder=3, linestyle="none", **_marker_face(item.colour, item.modelled),
            )  # fmt: skip
            drawing.tips[gid] = f"{item.name}: {x_axis} {item.x}, {y_axis} {item.y}"
        axes.margins(0.1, 0.12)
        _finish(axes, x_axis, y_axis, grid="both")
        fit(
            figure,
            3.0 if wide else 2.2,
            LEFT_PT,
            BOTTOM_PT,
            _origin_legend([item.modelled for item in items]),
        )
        if few:
            _place_names(figure, axes, items)
    return drawing


def lines(
    items: Sequence[Line],
    x_axis: str,
    y_axis: str,
    *,
    log: Literal["", "x", "y", "xy"] = "",
    zero: bool = False,
) -> Drawing:
    """Lines told apart by colour and marker, at most fourteen; the legend stands below."""
    figure, axes = new_figure()
    drawing = Drawing(figure)
    with styled():
        if "x" in log:
            axes.set_xscale("log", base=2)
        if "y" in log:
            axes.set_yscale("log")
        handles: list[Any] = []
        for number, item in enumerate(items):
            colour = SERIES[number % len(SERIES)]
            marker = "osD^"[number // len(SERIES) % 4]
            gid = f"line-{number}"
            if item.low is not None and item.high is not None:
                axes.fill_between(item.x, item.low, item.high, color=colour, alpha=0.14, linewidth=0)
            (handle,) = axes.plot(
                item.x, item.y, color=colour, linewidth=1.4, gid=gid, label=item.name,
                markevery=max(1, len(item.x) // 8), markersize=3.6, **_marker_face(colour, item.modelled, marker),
            )  # fmt: skip
            handles.append(handle)
            drawing.tips[gid] = item.name
        if "x" in log:
            ticks = sorted({float(x) for item in items for x in item.x})
            if len(ticks) <= 10:
                axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        if zero:
            axes.set_ylim(bottom=0)
        _finish(axes, x_axis, y_axis, grid="both")
        handles += _origin_legend([item.modelled for item in items])
    fit(figure, 2.0, LEFT_PT, BOTTOM_PT, handles if len(handles) > 1 else [])
    return drawing


def heat_map(
    rows: Sequence[str], columns: Sequence[str], values: Any, *, strong: float | None = None, diverging: bool = True,
    digits: int = 2, axis: str = "",
) -> Drawing:  # fmt: skip
    """A map of numbers, each written in its square. ``strong``: only those of at least this size are coloured and bold.

    diverging: from -1 (vermilion) over nothing to 1 (blue); else from the smallest to the largest by its logarithm.
    """
    table = np.asarray(values, float)
    figure, axes = new_figure(wide=len(columns) > 6)
    drawing = Drawing(figure)
    with styled():
        shade = _shades(table, diverging)
        for row in range(len(rows)):
            for column in range(len(columns)):
                value = table[row, column]
                if not np.isfinite(value):
                    continue
                show = strong is None or abs(value) >= strong
                colour = SERIES[1] if diverging and value < 0 else SERIES[0]
                if show:
                    axes.add_patch(_square(column, row, colour, 0.10 + 0.55 * float(shade[row, column])))
                text = f"{value:.{digits}f}" if diverging else _three(value)
                axes.text(
                    column, row, text.replace("-", "−"), ha="center", va="center", fontsize=5.6 if len(columns) > 9 else 6.4,
                    color=INK if show else MUTED, fontweight="bold" if strong is not None and show else "normal",
                )  # fmt: skip
        axes.set_xlim(-0.5, len(columns) - 0.5)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        turned = max((len(name) for name in columns), default=0) * len(columns) > 60
        axes.set_xticks(
            range(len(columns)), columns, rotation=40 if turned else 0, ha="right" if turned else "center"
        )
        axes.set_yticks(range(len(rows)), rows)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xlabel(axis)
    below = 0.45 * _label_pt(columns) + 12 if turned else 16.0
    fit(
        figure,
        0.205 * len(rows),
        max(_label_pt(rows), 0.55 * _label_pt(columns[:1])),
        below + (11 if axis else 0),
    )
    return drawing


# --- what the charts share


def _finish(axes: Axes, x_axis: str, y_axis: str, *, grid: str) -> None:
    axes.set_xlabel(x_axis)
    axes.set_ylabel(y_axis)
    axes.grid(visible=True, axis=grid)
    for side in (axes.xaxis, axes.yaxis):
        if side.get_scale() == "log" and side.get_major_formatter().__class__.__name__ != "FixedFormatter":
            _log_ticks(side)


def _log_ticks(side: Any) -> None:
    """Plain numbers on a logarithmic axis (1, 2, 5, 10 ... on a short one), as mathematical type is switched off."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = side.get_view_interval()
    decades = np.log10(high / low) if low > 0 else 1.0
    steps = (1.0,) if decades > 2.5 else (1.0, 2.0, 5.0) if decades > 0.7 else tuple(range(1, 10))
    side.set_major_locator(LogLocator(subs=steps, numticks=12))
    side.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    side.set_minor_formatter(NullFormatter())


def _plain(value: float) -> str:
    """``2.5e6`` -> ``2.5M``; small numbers as they are."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _three(value: float) -> str:
    return _plain(float(f"{value:.3g}"))


def _face(colour: str, modelled: bool) -> dict[str, Any]:
    if modelled:
        return {"facecolor": "none", "edgecolor": colour, "hatch": MODELLED_HATCH, "linewidth": 0.8}
    return {"facecolor": colour, "edgecolor": colour, "linewidth": 0.8}


def _bar(
    axes: Axes,
    place: float,
    left: float,
    right: float,
    thickness: float,
    colour: str,
    modelled: bool,
    gid: str,
) -> None:
    (patch,) = axes.barh(place, right - left, thickness, left=left, **_face(colour, modelled))
    patch.set_gid(gid)


def _interval(axes: Axes, quantity: Quantity, place: float, colour: str = INK) -> None:
    if quantity.high > quantity.low:
        axes.plot(
            (quantity.low, quantity.high), (place, place), color=colour, linewidth=0.9, solid_capstyle="butt"
        )


def _rows(axes: Axes, rows: Sequence[str], axis: str) -> None:
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.spines["left"].set_visible(False)
    _finish(axes, axis, "", grid="x")


def _swatches(parts: Sequence[Part], modelled: bool) -> list[Any]:
    from matplotlib.patches import Patch

    with_modelled = [("modelled", MUTED, True)] if modelled else []
    named = [(part.label, part.colour, False) for part in parts if part.label and len(parts) > 1]
    return [
        Patch(label=label, **_face(colour, hatched)) for label, colour, hatched in [*named, *with_modelled]
    ]


def _marker_face(colour: str, modelled: Share, marker: str = "o") -> dict[str, Any]:
    """Filled for measured joules, hollow for modelled ones, half-filled for a mixture."""
    share = modelled or 0.0
    style = "full" if share == 0 else "none" if share == 1 else "left"
    face = PAPER if style == "none" else colour
    if style == "left":
        return {"marker": marker, "fillstyle": "left", "markerfacecolor": colour, "markerfacecoloralt": PAPER,
                "markeredgecolor": colour}  # fmt: skip
    return {"marker": marker, "markerfacecolor": face, "markeredgecolor": colour}


def _origin_legend(shares: Sequence[Share]) -> list[Any]:
    """Markers that say what is measured and what modelled; none where all is measured, or there are no joules."""
    from matplotlib.lines import Line2D

    kinds = {0.0 if share == 0 else 1.0 if share == 1 else 0.5 for share in shares if share is not None}
    names = {0.0: "measured", 0.5: "partly modelled", 1.0: "modelled"}
    if kinds <= {0.0}:
        return []
    return [
        Line2D([], [], linestyle="none", label=names[kind], **_marker_face(MUTED, kind))
        for kind in sorted(kinds)
    ]


def _label_pt(labels: Sequence[str]) -> float:
    return CHARACTER_PT * max((len(label) for label in labels), default=0) + 12


def _crosshair(axes: Axes, item: Point) -> None:
    style = {"color": item.colour, "linewidth": 0.9, "alpha": 0.6, "zorder": 2, "solid_capstyle": "butt"}
    if item.x.high > item.x.low:
        axes.plot((item.x.low, item.x.high), (item.y.value, item.y.value), **style)
    if item.y.high > item.y.low:
        axes.plot((item.x.value, item.x.value), (item.y.low, item.y.high), **style)


def _square(column: int, row: int, colour: str, alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.48, row - 0.47), 0.96, 0.94, facecolor=colour, alpha=alpha, linewidth=0)


def _shades(table: Any, diverging: bool) -> Any:
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


def _place_names(figure: Figure, axes: Axes, items: Sequence[Point]) -> None:
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
                    item.name, (item.x.value, item.y.value), (dx, dy), textcoords="offset points",
                    ha=ha, va=va, fontsize=6.3, color=INK, in_layout=False,
                )  # fmt: skip
                taken.append(box)
                break

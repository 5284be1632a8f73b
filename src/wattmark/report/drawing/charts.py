"""The kinds of chart that a report has: bars, points, lines and maps, drawn with matplotlib in one style.

Everywhere: solid or filled is measured, hatched or hollow is modelled. A thin line (on lines a band) is the 95 % interval of
what a comparison within the chart rests on; what all of its numbers err by together is a shade, and a line in words below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Literal

import numpy as np

from wattmark.quantity import Quantity
from wattmark.report.drawing.marks import (
    BOTTOM_PT,
    LEFT_PT,
    Drawing,
    Line,
    Part,
    Point,
    above_nothing,
    bar,
    crosshair,
    draw_interval,
    finish,
    label_pt,
    label_rows,
    marker_face,
    origin_legend,
    place_names,
    shades,
    swatches,
    three_digits,
    tile,
)
from wattmark.report.drawing.style import BLUE, INK, MUTED, SERIES, fit, new_figure, styled
from wattmark.runs.differences import Apart, apart


def bars(rows: Sequence[str], parts: Sequence[Part], axis: str) -> Drawing:
    """Horizontal bars with intervals, first row on top, parts side by side; what is modelled is hatched."""
    thickness = 0.68 / len(parts)
    figure, axes = new_figure()
    drawing = Drawing(figure)
    told = apart([value for part in parts for value in part.values])
    own = iter(told.own)
    with styled():
        for number, part in enumerate(parts):
            for row, (quantity, rests) in enumerate(
                zip(part.values, islice(own, len(part.values)), strict=True)
            ):
                if quantity is None or rests is None:
                    continue
                place = row + (number - (len(parts) - 1) / 2) * thickness
                split = quantity.value * (1 - part.share(row))
                for modelled, left, right in ((False, 0.0, split), (True, split, quantity.value)):
                    if right > left:
                        gid = f"bar-{number}-{row}-{modelled:d}"
                        bar(axes, place, left, right, thickness * 0.94, part.colour, modelled, gid)
                        drawing.tips[gid] = (
                            f"{rows[row]}{', ' + part.label if part.label else ''}: {quantity}"
                        )
                draw_interval(axes, quantity, rests, place, thickness * 0.5)
        axes.set_xlim(left=0)
        label_rows(axes, rows, axis)
        handles = swatches(parts, any(part.share(row) > 0 for part in parts for row in range(len(rows))))
    fit(
        figure,
        max(0.4, max(0.19, 0.115 * len(parts) + 0.05) * len(rows)),
        label_pt(rows),
        BOTTOM_PT,
        handles,
        told.words,
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
                bar(axes, row, ends[row], right, 0.64, part.colour, part.share(row) > 0.5, gid)
                drawing.tips[gid] = f"{rows[row]}, {part.label}: {quantity}"
                ends[row] = right
        axes.set_xlim(left=0)
        label_rows(axes, rows, axis)
        handles = swatches(parts, any(part.share(row) > 0.5 for part in parts for row in range(len(rows))))
    fit(figure, max(0.4, 0.19 * len(rows)), label_pt(rows), BOTTOM_PT, handles)
    return drawing


def dots(
    rows: Sequence[str],
    values: Sequence[Quantity | None],
    axis: str,
    colour: str = BLUE,
    *,
    against: float | None = None,
    log: bool = False,
    modelled: Sequence[float | None] = (),
    wide: bool = False,
) -> Drawing:
    """A dot with its interval per row, for numbers whose distance from nothing does not matter (an accuracy).

    against: what each of them is compared with, and not with one another: 0 for differences, 1 for ratios. log: on a
    logarithmic axis, for numbers above 0 that lie far apart. modelled: of each row's joules, which then are hollow.
    """
    figure, axes = new_figure(wide=wide)
    drawing = Drawing(figure)
    told = apart(values) if against is None else Apart(tuple(values), None)
    with styled():
        if log:
            axes.set_xscale("log")
        for row, (quantity, rests) in enumerate(zip(values, told.own, strict=True)):
            if quantity is not None and rests is not None:
                if not log:
                    draw_interval(axes, quantity, rests, row, 0.34, MUTED)
                elif rests.high > rests.low:
                    ends = above_nothing(rests.low, quantity.value), rests.high
                    axes.plot(ends, (row, row), color=MUTED, linewidth=0.9, solid_capstyle="butt")
                face = marker_face(colour, modelled[row]) if modelled else {"marker": "o", "color": colour}
                axes.plot(quantity.value, row, gid=f"dot-{row}", linestyle="none", **face)
                drawing.tips[f"dot-{row}"] = f"{rows[row]}: {quantity}"
        if against is not None:
            axes.axvline(against, color=MUTED, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
        axes.margins(x=0.06)
        label_rows(axes, rows, axis)
        axes.grid(visible=True, axis="y")
    handles = origin_legend(modelled)
    fit(figure, max(0.4, 0.19 * len(rows)), label_pt(rows), BOTTOM_PT, handles, told.words)
    return drawing


def points(
    items: Sequence[Point],
    x_axis: str,
    y_axis: str,
    *,
    log: Literal["", "x", "y", "xy"] = "",
    front: Sequence[tuple[float, float]] = (),
    wide: bool = False,
) -> Drawing:
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
        across, up = apart([item.x for item in items]), apart([item.y for item in items])
        for number, (item, x, y) in enumerate(zip(items, across.own, up.own, strict=True)):
            if few and x is not None and y is not None:
                crosshair(axes, replace(item, x=x, y=y), log)
            gid = f"point-{number}"
            axes.plot(
                item.x.value,
                item.y.value,
                markersize=4.6 if few else 2.6,
                markeredgewidth=1.1 if few else 0.6,
                gid=gid,
                zorder=3,
                linestyle="none",
                **marker_face(item.colour, item.modelled),
            )
            drawing.tips[gid] = f"{item.name}: {x_axis} {item.x}, {y_axis} {item.y}"
        axes.margins(0.1, 0.12)
        for side, ends in (("x", [item.x.low for item in items]), ("y", [item.y.low for item in items])):
            if side not in log and min(ends, default=0.0) >= 0:
                axes.autoscale_view()
                get, put = getattr(axes, f"get_{side}lim"), getattr(axes, f"set_{side}lim")
                put(max(0.0, get()[0]), None)
        finish(axes, x_axis, y_axis, grid="both")
        fit(
            figure,
            3.0 if wide else 2.2,
            LEFT_PT,
            BOTTOM_PT,
            origin_legend([item.modelled for item in items]),
            _both(across, up),
        )
        if few:
            place_names(figure, axes, items)
    return drawing


def _both(across: Apart, up: Apart) -> str:
    """What is common to the numbers across, and to those up."""
    if across.words and up.words:
        return f"Across: {across.words} Up: {up.words}"
    return across.words or up.words


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
    told = apart([value for item in items for value in item.y])
    own = iter(told.own)
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
            y = [value.value for value in item.y]
            ends = [rests.interval() for rests in islice(own, len(y)) if rests is not None]
            low, high = [end[0] for end in ends], [end[1] for end in ends]
            if high > low:
                if "y" in log:
                    low = [above_nothing(end, value) for end, value in zip(low, y, strict=True)]
                axes.fill_between(item.x, low, high, color=colour, alpha=0.14, linewidth=0)
            (handle,) = axes.plot(
                item.x,
                y,
                color=colour,
                linewidth=1.1,
                gid=gid,
                label=item.name,
                markevery=max(1, len(item.x) // 8),
                markersize=3.6,
                **marker_face(colour, item.modelled, marker),
            )
            handles.append(handle)
            drawing.tips[gid] = item.name
        if "x" in log:
            ticks = sorted({float(x) for item in items for x in item.x})
            if len(ticks) <= 10:
                axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
                axes.set_xticks([], minor=True)
        if zero:
            axes.set_ylim(bottom=0)
        finish(axes, x_axis, y_axis, grid="both")
        handles += origin_legend([item.modelled for item in items])
    fit(figure, 2.0, LEFT_PT, BOTTOM_PT, handles if len(handles) > 1 else [], told.words)
    return drawing


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Any,
    *,
    strong: float | None = None,
    diverging: bool = True,
    digits: int = 2,
    axis: str = "",
) -> Drawing:
    """A map of numbers, each written in its square. ``strong``: only those of at least this size are coloured and bold.

    diverging: from -1 (vermilion) over nothing to 1 (blue); else from the smallest to the largest by its logarithm.
    """
    table = np.asarray(values, float)
    figure, axes = new_figure(wide=len(columns) > 6)
    drawing = Drawing(figure)
    with styled():
        shade = shades(table, diverging)
        for row in range(len(rows)):
            for column in range(len(columns)):
                value = table[row, column]
                if not np.isfinite(value):
                    continue
                show = strong is None or abs(value) >= strong
                colour = SERIES[1] if diverging and value < 0 else SERIES[0]
                if show:
                    axes.add_patch(tile(column, row, colour, 0.10 + 0.55 * float(shade[row, column])))
                text = (
                    f"{value + 0.0:.{digits}f}".replace("-0.00", "0.00") if diverging else three_digits(value)
                )
                axes.text(
                    column,
                    row,
                    text.replace("-", "−"),
                    ha="center",
                    va="center",
                    fontsize=5.6 if len(columns) > 9 else 6.4,
                    color=INK if show else MUTED,
                    fontweight="bold" if strong is not None and show else "normal",
                )
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
    below = 0.68 * label_pt(columns) + 12 if turned else 16.0
    fit(
        figure,
        0.205 * len(rows),
        max(label_pt(rows), 0.55 * label_pt(columns[:1])),
        below + (11 if axis else 0),
    )
    return drawing

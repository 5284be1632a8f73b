"""The full cycle of models as a picture: energy over use, both by their logarithm, with the places where lines cross."""

from __future__ import annotations

import math

from wattmark.lifecycle.cycle.comparison import Cycle
from wattmark.report.drawing.style import GRID, INK, MUTED, PAPER, SERIES
from wattmark.report.html.markup import Html, tag
from wattmark.text import clean
from wattmark.units import format_energy, significant

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 76, 20, 16, 46


def picture(cycle: Cycle) -> str:
    """An SVG that fetches nothing: E(N) of every model with its 95 % band, and each crossing with its interval."""
    curve = cycle.curve()
    x0, x1 = math.log10(curve.uses[0]), math.log10(curve.uses[-1])
    ends = [end for line in curve.lines for end in (*line.low, *line.high) if end > 0]
    ends += [value for line in curve.lines for value in line.value if value > 0]
    if not ends:
        ends = [1.0]
    y0, y1 = math.log10(min(ends)) - 0.05, math.log10(max(ends)) + 0.05
    y0 = max(y0, y1 - 9)
    bottom = 10**y0

    def x(uses: float) -> float:
        at = (math.log10(max(uses, 1e-12)) - x0) / ((x1 - x0) or 1.0)
        return LEFT + min(max(at, 0.0), 1.0) * (WIDTH - LEFT - RIGHT)

    def y(joules: float) -> float:
        at = (math.log10(max(joules, bottom)) - y0) / ((y1 - y0) or 1.0)
        return HEIGHT - BOTTOM - min(max(at, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM)

    parts: list[Html] = [tag("rect", width=str(WIDTH), height=str(HEIGHT), fill=PAPER)]
    text = {"font_size": "11", "font_family": "DejaVu Sans, sans-serif"}
    for power in range(math.ceil(x0), math.floor(x1) + 1):
        at = f"{x(10.0**power):.1f}"
        parts.append(tag("line", x1=at, x2=at, y1=str(TOP), y2=str(HEIGHT - BOTTOM), stroke=GRID))
        label = f"1e{power}" if power > 3 else f"{10**power:g}"
        parts.append(
            tag("text", label, x=at, y=str(HEIGHT - BOTTOM + 16), text_anchor="middle", fill=MUTED, **text)
        )
    for power in range(math.ceil(y0), math.floor(y1) + 1):
        at = f"{y(10.0**power):.1f}"
        parts.append(tag("line", x1=str(LEFT), x2=str(WIDTH - RIGHT), y1=at, y2=at, stroke=GRID))
        parts.append(
            tag(
                "text",
                format_energy(10.0**power),
                x=str(LEFT - 6),
                y=at,
                text_anchor="end",
                fill=MUTED,
                **text,
            )
        )
    for number, line in enumerate(curve.lines):
        colour = SERIES[number % len(SERIES)]
        there = [
            f"{x(float(uses)):.1f},{y(float(end)):.1f}"
            for uses, end in zip(curve.uses, line.high, strict=True)
        ]
        back = [
            f"{x(float(uses)):.1f},{y(float(end)):.1f}"
            for uses, end in zip(curve.uses, line.low, strict=True)
        ]
        middle = [
            f"{x(float(uses)):.1f},{y(float(one)):.1f}"
            for uses, one in zip(curve.uses, line.value, strict=True)
        ]
        parts.append(tag("polygon", points=" ".join([*there, *reversed(back)]), fill=colour, opacity="0.15"))
        parts.append(
            tag(
                "polyline",
                tag("title", clean(line.name)),
                points=" ".join(middle),
                **_stroke(colour, "2"),
            )
        )
        parts.append(
            tag("text", clean(line.name), x=str(LEFT + 8), y=str(TOP + 14 + 15 * number), fill=colour, **text)
        )
    for one in cycle.crossings:
        energy = cycle[one.after].energy(one.uses).value
        high = one.high if one.high is not None else float(curve.uses[-1])
        words = f"{one.after} is below {one.before} from {significant(one.uses)} uses on"
        at, height = f"{x(one.uses):.1f}", f"{y(energy):.1f}"
        parts.append(
            tag(
                "line",
                x1=f"{x(one.low):.1f}",
                x2=f"{x(high):.1f}",
                y1=height,
                y2=height,
                **_stroke(INK, "1.5"),
            )
        )
        parts.append(tag("circle", tag("title", clean(words)), cx=at, cy=height, r="4", fill=INK))
    parts.append(
        tag("text", "uses", x=str(WIDTH - RIGHT), y=str(HEIGHT - 8), text_anchor="end", fill=MUTED, **text)
    )
    words = f"Energy over use of {', '.join(one.name for one in cycle.candidates)}"
    return str(
        tag(
            "svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {HEIGHT}",
            width=str(WIDTH), height=str(HEIGHT), role="img", aria_label=clean(words),
        )
    )  # fmt: skip


def _stroke(colour: str, width: str) -> dict[str, str]:
    return {"fill": "none", "stroke": colour, "stroke_width": width}

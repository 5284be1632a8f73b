"""A label for a model: its stars among those of its task on one machine, as a picture (SVG) that stands by itself."""

from __future__ import annotations

import math

from wattmark.report.html.markup import Html, join, tag
from wattmark.studies.analysis.tasks import PER, STAR_COUNT, TaskCost
from wattmark.text import clean
from wattmark.units import format_energy

WIDTH, HEIGHT = 320, 178
RULE = (
    "Stars: the range of energy of this task, on this machine, in five",
    "equal parts (the rule of the AI Energy Score)",
)
_GOLD, _GREY, _INK, _PAPER = "#e69f00", "#c9ccd1", "#1d2733", "#ffffff"
_FONT = "system-ui, -apple-system, 'Segoe UI', sans-serif"
_LONGEST = 38


def label_svg(cost: TaskCost, stars: int, machine: str = "") -> Html:
    """The label of one cell. Raises ValueError for stars that there are not, and for a cell without energy.

    All names are escaped: they come from a study's file.
    """
    if not 1 <= stars <= STAR_COUNT:
        raise ValueError(f"a label has 1 to {STAR_COUNT} stars, not {stars}")
    if cost.energy is None:
        raise ValueError("a label needs an energy")
    shown = cost.energy if cost.gpu is None else cost.gpu
    what = f"{format_energy(shown.value)} for {PER:,} inferences" + (
        " (GPUs)" if cost.gpu is not None else ""
    )
    low, high = shown.interval()
    where = f"on {clean(machine)}" if machine else "on the machine of its study"
    said = f"{cost.model}, {cost.task}: {stars} of {STAR_COUNT} stars, {what}"
    lines = (
        (26, 15, "700", _cut(cost.model) + (" (random weights)" if cost.random else "")),
        (45, 12, "400", _cut(f"{cost.task}, batch {cost.batch_asked}")),
        (112, 13, "700", what),
        (
            130,
            10.5,
            "400",
            f"95 %: {format_energy(low) if low > 0 else '0 J'} to {format_energy(high)}, {_how(cost)}",
        ),
        (145, 10.5, "400", _cut(where)),
        *((160 + 10 * place, 8, "400", text) for place, text in enumerate(RULE)),
    )
    return tag(
        "svg",
        tag("title", said),
        tag("rect", x=0.5, y=0.5, width=WIDTH - 1, height=HEIGHT - 1, rx=8, fill=_PAPER, stroke=_INK),
        join(_star(place, lit=place < stars) for place in range(STAR_COUNT)),
        join(
            tag(
                "text",
                text,
                x=16,
                y=y,
                font_size=size,
                font_weight=weight,
                fill=_INK,
                font_family=_FONT,
            )
            for y, size, weight, text in lines
        ),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        aria_label=said,
    )


def _star(place: int, *, lit: bool) -> Html:
    """A star of five points: outer and inner radius are those of a pentagram, 1 to 0.382."""
    x, y, outer = 34 + place * 42, 76, 17.0
    corners = (
        (outer if corner % 2 == 0 else 0.382 * outer, math.pi * corner / 5 - math.pi / 2)
        for corner in range(10)
    )
    points = " ".join(
        f"{x + radius * math.cos(turn):.1f},{y + radius * math.sin(turn):.1f}" for radius, turn in corners
    )
    return tag("polygon", points=points, fill=_GOLD if lit else _GREY)


def _how(cost: TaskCost) -> str:
    share = cost.modelled
    return (
        "modelled"
        if share == 1
        else "measured"
        if share == 0
        else "partly modelled"
        if share
        else "of unknown method"
    )


def _cut(text: str) -> str:
    line = clean(text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"

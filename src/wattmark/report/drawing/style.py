"""How every figure looks, and how it becomes SVG in a page, or a file.

Colours are those of Okabe and Ito, which people of all kinds of colour vision tell apart (M. Okabe, K. Ito: Color
Universal Design, 2008, jfly.uni-koeln.de/color). In a page each becomes a CSS variable, so that one drawing serves light
and dark.
"""

from __future__ import annotations

import importlib
import io
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from wattmark.errors import MissingExtra
from wattmark.report.html.markup import Html, escape

Figure = Any
Axes = Any

BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, OLIVE = (
    "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#8f8a00",
)  # fmt: skip
SERIES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, OLIVE)
COMPONENT = {"cpu": BLUE, "gpu": VERMILION, "dram": GREEN, "soc": PURPLE, "host": ORANGE}
INK, MUTED, GRID, PAPER = "#1c2126", "#5a6470", "#dde1e6", "#fefefe"
MODELLED_HATCH = "/////"

_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "line",
    PAPER: "card",
    **{colour: f"c{index}" for index, colour in enumerate(SERIES)},
}
_RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "wattmark",  # the same drawing gives the same file
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "font.family": ["DejaVu Sans"],
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.handlelength": 1.3,
    "legend.handleheight": 0.8,
    "legend.borderaxespad": 0.2,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.9,
    "figure.facecolor": "none",
    "savefig.facecolor": "auto",
}
WIDTH_IN = 3.6
WIDE_IN = 6.4
CHARACTER_PT = 3.9
"""Mean width of a character of a 7 pt label."""
TOP_PT, RIGHT_PT = 7.0, 12.0
FOOT_PT, FOOT_CHARACTER_PT, FOOT_LINE_PT = 6.3, 3.35, 8.4
"""Of the sentence below a figure: its type, the mean width of a character, and its lines."""


def new_figure(*, wide: bool = False) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, to be sized by :func:`fit`; raises MissingExtra without matplotlib."""
    with styled():
        from matplotlib.figure import Figure as MplFigure

        figure: Figure = MplFigure(figsize=(WIDE_IN if wide else WIDTH_IN, 3.0))
        return figure, figure.add_subplot()


def fit(
    figure: Figure,
    plot_in: float,
    left_pt: float,
    bottom_pt: float,
    handles: Sequence[Any] = (),
    foot: str = "",
) -> None:
    """Give the axes ``plot_in`` inches of height and the margins that their labels need, the legend its rows below, and
    ``foot`` (a sentence on the whole figure) the lines under it.

    Reckoned, not measured: matplotlib's own layout engines draw every figure two or three times.
    """
    width_pt = figure.get_figwidth() * 72
    legend_pt, columns = 0.0, 1
    if handles:
        longest = max(len(str(handle.get_label())) for handle in handles)
        columns = max(1, min(len(handles), int(width_pt / (CHARACTER_PT * longest + 26))))
        legend_pt = 11.0 * -(-len(handles) // columns) + 3
    lines = textwrap.wrap(foot, int((width_pt - 8) / FOOT_CHARACTER_PT))
    foot_pt = FOOT_LINE_PT * len(lines) + 3 if lines else 0.0
    height_pt = plot_in * 72 + bottom_pt + legend_pt + foot_pt + TOP_PT
    figure.set_size_inches(width_pt / 72, height_pt / 72)
    with styled():
        if handles:
            figure.legend(
                handles=handles,
                loc="lower center",
                bbox_to_anchor=(0.5, foot_pt / height_pt),
                ncols=columns,
                columnspacing=1.2,
                labelspacing=0.3,
            )
        for row, line in enumerate(reversed(lines)):
            figure.text(
                4 / width_pt, (2 + FOOT_LINE_PT * row) / height_pt, line, fontsize=FOOT_PT, color=MUTED
            )
    figure.subplots_adjust(
        left=left_pt / width_pt,
        right=1 - RIGHT_PT / width_pt,
        bottom=(bottom_pt + legend_pt + foot_pt) / height_pt,
        top=1 - TOP_PT / height_pt,
    )


def styled() -> Any:
    """The context in which artists are made and saved, so that they take the style's settings.

    Raises MissingExtra without matplotlib.
    """
    try:
        mpl: Any = importlib.import_module("matplotlib")
    except ImportError as error:
        raise MissingExtra("matplotlib", "report") from error
    return mpl.rc_context(_RC)


def file_bytes(figure: Figure, kind: str) -> bytes:
    """The figure as a file of ``kind`` (``svg``, ``png``, ``pdf``) on white."""
    out = io.BytesIO()
    metadata: Mapping[str, Any] = {"Date": None} if kind == "svg" else {}
    with styled(), warnings.catch_warnings():
        # A name in a script that the font lacks is laid out with boxes; the SVG still holds its text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(out, format=kind, dpi=220, facecolor="white", metadata=metadata)
    return out.getvalue()


def inline_svg(figure: Figure, key: str, alt: str, tips: Mapping[str, str]) -> Html:
    """The figure as an ``<svg>`` element for a page: themed, labelled, its ids made unique by ``key``.

    ``tips``: gid of an artist -> what a pointer resting on it shows.
    """
    out = io.BytesIO()
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    return Html(_themed(out.getvalue().decode(), key, alt, tips))


_HEAD = re.compile(r"^.*?<svg[^>]*viewBox=\"([^\"]+)\"[^>]*>", re.S)
_DROPPED = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>|font-family: [^;\"]*;?", re.S)
_TAG = re.compile(r"<[^>]*>")
_STYLE = re.compile(r'style="[^"]*"')
_HEX = re.compile(r"#[0-9a-f]{6}\b")
_GROUP = re.compile(r'<g id="([^"]+)">')
_ID = re.compile(r'(\bid="|url\(#|xlink:href="#)')
_DECIMALS = re.compile(r"(\d\.\d\d)\d+")
_SPACE = re.compile(r">\s+<")


def _themed(svg: str, key: str, alt: str, tips: Mapping[str, str]) -> str:
    """Matplotlib's own style sheet goes, as inline it would apply to the whole page."""
    head = _HEAD.match(svg)
    assert head is not None, "matplotlib always writes an svg element with a viewBox"
    body = _DROPPED.sub("", svg[head.end() :])
    body = _SPACE.sub("><", body)
    body = _TAG.sub(lambda element: _themed_tag(element[0], key), body)
    body = _GROUP.sub(lambda group: _with_tip(group, key, tips), body)
    return f'<svg viewBox="{head[1]}" role="img" aria-label="{escape(alt)}">{body}'


def _with_tip(group: re.Match[str], key: str, tips: Mapping[str, str]) -> str:
    tip = tips.get(group[1].removeprefix(f"{key}-"))
    return group[0] if tip is None else f"{group[0]}<title>{escape(tip)}</title>"


def _themed_tag(element: str, key: str) -> str:
    """Colours to variables, ids made unique, coordinates to a hundredth of a point; text between tags is not touched."""
    element = _DECIMALS.sub(r"\1", element.replace("\n", " "))
    element = _ID.sub(rf"\g<1>{key}-", element)
    return _STYLE.sub(
        lambda style: _HEX.sub(
            lambda colour: f"var(--{_VARIABLES[colour[0]]})" if colour[0] in _VARIABLES else colour[0],
            style[0],
        ),
        element,
    )

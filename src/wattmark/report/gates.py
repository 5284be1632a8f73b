"""Gates as pictures: a badge for a README, and a page with the history of a metric."""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.advise.gate.outputs import Entry
from wattmark.report.html.markup import Html, join, tag
from wattmark.report.html.page import Section, page
from wattmark.text import clean
from wattmark.units import significant

_COLOURS = {"within": "#2a7f3f", "over": "#b3261e", "undecided": "#8a6d00"}
_WIDTH, _HEIGHT, _MARGIN = 720, 180, 24


def badge_svg(outcome: str, words: str) -> str:
    """A badge of two halves: ``energy`` and what is to be said, as SVG that fetches nothing."""
    left, right = 52, 14 + 7 * len(words)
    text = {"fill": "#fff", "font_family": "Verdana, DejaVu Sans, sans-serif", "font_size": "11"}
    parts = (
        tag("title", clean(f"energy: {words}")),
        tag("rect", width=str(left), height="20", fill="#444"),
        tag("rect", x=str(left), width=str(right), height="20", fill=_COLOURS.get(outcome, "#444")),
        tag("text", "energy", x="6", y="14", **text),
        tag("text", clean(words), x=str(left + 7), y="14", **text),
    )
    size = {
        "width": str(left + right),
        "height": "20",
        "role": "img",
        "aria_label": clean(f"energy: {words}"),
    }
    return str(tag("svg", *parts, xmlns="http://www.w3.org/2000/svg", **size))


def trend_page(entries: Sequence[Entry]) -> str:
    """One HTML file: each metric over its gates, and the gates as a table."""
    sections: list[Section] = []
    for metric in dict.fromkeys(entry.metric for entry in entries):
        own = [entry for entry in entries if entry.metric == metric]
        sections.append(Section(f"m-{len(sections)}", metric, join(_curve(metric, own), _rows(own))))
    intro = tag("p", f"{len(entries)} gates, the newest last.")
    return str(page("Energy gates", intro, sections, "Made by wattmark gate --history"))


def _curve(metric: str, entries: Sequence[Entry]) -> Html:
    values = [entry.value for entry in entries if entry.value is not None]
    if not values:
        return tag("p", "no gate of it has a value")
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    step = (_WIDTH - 2 * _MARGIN) / max(1, len(entries) - 1)
    points: list[str] = []
    dots: list[Html] = []
    for place, entry in enumerate(entries):
        if entry.value is None:
            continue
        x, y = (
            _MARGIN + place * step,
            _HEIGHT - _MARGIN - (entry.value - low) / span * (_HEIGHT - 2 * _MARGIN),
        )
        points.append(f"{x:.1f},{y:.1f}")
        tip = tag(
            "title", clean(f"{entry.at} {entry.commit[:12]}: {significant(entry.value)}, {entry.outcome}")
        )
        dots.append(
            tag("circle", tip, cx=f"{x:.1f}", cy=f"{y:.1f}", r="4", fill=_COLOURS.get(entry.outcome, "#444"))
        )
    line = tag("polyline", points=" ".join(points), fill="none", stroke="#888", stroke_width="1.5")
    ends = (
        tag("text", significant(high), x="2", y="14", font_size="11", fill="#888"),
        tag("text", significant(low), x="2", y=str(_HEIGHT - 4), font_size="11", fill="#888"),
    )
    alt = f"{metric} over {len(entries)} gates, from {significant(low)} to {significant(high)}"
    return tag(
        "svg", line, *dots, *ends, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=clean(alt)
    )


def _rows(entries: Sequence[Entry]) -> Html:
    head = tag("tr", *(tag("th", name) for name in ("when", "commit", "value", "change", "95 %", "outcome")))
    rows = [
        tag(
            "tr",
            tag("td", clean(entry.at)),
            tag("td", clean(entry.commit[:12])),
            tag("td", "?" if entry.value is None else significant(entry.value)),
            tag("td", "?" if entry.ratio is None else f"{(entry.ratio - 1) * 100:+.1f} %"),
            tag(
                "td",
                "?"
                if entry.low is None or entry.high is None
                else f"{(entry.low - 1) * 100:+.1f} to {(entry.high - 1) * 100:+.1f} %",
            ),
            tag("td", entry.outcome),
        )
        for entry in reversed(entries)
    ]
    return tag("table", head, *rows)

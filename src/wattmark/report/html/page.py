"""The frame of a report: one HTML file that loads nothing, works offline, in light and dark, on paper and on a phone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from wattmark.report.drawing.style import inline_svg
from wattmark.report.figures.training import Figure, Panel
from wattmark.report.html.markup import Html, join, tag


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page. key: its anchor. absent: it only says why something is not there."""

    key: str
    title: str
    body: Html
    absent: bool = False


def page(title: str, intro: Html, sections: Sequence[Section], footer: str) -> Html:
    """The whole document. Its policy forbids every request, and every script but the one for the light and dark switch."""
    style, script = _asset("report.css"), _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content="Wattmark"),
        tag("title", title),
        tag("style", style),
    )
    links = (
        tag("li", tag("a", section.title, href=f"#{section.key}"))
        for section in sections
        if not section.absent
    )
    switch = tag(
        "button", "Dark", id="theme", type="button", hidden=True, title="Switch between light and dark"
    )
    body = tag(
        "body",
        tag("a", "Skip to the results", href="#main", class_="skip"),
        tag(
            "header",
            tag("div", tag("h1", title), switch, class_="top"),
            intro,
            tag("nav", tag("ul", links), aria_label="Contents"),
        ),
        tag("main", map(_section, sections), id="main"),
        tag("footer", tag("p", footer)),
        tag("script", script),
    )
    return join(Html("<!doctype html>\n"), tag("html", head, body, lang="en"))


def _section(section: Section) -> Html:
    return tag(
        "section",
        tag("h2", section.title),
        section.body,
        id=section.key,
        class_="absent" if section.absent else None,
    )


def figure_section(figure: Figure) -> Html:
    """A figure's lead and its panels, or why the study's data do not carry it."""
    if figure.absent:
        return tag("p", f"Not drawn: {figure.absent}.")
    return join(
        tag("p", figure.lead, class_="lead"),
        tag("div", (_panel(panel) for panel in figure.panels), class_="panels"),
    )


def _panel(panel: Panel) -> Html:
    drawing = panel.draw()
    svg = inline_svg(drawing.figure, panel.key, panel.alt, drawing.tips)
    caption = tag("figcaption", panel.title)
    if not panel.wide:
        return tag("figure", caption, svg)
    scroll = tag("div", svg, class_="scroll", tabindex="0", role="region", aria_label=panel.title)
    return tag("figure", caption, scroll, class_="wide")


def _asset(name: str) -> Html:
    """A file of this package that goes into the page as it is."""
    text = resources.files("wattmark.report").joinpath("assets", name).read_text(encoding="utf-8")
    assert "</" not in text, "a style sheet or script with an end tag would end its element"
    return Html(text)

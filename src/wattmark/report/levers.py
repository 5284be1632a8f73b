"""Levers that were tried, as one HTML file: the picture of energy against time, the table, what was not tried and why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wattmark.advise.levers import outputs
from wattmark.advise.levers.race import Share
from wattmark.advise.levers.result import LeverResult, Tried
from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import points
from wattmark.report.drawing.marks import Drawing, Point
from wattmark.report.drawing.style import BLUE, MUTED
from wattmark.report.figures.training import Figure, Panel
from wattmark.report.html.markup import Html, join, tag
from wattmark.report.html.page import Section, figure_section, page
from wattmark.studies.analysis.pareto import front
from wattmark.text import clean
from wattmark.units import format_duration


def levers_page(tried: Tried) -> str:
    """One page. Raises MissingExtra without matplotlib."""
    intro = join(
        tag("p", clean(tried.words), class_="lead"),
        tag("p", "Command: ", tag("code", clean(" ".join(tried.command)))),
        tag("p", f"{len(tried.base)} runs of it as it is, in {format_duration(tried.seconds)} in all."),
        tag("ul", (tag("li", clean(note)) for note in outputs.notes_of(tried))),
    )
    sections = [
        Section("picture", "What each lever leaves", figure_section(picture(tried))),
        Section("table", "All levers", _table(outputs.heads(tried), outputs.rows_of(tried))),
        *_keeping(tried),
        Section("not-tried", "Not tried", _table(("lever", "why"), outputs.left_out(tried))),
    ]
    return str(
        page(
            "Levers tried",
            intro,
            sections,
            f"Made by wattmark try; its runs: wattmark ls --tag try={tried.tag}",
        )
    )


def _keeping(tried: Tried) -> list[Section]:
    if tried.winner is None:
        return []
    return [Section("keep", "How to keep it", tag("pre", clean(tried.winner.lever.permanent)))]


def picture(tried: Tried) -> Figure:
    """What is judged against time, both as shares of the command as it is; on the dashed line no lever is better in both."""
    shown = [
        one for one in (*tried.levers, *([tried.winner] if tried.winner else [])) if one.used and one.time
    ]
    word = outputs.used_word(tried)
    if not shown:
        return Figure("picture", "What each lever leaves", "", absent="no lever was measured")
    lead = (
        f"Each point is a lever: what is left of the {word} and of the time of the command as it is (100 %). Blue: "
        "nothing else is cheaper and faster."
    )
    alt = f"Points: {word} against time under {len(shown)} levers, as shares of the command as it is"
    panel = Panel("picture", f"{word} against time", alt, lambda: _drawn(shown, word), wide=True)
    return Figure("picture", "What each lever leaves", lead, [panel])


def _drawn(shown: Sequence[LeverResult], word: str) -> Drawing:
    whole = Share(1.0, 1.0, 1.0, 0)
    pairs = [("as it is", whole, whole)]
    pairs += [
        (f"{one.lever.name}{' (confirmed)' if one.confirmed else ''}", one.used, one.time)
        for one in shown
        if one.used is not None and one.time is not None
    ]
    used = np.array([each.value for _, each, _ in pairs], np.float64)
    fast = np.array([-each.value for _, _, each in pairs], np.float64)
    best = front(used, fast) > 0
    items = [
        Point(clean(name), _percent(own), _percent(time), None, BLUE if on else MUTED, True)
        for (name, own, time), on in zip(pairs, best.tolist(), strict=True)
    ]
    line = sorted(
        (100 * own.value, 100 * time.value)
        for (_, own, time), on in zip(pairs, best.tolist(), strict=True)
        if on
    )
    return points(items, f"{word} (% of as it is)", "time (% of as it is)", front=line, wide=True)


def _percent(share: Share) -> Quantity:
    value = 100 * share.value
    if share.low is None or share.high is None:
        return Quantity.exact(value, "%")
    return Quantity(value, 100 * share.low, 100 * share.high, "%")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    body = (tag("tr", (tag("td", clean(text)) for text in row)) for row in rows)
    return tag(
        "div",
        tag("table", tag("tr", (tag("th", head) for head in heads)), body),
        class_="scroll",
        tabindex="0",
    )

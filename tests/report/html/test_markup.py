from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wattmark.report.html.markup import Html, escape, join, tag


@given(st.text())
def test_text_never_becomes_markup(text: str) -> None:
    shown = tag("p", text, title=text)
    assert shown.count("<") == 2
    assert shown.count(">") == 2
    assert shown.count('"') == 2
    assert "\x00" not in shown


def test_markup_is_escaped_once() -> None:
    inner = tag("b", "a < b")
    assert inner == "<b>a &lt; b</b>"
    assert join(inner, None, ["&", 3]) == "<b>a &lt; b</b>&amp;3"
    assert escape(Html("<br>")) == "<br>"


def test_attributes() -> None:
    assert (
        tag("td", class_="n", aria_label="x", hidden=True, title=None)
        == '<td class="n" aria-label="x" hidden></td>'
    )
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'

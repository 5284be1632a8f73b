from __future__ import annotations

from xml.etree import ElementTree

from wattmark.lifecycle.cycle.question import cycle
from wattmark.report.cycle import picture


def test_a_picture_has_every_model_and_no_markup_of_a_name() -> None:
    answer = cycle(
        {
            "<script>": {"training": "1 kJ", "inference": "3 J"},
            "b": {"training": "0 J", "inference": "4-5 J"},
        }
    )
    text = picture(answer)
    assert "<script>" not in text
    root = ElementTree.fromstring(text)
    titles = [node.text for node in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "<script>" in titles
    assert "b" in titles
    assert any(title and "is below b from" in title for title in titles)


def test_a_model_that_takes_nothing_can_be_drawn() -> None:
    ElementTree.fromstring(picture(cycle({"a": {"training": "0 J", "inference": "0 J"}})))

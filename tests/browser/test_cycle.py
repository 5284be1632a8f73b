"""The full cycle in a real browser: stages in the address, a slider for how much a model is used."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from fakes.browser import shot

pytestmark = pytest.mark.timeout(600)
STAGES = "big.training=100 kWh +-10%\nbig.inference=2 J\nsmall.compression=5 kWh\nsmall.inference=0.5-0.7 J"


def test_the_slider_moves_along_the_number_of_uses(page, board):
    page.goto(board.at(f"#/cycle?stages={quote(STAGES)}&from={quote('small=big')}"))
    slider = page.get_by_role("slider", name="How much it is used")
    slider.wait_for()

    def cheapest() -> str:
        return page.locator("tbody tr[data-model]").first.get_attribute("data-model")

    slider.evaluate(
        "(node) => { node.value = node.max; node.dispatchEvent(new Event('input', { bubbles: true })) }"
    )
    page.get_by_text("the cheapest", exact=True).wait_for()
    assert cheapest() == "small"
    slider.evaluate("(node) => { node.value = 0; node.dispatchEvent(new Event('input', { bubbles: true })) }")
    page.wait_for_function("document.querySelector('tbody tr[data-model]').dataset.model === 'big'")
    assert "uses=" in page.url
    assert page.get_by_text("small is below big from").is_visible()
    assert page.get_by_text("beside: recommendation model RM1, energy").is_visible()
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert slider.input_value() == "1"
    shot(page, "cycle")


def test_what_is_not_understood_is_said_beside_the_form(page, board, open_page):
    page.goto(board.at("#/cycle"))
    page.get_by_text("no run has the tags model and stage").wait_for()
    page.get_by_label("Stages, one a line").fill("<b>m</b>.training=1 kg")
    page.get_by_role("button", name="Add up").click()
    page.get_by_text("is not understood").wait_for()
    assert page.locator("main b").count() == 0
    open_page.complaints.clear()  # the browser tells of the answer 422, too

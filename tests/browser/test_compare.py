"""Comparison in a real browser: verdicts, measures, refusals, baseline, curves, what differs."""

from __future__ import annotations

import pytest

from fakes.browser import HARMFUL, shot

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def digits(board) -> list[str]:
    listed = board.api("runs")
    return [run_id for run_id, name in zip(listed["id"], listed["name"], strict=True) if name == "digits"]


@pytest.fixture
def compare(page, board, digits):
    page.goto(board.at(f"#/compare/{digits[0]}/{digits[1]}/{board.runs['answers']}"))
    page.get_by_role("heading", name="What differs").wait_for()
    return page


def test_the_verdict_is_that_of_the_api(compare, board, digits):
    said = board.api(f"compare?run={digits[0]}&run={digits[1]}&run={board.runs['answers']}")
    for entry in said["entries"][1:]:
        compare.get_by_text(entry["sentence"]).wait_for()
        assert compare.get_by_text(entry["values"]["energy_j"]["verdict"]).count() >= 1
    shot(compare, "compare")


def test_measures_that_not_all_know_cannot_be_chosen_and_say_why(compare, board, digits):
    option = compare.locator("option", has_text="energy per token")
    assert option.get_attribute("disabled") is not None
    compare.get_by_text("what cannot be offered").click()
    compare.get_by_text("energy per token: not known in digits").wait_for()
    compare.goto(board.at(f"#/compare/{digits[0]}/{digits[1]}"))
    compare.get_by_label("Compare by").select_option("energy_j/samples")
    compare.get_by_role("columnheader", name="energy per sample").wait_for()
    compare.reload()
    compare.get_by_role("columnheader", name="energy per sample").wait_for()


def test_another_baseline_and_fewer_runs(compare, board, digits):
    compare.get_by_role("radio").nth(1).check()
    compare.locator("tr.base", has_text=digits[1]).wait_for()
    assert f"base={digits[1]}" in compare.url
    compare.get_by_role("button", name="Take out C answers").click()
    compare.get_by_role("link", name="answers").wait_for(state="detached")


def test_repeats_become_one_entry(compare):
    compare.get_by_label("repeats of one configuration together").check()
    compare.get_by_text("2 repeats").wait_for()
    assert "repeats=1" in compare.url


def test_curves_are_aligned_by_start_share_and_span(compare):
    compare.locator(".plot canvas").wait_for()
    compare.get_by_label("aligned by").select_option("share")
    compare.get_by_text("The same as a table").click()
    compare.get_by_role("columnheader", name="share", exact=True).wait_for()
    compare.get_by_label("aligned by").select_option("span")
    compare.get_by_text("Without that span: C.").wait_for()
    compare.get_by_label("show").select_option("energy")
    assert "align=span" in compare.url


def test_runs_are_found_by_search(page, board, digits):
    page.goto(board.at("#/compare"))
    page.get_by_role("heading", name="Nothing to compare yet").wait_for()
    page.get_by_role("searchbox").fill("digits")
    page.get_by_role("button", name="Add all 2").click()
    page.get_by_role("heading", name="What differs").wait_for()
    page.get_by_role("searchbox").fill("script")
    page.get_by_role("button", name=HARMFUL).click()
    page.get_by_role("link", name=HARMFUL).wait_for()
    assert page.locator("main img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(open_page, board, digits, scheme):
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.goto(board.at(f"#/compare/{digits[0]}/{digits[1]}/{board.runs['answers']}"))
    page.locator(".plot canvas").wait_for()
    shot(page, f"compare-phone-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

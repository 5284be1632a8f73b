"""Comparison in a real browser: verdicts, measures, refusals, baseline, curves, what differs."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from fakes.browser import HARMFUL, shot
from fakes.records import shared_record
from wattmark.store import open_store
from wattmark.workspace.runs import keep

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


@pytest.fixture(scope="module")
def shared(board) -> Iterator[None]:
    """Runs of a machine that others kept busy, gone again before other tests count the runs."""
    with open_store(None, board.env) as store:
        keep(store, shared_record("shared-busy", others=10.0))
        keep(store, shared_record("shared-large", others=8.0, level_w=90.0))
    yield
    with open_store(None, board.env) as store:
        store.remove(["shared-busy", "shared-large"])


def test_where_others_were_busy_the_process_tree_comes_first_on_every_view(open_page, board, shared):
    page = open_page()
    page.goto(board.at("#/runs?q=shared-"))
    page.get_by_text("* of the process tree").wait_for()
    assert page.get_by_role("row", name=re.compile("shared-busy")).inner_text().count("*") == 1
    page.goto(board.at("#/run/shared-busy"))
    whose = page.locator("[data-testid=whose]")
    whose.wait_for()
    assert whose.inner_text().startswith(
        "This process tree; other work used 50 % of the CPUs. The whole machine: 400 J"
    )
    page.goto(board.at("#/compare/shared-busy/shared-large"))
    page.get_by_text("the energies are those of the process trees").first.wait_for()
    value = board.api("compare?run=shared-busy&run=shared-large")["entries"][1]["values"]["energy_j"]
    cell = page.locator("td.verdict").nth(1)
    assert cell.inner_text().startswith(value["verdict"])
    assert " times [" in value["verdict"]
    assert value["difference"]["rests_on"][0] in cell.inner_text()
    line = page.locator(".baseline").nth(1).bounding_box()["x"]
    bar = page.locator(".track .bar").first.bounding_box()
    assert (bar["x"] > line or bar["x"] + bar["width"] < line) == value["difference"]["clear"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_whose_joules_and_how_sure_fit_a_phone_and_a_desk(open_page, board, shared, width, scheme):
    page = open_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for address, ready in (
        ("run/shared-busy", "#budget"),
        ("compare/shared-busy/shared-large", "td.verdict .note"),
    ):
        page.goto(board.at(f"#/{address}"))
        page.locator(ready).first.wait_for()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        inside = """[...document.querySelectorAll('.track')].every((track) => [...track.children].every((part) => {
          const [a, b] = [track.getBoundingClientRect(), part.getBoundingClientRect()]
          return b.left >= a.left - 3 && b.right <= a.right + 3 }))"""
        assert page.evaluate(inside)  # no bar below zero joules, none beyond its scale
        shot(page, f"{address.split('/')[0]}-{width}-{scheme}")

"""The table of runs in a real browser: search, groups, totals, edits, export, removal and its undo, a run that goes on."""

from __future__ import annotations

import pytest

from fakes.browser import GROWING, HARMFUL, shot

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def runs(page, board):
    page.goto(board.at("#/runs"))
    page.get_by_role("link", name="answers").wait_for()
    return page


def names(page) -> list[str]:
    return [text.strip() for text in page.locator("tbody tr td a").all_inner_texts()]


def test_search_and_filters_act_at_once_and_live_in_the_address(runs, board):
    assert sorted(names(runs)) == sorted(["digits", "digits", "answers", HARMFUL])
    runs.get_by_role("searchbox").fill("model=mlp")
    runs.get_by_text("2 of 4 runs").wait_for()
    assert names(runs) == ["digits", "digits"]
    runs.reload()
    runs.get_by_text("2 of 4 runs").wait_for()
    runs.get_by_role("button", name="Clear filters").click()
    runs.get_by_label("Tag", exact=True).fill("project=demo")
    runs.get_by_label("Tag", exact=True).press("Enter")
    runs.get_by_text("3 of 4 runs").wait_for()
    runs.get_by_label("Status").select_option("failed")
    runs.get_by_text("No run fits these filters.").wait_for()


def test_a_harmful_name_is_text(runs):
    assert runs.get_by_role("link", name=HARMFUL).count() == 1
    assert runs.locator("main img").count() == 0


def test_sorting_by_energy_is_told_to_screen_readers(runs):
    runs.get_by_role("button", name="Energy").click()
    header = runs.get_by_role("columnheader", name="Energy")
    assert header.get_attribute("aria-sort") == "descending"
    runs.get_by_role("button", name="Energy").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert "sort=energy" in runs.url


def test_groups_have_the_sums_of_the_api(runs, board):
    runs.get_by_label("Group by").select_option("project")
    row = runs.locator("tr.group", has_text="demo")
    row.get_by_text("3 runs").wait_for()
    row.locator("td strong").wait_for()
    shown = row.locator("td strong").inner_text()
    listed = board.api("runs")
    mine = [  # the process tree's where other work kept the machine busy
        whole if tree is None else tree
        for tree, whole in zip(listed["tree"]["value"], listed["energy"]["value"], strict=True)
    ]
    total = sum(
        value for value, tags in zip(mine, listed["tags"], strict=True) if tags.get("project") == "demo"
    )
    number, unit = shown.split()
    assert float(number.replace(",", "")) * {"mJ": 1e-3, "J": 1, "kJ": 1e3}[unit] == pytest.approx(
        total, rel=0.02
    )
    runs.get_by_role("button", name="demo", exact=True).click()
    assert names(runs) == [HARMFUL]


def test_totals_over_time_and_equivalents_that_are_off_until_asked_for(runs):
    runs.get_by_role("button", name="Totals").click()
    runs.get_by_role("heading", name="Totals over time").wait_for()
    runs.get_by_text("How this is added up").wait_for()
    assert runs.get_by_text("charges of a smartphone").count() == 0
    runs.get_by_label("Everyday equivalents").check()
    runs.get_by_text("charges of a smartphone").wait_for()
    assert runs.locator(".everyday a[href*='epa.gov']").count() == 2
    runs.locator("figure svg").first.wait_for()
    shot(runs, "runs-totals")
    runs.reload()
    runs.get_by_text("charges of a smartphone").wait_for()


def test_tags_and_notes_are_written_in_place_and_kept(runs, board):
    run_id = board.runs["answers"]
    runs.get_by_role("button", name="Note on answers").click()
    runs.get_by_label("Note on answers").fill("the good one")
    runs.get_by_label("Note on answers").press("Enter")
    runs.get_by_role("button", name="Note on answers: the good one; change").wait_for()
    runs.get_by_role("button", name="Tags of answers").click()
    runs.get_by_label("Tags of answers").fill('project=demo "why=two words"')
    runs.get_by_label("Tags of answers").press("Enter")
    runs.get_by_role("button", name="why=two words").wait_for()
    listed = board.api("runs")
    at = listed["id"].index(run_id)
    assert listed["note"][at] == "the good one"
    assert listed["tags"][at] == {"project": "demo", "why": "two words"}
    runs.get_by_role("button", name="Note on answers").click()
    runs.get_by_label("Note on answers").fill("never mind")
    runs.get_by_label("Note on answers").press("Escape")
    runs.get_by_role("button", name="Note on answers: the good one; change").wait_for()


def test_selected_runs_are_compared_and_exported(runs):
    for box in runs.get_by_label("Select digits").all():
        box.check()
    bar = runs.get_by_role("toolbar", name="Selected runs")
    bar.get_by_text("2 selected").wait_for()
    runs.reload()
    bar.get_by_text("2 selected").wait_for()
    for words, ending in (("CSV tables", ".csv.zip"), ("JSON", ".json"), ("HTML page", ".html")):
        bar.get_by_text("Export", exact=True).click()
        with runs.expect_download() as download:
            bar.get_by_role("link", name=words).click()
        assert download.value.suggested_filename.endswith(ending)
        bar.get_by_text("Export", exact=True).click()
    bar.get_by_role("button", name="Compare").click()
    runs.get_by_role("heading", name="What differs").wait_for()


def test_deleting_asks_and_can_be_undone_also_after_a_reload(runs, board):
    runs.get_by_label("Select answers").check()
    runs.get_by_role("button", name="Delete …").click()
    dialog = runs.get_by_role("dialog")
    dialog.get_by_role("button", name="Keep them").click()
    assert runs.get_by_role("link", name="answers").count() == 1
    runs.get_by_role("button", name="Delete …").click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    runs.locator(".trash").wait_for()
    assert runs.get_by_role("link", name="answers").count() == 0
    runs.reload()
    runs.get_by_role("button", name="Undo").click()
    runs.get_by_role("link", name="answers").wait_for()
    assert board.runs["answers"] in board.api("runs")["id"]


def test_a_run_of_another_process_appears_first_and_grows(runs, board):
    process = board.script(GROWING)
    try:
        row = runs.locator("tbody tr", has=runs.get_by_role("link", name="growing"))
        row.wait_for()
        assert names(runs)[0] == "growing"
        assert "running" in row.inner_text()
        first = row.locator("td.number").first.inner_text()
        runs.wait_for_function(
            "before => document.querySelector('tbody td.number').innerText !== before", arg=first
        )
    finally:
        process.terminate()
        process.wait(20)
    row.get_by_text("running", exact=True).first.wait_for(state="detached")
    board.wattmark("rm", "growing", "--yes")  # other tests know which runs there are


def test_the_keyboard_alone_is_enough(runs):
    runs.get_by_role("searchbox").focus()
    runs.keyboard.type("digits")
    runs.get_by_text(" of ").first.wait_for()
    box = runs.get_by_label("Select digits").first
    box.focus()
    runs.keyboard.press("Space")
    runs.get_by_text("1 selected").wait_for()
    runs.get_by_role("link", name="digits").first.focus()
    runs.keyboard.press("Enter")
    runs.wait_for_url("**/#/run/**")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(open_page, board, scheme):
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.goto(board.at("#/runs?totals=1"))
    page.get_by_text("How this is added up").wait_for()
    shot(page, f"runs-phone-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

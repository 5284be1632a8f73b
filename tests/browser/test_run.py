from __future__ import annotations

import re
import signal

import pytest

from fakes.browser import GROWING, HARMFUL, shot

pytestmark = pytest.mark.timeout(600)
SELECTED = "[data-testid=selected-energy] strong"


def go(page, board, address: str) -> None:
    page.goto(board.at(address))
    # Until the view is loaded, the one before it is shown.
    page.wait_for_selector("#name, main [role=alert]" if address.startswith("#/run/") else "h1")


@pytest.fixture
def digits(page, board):
    """The run ``digits`` with its chart drawn."""
    go(page, board, f"#/run/{board.runs['digits']}")
    page.wait_for_selector(".u-over")
    page.wait_for_selector(SELECTED)
    return page


def joules(text: str) -> float:
    """A number with its unit, as the page writes it, in joules."""
    value, unit = re.match(r"([\d.,]+) (\S+)", text).groups()
    return float(value.replace(",", "")) * {"mJ": 1e-3, "J": 1, "kJ": 1e3, "MJ": 1e6}[unit]


def test_a_run_is_shown_with_its_power_its_spans_and_how_it_was_computed(digits, board):
    shot(digits, "run")
    told = board.api(f"runs/{board.runs['digits']}")
    assert joules(digits.inner_text("[data-testid=run-energy] strong")) == pytest.approx(
        told["headline"]["energy"]["value"], rel=0.01
    )
    words = {"tree": "This process tree; other work used", "machine": "The whole machine"}
    assert digits.inner_text("[data-testid=whose]").startswith(words[told["headline"]["scope"]])
    budget = digits.get_by_role("region", name="Where the uncertainty comes from")
    assert budget.get_by_role("listitem").count() == len(told["budget"])
    assert told["budget"][0]["remedy"] in budget.get_by_role("listitem").first.inner_text()
    assert digits.get_by_role("row", name=re.compile("epoch 4 ")).count() == 1
    assert digits.get_by_role("treeitem", name=re.compile("train")).count() == 1
    assert digits.get_by_role("heading", name="How this was computed").is_visible()
    links = digits.locator(".term a").evaluate_all("found => found.map(one => one.href)")
    assert links
    assert all(link.startswith("https://") for link in links)
    assert digits.get_by_label("Lines of the chart").inner_text().count("measured") == 2


def test_the_brush_reads_what_the_api_answers(digits, board):
    box = digits.get_by_role("slider", name="Selected part of the run").bounding_box()
    middle = box["y"] + box["height"] / 2
    digits.mouse.move(box["x"] + box["width"] * 0.25, middle)
    digits.mouse.down()
    digits.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=4)
    digits.mouse.up()
    digits.wait_for_url(re.compile(r"a=[\d.]+&b=[\d.]+"))
    a, b = (float(part) for part in re.search(r"a=([\d.]+)&b=([\d.]+)", digits.url).groups())
    told = board.api(f"runs/{board.runs['digits']}/energy?from_s={a}&to_s={b}")
    digits.wait_for_function("document.querySelector('#selection').textContent === 'Selected part'")
    digits.wait_for_load_state("networkidle")
    assert joules(digits.inner_text(SELECTED)) == pytest.approx(told["headline"]["value"], rel=0.01)
    assert 0 < told["energy"]["value"] < board.api(f"runs/{board.runs['digits']}")["energy"]["value"]
    digits.reload()
    digits.wait_for_selector(".brush")
    assert joules(digits.inner_text(SELECTED)) == pytest.approx(told["headline"]["value"], rel=0.01)


def test_everything_is_reached_by_keys(digits):
    brush = digits.get_by_role("slider", name="Selected part of the run")
    brush.focus()
    digits.keyboard.press("ArrowRight")
    digits.wait_for_selector(".brush")
    before = brush.get_attribute("aria-valuetext")
    digits.keyboard.press("Shift+ArrowRight")
    digits.wait_for_function(
        "text => document.querySelector('[role=slider]').getAttribute('aria-valuetext') !== text", arg=before
    )
    digits.keyboard.press("Enter")
    digits.wait_for_url(re.compile("from="))
    digits.keyboard.press("Escape")
    digits.wait_for_function("!document.querySelector('.brush')")
    tree = digits.get_by_role("tree")
    tree.focus()
    digits.keyboard.press("ArrowRight")
    digits.wait_for_selector("[role=treeitem][aria-level='2']")
    digits.keyboard.press("ArrowDown")
    digits.keyboard.press("Enter")
    digits.wait_for_selector(".brush")
    assert digits.get_by_role("treeitem").nth(1).get_attribute("aria-selected") == "true"


def test_modes_and_zoom_survive_a_reload(digits, board):
    digits.get_by_role("button", name="Stacked").click()
    digits.get_by_role("button", name="Zoom in").click()
    digits.wait_for_url(re.compile("(?=.*from=)(?=.*mode=stacked)"))
    shot(digits, "run-stacked")
    digits.reload()
    digits.wait_for_selector(".u-over")
    assert digits.get_by_role("button", name="Stacked").get_attribute("aria-pressed") == "true"
    assert digits.get_by_role("button", name="Whole run").is_enabled()


def test_a_harmful_name_is_only_text(page, board):
    go(page, board, f"#/run/{board.runs[HARMFUL]}")
    assert page.inner_text("h1") == HARMFUL
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(open_page, board, scheme):
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    go(page, board, f"#/run/{board.runs['digits']}")
    page.wait_for_selector(SELECTED)
    shot(page, f"run-phone-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.documentElement.dataset.theme") == scheme


def test_requests_and_what_they_cost(page, board):
    go(page, board, f"#/run/{board.runs['answers']}")
    page.wait_for_selector("text=requests in flight")
    page.get_by_role("cell", name="tokens").or_(page.get_by_role("rowheader", name="tokens")).first.wait_for()
    shot(page, "run-answers")


def live_run(page, board, name: str) -> str:
    """The id of a run that goes on, as soon as it is told."""
    for _ in range(300):
        for run in board.api("runs/live"):
            if run["name"] == name:
                return run["run_id"]
        page.wait_for_timeout(100)
    raise AssertionError(f"{name} never appeared")


def test_a_running_job_of_another_process_appears_grows_and_ends(page, board):
    job = board.script(GROWING)
    try:
        run_id = live_run(page, board, "growing")
        go(page, board, f"#/run/{run_id}")
        page.get_by_text("live", exact=True).wait_for()
        page.wait_for_selector(".u-over")
        total = "Number(document.querySelector('#spans + span').textContent.match(/[0-9]+/)[0])"
        before = page.evaluate(total)
        page.wait_for_function(f"before => {total} > before + 5", arg=before)
    finally:
        job.send_signal(signal.SIGTERM)
        job.wait(30)
    page.get_by_text("live", exact=True).wait_for(state="detached")
    page.get_by_text(re.compile("completed|failed|interrupted"), exact=True).first.wait_for()
    assert board.api(f"runs/{run_id}")["energy"]["value"] > 0
    board.wattmark("rm", run_id, "--yes")  # other tests know which runs there are


@pytest.mark.parametrize("name", ["digits", HARMFUL])
def test_a_run_saved_as_one_page_works_without_a_server(chromium, page, board, tmp_path, name):
    go(page, board, f"#/run/{board.runs[name]}")
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as one page").click()
    saved = tmp_path / "run.html"
    download.value.save_as(saved)
    context = chromium.new_context(offline=True)
    complaints = []
    alone = context.new_page()
    alone.on("console", lambda said: complaints.append(said.text))
    alone.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:")) else complaints.append(asked.url),
    )
    alone.goto(saved.as_uri())
    alone.wait_for_selector(".u-over")
    assert alone.inner_text("h1") == name
    assert alone.inner_text("[data-testid=run-energy]") == page.inner_text("[data-testid=run-energy]")
    alone.get_by_role("button", name="By channel").click()
    alone.get_by_label("Lines of the chart").get_by_text("cpu0/package").wait_for()
    shot(alone, "run-saved")
    context.close()
    assert complaints == []

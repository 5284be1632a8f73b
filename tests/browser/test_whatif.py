"""What if in a real browser: scenarios in the address; what EnergyVis could do, tick by tick; its faults stay away."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote

import pytest

from fakes.trainings import training
from wattmark.store.portable import FORMAT, VERSION, to_plain

SAMPLE = {
    "name": "Sample Profile",
    "components": {"cpu": {"Intel i7 2600K": 1}, "gpu": {"geforce-gtx-1080-ti": 4}},
    "serverData": {"cpu": {"epoch": [0.05] * 6}, "gpu": {"epoch": [0.05] * 6}},
    "location": "California",
    "PUE": 1.59,
}
EPOCHS = """
import time
import wattmark as wm

with wm.measure("epochs that go on") as run:
    while True:
        with run.span("epoch", samples=10):
            time.sleep(0.3)
"""


@pytest.fixture(scope="module")
def trainings(board, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Runs of machines with GPUs, brought into the store as anybody's exported runs are."""
    runs = [training("train1", "training"), training("train2", "smaller", gpu_w=150, epochs=4)]
    path = tmp_path_factory.mktemp("exports") / "runs.json"
    path.write_text(
        json.dumps({"format": FORMAT, "version": VERSION, "runs": [to_plain(run) for run in runs]})
    )
    board.wattmark("import", str(path))


@pytest.fixture
def view(page, board, trainings):
    """Opens What if for a run, with alternatives in the address."""

    def show(run: str = "train1", alternatives: list[dict] | None = None, more: str = "", at=page):
        asked = f"?alt={quote(json.dumps(alternatives))}" if alternatives else "?"
        at.goto(board.at(f"#/whatif/{run}{asked}{more}"))
        at.wait_for_selector("[data-pointed], .under")
        at.wait_for_selector("figure svg path", state="attached")
        return at

    return show


def scenario(page) -> list[dict]:
    """The alternatives that the address holds."""
    query = parse_qs(page.url.partition("#")[2].partition("?")[2])
    return json.loads(query["alt"][0]) if "alt" in query else []


def until(page, javascript: str) -> None:
    """Wait for an expression to be true (Playwright's own waiting needs eval, which the page's policy forbids)."""
    deadline = time.monotonic() + 30
    while not page.evaluate(javascript):
        assert time.monotonic() < deadline, f"never: {javascript}"
        page.wait_for_timeout(50)


def card(page, index: int = 0):
    """The panel of one alternative, once it has an answer."""
    found = page.locator(f"[data-alternative='{index}']")
    page.locator(f"[data-alternative='{index}'][aria-busy=false] dl").wait_for()
    return found


def choose_place(page, text: str) -> None:
    page.get_by_role("combobox", name="Search a country").fill(text)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")


def opened(page, control: str):
    """One section of controls, unfolded."""
    section = page.locator(f"#control-{control}")
    if section.get_attribute("open") is None:
        section.locator("summary").first.click()
    return section


def profile(tmp_path: Path, **changes: object) -> str:
    path = tmp_path / f"{changes.get('name', 'profile')}.json"
    path.write_text(json.dumps({**SAMPLE, **changes}))
    return str(path)


# ---- the scenario


def test_the_whole_scenario_survives_a_reload_from_its_address(view, page):
    view()
    choose_place(page, "Sweden")
    card(page)
    page.get_by_role("button", name="Pin this, change a copy").click()
    choose_place(page, "Poland")
    opened(page, "epochs").get_by_label("Epochs in all", exact=True).fill("20")
    page.keyboard.press("Tab")
    opened(page, "hardware").get_by_role("combobox").fill("h100 sxm")
    page.get_by_role("option", name="H100 SXM").first.click()
    page.get_by_label(re.compile("How many")).fill("8")
    page.keyboard.press("Tab")
    wanted = [{"zone": "SE"}, {"zone": "PL", "epochs": 20, "hardware": [["h100-sxm", 8]]}]
    until(page, "location.hash.includes('h100-sxm%22%2C8')")
    assert scenario(page) == wanted
    said = card(page, 1).inner_text()
    page.reload()
    until(page, "document.querySelector(\"[data-alternative='1'] input\")?.value.includes('Poland')")
    assert scenario(page) == wanted
    assert card(page, 1).inner_text() == said
    assert card(page, 0).locator("input").input_value() == "Sweden"


def test_undo_and_redo_go_through_the_steps(view, page):
    view()
    choose_place(page, "Sweden")
    choose_place(page, "Poland")
    page.get_by_role("button", name="Undo").click()
    assert scenario(page) == [{"zone": "SE"}]
    page.get_by_role("button", name="Undo").click()
    assert scenario(page) == []
    page.get_by_role("button", name="Redo").click()
    page.get_by_role("button", name="Redo").click()
    assert scenario(page) == [{"zone": "PL"}]
    assert page.get_by_role("button", name="Redo").is_disabled()


def test_everything_works_by_keyboard_alone(view, page):
    view()
    page.get_by_role("combobox", name="Search a country").focus()
    page.keyboard.type("norway")
    page.keyboard.press("ArrowDown")
    page.locator("[data-preview]").wait_for()  # pointing at it by arrow previews it as the mouse does
    page.keyboard.press("Enter")
    assert scenario(page) == [{"zone": "NO"}]
    page.locator("#control-pue summary").focus()
    page.keyboard.press("Enter")
    page.locator("#control-pue").get_by_label("Building", exact=True).focus()
    page.keyboard.type("average")
    until(page, "location.hash.includes('average')")
    page.get_by_role("button", name="Reset").focus()
    page.keyboard.press("Enter")
    assert scenario(page) == []


def test_a_price_is_the_users_and_never_made_up(view, page):
    view(more="&show=cost")
    page.get_by_text("No price is known").wait_for()
    price = opened(page, "price")
    price.get_by_label("Price of a kWh").fill("0.25")
    price.get_by_label("Currency").fill("EUR")
    page.keyboard.press("Tab")
    page.locator("section[aria-label='Chart'] figure svg path").first.wait_for(state="attached")
    assert "EUR" in page.locator("section[aria-label='Chart']").inner_text()


def test_what_cannot_be_is_said_beside_its_alternative(view, page, open_page):
    view(alternatives=[{"zone": "Atlantis"}, {"zone": "SE"}])
    assert "Atlantis" in page.locator("[data-alternative='0'] [role=alert]").inner_text()
    card(page, 1)
    open_page.complaints.clear()  # the browser itself complains of the refused request


def test_a_phone_shows_it_all_without_sideways_scrolling(view, open_page):
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    view(alternatives=[{"zone": "SE", "hardware": [["h100-sxm", 8]], "epochs": 20}], at=page)
    card(page)
    for name in ("pue", "hardware", "epochs", "cap", "levels", "price", "original"):
        opened(page, name)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


# ---- EnergyVis, tick by tick


def test_energyvis_tick_several_profiles_with_main_and_alternative(view, page, tmp_path):
    view()
    section = page.get_by_text("Other runs").locator("xpath=..")
    section.locator("summary").click()
    files = [
        profile(tmp_path, name="first profile"),
        profile(tmp_path, name="second profile", location="Texas"),
    ]
    section.locator("input[type=file]").set_input_files(files)
    until(page, "document.querySelectorAll('[data-alternative]').length === 2")
    assert card(page, 0).locator("input").input_value() == "first profile"
    card(page, 1).get_by_role("button", name="Make it the original").click()
    page.get_by_role("heading", name="What if: second profile").wait_for()
    assert [one["run"].split("-")[0] for one in scenario(page)] == ["energyvis", "train1"]


def test_energyvis_tick_import_of_its_json(board, page, tmp_path, trainings):
    page.goto(board.at("#/whatif"))
    page.locator("input[type=file]").set_input_files(profile(tmp_path, name="a profile of theirs"))
    page.get_by_role("heading", name="What if: a profile of theirs").wait_for()
    page.locator("section[aria-label='Chart'] figure svg path").first.wait_for(state="attached")
    text = page.locator("main").inner_text()
    assert "2.16 MJ" in text  # twice 6 epochs of 0.05 kWh
    assert "imported" in text
    assert "California" in text
    assert page.get_by_label("PUE, a number").input_value() == "1.59"


def test_energyvis_tick_a_file_that_is_no_profile_is_refused_in_words(
    board, page, open_page, tmp_path, trainings
):
    page.goto(board.at("#/whatif"))
    path = tmp_path / "other.json"
    path.write_text("{}")
    page.locator("input[type=file]").set_input_files(str(path))
    assert "no profile of EnergyVis" in page.locator(".drop [role=alert]").inner_text()
    open_page.complaints.clear()


@pytest.fixture
def going_on(board) -> Iterator[str]:
    process = board.script(EPOCHS)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = [
                run
                for run in board.api("whatif/runs?q=epochs%20that%20go%20on")
                if run["status"] == "running"
            ]
            if found:
                break
            time.sleep(0.2)
        yield found[0]["id"]
    finally:
        process.kill()
        process.wait()


def test_energyvis_tick_live_link_grows_with_the_run(board, page, going_on):
    page.goto(board.at(f"#/whatif/{going_on}?alt={quote(json.dumps([{'zone': 'PL'}]))}"))
    page.locator("[data-live]").wait_for()
    rows = "document.querySelectorAll('section[aria-label=\"Chart\"] tbody tr').length"
    until(page, f"{rows} >= 1")
    before = page.evaluate(rows)
    until(page, f"{rows} >= {before + 3}")
    assert scenario(page) == [{"zone": "PL"}]


def test_energyvis_tick_line_chart_with_cumulative_switch_alternative_and_dashed_extrapolation(view, page):
    view(alternatives=[{"epochs": 16}])
    card(page)
    chart = page.locator("section[aria-label='Chart']")
    chart.locator("svg path[stroke-dasharray]").first.wait_for(state="attached")
    last = chart.locator("tbody tr").last
    assert "extrapolated" in last.text_content()
    total = last.text_content()
    page.get_by_label("Cumulative").uncheck()
    row = "document.querySelector('section[aria-label=\"Chart\"] tbody tr:last-child').textContent"
    until(page, f"{row} !== {json.dumps(total)}")
    assert "each=1" in page.url
    assert "extrapolated" in chart.locator("tbody tr").last.text_content()


def test_energyvis_tick_map_with_hover_to_preview_and_click_to_keep(view, page):
    view()
    drawing = page.locator(".map [role=img]")
    drawing.locator("svg path").first.wait_for(state="attached")
    drawing.scroll_into_view_if_needed()
    box = drawing.bounding_box()
    under = page.locator("p[data-pointed]")
    found = None
    for x in (0.72, 0.56, 0.33, 0.64, 0.25):  # land is somewhere along these
        for y in (0.3, 0.38, 0.5, 0.6):
            page.mouse.move(box["x"] + box["width"] * x, box["y"] + box["height"] * y)
            page.wait_for_timeout(60)
            pointed = under.get_attribute("data-pointed")
            if pointed != "FR":
                found = pointed
                break
        if found:
            break
    assert found, "no country under any of the points"
    page.locator("[data-preview]").wait_for()
    assert scenario(page) == []  # pointing keeps nothing
    page.mouse.down()
    page.mouse.up()
    until(page, "location.hash.includes('alt=')")
    assert scenario(page) == [{"zone": found}]
    page.mouse.move(1, 1)
    card(page)


def test_energyvis_tick_hardware_list_with_quantities_and_autocomplete(view, page):
    view()
    section = opened(page, "hardware")
    assert "A100" in section.inner_text()  # what it was measured on
    section.get_by_role("combobox").fill("rtx 4090")
    option = page.get_by_role("option", name="4090").first
    option.wait_for()
    option.click()
    card(page)
    one = page.locator("[data-alternative='0'] dl").inner_text()
    section.get_by_label(re.compile("How many")).fill("4")
    page.keyboard.press("Tab")
    until(page, f"document.querySelector(\"[data-alternative='0'] dl\").innerText !== {json.dumps(one)}")
    ((part, quantity),) = scenario(page)[0]["hardware"]
    assert "4090" in part
    assert quantity == 4
    section.get_by_label(re.compile("How many")).fill("900")
    page.keyboard.press("Tab")
    until(page, "location.hash.includes('%2C64')")  # 1 to 64


def test_energyvis_tick_colour_linked_equation_with_editable_pue(view, page):
    view()
    pue = page.get_by_label("PUE, a number")
    pue.fill("1.5")
    page.keyboard.press("Enter")
    until(page, "location.hash.includes('1.5')")
    assert scenario(page) == [{"pue": "1.5"}]
    assert "50 % more than the original" in card(page).inner_text()
    colors = page.eval_on_selector_all(
        "[data-term]", "all => all.map(one => getComputedStyle(one).borderBottomColor)"
    )
    assert len(set(colors)) == len(colors) == 3
    page.locator("[data-term='PUE']").hover()
    page.locator("#control-pue.linked").wait_for()  # the term and its control light up together
    page.locator("[data-term='I']").get_by_role("button", name="carbon intensity", exact=True).click()
    link = page.get_by_role("link", name="Open the source")
    assert link.get_attribute("href").startswith("https://")


def test_energyvis_tick_a_visible_what_if_mode_with_reset(view, page):
    view()
    mode = page.get_by_role("region", name="What-if mode")
    assert "As it was" in mode.inner_text()
    choose_place(page, "Poland")
    card(page)
    assert "What-if mode" in mode.inner_text()
    mode.get_by_role("button", name="Reset").click()
    until(page, "!document.querySelector('[data-alternative]')")
    assert "As it was" in mode.inner_text()
    assert scenario(page) == []


# ---- its known faults stay behind


def test_energyvis_fault_absent_places_are_of_the_whole_world(view, page):
    view()
    for text, zone in (("India", "IN"), ("gcp:europe-west1", "gcp:europe-west1"), ("US-CAMX", "US-CAMX")):
        choose_place(page, text)
        assert scenario(page) == [{"zone": zone}]


def test_energyvis_fault_absent_nothing_is_in_pounds(view, page):
    view(alternatives=[{"zone": "US-TX"}])
    card(page)
    text = page.locator("main").inner_text()
    assert not re.search(r"\b(lbs?|pounds?)\b", text, re.IGNORECASE)
    assert "CO₂e" in text


def test_energyvis_fault_absent_another_gpu_takes_another_time(view, page):
    view(alternatives=[{"hardware": [["h100-sxm", 8]]}])
    text = card(page).inner_text()
    assert "Time the same" not in text
    original = page.locator("li.panel").first.locator("dl div").nth(1).inner_text()
    assert card(page).locator("dl div").nth(1).inner_text() != original


def test_energyvis_fault_absent_another_cpu_has_an_effect(view, page):
    view(alternatives=[{"hardware": [["cpu:core-i7-2600k", 1]]}])
    original = page.locator("li.panel").first.locator("dl div").first.inner_text()
    assert card(page).locator("dl div").first.inner_text() != original


def test_energyvis_fault_absent_export_gives_files_with_what_is_shown(view, page):
    view(alternatives=[{"zone": "SE", "name": "Up north"}])
    card(page)
    files = {}
    for kind in ("csv", "json", "svg", "png"):
        with page.expect_download() as waiting:
            page.get_by_label("Export").select_option(kind)
        files[kind] = Path(waiting.value.path()).read_bytes()
        assert waiting.value.suggested_filename == f"what-if-training.{kind}"
    rows = files["csv"].decode().splitlines()
    assert sum(row.startswith("Up north,") for row in rows) == 8 * 2 + 4
    assert json.loads(files["json"])["plan"]["alternatives"] == [{"zone": "SE", "name": "Up north"}]
    assert b"<svg" in files["svg"]
    assert files["png"].startswith(b"\x89PNG")


def test_energyvis_fault_absent_every_predicted_number_has_its_interval(view, page):
    view(alternatives=[{"zone": "PL", "epochs": 16, "hardware": [["h100-sxm", 2]]}])
    for amount in card(page).locator("dl dd").all():
        assert re.search(r"\(.+ – .+\)", amount.inner_text())
    assert (
        page.locator(
            "section[aria-label='Chart'] svg path[fill-opacity], section[aria-label='Chart'] svg path[opacity]"
        ).count()
        >= 2
    )

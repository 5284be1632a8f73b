"""The Study and Serving views in a real browser: a study really run here, and made-up ones with more in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import study_folders
from fakes.task_study import SENTIMENT, Cell, task_study
from wattmark.studies.designs.design import to_toml

pytestmark = pytest.mark.timeout(300)
WORK = "import json, sys; n = int(sys.argv[1]); sum(range(n)); print(json.dumps({'accuracy': n / 4e6}))"
STUDY = f"""
name = "sums"
title = "Sums <b>of</b> numbers"
repeats = 2
seed = 1

[factors]
count = [200000, 2000000]

[command]
argv = ["{{python}}", "-c", "{WORK}", "{{count}}"]

[quiet]
baseline_s = 0.2
cooldown_max_s = 0.1
"""


@pytest.fixture(scope="module")
def studies(board):
    """``sums`` (two levels, two repeats, measured on the fake machine), ``vision`` and ``genops-quick`` (made up)."""
    file = Path(board.folder) / "sums.toml"
    file.write_text(STUDY, encoding="utf-8")
    board.wattmark("study", "run", str(file))
    root = Path(board.env["WATTMARK_DATA_DIR"]) / "studies"
    study_folders.both(root)
    models = (*SENTIMENT, Cell("text-classification", "<img src=x onerror=alert(1)>", 1.0))
    rated = task_study(models)
    study_folders.write_study(root, "planted", rated, to_toml(dict(rated.design)))
    return root


def test_the_list_leads_to_a_study(page, board, studies) -> None:
    page.goto(board.at("#/study"))
    page.get_by_role("link", name="Sums <b>of</b> numbers").click()
    page.get_by_role("heading", name="Sums <b>of</b> numbers").wait_for()
    assert page.get_by_text("4 of 4 trials").is_visible()


def test_a_point_leads_to_its_runs_and_its_command(page, board, studies) -> None:
    page.goto(board.at("#/study/sums"))
    page.get_by_label("Choose a point").select_option(index=1)
    panel = page.get_by_role("region", name="The chosen point")
    command = panel.locator("pre").inner_text()
    assert command.startswith("wattmark study run")
    assert "--set count=" in command
    assert "cell=" in page.url
    panel.get_by_role("link", name="repeat 0").click()
    page.wait_for_url("**#/run/*")
    shown = page.url.rsplit("/", 1)[1]
    assert shown in {trial["run_id"] for trial in board.api("studies/sums")["trials"]}


def test_limits_dim_what_is_outside_name_the_best_and_survive_a_reload(page, board, studies) -> None:
    page.goto(board.at("#/study/vision?limits=accuracy>0.93"))
    said = page.get_by_text("settings are inside the limits")
    said.wait_for()
    before = said.inner_text()
    cells = board.api("studies/vision")["cells"]
    inside = [cell for cell in cells if cell["metrics"]["accuracy"]["value"] > 0.93]
    cheapest = min(inside, key=lambda cell: cell["metrics"]["training_energy_j"]["value"])
    assert before.startswith(f"{len(inside)} of {len(cells)}")
    assert page.get_by_role("button", name=cheapest["label"], exact=True).is_visible()
    slider = page.get_by_role("slider", name="accuracy")
    slider.focus()
    slider.press("End")
    page.wait_for_url(lambda url: "accuracy%3E0.93" not in url)
    after = said.inner_text()
    assert after != before
    page.reload()
    said.wait_for()
    assert said.inner_text() == after


def test_the_analysis_is_there_guidelines_correlations_and_failures(page, board, studies) -> None:
    page.goto(board.at("#/study/vision"))
    page.get_by_role("heading", name="Correlations").wait_for(timeout=60_000)
    first = board.api("studies/vision/findings")["guidelines"][0]["text"]
    assert page.get_by_text(first).is_visible()
    page.get_by_role("button", name="stage", exact=True).click()
    assert "by=stage" in page.url
    page.get_by_text("out-of-memory").click()
    page.get_by_text("torch.OutOfMemoryError", exact=False).nth(1).wait_for()


def test_every_chart_has_its_numbers_as_a_table(page, board, studies) -> None:
    page.goto(board.at("#/study/vision"))
    page.get_by_role("heading", name="Correlations").wait_for(timeout=60_000)
    figures = page.locator("figure")
    assert figures.count() >= 6
    for number in range(figures.count()):
        assert figures.nth(number).locator("table tr").count() > 1


def test_the_cheapest_server_within_limits_is_named_and_doubt_is_said(page, board, studies) -> None:
    page.goto(board.at("#/serving"))
    page.get_by_role("link", name="What a token", exact=False).click()
    best = page.get_by_role("region", name="The cheapest within the limits")
    best.get_by_text("1m, rate 12").first.wait_for()
    page.goto(board.at("#/serving/genops-quick?limits=ttft_p95_s<0.011"))
    best.get_by_text("1m, rate 1").first.wait_for()
    page.goto(board.at("#/serving/genops-quick?limits=ttft_p95_s<0.0001"))
    best.get_by_text("No setting is within these limits").wait_for()
    assert page.get_by_text("come from a model of the machine").is_visible()


def test_models_of_a_task_have_their_stars_and_a_label_to_take_away(page, board, studies) -> None:
    page.goto(board.at("#/study/planted"))
    page.get_by_role("heading", name="Stars of the models").wait_for()
    rows = page.locator("li", has=page.locator(".stars"))
    assert [row.get_attribute("aria-label") for row in rows.locator(".stars").all()] == [
        "5 of 5 stars",
        "4 of 5 stars",
        "1 of 5 stars",
    ]
    assert "<img src=x onerror=alert(1)>" in rows.nth(1).inner_text()
    assert rows.locator("img").count() == 0
    with page.expect_download() as taken:
        rows.first.get_by_role("link", name="label (SVG)").click()
    assert taken.value.path().read_text(encoding="utf-8").startswith("<svg")


@pytest.mark.parametrize("address", ["#/study", "#/study/vision", "#/serving/genops-quick"])
def test_a_phone_shows_it_without_scrolling_sideways(open_page, board, studies, address) -> None:
    page = open_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.goto(board.at(address))
    page.locator("main h1").wait_for()
    page.wait_for_timeout(1_500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

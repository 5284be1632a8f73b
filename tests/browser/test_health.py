from __future__ import annotations

import pytest

from fakes.browser import shot

pytestmark = pytest.mark.timeout(600)


def test_health_of_a_run_and_of_the_machine(page, board):
    page.goto(board.at(f"#/health/{board.runs['digits']}"))
    page.get_by_role("heading", name="Do the sensors agree?").wait_for()
    told = board.api(f"runs/{board.runs['digits']}/health")
    assert {one["id"] for one in told["channels"]} >= {"cpu0/package", "cpu0/core"}
    for one in told["channels"]:
        assert page.get_by_role("rowheader", name=one["id"]).first.is_visible()
    assert page.get_by_text("they agree").first.is_visible()
    page.get_by_role("heading", name="What is here to measure with").wait_for()
    shot(page, "health")


def test_health_leads_from_the_machine_to_its_runs(page, board):
    page.goto(board.at("#/health"))
    page.get_by_role("link", name="digits").first.click()
    page.get_by_role("heading", name="What measuring cost").wait_for()

"""Accessibility of every view, by axe-core: no serious or critical finding, in light and in dark."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import study_folders

pytestmark = pytest.mark.timeout(300)
AXE = Path(__file__).parents[2] / "frontend/node_modules/axe-core/axe.min.js"
ASK = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter((one) => ['serious', 'critical'].includes(one.impact))
  .map((one) => `${one.id} (${one.impact}): ` + one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | '))"""
READY = {
    "runs": "table, [role=table], [role=grid]", "run": "canvas", "compare": "main h1", "whatif": "main h1",
    "study": "main .panel", "serving": "main h2", "health": "main h2",
}  # fmt: skip


@pytest.fixture(scope="module")
def studies(board) -> None:
    study_folders.both(Path(board.env["WATTMARK_DATA_DIR"]) / "studies")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "view",
    [
        "runs",
        "run/{digits}",
        "compare/{digits}/{answers}",
        "whatif/{digits}",
        "study",
        "study/vision",
        "serving/genops-quick",
        "health",
    ],
)
def test_no_serious_finding(open_page, board, studies, view: str, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not there: npm ci in frontend/")
    page = open_page(color_scheme=scheme)
    page.goto(board.at("#/" + view.format(**board.runs)))
    page.locator(READY[view.split("/")[0]]).first.wait_for()
    page.wait_for_load_state("networkidle") if view != "runs" else page.wait_for_timeout(500)
    page.wait_for_timeout(500)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(ASK) == []

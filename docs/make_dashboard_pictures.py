"""Make the pictures of the dashboard: ``python docs/make_dashboard_pictures.py``.

From what is in the data folder (``WATTMARK_DATA_DIR``): runs with spans, a study and a serving study, as ``make study``
leaves them. Needs Chromium, and the extras ``ui``, ``study`` and playwright.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BOOT = [sys.executable, "-c", "from wattmark.cli import main; main()"]
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--output", type=Path, default=HERE / "_static")
    parser.add_argument("--only", help="a part of the names of the pictures to make")
    given = parser.parse_args()
    server = subprocess.Popen(
        [*BOOT, "ui", "--no-browser", "--no-token", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    try:
        assert server.stderr is not None
        found = re.match(r"http://\S+/", server.stderr.readline())
        assert found, "wattmark ui did not start"
        draw(found[0], given)
    finally:
        server.terminate()


def ask(base: str, path: str) -> Any:
    with urllib.request.urlopen(f"{base}api/v1/{path}", timeout=60) as answer:
        return json.load(answer)


def addresses(base: str) -> dict[str, str]:
    """What is shown by each picture: the newest run with most spans, the runs of one cell, the studies."""
    studies = ask(base, "studies")
    study = next(one["name"] for one in studies if not one["serving"] and one["done"])
    serving = next(one["name"] for one in studies if one["serving"] and one["done"])
    trials = [trial for trial in ask(base, f"studies/{study}")["trials"] if trial["run_id"]]
    longest = max(trials, key=lambda trial: trial["duration_s"])["run_id"]
    two = list({str(trial["factors"]): trial["run_id"] for trial in trials}.values())[:2]
    compared = "/".join(two)
    return {
        "runs": "#/runs", "run": f"#/run/{longest}", "compare": f"#/compare/{compared}", "whatif": f"#/whatif/{longest}",
        "study": f"#/study/{study}", "serving": f"#/serving/{serving}", "health": "#/health",
    }  # fmt: skip


def draw(base: str, given: argparse.Namespace) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=given.chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        pages = addresses(base)
        wanted = [(f"ui-{name}", address, DESK, "light") for name, address in pages.items()]
        wanted += [
            ("ui-run-dark", pages["run"], DESK, "dark"),
            ("ui-run-phone", pages["run"], PHONE, "light"),
        ]
        for name, address, size, scheme in wanted:
            if given.only and given.only not in name:
                continue
            page = browser.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
            page.goto(base + address)
            page.locator("main h1, main h2, main table").first.wait_for(timeout=60_000)
            page.wait_for_timeout(4_000)
            page.screenshot(path=given.output / f"{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()

"""What tests in a browser share: a harmful name, and pictures for whoever wants to look (``WATTMARK_TEST_SHOTS``)."""

from __future__ import annotations

import os
from pathlib import Path

HARMFUL = "</script><img src=x onerror=alert(1)>"
"""A run's name that would be noticed if it ever reached HTML as it stands."""


GROWING = """
import time
import wattmark as wm

with wm.measure("growing") as run:
    number = 0
    while True:
        number += 1
        with run.span("step", samples=10):
            time.sleep(0.1)
"""
_FOLDER = os.environ.get("WATTMARK_TEST_SHOTS")


def shot(page, name: str) -> None:
    """A picture of the whole page, if a folder for pictures is named."""
    if _FOLDER:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=str(Path(_FOLDER) / f"{name}.png"), full_page=True)

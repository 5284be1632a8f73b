"""A page as PDF: printed by the Chromium that is installed, so that it looks as it does on screen."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from wattmark.errors import ConfigError

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "microsoft-edge",
    "brave-browser",
)
TIMEOUT_S = 180.0


def write_pdf(html: str, target: Path) -> Path:
    """Print a self-contained page to ``target``; no network, and nothing of the user's browser profile is touched.

    Raises ConfigError where no Chromium is found, or where it fails.
    """
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise ConfigError(
            "a PDF is printed by Chromium or Chrome, and none is installed here",
            hint="write .html and print it from any browser, or install Chromium",
        )
    with tempfile.TemporaryDirectory(prefix="wattmark-pdf-") as folder:
        page, pdf = Path(folder, "page.html"), Path(folder, "page.pdf")
        page.write_text(html, encoding="utf-8")
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-sync",
            "--no-first-run",
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            f"--user-data-dir={folder}/profile",
            "--no-pdf-header-footer",
            f"--print-to-pdf={pdf}",
            page.as_uri(),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(f"{browser} does not print: {error}", hint="write .html instead") from error
        if not pdf.is_file():
            said = done.stderr.strip().splitlines()
            raise ConfigError(
                f"{browser} printed nothing (exit code {done.returncode}): {said[-1] if said else 'no words'}",
                hint="write .html instead",
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pdf, target)
    return target

"""A page as PDF, a picture as PNG: made by the Chromium that is installed, so that they look as they do on screen."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
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
    with tempfile.TemporaryDirectory(prefix="wattmark-pdf-") as folder:
        page, pdf = Path(folder, "page.html"), Path(folder, "page.pdf")
        page.write_text(html, encoding="utf-8")
        _print(folder, page, pdf, "PDF", [f"--print-to-pdf={pdf}", "--no-pdf-header-footer"])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pdf, target)
    return target


def write_png(svg: str, target: Path, scale: int = 2) -> Path:
    """Draw a picture that says its width and height, each of its units ``scale`` pixels. Raises as :func:`write_pdf`."""
    size = re.search(r'<svg[^>]* width="(\d+)"[^>]* height="(\d+)"', svg)
    if size is None:
        raise ValueError("the picture does not say its width and height")
    with tempfile.TemporaryDirectory(prefix="wattmark-png-") as folder:
        page, png = Path(folder, "page.html"), Path(folder, "page.png")
        style = "<style>html,body{margin:0;background:transparent}svg{display:block}</style>"
        page.write_text(f'<!doctype html><meta charset="utf-8">{style}{svg}', encoding="utf-8")
        wanted = [
            f"--screenshot={png}",
            f"--window-size={size[1]},{size[2]}",
            f"--force-device-scale-factor={scale}",
            "--default-background-color=00000000",
            "--hide-scrollbars",
        ]
        _print(folder, page, png, "PNG", wanted)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(png, target)
    return target


def _print(folder: str, page: Path, made: Path, kind: str, wanted: Sequence[str]) -> None:
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        other = ".html and print it from any browser" if kind == "PDF" else ".svg"
        raise ConfigError(
            f"a {kind} is made by Chromium or Chrome, and none is installed here",
            hint=f"write {other}, or install Chromium",
        )
    command = [
        browser,
        "--headless",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-sync",
        "--no-first-run",
        *(["--no-sandbox"] if os.geteuid() == 0 else []),
        f"--user-data-dir={folder}/profile",
        *wanted,
        page.as_uri(),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(f"{browser} does not print: {error}", hint="write .html or .svg instead") from error
    if not made.is_file():
        said = done.stderr.strip().splitlines()
        raise ConfigError(
            f"{browser} printed nothing (exit code {done.returncode}): {said[-1] if said else 'no words'}",
            hint="write .html or .svg instead",
        )

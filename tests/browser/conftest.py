"""A real browser before a real server over real runs: made once, read by every test of a view.

The machine is a fake powercap tree whose watts are known. Tests are skipped, with the reason, where there is no Chromium.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fakes.browser import GROWING, HARMFUL

__all__ = ["GROWING", "HARMFUL"]

ROOT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("WATTMARK_TEST_CHROMIUM") or "/usr/bin/chromium"
STATIC = os.environ.get("WATTMARK_TEST_STATIC")
"""Another build of the page than the one in the package."""
BOOT = [sys.executable, "-c", "import sys; from wattmark.cli import main; main()"]
TRAIN = """
import time
import wattmark as wm

def busy(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(2000))

with wm.measure("digits", tags={"model": "mlp", "project": "demo"}) as run:
    with run.span("train"):
        for epoch in range(4):
            with run.span("epoch", samples=1000, number=str(epoch)):
                busy(0.25)
    with run.span("test", samples=500):
        busy(0.15)
"""
SERVE = """
import time
import wattmark as wm

with wm.measure("answers", tags={"project": "demo"}) as run:
    for number in range(20):
        with run.span("request", tokens=40 + number, requests=1):
            time.sleep(0.02)
"""


@dataclass
class Board:
    """A running dashboard: ``url`` to open (with its token), ``base`` without; ``folder`` holds its data."""

    folder: Path
    env: dict[str, str]
    base: str = ""
    token: str = ""
    process: subprocess.Popen | None = None
    runs: dict[str, str] = field(default_factory=dict)
    """Ids by name."""

    @property
    def url(self) -> str:
        return f"{self.base}?token={self.token}"

    def at(self, address: str) -> str:
        """The page at ``#/...``; the token's cookie must be there already (fixture ``page``)."""
        return f"{self.base}{address}"

    def script(self, code: str) -> subprocess.Popen:
        """A Python program that measures itself, started."""
        return subprocess.Popen([sys.executable, "-c", code], env=self.env, cwd=self.folder)

    def wattmark(self, *arguments: str) -> str:
        """A command; its standard output."""
        done = subprocess.run(
            [*BOOT, *arguments], env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=100
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def api(self, path: str):
        """What the API answers."""
        request = urllib.request.Request(
            f"{self.base}api/v1/{path}", headers={"Authorization": f"Bearer {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A machine of known watts: the environment of processes that should see it and no other."""
    folder = tmp_path_factory.mktemp("board")
    sysfs = folder / "sys"
    sysfs.mkdir()
    writer = subprocess.Popen(
        [
            sys.executable, str(ROOT / "tests/fakes/powercap.py"), str(sysfs),
            "--square", "20,60,0.6", "--domains", "package,core,dram",
        ],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert writer.stdout is not None
    assert json.loads(writer.stdout.readline())["event"] == "ready"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("WATTMARK_", "COV_"))}
    yield {
        **clean,
        "PYTHONPATH": str(ROOT / "src"),
        "WATTMARK_DATA_DIR": str(folder / "data"),
        "WATTMARK_SYSFS": str(sysfs),
        "WATTMARK_SOURCES": "rapl",
        "WATTMARK_PERIOD_S": "0.02",
        "WATTMARK_ZONE": "FR",
    }
    writer.terminate()
    writer.communicate(timeout=10)


@pytest.fixture(scope="session")
def board(machine: dict[str, str]) -> Iterator[Board]:
    """The dashboard over real runs: ``digits`` (twice), ``answers``, and one with a harmful name."""
    board = Board(Path(machine["WATTMARK_DATA_DIR"]).parent, machine)
    for code in (TRAIN, TRAIN, SERVE):
        assert board.script(code).wait(60) == 0
    board.wattmark("run", "--name", HARMFUL, "--", sys.executable, "-c", "sum(range(3_000_000))")
    board.runs = {row["name"]: row["run_id"] for row in json.loads(board.wattmark("ls", "--json", "-"))}
    start(board)
    yield board
    stop(board)


def start(board: Board, *options: str) -> None:
    """Start ``wattmark ui`` and wait until it listens."""
    static = ["--static", STATIC] if STATIC else []
    board.process = subprocess.Popen(
        [*BOOT, "ui", "--no-browser", "--port", "0", *static, *options],
        env=board.env, cwd=board.folder, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert board.process.stderr is not None
    line = board.process.stderr.readline()
    found = re.match(r"(http://\S+/)(?:\?token=(\S+))?$", line.strip())
    assert found, line + board.process.stderr.read()
    board.base, board.token = found[1], found[2] or ""


def stop(board: Board) -> str:
    """Ctrl-C, which must end it cleanly; what it wrote."""
    assert board.process is not None
    board.process.send_signal(signal.SIGINT)
    _, err = board.process.communicate(timeout=20)
    assert board.process.returncode in (0, 130, -signal.SIGINT), err
    return err


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests."""
    if not shutil.which(CHROMIUM):
        pytest.skip(f"no Chromium at {CHROMIUM}")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-dev-shm-usage",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, board: Board):
    """Opens pages (``open_page(viewport=..., color_scheme="dark")``) that let the test fail on any complaint of theirs."""
    contexts = []
    complaints: list[str] = []

    def listen(page) -> None:
        page.on(
            "console",
            lambda said: (
                complaints.append(f"{said.type}: {said.text} {said.location}")
                if said.type in ("error", "warning")
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(f"error: {error.stack or error}"))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def make(**options):
        context = chromium.new_context(
            **{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce", **options}
        )
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        listen(page)
        page.goto(board.url)
        page.wait_for_selector("header nav")
        return page

    make.complaints = complaints  # a test that provokes one clears it
    yield make
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def page(open_page):
    """One page on a desk's screen, already let in."""
    return open_page()

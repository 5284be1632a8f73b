"""Make the picture of ``wattmark top`` in the documentation: ``python docs/make_top_picture.py``.

A real run on this machine (a network of scikit-learn on handwritten digits, in a data folder that is thrown away), drawn by
the program's own screen. Needs the extras ``study`` and ``tui``.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
SIZE = (80, 24)
SECONDS = 20
CLI = "from wattmark.cli import main; main()"

SCRIPT = """
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
import wattmark as wm

with wm.measure("digits.py", tags={"model": "mlp-64"}) as run:
    with run.span("data"):
        x, y = load_digits(return_X_y=True)
    model = MLPClassifier((64,))
    with run.span("train"):
        while True:
            with run.span("epoch", samples=len(x)):
                model.partial_fit(x / 16, y, classes=range(10))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WATTMARK_DATA_DIR"] = folder
        work = subprocess.Popen([sys.executable, "-c", SCRIPT])
        other = subprocess.Popen([sys.executable, "-c", CLI, "run", "--quiet", "--", "sleep", "600"])
        try:
            picture = asyncio.run(drawn())
        finally:
            for process in (work, other):
                process.terminate()
                process.wait()
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)  # nothing is fetched from elsewhere
    picture = re.sub(r"terminal-\d+-", "top-", picture)
    lines = [line.rstrip() for line in picture.splitlines() if line.strip()]
    (HERE / "_static/top.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


async def drawn() -> str:
    """The screen, once the run has gone on for a while."""
    from wattmark.cli.top.screen import TopApp
    from wattmark.cli.top.watch import Watcher
    from wattmark.paths import journals_dir

    watcher = Watcher(journals_dir())
    app = TopApp(watcher.look, where=watcher.journals)
    deadline = time.monotonic() + 6 * SECONDS
    async with app.run_test(size=SIZE) as pilot:
        while time.monotonic() < deadline:
            await pilot.pause(0.5)
            if app.shown is not None and app.shown.name != "digits.py":
                await pilot.press("n")
            elif app.shown is not None and app.shown.duration_s > SECONDS:
                break
        return app.export_screenshot(title="wattmark top")


if __name__ == "__main__":
    main()

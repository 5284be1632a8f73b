"""Make the pictures of the documentation from a real run and a real study on this machine.

``python docs/make_pictures.py``: the run is the script on the page "Measure a script", measured in a data folder that is
thrown away. ``python docs/make_pictures.py report [STUDY]``: screenshots of the report of a study that is kept (default:
vision-quick), with the browser that CHROMIUM names (default: chromium). Needs the extra ``study``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

HERE = Path(__file__).parent
WIDTH = 96
SCREENS = {
    "report-top": ((), 1100, 1240),
    "report-figures": (("figure-composition", "figure-batch"), 1100, 920),
}
"""Picture -> the sections that are shown (all, where none is named), and its size in pixels."""


def script() -> str:
    """The script that the guide shows."""
    page = (HERE / "guide/measure-a-script.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- pictures -->\n```python\n(.*?)```", page, re.DOTALL)
    assert found, "the page has lost its script"
    return found[1]


class Wrapping(Console):
    """A picture has no terminal that wraps long lines."""

    def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
        super().print(*objects, **options)


def main() -> None:
    if sys.argv[1:2] == ["report"]:
        draw_report(*sys.argv[2:3])
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(WATTMARK_DATA_DIR=folder, WATTMARK_ZONE="FR")
        path = Path(folder, "train.py")
        path.write_text(script(), encoding="utf-8")
        subprocess.run([sys.executable, str(path)], check=True, cwd=folder)
        draw_show(HERE / "_static/show.svg")


def draw_show(path: Path) -> None:
    """``wattmark show last``, without the environment."""
    from wattmark import load
    from wattmark.cli.store import show
    from wattmark.cli.terminal.render import render_run, render_spans
    from wattmark.workspace.runs import result

    view = load("last")
    data = result(view)
    with open(os.devnull, "w") as nowhere:
        out = Wrapping(
            record=True, width=WIDTH, file=nowhere, force_terminal=True, markup=False, highlight=False
        )
        render_run(out, replace(data, span_groups=()), closing=False)
        show._chart(out, view)
        render_spans(out, data.span_groups, 20)
        show._channels(out, data.channels)
        picture = out.export_svg(title="wattmark show last", unique_id="show")
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)  # nothing is fetched from elsewhere
    path.write_text(
        "\n".join(line.rstrip() for line in picture.splitlines() if line.strip()) + "\n", encoding="utf-8"
    )


def draw_report(study: str = "vision-quick") -> None:
    """Screenshots of a study's report."""
    from PIL import Image

    from wattmark.report.study import write_report
    from wattmark.studies.execution.state import load_results

    browser = os.environ.get("CHROMIUM", "chromium")
    with tempfile.TemporaryDirectory() as folder:
        text = write_report(load_results(study), Path(folder) / "report.html").read_text(encoding="utf-8")
        for name, (sections, width, height) in SCREENS.items():
            others = "".join(f":not(#{section})" for section in sections)
            hidden = (
                f"<style>header,footer,section{others}{{display:none}}</style></head>"
                if sections
                else "</head>"
            )
            page = Path(folder) / f"{name}.html"
            page.write_text(text.replace("</head>", hidden, 1), encoding="utf-8")
            shot = Path(folder) / f"{name}.png"
            command = [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                f"--user-data-dir={folder}/profile", f"--window-size={width},{height}", f"--screenshot={shot}",
                page.as_uri(),
            ]  # fmt: skip
            subprocess.run(command, check=True, capture_output=True, timeout=300)
            picture: Any = Image.open(shot).convert("RGB").quantize(256)
            picture.save(HERE / "_static" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()

"""Make the pictures of the documentation from a real run on this machine: ``python docs/make_pictures.py``.

The run is the script on the page "Measure a script", measured in a data folder that is thrown away. Needs the extra
``study`` (scikit-learn).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

HERE = Path(__file__).parent
WIDTH = 96


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
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(WATTMARK_DATA_DIR=folder, WATTMARK_ZONE="FR")
        path = Path(folder, "train.py")
        path.write_text(script(), encoding="utf-8")
        subprocess.run([sys.executable, str(path)], check=True, cwd=folder)
        draw_show(HERE / "_static/show.svg")


def draw_show(path: Path) -> None:
    """``wattmark show last``, without the environment."""
    from wattmark import load
    from wattmark.cli import show
    from wattmark.impact.access import result
    from wattmark.cli.render import render_run, render_spans

    view = load("last")
    data = result(view)
    with open(os.devnull, "w") as nowhere:
        out = Wrapping(
            record=True, width=WIDTH, file=nowhere, force_terminal=True, markup=False, highlight=False
        )
        render_run(out, {**data, "spans": []}, closing=False)
        show._chart(out, view)
        render_spans(out, data["spans"], 20)
        show._channels(out, data)
        picture = out.export_svg(title="wattmark show last", unique_id="show")
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)  # nothing is fetched from elsewhere
    path.write_text(
        "\n".join(line.rstrip() for line in picture.splitlines() if line.strip()) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()

"""Make the pictures of the documentation from a real run and a real study on this machine.

``python docs/make_pictures.py``: the run is the script on the page "Measure a script", measured in a data folder that
is thrown away. ``python docs/make_pictures.py report [STUDY]``: screenshots of the report of a study that is kept
(default: vision-quick), with the browser that CHROMIUM names (default: chromium). ``python docs/make_pictures.py impact
TRACES``: what the commands of carbon and planning print, of a run made then and of Vessim's traces in that folder.
Needs the extra ``study``.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

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
    if sys.argv[1:2] == ["impact"]:
        draw_impact(Path(sys.argv[2]))
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
    _write(path, picture)


def draw_impact(traces: Path) -> None:
    """``impact``, ``plan``, ``cycle``, ``fleet`` and ``edge`` as they print."""
    grid, survey = f"--series {traces / 'watttime_example.csv'} --unit lb/MWh --marginal", "survey.csv"
    commands = {
        "impact": "impact job --series day.csv --zone DE --price 0.25-0.35 --currency EUR "
        "--wue 0.1-0.5 --grid-water 1.2-3.1",
        "plan": f"plan {grid} --duration 4h --deadline 24h --pausable --now 2023-06-18T12:00",
        "cycle": "cycle --stage big.training='40-50 MJ' --stage big.inference='1.8-2.2 J' "
        "--stage small.compression='9-11 MJ' --stage small.inference='0.5-0.7 J' --from small=big --uses 1e8 "
        "--svg cycle.svg",
        "fleet": f"fleet {survey}",
        "edge": "edge --weeks 5 --updates 0 --quiet",
    }
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "WATTMARK_DATA_DIR": folder, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)}
        Path(folder, survey).write_text(_survey(), encoding="utf-8")
        wattmark = [sys.executable, "-m", "wattmark"]
        work = [sys.executable, "-c", "sum(range(30_000_000))"]
        hour = int(time.time()) // 3600
        steps = [f"{(hour + at) * 3600},{310 + 90 * (at % 3)}" for at in range(-3, 4)]
        Path(folder, "day.csv").write_text("\n".join(["time,gCO2/kWh", *steps]) + "\n", encoding="utf-8")
        subprocess.run([*wattmark, "run", "--name", "job", "--quiet", "--", *work], check=True, env=environ)
        for name, words in commands.items():
            told = subprocess.run(
                [*wattmark, *shlex.split(words)],
                check=True,
                env=environ,
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
            ).stdout
            with open(os.devnull, "w") as nowhere:
                out = Wrapping(record=True, width=WIDTH, file=nowhere, force_terminal=True)
                out.print(Text.from_ansi(told))
                picture = out.export_svg(title=f"wattmark {words.split(' --')[0]}", unique_id=name)
            _write(HERE / f"_static/{name}.svg", picture)
        shutil.copy(Path(folder, "cycle.svg"), HERE / "_static/cycle-energy.svg")


def _survey() -> str:
    """Forty models whose carbon is mostly a matter of time and of the grid."""
    chance = random.Random(3)
    rows = ["model,power (W),time (h),gCO2/kWh,year,accuracy"]
    for at in range(40):
        power, hours = chance.lognormvariate(5.6, 0.3), chance.lognormvariate(3.0, 1.2)
        rows.append(
            f"m{at},{power:.0f},{hours:.1f},{chance.lognormvariate(5.5, 0.8):.0f},{2018 + at % 6},"
            f"{0.6 + 0.04 * chance.random() + 0.05 * hours**0.3:.3f}"
        )
    return "\n".join(rows) + "\n"


def _write(path: Path, picture: str) -> None:
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

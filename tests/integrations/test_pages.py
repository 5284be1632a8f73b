"""Examples of docs/integrations run as they stand, where what they need is installed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import wattmark as wm

PAGES = Path(__file__).parents[2] / "docs/integrations"
EXAMPLES = [
    (page.stem, needs, code)
    for page in sorted(PAGES.glob("*.md"))
    for needs, code in re.findall(
        r"^<!-- needs ([\w. ]+) -->\n```python\n(.*?)^```",
        page.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
]


def installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the package above it is not there either
        return False


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("page", "needs", "code"), EXAMPLES, ids=[f"{page}-{needs}" for page, needs, _ in EXAMPLES]
)
def test_an_example_runs_and_is_a_run(
    page: str, needs: str, code: str, tmp_path: Path, fake_machine: object
) -> None:
    missing = [name for name in needs.split() if not installed(name)]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    others = {key: value for key, value in os.environ.items() if not key.startswith(("MLFLOW_", "WANDB_"))}
    env = {**others, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "KERAS_BACKEND": "torch"}
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (run,) = wm.runs(limit=1)
    assert run.energy is not None, page


def test_every_page_has_an_example_and_none_is_passed_over() -> None:
    without = {"index", "notebooks", "pipelines"}  # these have tests of their own
    assert {page for page, _, _ in EXAMPLES} | without == {page.stem for page in PAGES.glob("*.md")}
    marks = sum(page.read_text(encoding="utf-8").count("<!-- needs ") for page in PAGES.glob("*.md"))
    assert marks == len(EXAMPLES)

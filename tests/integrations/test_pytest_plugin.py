"""Energy budgets of tests, in a package made for it: a mark, pyproject.toml, workers of xdist, JUnit, reasons to skip."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as Xml
from importlib.metadata import entry_points
from pathlib import Path

import pytest

INSTALLED = "wattmark" in entry_points(group="pytest11").names
"""pytest loads it by itself where the package is installed; from a bare checkout it is named."""
SRC = Path(__file__).parents[2] / "src"
TESTS = """
import pytest
import wattmark as wm

def work(n=300_000):
    return sum(i * i for i in range(n))

@pytest.mark.energy_budget(joules=1000)
def test_cheap():
    work()

@pytest.mark.energy_budget(cpu_s=1e-6)
def test_dear_in_cpu():
    work()

@pytest.mark.energy_budget(cpu_s=10, per="sample")
def test_counted():
    with wm.span("work", samples=100):
        work()

@pytest.mark.energy_budget(cpu_s=10, per="token")
def test_counts_nothing():
    work()

def test_by_name():
    work()

def test_without():
    pass
"""


ALONE = ("-p", "wattmark.integrations.pytest_plugin")
NO_OTHERS = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Where it does not matter how the plugin is found: the other plugins of this environment take seconds to load."""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text("[tool.wattmark.budgets]\ntest_by_name = { cpu_s = 1e-6 }\n")
    (tmp_path / "test_it.py").write_text(TESTS)
    return tmp_path


def run(folder: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("WATTMARK_", "PYTEST_"))}
    env |= {"PYTHONPATH": str(SRC), "WATTMARK_DATA_DIR": str(folder / "data"), **environ}
    command = [
        sys.executable,
        "-m",
        "pytest",
        *([] if INSTALLED or set(ALONE) <= set(words) else ["-p", "wattmark.integrations.pytest_plugin"]),
        "--strict-markers",
        *words,
    ]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, timeout=110, check=False
    )


def test_budgets_are_kept_by_workers_too_and_where_nothing_measures_joules_it_says_so(package: Path) -> None:
    done = run(package, "-n", "2", "-rs", "--junitxml", "out.xml", WATTMARK_SOURCES="cpu-model")
    assert "1 skipped" in done.stdout, done.stdout + done.stderr
    assert "nothing here measures energy" in done.stdout
    assert "3 failed, 2 passed" in done.stdout
    assert "over its energy budget" in done.stdout
    assert "CPU seconds, the budget is 1e-06 s" in done.stdout
    assert "the budget is per token, and the test counts nothing" in done.stdout
    table = done.stdout.partition("energy budgets")[2]
    assert "within test_it.py::test_counted" in table
    assert "over   test_it.py::test_by_name" in table
    cases = {case.get("name"): case for case in Xml.parse(package / "out.xml").iter("testcase")}
    names = {one.get("name") for one in cases["test_counted"].iter("property")}
    assert {"cpu_s", "cpu_budget_s"} <= names
    assert not list(cases["test_without"].iter("property"))


def test_measured_joules_are_judged_by_the_lower_end(package: Path) -> None:
    wave = package / "wave.csv"
    wave.write_text("t_s,cpu0/package:power_w\n0,40\n600,40\n")
    test = "import pytest\n@pytest.mark.energy_budget(joules={})\ndef test_it():\n    sum(i * i for i in range(6_000_000))\n"
    (package / "test_it.py").write_text(test.format(1e-6))
    done = run(package, *ALONE, "--junitxml", "out.xml", WATTMARK_REPLAY=str(wave), **NO_OTHERS)
    assert done.returncode == 1, done.stdout
    assert "the budget is 1e-06 J" in done.stdout
    case = next(Xml.parse(package / "out.xml").iter("testcase"))
    given = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert (
        0
        < float(given["energy_low_j"] or 0)
        <= float(given["energy_j"] or 0)
        <= float(given["energy_high_j"] or 0)
    )
    (package / "test_it.py").write_text(test.format(1e6))
    assert run(package, *ALONE, WATTMARK_REPLAY=str(wave), **NO_OTHERS).returncode == 0


def test_a_budget_that_cannot_be_is_told(package: Path) -> None:
    """Each in a file of its own, all in one run."""
    marks = ["5", "joules=-1", "joules=True", "watts=3", ""]
    for number, mark in enumerate(marks):
        text = f"import pytest\n@pytest.mark.energy_budget({mark})\ndef test_wrong(): pass\n"
        (package / f"test_wrong{number}.py").write_text(text)
    done = run(package, *ALONE, "-k", "test_wrong", "-rfE", COLUMNS="300", **NO_OTHERS)
    for number in range(len(marks)):
        (line,) = [
            line
            for line in done.stdout.splitlines()
            if line.startswith(("FAILED", "ERROR")) and f"test_wrong{number}.py" in line
        ]
        assert "energy budget" in line or "energy_budget(joules=5)" in line

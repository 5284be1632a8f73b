"""Inputs from the field beside the project (``../shared/cases`` or ``WATTMARK_CASES``): each gives what its README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from wattmark.runs.view import RunView
from wattmark.store.importing import read_file

PROJECT = Path(__file__).parents[2]
CASES = Path(os.environ.get("WATTMARK_CASES") or PROJECT.parent / "shared/cases")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CASES.is_dir(), reason="the inputs are not here"),
]


def joules(text: str, channel: str) -> list[float]:
    """The energies that a case printed of a channel, run by run; NaN for none."""
    found = re.findall(rf"^ +{re.escape(channel)} \S+ \S+ (\S+) \[", text, re.MULTILINE)
    return [float("nan") if one == "None" else float(one) for one in found]


def coverages(text: str) -> list[float]:
    return [float(one) for one in re.findall(r"coverage (\S+) total", text)]


def jump_at_slow_rate(text: str) -> None:
    assert all(42 < one < 50 for one in joules(text, "cpu0/package"))
    assert len(joules(text, "cpu0/package")) == 2


def glitch(text: str) -> None:
    assert joules(text, "cpu0/package") == [pytest.approx(60.5, rel=0.05)]
    assert joules(text, "intelgpu0/card") == [pytest.approx(90.0, rel=0.05)]
    assert all(50 < one < 62 for one in joules(text, "hwmon/esocket0"))


def zero_watts(text: str) -> None:
    assert all(one > 30 for one in joules(text, "cpu/package-model"))
    assert len(joules(text, "cpu/package-model")) == 3
    assert text.count("! below_idle") >= 3


def nothing(text: str) -> None:
    assert joules(text, "cpu/package-model") == pytest.approx([40.0] * 3, rel=0.1)
    assert coverages(text) == pytest.approx([1.0] * 3, abs=0.02)


def zeros_of_proc_stat(text: str) -> None:
    blind, behind = joules(text, "cpu/package-model")
    assert blind > 5
    assert "! utilisation-unknown" in text
    assert behind == pytest.approx(40.0, rel=0.1)


def gpu_left_out(text: str) -> None:
    assert "gpu1 is not measured" in text
    assert "! device-later" in text
    assert joules(text, "gpu0/board")[0] == pytest.approx(300.0, rel=0.05)


def dram_at_top_level(text: str) -> None:
    assert joules(text, "cpu0/package") == [pytest.approx(120.0, rel=0.05)]
    assert joules(text, "dram1/rapl") == [pytest.approx(20.0, rel=0.05)]


def overlapping(text: str) -> None:
    energies = {name: float(one) for name, one in re.findall(r"^(j\d) (\S+) J", text, re.MULTILINE)}
    assert energies == {"j0": pytest.approx(25.5, rel=0.08), "j1": pytest.approx(75.0, rel=0.08)}


def child(text: str) -> None:
    assert [float(one) for one in re.findall(r"(\d+\.\d) J \[", text)] == pytest.approx([30.0] * 3, rel=0.1)
    assert re.search(r" child +completed", text)


def warnings_as_errors(text: str) -> None:
    assert text.startswith("0 WORK DONE")


RIGHT: dict[str, Callable[[str], None]] = {
    "rapl-jump-at-slow-rate": jump_at_slow_rate,
    "energy-counter-glitch": glitch,
    "zero-watt-sensor": zero_watts,
    "sensor-that-gives-nothing": nothing,
    "proc-stat-zeros": zeros_of_proc_stat,
    "gpu-left-out-silently": gpu_left_out,
    "rapl-dram-at-top-level": dram_at_top_level,
    "overlapping-measures": overlapping,
    "child-after-finished-measure": child,
    "warnings-as-errors": warnings_as_errors,
}


def test_every_case_has_its_check() -> None:
    measured = {one.parent.name for one in CASES.glob("measure/*/case.py")}
    assert measured <= RIGHT.keys()
    files = {
        f"{one.parent.name}/{one.name}"
        for one in CASES.glob("*/**/*")
        if one.suffix in (".csv", ".json", ".gz")
    }
    assert files <= IMPORTS.keys() | {one for one in files if one.startswith("import-poison/")}


@pytest.mark.parametrize("case", RIGHT)
def test_a_case_of_measuring_gives_what_is_right(case: str, tmp_path: Path) -> None:
    script = CASES / "measure" / case / "case.py"
    if not script.exists():
        pytest.skip("this input is not here")
    (tmp_path / "wattmark").write_text(
        f"#!{sys.executable}\nfrom wattmark.cli.entry import main\nmain()\n", encoding="utf-8"
    )
    (tmp_path / "wattmark").chmod(0o755)
    (tmp_path / "python").symlink_to(sys.executable)
    environ = {
        **os.environ,
        "WATTMARK": str(tmp_path / "wattmark"),
        "NVML_FAKE": str(PROJECT / "tests/fakes/nvml"),
        "LAB_TMP": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([str(PROJECT / "src"), *filter(None, sys.path)]),
    }
    done = subprocess.run(
        [sys.executable, str(script)], env=environ, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    RIGHT[case](done.stdout)


IMPORTS: dict[str, tuple[int, int | None]] = {
    "codecarbon-bad-rows/cc1304.csv": (2, None),
    "codecarbon-bad-rows/cc43.csv": (2, None),
    "codecarbon-bad-rows/cctrunc.csv": (1, None),
    "codecarbon-bad-rows/cc1x.csv": (1, None),
    "codecarbon-bad-rows/ccneg.csv": (2, None),
    "codecarbon-flushed-rows/ccflush.csv": (1, 10_800),
    "nvidia-smi-clock-set-back/smi_dst1s.csv.gz": (1, 1_079_900),
}
"""File of ``measure`` -> the runs that it holds, and their joules where the README says them."""


@pytest.mark.parametrize("name", IMPORTS)
def test_a_case_of_importing_gives_what_is_right(name: str) -> None:
    path = CASES / "measure" / name
    if not path.exists():
        pytest.skip("this input is not here")
    zone = ZoneInfo("Europe/Berlin") if "clock" in name else timezone.utc
    records = read_file(path, zone)
    runs, energy_j = IMPORTS[name]
    assert len(records) == runs
    if energy_j is not None:
        energy = RunView(records[0]).energy
        assert energy is not None
        assert energy.value == pytest.approx(energy_j, rel=1e-3)


@pytest.mark.parametrize("number", range(1, 9))
def test_a_poisoned_file_is_read_as_far_as_it_can_be(number: int, tmp_path: Path) -> None:
    path = next(iter(sorted((CASES / "import-poison").glob(f"case{number}.*"))), None)
    if path is None:
        pytest.skip("this input is not here")
    command = [sys.executable, "-c", "from wattmark.cli.entry import main; main()", "import", str(path)]
    environ = {**os.environ, "WATTMARK_DATA_DIR": str(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "left out" in done.stdout + done.stderr

"""What people see: ls, show, compare and totals at 40, 80 and 120 columns, into a pipe, and without colours.

``SNAPSHOTS=write pytest tests/cli/terminal/test_snapshots.py`` writes them anew; read the difference before it is kept.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fakes.records import rapl_record
from wattmark.runs.record import RunRecord, RunWarning, Spans
from wattmark.store import open_store
from wattmark.workspace.runs import keep

FOLDER = Path(__file__).parent / "snapshots"
NIGHT_NS = 10**18
SECOND_NS = 10**9
COMMANDS = {
    "ls": ["ls"],
    "ls-all": ["ls", "--all"],
    "show": ["show", "train-resnet18"],
    "compare": ["compare", "train-mlp", "train-resnet18"],
    "totals": ["totals", "--period", "month"],
}
WIDTHS = (40, 80, 120, None)
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7])(?:;[0-9]+)*m")


def record(number: int, name: str, watts: float, seconds: int, **changes) -> RunRecord:
    """A run of constant power, exact to the microjoule, on a machine of its own that does not change."""
    base = rapl_record(3)
    t_ns = np.arange(seconds * 2 + 1, dtype=np.int64) * (SECOND_NS // 2)
    curve = replace(base.curves[0], t_ns=t_ns, energy_uj=(t_ns // 1000 * watts).astype(np.int64))
    return replace(
        base,
        run_id=f"20010909T0146{number:02d}-{number:02x}c0ffee",
        name=name,
        started_wall_ns=NIGHT_NS + number * 60 * SECOND_NS,
        start_ns=0,
        end_ns=seconds * SECOND_NS,
        curves=(curve,),
        environment={"host": "node1", "os": "Debian GNU/Linux 12", "cpu": {"model": "Example 9000"}},
        **changes,
    )


def modelled(run: RunRecord) -> RunRecord:
    channel = run.curves[0].channel._replace(id="cpu/package-model", source="cpu-model", method="modelled")
    return replace(
        run,
        curves=(replace(run.curves[0], channel=channel),),
        warnings=(
            RunWarning("modelled", "CPU is modelled here, not measured: no sensor was usable"),
            RunWarning("sensor-unusable", "rapl: This is a virtual machine"),
        ),
    )


def training(run: RunRecord, epochs: int = 6) -> RunRecord:
    """Loading for a tenth of the time, then epochs, each with samples, an accuracy and a loss."""
    begin = run.end_ns // 10
    edges = np.linspace(begin, run.end_ns, epochs + 1).astype(np.int64)
    starts, ends = np.concatenate(([0], edges[:-1])), np.concatenate(([begin], edges[1:]))
    count = epochs + 1
    return replace(
        run,
        spans=Spans(
            ("load", "epoch"),
            np.array([0] + [1] * epochs, np.int32),
            starts,
            ends,
            np.full(count, -1, np.int32),
            np.full(count, 1),
            np.full(count, 1),
            np.zeros(count, np.bool_),
            {row: {"counts": {"samples": 500.0}, "attrs": {"epoch": row - 1}} for row in range(1, count)},
        ),
        extra={
            "metrics": {
                "loss": {
                    "t_s": (edges[1:] / 1e9).tolist(),
                    "step": list(range(epochs)),
                    "value": [1 / (epoch + 1) for epoch in range(epochs)],
                },
                "accuracy": {
                    "t_s": (edges[1:] / 1e9).tolist(),
                    "step": list(range(epochs)),
                    "value": [1 - 0.5 / (epoch + 1) for epoch in range(epochs)],
                },
            }
        },
    )


@pytest.fixture
def kept(cli, monkeypatch):
    """A store with every kind of line: measured, modelled, failed, a study, tags, a long name."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    tags = {"model": "resnet18", "dataset": "cifar10", "project": "vision"}
    runs = [
        training(modelled(record(1, "train-mlp", 20, 20, tags={**tags, "model": "mlp"}))),
        training(modelled(record(2, "train-resnet18", 50, 20, tags=tags))),
        record(
            3, "a-rather-long-name-of-a-script-that-someone-gave.py", 35, 3600, tags={"project": "genops"}
        ),
        record(4, "broken.py", 30, 5, status="failed", exit_code=3),
        *(
            record(
                5 + trial,
                "vision-quick model=mlp",
                40,
                10,
                tags={"study": "vision-quick", "trial": f"t{trial}"},
            )
            for trial in range(3)
        ),
    ]
    with open_store(str(cli.data / "store.db")) as store:
        for run in runs:
            keep(store, run)
    yield runs
    monkeypatch.undo()
    time.tzset()


def check(name: str, text: str) -> None:
    path = FOLDER / f"{name}.txt"
    text = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    if os.environ.get("SNAPSHOTS") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{path} is another picture: see the top of this file"


@pytest.mark.parametrize("command", COMMANDS)
def test_what_people_see(here, kept, monkeypatch, command: str) -> None:
    for width in WIDTHS:
        if width is None:
            monkeypatch.delenv("COLUMNS")
        else:
            monkeypatch.setenv("COLUMNS", str(width))
        code, out, err = here(*COMMANDS[command])
        assert code == 0, err
        check(f"{command}-{width or 'piped'}", out)
        if width is None:
            assert "…" not in out
        elif command != "show":  # whose sentences are for the terminal to wrap
            tables = [line for line in out.splitlines() if "  " in line.strip()]
            assert max(map(len, tables)) <= width


@pytest.mark.parametrize("command", COMMANDS)
def test_colours_only_where_they_are_wanted(here, kept, monkeypatch, command: str) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert not COLOUR.search(here(*COMMANDS[command])[1])
    monkeypatch.delenv("NO_COLOR")
    out = here(*COMMANDS[command])[1]
    assert "\x1b[" in out
    if command in ("ls", "show"):
        assert COLOUR.search(out)


def test_a_study_is_one_line_with_the_sum_of_its_trials(here, read, kept) -> None:
    out = here("ls")[1]
    (line,) = [line for line in out.splitlines() if "vision-quick" in line]
    assert "3 ✓" in line
    assert "1,200 J" in line
    assert sum("vision-quick" in line for line in here("ls", "--all")[1].splitlines()) == 3
    assert len(read("ls")) == len(kept)
    limited = here("ls", "--limit", "1")[1]
    assert "3 ✓" in limited  # a limit of lines, not of the trials in one
    assert "broken" not in limited


def test_short_ids_mean_their_run_and_no_other(here, read, kept) -> None:
    short = here("ls")[1].splitlines()
    (line,) = [line for line in short if "train-resnet18" in line]
    assert read("show", line.split()[0])["name"] == "train-resnet18"


def test_runs_of_a_project(here, kept) -> None:
    out = here("ls", "--project", "genops")[1]
    assert "a-rather-long" in out
    assert "train-mlp" not in out

"""Tables at the widths of terminals: a row is a line, columns go before texts are cut, a pipe loses nothing."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from wattmark.cli.terminal.output import PIPE_WIDTH, console
from wattmark.cli.terminal.table import Table, new_table

RUN = "20260301T120000-1f2e3d"
NAME = "a-rather-long-name-of-a-run-that-someone-gave"


def listing() -> Table:
    table = new_table(
        "run", "name", "time", "energy", "tags", numbers=("time", "energy"), spare=("tags", "time")
    )
    table.add_row(RUN, NAME, "1 min 2 s", "7,200 J", "model=resnet18 dataset=cifar10 seed=1")
    table.add_row(RUN, "short", "3 s", "1 J", "")
    return table


def drawn(table: Table, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, emoji=False, highlight=False).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_row_is_one_line_that_fits(width: int) -> None:
    lines = drawn(listing(), width)
    assert max(len(line) for line in lines) <= width
    assert sum(line.lstrip().startswith(RUN[:8]) for line in lines) == 2
    gone = [line for line in lines if line.startswith("not shown")]
    assert len(lines) == 4 + len(gone)


def test_with_room_everything_is_there() -> None:
    (head, _, first, _) = drawn(listing(), 160)
    assert head.split() == ["run", "name", "time", "energy", "tags"]
    assert first.endswith(" model=resnet18 dataset=cifar10 seed=1")
    assert NAME in first


def test_spare_columns_go_before_names_are_cut_to_nothing() -> None:
    lines = drawn(listing(), 60)
    assert lines[0].split() == ["run", "name", "time", "energy"]
    assert lines[-1] == "not shown at this width: tags"
    assert RUN in lines[2]
    assert "7,200 J" in lines[2]
    name = lines[2].split()[1]
    assert name.endswith("…")
    assert NAME.startswith(name[:-1])
    assert len(name) >= 12


def test_at_forty_columns_the_run_its_name_and_its_energy_stay() -> None:
    lines = drawn(listing(), 40)
    assert lines[0].split() == ["run", "name", "energy"]
    assert lines[2].split()[0] == RUN
    assert lines[2].split()[1].endswith("…")
    assert lines[2].endswith("7,200 J")
    assert lines[-1] == "not shown at this width: tags, time"


def test_sentences_wrap() -> None:
    table = new_table("fact", "value", prose=("value",))
    table.add_row("command", "python train.py --epochs 3 --batch-size 128 --learning-rate 0.1")
    lines = drawn(table, 40)
    assert "…" not in "".join(lines)
    assert " ".join(" ".join(lines[2:]).split()).endswith("--learning-rate 0.1")


def test_a_pipe_is_as_wide_as_need_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert console().width == PIPE_WIDTH
    assert console(stderr=True).width == PIPE_WIDTH
    monkeypatch.setenv("COLUMNS", "80")
    assert console().width == 80

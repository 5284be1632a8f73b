"""Runs and studies as a table: ``wattmark ls``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.console import Console
from rich.text import Text

from wattmark.cli.terminal.output import is_piped, plain
from wattmark.cli.terminal.render import STATUS_STYLES
from wattmark.cli.terminal.table import new_table
from wattmark.store import RunSummary
from wattmark.units import format_duration, format_energy
from wattmark.workspace.listing import StudyLine, is_modelled

_MARKS = {"completed": "✓", "running": "▶ running", "failed": "✗ failed", "interrupted": "■ stopped"}


def render_list(out: Console, listed: Sequence[RunSummary | StudyLine], short: Mapping[str, str]) -> None:
    """One line for each; short: the id that is shown where the width is limited."""
    if not listed:
        out.print("No runs. `wattmark run -- COMMAND` makes one.")
        return
    words = is_piped(out)
    tags = [_tags(line) if isinstance(line, RunSummary) else "" for line in listed]
    last = ("tags",) if any(tags) else ()
    table = new_table(
        "run", "name", "status" if words else "", "started", "time", "energy", *last,
        numbers=("time", "energy"), spare=(*last, "started", "time"),
    )  # fmt: skip
    notes: dict[str, None] = {}
    for line, tagged in zip(listed, tags, strict=True):
        if isinstance(line, RunSummary):
            run_id = line.run_id if words else short[line.run_id]
            name, modelled, tree = plain(line.name), is_modelled(line), line.tree is not None
            status, energy = _status(line.status, words=words), line.headline
        else:
            run_id, name, modelled, tree = "study", plain(line.name), line.is_modelled, False
            status, energy = _statuses(line, words=words), line.energy
        notes |= dict.fromkeys(["~ modelled, not measured"] if modelled else [])
        notes |= dict.fromkeys(["* of the process tree: other work kept the machine busy"] if tree else [])
        mark = ("*" if tree else "") + ("~" if modelled else "")
        table.add_row(
            run_id, name, status, _when(line.started_at), format_duration(line.duration_s),
            "?" if energy is None else mark + format_energy(energy.value), *([tagged] if last else []),
        )  # fmt: skip
    if any(not isinstance(line, RunSummary) for line in listed):
        notes["a study is one line: --all opens it"] = None
    out.print(table)
    if notes:
        out.print("; ".join(notes), style="dim", soft_wrap=True)


def _status(status: str, *, words: bool) -> Text:
    return Text(status if words else _MARKS[status], STATUS_STYLES[status])


def _statuses(study: StudyLine, *, words: bool) -> Text:
    """``3 ✓ 1 ✗``: how many trials ended how."""
    counts = [
        f"{count} {status if words else _MARKS[status].split()[0]}"
        for status, count in study.statuses.items()
    ]
    worst = next((status for status in study.statuses if status != "completed"), "completed")
    return Text((", " if words else " ").join(counts), STATUS_STYLES[worst])


def _when(started: datetime) -> str:
    local = started.astimezone()
    this_year = datetime.now().astimezone().year
    return local.strftime("%m-%d %H:%M" if local.year == this_year else "%Y-%m-%d")


def _tags(run: RunSummary) -> str:
    return " ".join(plain(f"{key}={value}" if value else key) for key, value in run.tags.items())

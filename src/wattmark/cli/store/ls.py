"""``wattmark ls``: the runs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)
STATUSES = ("running", "completed", "failed", "interrupted")


@app.command()
def ls(
    status: Annotated[
        list[str] | None, typer.Option(help="running, completed, failed or interrupted; may be repeated.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="K[=V]", help="Only runs that have this tag.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Only runs of this name, with * and ?.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="A date, a time, or an age: 2d.")] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="At most so many, 0 for all.")] = 50,
    json_path: JsonPath = None,
) -> None:
    """List runs, the newest first; those that go on are there too.

    \b
    Example: wattmark ls --tag model=resnet18 --since 7d
    """
    from wattmark.workspace.moments import parse_since
    from wattmark.workspace.runs import list_runs, store_here

    for word in status or ():
        if word not in STATUSES:
            raise ConfigError(f"--status cannot be {word!r}", hint=f"it is one of {', '.join(STATUSES)}")
    start = parse_since(since) if since else None
    with store_here() as store:
        runs = list_runs(
            store, status=status or (), tags=tag or (), name=name, since=start, limit=limit or None
        )
    rows = [run.as_dict() for run in runs]
    if not write_json(rows, json_path):
        _render(rows)


def _energy(headline: dict[str, Any]) -> str:
    from wattmark.units import format_energy

    if headline["energy_j"] is None:
        return "?"
    return ("*" if headline["scope"] == "tree" else "") + format_energy(headline["energy_j"])


def _render(rows: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from wattmark.cli.terminal.render import STATUS_STYLES
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration

    out = console()
    if not rows:
        out.print("No runs. `wattmark run -- COMMAND` makes one.")
        return
    tagged = ["tags"] if any(row["tags"] for row in rows) else []
    table = new_table(
        "run",
        "name",
        "status",
        "started",
        "time",
        "energy",
        *tagged,
        numbers=("time", "energy"),
        spare=(*tagged, "started", "status", "time"),
    )
    this_year = datetime.now().astimezone().year
    for row in rows:
        started = datetime.fromisoformat(row["started_at"]).astimezone()
        table.add_row(
            row["run_id"],
            plain(row["name"]),
            Text(row["status"], STATUS_STYLES.get(row["status"], "")),
            started.strftime("%m-%d %H:%M" if started.year == this_year else "%Y-%m-%d"),
            format_duration(row["duration_s"]),
            _energy(row["headline"]),
            *(
                [" ".join(plain(f"{key}={value}" if value else key) for key, value in row["tags"].items())]
                if tagged
                else []
            ),
        )
    out.print(table)
    if any(row["headline"]["scope"] == "tree" for row in rows):
        out.print("* of the process tree: other work kept the machine busy", style="dim", soft_wrap=True)

"""``wattmark ls``: the runs."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from wattmark.cli.terminal.completion import complete_name, complete_project, complete_tag
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, write_json
from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)
STATUSES = ("running", "completed", "failed", "interrupted")


@app.command()
def ls(
    status: Annotated[
        list[str] | None, typer.Option(help="running, completed, failed or interrupted; may be repeated.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="K[=V]", help="Only runs that have this tag.", autocompletion=complete_tag),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="GLOB", help="Only runs of this name, with * and ?.", autocompletion=complete_name
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(help="Only runs of this project (the tag).", autocompletion=complete_project),
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="A date, a time, or an age: 2d.")] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="At most so many, 0 for all.")] = 50,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Each trial of a study in its own line.")
    ] = False,
    json_path: JsonPath = None,
) -> None:
    """List runs, the newest first; those that go on are there too.

    A study is one line with the sum of its trials; --all opens it, and JSON always has each run.

    \b
    Example: wattmark ls --tag model=resnet18 --since 7d
    """
    from wattmark.cli.terminal.run_list import render_list
    from wattmark.store import RunSummary
    from wattmark.workspace.listing import lines, runs_of
    from wattmark.workspace.moments import parse_since
    from wattmark.workspace.runs import list_runs, store_here

    for word in status or ():
        if word not in STATUSES:
            raise ConfigError(f"--status cannot be {word!r}", hint=f"it is one of {', '.join(STATUSES)}")
    start = parse_since(since) if since else None
    tags = [*(tag or ()), *([] if project is None else [f"project={project}"])]
    find = partial(
        list_runs if every or json_path == "-" else lines,
        status=status or (),
        tags=tags,
        name=name,
        since=start,
        limit=limit or None,
    )
    with store_here() as store:
        listed = find(store)
        short = store.short_ids(run.run_id for run in listed if isinstance(run, RunSummary))
    if not write_json([run.as_dict() for run in runs_of(listed)], json_path):
        render_list(console(), listed, short)

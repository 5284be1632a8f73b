"""``wattmark export``: runs as files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import write_json
from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)


@app.command("export")
def export_runs(
    refs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Ids, their beginnings, names, last or @-1.")
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="PATH", help="A file, or a folder for tables.")
    ],
    format: Annotated[str | None, typer.Option(help="json, csv or parquet (default: by the name).")] = None,
    json_path: JsonPath = None,
) -> None:
    """Write runs to files: one JSON file that Wattmark can import, or a folder of CSV or Parquet tables.

    \b
    Example: wattmark export last @-2 -o tables.parquet
    """
    from wattmark.store import export
    from wattmark.workspace.runs import find_run, result, store_here

    if format is not None and format not in ("json", "csv", "parquet"):
        raise ConfigError(f"--format cannot be {format!r}", hint="it is json, csv or parquet")
    chosen: Any = format
    with store_here() as store:
        views = {view.id: view for view in (find_run(store, ref) for ref in refs)}
    summaries = {run_id: result(view).to_dict() for run_id, view in views.items()}
    files = export([view.record for view in views.values()], output, chosen, summaries)
    if not write_json({"runs": list(views), "files": files}, json_path):
        for file in files:
            typer.echo(file)

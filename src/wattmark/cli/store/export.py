"""``wattmark export``: runs as files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wattmark.cli.terminal.completion import complete_run
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import write_json

app = typer.Typer(rich_markup_mode=None)


@app.command("export")
def export_runs(
    refs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Ids, their beginnings, names, last or @-1.",
            autocompletion=complete_run,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="PATH", help="A file (its ending says what), or a folder for tables."
        ),
    ],
    format: Annotated[
        str | None,
        typer.Option(
            help="json, csv, parquet, xlsx, tex, md; of one run html, pdf, receipt (.svg, .png) or badge."
        ),
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Write runs to files: JSON that Wattmark can import, tables, a workbook, a page, an energy receipt, a badge.

    \b
    Example: wattmark export last -o run.html
    """
    from wattmark.report.files.writing import export
    from wattmark.workspace.library import view_of

    chosen: Any = format
    views = list({view.id: view for view in map(view_of, refs)}.values())
    files = export(views, output, chosen)
    if not write_json({"runs": [view.id for view in views], "files": files}, json_path):
        for file in files:
            typer.echo(file)

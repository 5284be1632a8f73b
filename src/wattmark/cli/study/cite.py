"""``wattmark cite``: how to cite Wattmark, and what a run's numbers rest on."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmark.cli.terminal.completion import complete_run
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import plain, write_json

app = typer.Typer(rich_markup_mode=None)


@app.command()
def cite(
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...", help="Runs whose sources are named as well.", autocompletion=complete_run
        ),
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Print Wattmark's BibTeX entry, and the sources that the joules and grams of runs rest on.

    \b
    Example: wattmark cite last >> references.bib
    """
    from wattmark.report.files.citation import bibtex, sources_of
    from wattmark.workspace.library import view_of
    from wattmark.workspace.runs import result

    sources = sources_of(result(view_of(ref)) for ref in refs or ())
    if write_json({"bibtex": bibtex(), "sources": sources}, json_path):
        return
    typer.echo(bibtex())
    for source in sources:  # a line that begins so is a comment to BibTeX
        typer.echo(f"% {plain(source)}")

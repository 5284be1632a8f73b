"""``wattmark note``: a sentence on a run."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmark.cli.terminal.options import JsonPath, RunRef
from wattmark.cli.terminal.output import plain, write_json

app = typer.Typer(rich_markup_mode=None)


@app.command()
def note(
    ref: RunRef,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[TEXT]...", help="The note; '' removes it; none shows it.")
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Put a note on a run, in place of the one it had, or show it.

    \b
    Example: wattmark note last "fans were loud, the room at 30 degrees"
    """
    from wattmark.workspace.library import note as put

    text = put(ref, None if words is None else " ".join(words))
    if not write_json({"note": text}, json_path) and text:
        typer.echo(plain(text))

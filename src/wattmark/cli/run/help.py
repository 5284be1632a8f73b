"""``wattmark run`` as the group of commands sees it: a line in the help, a word to complete."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmark.cli.run.command import run

app = typer.Typer(rich_markup_mode=None)


@app.command(
    add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
)
def run_command(words: Annotated[list[str] | None, typer.Argument()] = None) -> None:
    """Measure a command; its exit code is passed through."""
    raise typer.Exit(run(words or []))

"""``wattmark skill``: a short text that tells a coding assistant how to measure, gate and report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)


@app.command()
def skill(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it there, below folders made for it."),
    ] = None,
) -> None:
    """Print the skill file for assistants that write code: measure, gate, report.

    \b
    Example: wattmark skill -o skills/wattmark/SKILL.md
    """
    from wattmark.integrations import skill as text

    words = text.skill()
    if output is None:
        typer.echo(words, nl=False)
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(words, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{output} cannot be written: {error.strerror}", hint="give another path"
        ) from error
    typer.echo(str(output))

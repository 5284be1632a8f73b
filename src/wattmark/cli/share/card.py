"""``wattmark card``: the energy section of a model card, and what a card lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)


@app.command()
def card(
    refs: Annotated[
        list[str] | None, typer.Argument(metavar="[RUN|FILE...]", help="A run; with --check, cards.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Put the section into this card.")
    ] = None,
    training_type: Annotated[
        str | None, typer.Option(metavar="KIND", help="pre-training or fine-tuning, for the card's head.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Say what cards lack instead; 1 if anything.")
    ] = False,
) -> None:
    """Write what a run used into a model card, or check that cards say it.

    \b
    Example: wattmark card last -o README.md
    """
    from wattmark.report import cards

    given = refs or []
    if check:
        if output is not None or not given:
            raise ConfigError("--check takes the cards to look at", hint="wattmark card --check README.md")
        lacking = {path: problems for path in given if (problems := cards.check_card(path))}
        for path, problems in lacking.items():
            for problem in problems:
                typer.echo(f"{path}: {problem.what} ({problem.fix})")
        raise typer.Exit(int(bool(lacking)))
    if len(given) > 1:
        raise ConfigError("a card is of one run", hint="wattmark card RUN -o README.md")
    section = cards.card(given[0] if given else "last", output, training_type=training_type)
    if output is None:
        typer.echo(section, nl=False)
    else:
        typer.echo(str(output))

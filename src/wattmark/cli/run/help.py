"""``wattmark run`` as the group of commands sees it: a line in the help, and options to complete. It never runs from here
but for words that no shell gives: :mod:`wattmark.cli.entry` goes to the command itself."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from wattmark.cli.run.command import parser_of, run
from wattmark.cli.terminal.completion import (
    Words,
    complete_name,
    complete_project,
    complete_tag,
    complete_zone,
)

app = typer.Typer(rich_markup_mode=None)
_COMPLETIONS: dict[str, Callable[[str], Words]] = {
    "name": complete_name,
    "tag": complete_tag,
    "project": complete_project,
    "zone": complete_zone,
    "when": lambda incomplete: [("green", "wait for clean power")],
}


def _run(**options: Any) -> None:
    """Measure a command; its exit code is passed through."""
    raise typer.Exit(run(options["words"] or []))


def _parameter(action: argparse.Action) -> inspect.Parameter:
    """The option as typer takes it: a flag, or a word."""
    is_flag = action.nargs == 0
    option = typer.Option(
        *action.option_strings, help=action.help, autocompletion=_COMPLETIONS.get(action.dest)
    )
    kind = bool if is_flag else str | None
    default = False if is_flag else None
    return inspect.Parameter(
        action.dest, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


_WORDS = inspect.Parameter(
    "words",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[list[str] | None, typer.Argument()],
)
_parameters = [_WORDS, *map(_parameter, parser_of()[1])]
_run.__signature__ = inspect.Signature(_parameters)  # type: ignore[attr-defined]
_run.__annotations__ = {parameter.name: parameter.annotation for parameter in _parameters}
app.command(add_help_option=False, context_settings={"allow_interspersed_args": False})(_run)

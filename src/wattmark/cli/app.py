"""The group of commands; each command's module is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from wattmark._version import __version__

COMMANDS = {
    "run": "run.help",
    "sources": "sources",
    "top": "top.command",
    "ls": "store.ls",
    "show": "store.show",
    "compare": "store.compare",
    "whatif": "whatif",
    "predict": "predict.command",
    "impact": "carbon.impact",
    "plan": "carbon.plan",
    "cycle": "carbon.cycle",
    "fleet": "carbon.fleet",
    "totals": "store.totals",
    "health": "store.health",
    "export": "store.export",
    "import": "store.importing",
    "rm": "store.rm",
    "tag": "store.tag",
    "prune": "store.prune",
    "recover": "store.recover",
    "config": "config",
    "calibrate": "calibrate",
    "gate": "advise.gate",
    "study": "study.command",
    "anatomy": "anatomy",
    "llm": "llm.command",
    "ui": "ui",
}
"""Command -> module of this package; the module has a Typer ``app`` whose only command it is."""


class LazyGroup(TyperGroup):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None if there is no such one."""
        if cmd_name not in COMMANDS:
            self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # names to suggest
            return None
        module = importlib.import_module(f"wattmark.cli.{COMMANDS[cmd_name]}")
        command: Any = typer.main.get_command(module.app)
        command.name = cmd_name
        return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"wattmark {__version__}")
        raise typer.Exit


@app.callback()
def _root(  # pyright: ignore[reportUnusedFunction]
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Measure what AI costs in energy and carbon, with software only.

    \b
    Example: wattmark run -- python train.py
    """


def run_app(words: list[str]) -> int:
    """Run one command; its exit code. Usage errors are told here and give 2; a WattmarkError goes to the caller."""
    try:
        typer.main.get_command(app)(args=words, prog_name="wattmark")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0

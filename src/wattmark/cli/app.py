"""The group of commands; each command's module is imported when it is asked for."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from wattmark._version import __version__

COMMANDS = {
    "run": "run.help",
    "sources": "machine.sources",
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
    "edge": "carbon.edge",
    "totals": "store.totals",
    "health": "store.health",
    "export": "store.export",
    "import": "store.importing",
    "rm": "store.rm",
    "tag": "store.tag",
    "note": "store.note",
    "prune": "store.prune",
    "recover": "store.recover",
    "config": "machine.config",
    "calibrate": "machine.calibrate",
    "stage": "share.stage",
    "card": "share.card",
    "skill": "share.skill",
    "gate": "advise.gate",
    "agent": "machine.agent",
    "try": "advise.try_",
    "advise": "advise.cap",
    "study": "study.command",
    "anatomy": "anatomy",
    "llm": "llm.command",
    "cite": "study.cite",
    "store": "store.team",
    "ui": "ui",
}
"""Command -> module of this package; the module has a Typer ``app`` whose only command it is."""

GROUPS: dict[str, tuple[str, ...]] = {
    "Measure": ("run", "top", "sources", "calibrate", "agent"),
    "Look": ("ls", "show", "compare", "health", "ui"),
    "Know before": ("predict", "whatif", "plan", "cycle", "edge", "anatomy"),
    "Save": ("try", "advise", "gate"),
    "Study": ("study",),
    "Serve": ("llm",),
    "Share": ("totals", "fleet", "impact", "card", "stage", "skill", "export", "import", "cite"),
    "Keep in order": ("tag", "note", "rm", "prune", "recover", "store", "config"),
}
"""How the help sorts the commands; those in none stand under "Others"."""


class LazyGroup(TyperGroup):
    """Imports a command's module when the command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All commands, in the order of the table."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The commands in groups, each with as much of its first sentence as a line takes."""
        others = tuple(name for name in COMMANDS if not any(name in names for names in GROUPS.values()))
        room = formatter.width - max(map(len, COMMANDS)) - 6
        for title, names in (*GROUPS.items(), ("Others", others)):
            commands = [(name, self.get_command(ctx, name)) for name in names]
            if commands:
                with formatter.section(title):
                    formatter.write_dl(
                        [(name, _first_words(command.help or "", room)) for name, command in commands]
                    )

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or None if there is no such one."""
        if cmd_name not in COMMANDS:
            self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]  # names to suggest
            return None
        module = importlib.import_module(f"wattmark.cli.{COMMANDS[cmd_name]}")
        command: Any = typer.main.get_command(module.app)
        command.name = cmd_name
        return command


def _first_words(text: str, room: int) -> str:
    """The first sentence of a help text; what does not fit ends where a bracket opens, or at a word with an ellipsis."""
    first = " ".join(text.partition("\n\n")[0].split()).partition(". ")[0].rstrip(".")
    if len(first) <= room:
        return first
    bracket = first.rfind(" (", room // 2, room)
    return first[:bracket] if bracket > 0 else f"{first[: room - 1].rpartition(' ')[0].rstrip(' ,:;')} …"


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

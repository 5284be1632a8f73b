"""Writes docs/reference/options.md: every command's help, as it is. The build does it anew each time (docs/conf.py)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "reference" / "options.md"
HEAD = """# Options of every command

Written by the program from its own help; what they have in common is [told once](cli.md).
"""


def pages() -> str:
    """Each command, and each of its own commands, with its help."""
    import typer

    from wattmark.cli.app import COMMANDS, app
    from wattmark.cli.run.command import parser_of

    group: Any = typer.main.get_command(app)
    root: Any = group.context_class(group, info_name="wattmark")
    parts = [HEAD]
    for name in COMMANDS:
        if name == "run":
            parts.append(_section("wattmark run", parser_of()[0].format_help()))
            continue
        parts += _command(group.get_command(root, name), f"wattmark {name}", root, name)
    return "\n".join(parts)


def _command(command: Any, title: str, above: Any, name: str) -> list[str]:
    context = command.context_class(command, info_name=name, parent=above)
    parts = [_section(title, command.get_help(context))]
    for word in getattr(command, "commands", None) or {}:
        inner = command.get_command(context, word)
        if inner is not None and not inner.hidden:
            parts += _command(inner, f"{title} {word}", context, word)
    return parts


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text.strip()}\n```\n"


def write() -> None:
    """Write the page where it is not as it should be."""
    os.environ["COLUMNS"] = "100"
    text = pages()
    if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
        TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
    sys.stdout.write(f"{TARGET}\n")

"""What all commands share: consoles, ``--json``, errors in a line or two, and text that cannot harm a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from wattmark.errors import ConfigError, WattmarkError

if TYPE_CHECKING:
    from rich.console import Console


def plain(text: object) -> str:
    """``text`` without control characters: what a run is called must not move the cursor or colour the screen."""
    return "".join(sign if sign.isprintable() else "�" for sign in str(text))


PIPE_WIDTH = 100_000
"""Nothing that we print is wider, so nothing is wrapped or cut where no one said how wide it may be."""


def console(*, stderr: bool = False) -> Console:
    """A console that takes text as it stands: no markup, no emoji codes, no highlighting.

    As wide as the terminal, or as ``COLUMNS`` says; into a pipe or a file as wide as need be.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width_given = stream.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(
        stderr=stderr, markup=False, emoji=False, highlight=False, width=None if width_given else PIPE_WIDTH
    )


def is_piped(out: Console) -> bool:
    """Whether nothing limits the width: what is written is for scripts and files, whole and in words."""
    return out.width >= PIPE_WIDTH


def say(message: str) -> None:
    """One line of ours on standard error."""
    sys.stderr.write(f"wattmark: {plain(message)}\n")
    sys.stderr.flush()


def report_error(error: WattmarkError) -> None:
    """What happened and why; below it what to do next."""
    say(str(error))
    if error.hint:
        sys.stderr.write(f"  hint: {plain(error.hint)}\n")


def writable_json(path: str | None) -> str | None:
    """``path`` as it was given to ``--json``, seen before the work to be one that can be written. Raises ConfigError."""
    return path if path == "-" else writable_file("--json", path)


def writable_file(option: str, path: str | None) -> str | None:
    """``path`` as it was given to an option, seen before the work to be one that can be written. Raises ConfigError."""
    if path is None:
        return path
    from pathlib import Path

    file = Path(path)
    folder = file.parent
    if not folder.is_dir():
        raise ConfigError(
            f"{option}: there is no folder {folder}", hint="make it first, or give another path"
        )
    if file.is_dir():
        raise ConfigError(f"{option}: {path} is a folder", hint="give the name of a file in it")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise ConfigError(f"{option}: {path} cannot be written by this user", hint="give another path")
    return path


def write_text(path: str, text: str) -> None:
    """Write a file that the user asked for. Raises ConfigError."""
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def write_json(data: object, path: str | None) -> bool:
    """Write ``data`` where ``--json`` says, if it was given; whether standard output is taken by it."""
    if path is None:
        return False
    import json

    text = json.dumps(_finite(data), indent=2, allow_nan=False) + "\n"
    if path == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return True
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ConfigError(f"--json: cannot write {path}: {error.strerror}") from error
    return False


def _finite(data: object) -> Any:
    from wattmark.store.portable import strict

    return strict(data)

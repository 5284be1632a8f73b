"""Where ``wattmark`` begins: one fast way into ``run``, one into everything else, and how failures reach the user."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from wattmark import settings
from wattmark.cli.terminal.output import report_error, say
from wattmark.errors import ConfigError, WattmarkError
from wattmark.paths import data_dir
from wattmark.text import keep_output_whole
from wattmark.units import show_energies_in


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry of the ``wattmark`` command; ends the process with the command's exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    keep_output_whole()
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            sys.exit(_dispatch(words))
        except WattmarkError as error:
            report_error(error)
            sys.exit(error.exit_code)
        except BrokenPipeError:  # `wattmark ls | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.exit(1)
        except KeyboardInterrupt:
            sys.exit(130)


def _dispatch(words: list[str]) -> int:
    show_energies_in(_energy_unit())
    _put_caps_back()
    if words[:1] == ["run"]:
        from wattmark.cli.run.command import run

        return run(words[1:])
    from wattmark.cli.app import run_app

    return run_app(words)


def _put_caps_back() -> None:
    """Power caps that a killed search has left behind: the next command, whichever it is, puts them back."""
    try:
        names = os.listdir(f"{data_dir()}/caps")  # noqa: PTH208 - pathlib takes milliseconds to import
    except OSError:
        return
    if any(name.endswith(".json") for name in names):
        from wattmark.limits.restoring import put_back

        for line in put_back():
            say(line)


def _energy_unit() -> str:
    try:
        return settings.load().get("energy_unit", "auto")
    except (
        ConfigError
    ):  # the command says so where it needs the settings; `wattmark config` must be able to mend them
        return "auto"


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """What Wattmark warns of is one line on standard error; warnings of others are for their developers."""
    text = str(message)
    if text.startswith("wattmark: "):
        say(text.removeprefix("wattmark: "))
    elif sys.warnoptions:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))

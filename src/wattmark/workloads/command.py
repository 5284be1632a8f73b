"""Any command line as a workload, so that code in every language and framework can be studied.

``{factor}`` in an argument is replaced by that factor's level; other braces are left as they are (awk has many).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wattmark.errors import WattmarkError
from wattmark.workloads.registry import Config, Factor, SpanMaker

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
EXTRA_PLACEHOLDERS = ("python", "repeat", "seed")
"""Placeholders beside the factors: this Python's executable, the number of the repeat, the study's seed."""


class CommandFailed(WattmarkError):
    """A studied command ended badly; ``exit_code`` is the command's (negative: ended by that signal)."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class CommandWorkload:
    """A command line. argv: its words. shell: run them, joined, by /bin/sh. cwd: where. env: added to the environment.

    Its metrics are the numbers of the last line of its standard output that is a JSON object.
    """

    argv: Sequence[str]
    shell: bool = False
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def factors(self) -> Mapping[str, Factor]:
        """None of its own: a study names them freely."""
        return {}

    def warm_up(self, config: Config) -> None:
        """Run it once. Raises CommandFailed."""
        self._run(config)

    def run(self, config: Config, span: SpanMaker) -> dict[str, float]:
        """Run it; the numbers that it printed. Raises CommandFailed."""
        return numbers_of(self._run(config))

    def command_line(self, config: Config) -> list[str]:
        """Its words with every placeholder filled in. In a shell, levels are quoted."""
        if self.shell:
            return ["/bin/sh", "-c", fill(" ".join(self.argv), config, quote=True)]
        return [fill(word, config) for word in self.argv]

    def _run(self, config: Config) -> dict[str, Any]:
        command = self.command_line(config)
        environ = {**os.environ, **{name: fill(value, config) for name, value in self.env.items()}}
        figures: dict[str, Any] = {}
        try:
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                cwd=None if self.cwd is None else fill(self.cwd, config),
                env=environ,
            ) as child:
                assert child.stdout is not None
                for line in child.stdout:
                    sys.stdout.buffer.write(line)
                    figures = json_object(line) or figures
                sys.stdout.buffer.flush()
        except OSError as error:
            raise CommandFailed(f"{command[0]} cannot be run: {error.strerror}", 127) from error
        if child.returncode:
            how = f"signal {-child.returncode}" if child.returncode < 0 else f"exit code {child.returncode}"
            raise CommandFailed(f"{command[0]} ended with {how}", child.returncode)
        return figures


def placeholders(words: Sequence[str]) -> set[str]:
    """All names in braces."""
    return {name for word in words for name in PLACEHOLDER.findall(word)}


def fill(word: str, config: Config, *, quote: bool = False) -> str:
    """``word`` with ``{name}`` replaced where ``config`` (or ``{python}``) has that name."""
    levels = {"python": sys.executable, **config}

    def level(match: re.Match[str]) -> str:
        if match[1] not in levels:
            return match[0]
        value = levels[match[1]]
        text = str(value).lower() if isinstance(value, bool) else str(value)
        return shlex.quote(text) if quote else text

    return PLACEHOLDER.sub(level, word)


def json_object(line: bytes) -> dict[str, Any] | None:
    """The JSON object that is this whole line, or None."""
    line = line.strip()
    if not (line.startswith(b"{") and line.endswith(b"}")):
        return None
    try:
        data: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return data


def numbers_of(data: Mapping[str, Any]) -> dict[str, float]:
    """The entries that are numbers; truth counts as 0 or 1."""
    return {key: float(value) for key, value in data.items() if isinstance(value, int | float)}

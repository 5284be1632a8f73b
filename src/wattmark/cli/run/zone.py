"""Ask once where a machine's power comes from: on a terminal, after a run whose carbon is not known.

After it, so that no work waits for an answer; and for half a minute at most, so that a script in a terminal goes on. The
answer is a setting; no answer is kept as asked, and not asked again.
"""

from __future__ import annotations

import os
import select
import sys
import termios
from pathlib import Path

from wattmark.cli.terminal.output import say
from wattmark.errors import ConfigError
from wattmark.paths import data_dir

WAIT_S = 30.0
ASKED = "zone-asked"
"""A file in the data folder: the question was put."""
_TRIES = 3


def may_ask() -> bool:
    """Whether someone sits there who was not asked before."""
    if os.environ.get("CI") or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    if (
        os.tcgetpgrp(sys.stdin.fileno()) != os.getpgrp()
    ):  # a job in the background would be stopped by reading
        return False
    return not _asked().exists()


def ask_zone(wait_s: float = WAIT_S) -> str | None:
    """The zone that was answered, which is a setting from now on; None for no answer."""
    from wattmark.impact import find_zone
    from wattmark.workspace.configuration import set_setting

    try:
        _asked().touch()
    except OSError:
        return None  # what cannot be kept would be asked for ever
    say("where does this machine's power come from? It gives runs their carbon. Asked only this once.")
    termios.tcflush(sys.stdin, termios.TCIFLUSH)  # what was typed for the command is no answer
    for _ in range(_TRIES):
        sys.stderr.write("  zone (FR, US-CAL-CISO, gcp:europe-west1; Enter: none): ")
        sys.stderr.flush()
        answer = _line(wait_s)
        if not answer:
            say("none; later: wattmark config set zone FR")
            return None
        try:
            zone = find_zone(answer)
        except ConfigError as error:
            say(f"{error}{f' ({error.hint})' if error.hint else ''}")
            continue
        set_setting("zone", zone.id)
        say(f"{zone.id} ({zone.name}) is kept; another one: wattmark config set zone NAME")
        return zone.id
    return None


def _line(wait_s: float) -> str:
    """What was typed after the question, or nothing in time."""
    ready, _, _ = select.select([sys.stdin], [], [], wait_s)
    if not ready:
        sys.stderr.write("\n")
        return ""
    return sys.stdin.readline().strip()


def _asked() -> Path:
    return Path(data_dir()) / ASKED

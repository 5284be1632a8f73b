"""Where Wattmark keeps things: one data folder, and nothing is ever written outside it.

Standard library only; the recorder's process imports this module.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping


def data_dir(environ: Mapping[str, str] | None = None) -> str:
    """The absolute path of the data folder (not created here).

    ``WATTMARK_DATA_DIR`` names it; else it is ``wattmark`` in the platform's folder for user data:
    ``XDG_DATA_HOME`` if that is absolute, as the XDG Base Directory Specification demands, else
    ``~/.local/share`` (on macOS ``~/Library/Application Support``, on Windows ``%LOCALAPPDATA%``).
    """
    env = os.environ if environ is None else environ
    named = env.get("WATTMARK_DATA_DIR")
    if named:
        return os.path.abspath(_expand(named, env))
    xdg = env.get("XDG_DATA_HOME", "")
    if os.path.isabs(xdg):
        base = xdg
    elif sys.platform == "darwin":
        base = _expand("~/Library/Application Support", env)
    elif sys.platform == "win32":
        base = env.get("LOCALAPPDATA") or _expand("~/AppData/Local", env)
    else:
        base = _expand("~/.local/share", env)
    return os.path.join(base, "wattmark")


def journals_dir(environ: Mapping[str, str] | None = None) -> str:
    """The folder in which each run has a folder of journals until they are read into the store."""
    return os.path.join(data_dir(environ), "journals")


def _expand(path: str, env: Mapping[str, str]) -> str:
    home = env.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        return home + path[1:]
    return os.path.expanduser(path)

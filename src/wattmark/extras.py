"""Other people's packages, imported when they are wanted; what comes back is theirs, so it has no types of ours."""

from __future__ import annotations

import importlib
from typing import Any

from wattmark.errors import MissingExtra


def module_of(extra: str, *names: str) -> Any:
    """The first of some modules that is there. Raises MissingExtra, which names the extra, where none is."""
    missing: ImportError | None = None
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            missing = error
    raise MissingExtra(names[0].partition(".")[0], extra) from missing

"""Models of the user's own, named as ``package.module:factory``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError


@contextmanager
def _current_folder_importable() -> Generator[None]:
    """A console script does not search the folder it is called in; ``python -m`` does."""
    folder = str(Path.cwd())
    if folder in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def load_factory(spec: str) -> Callable[..., Any]:
    """The callable that ``package.module:factory`` names; the current folder is searched last.

    Raises ConfigError if the text has another form, the module cannot be imported, or it has no such
    callable. An exception raised by the module's own code while it is imported is passed on as it is.
    """
    module_name, _, attribute = spec.partition(":")
    parts = (*module_name.split("."), *attribute.split("."))
    if not all(part.isidentifier() for part in parts):
        raise ConfigError(f"{spec!r} does not name a factory", hint="write package.module:factory")
    with _current_folder_importable():
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            missing = error.name or module_name
            own = module_name == missing or module_name.startswith(f"{missing}.")
            raise ConfigError(
                f"no module named {missing!r}" + ("" if own else f", which {module_name} imports"),
                hint="check the spelling, and that it is installed or in the current folder"
                if own
                else f"install {missing}",
            ) from error
        except (ImportError, SyntaxError) as error:
            raise ConfigError(f"{module_name} cannot be imported: {error}") from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            owner = getattr(found, "__name__", module_name)
            inside = [n for n in dir(found) if not n.startswith("_") and callable(getattr(found, n))]
            public = ", ".join(inside)
            raise ConfigError(f"{owner} has no {name!r}", hint=f"it has: {public}" if public else None)
        found = getattr(found, name)
    if not callable(found):
        raise ConfigError(f"{spec} is a {type(found).__name__}, not a function or class that builds a model")
    return found

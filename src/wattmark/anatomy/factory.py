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


@contextmanager
def _what_is_missing(module_name: str) -> Generator[None]:
    """A module that is not there as a ConfigError that says whose fault it is: the name's, or a dependency's."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or module_name
        message = f"no module named {missing!r}"
        if not _ran_code(error):
            hint = "check the spelling, and that it is installed or in the current folder"
        elif missing.partition(".")[0] == module_name.partition(".")[0]:
            message, hint = (
                f"{message}, which {module_name} imports",
                f"{module_name} has no such part of its own",
            )
        else:
            message, hint = f"{message}, which {module_name} imports", f"install {missing.partition('.')[0]}"
        raise ConfigError(message, hint=hint) from error


def _ran_code(error: BaseException) -> bool:
    """Whether code of the user's module ran before the error, so that the module itself is there."""
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    return any(
        frame not in (__file__, importlib.__file__) and not frame.startswith("<frozen importlib")
        for frame in frames
    )


def call_factory(spec: str, factory: Callable[..., Any], **arguments: Any) -> Any:
    """What a factory returns. Raises ConfigError for a module that it imports and that is not there."""
    with _what_is_missing(spec.partition(":")[0]):
        return factory(**arguments)


def load_factory(spec: str) -> Callable[..., Any]:
    """The callable that ``package.module:factory`` names; the current folder is searched last.

    Raises ConfigError if the text has another form, the module cannot be imported, or it has no such
    callable. An exception raised by the module's own code while it is imported is passed on as it is.
    """
    module_name, _, attribute = spec.partition(":")
    parts = (*module_name.split("."), *attribute.split("."))
    if not all(part.isidentifier() for part in parts):
        raise ConfigError(f"{spec!r} does not name a factory", hint="write package.module:factory")
    with _current_folder_importable(), _what_is_missing(module_name):
        try:
            target: Any = importlib.import_module(module_name)
        except ModuleNotFoundError:
            raise
        except (ImportError, SyntaxError) as error:
            raise ConfigError(f"{module_name} cannot be imported: {error}") from error
    for name in attribute.split("."):
        if not hasattr(target, name):
            owner = getattr(target, "__name__", module_name)
            inside = [n for n in dir(target) if not n.startswith("_") and callable(getattr(target, n))]
            public = ", ".join(inside)
            raise ConfigError(f"{owner} has no {name!r}", hint=f"it has: {public}" if public else None)
        target = getattr(target, name)
    if not callable(target):
        raise ConfigError(f"{spec} is a {type(target).__name__}, not a function or class that builds a model")
    return target

"""Values from files, such as a design or the facts of a machine, as the kinds of value that they should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast


def plain_mapping(value: Any) -> Mapping[str, Any]:
    """The mapping that a value from a file should be; an empty one if it is something else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def plain_list(value: Any) -> list[Any]:
    """The list that a value from a file should be; a word alone is a list of one, anything else an empty one."""
    if isinstance(value, list | tuple):
        return list(cast("Sequence[Any]", value))
    return [value] if isinstance(value, str) else []


FILES = "wattmark study report NAME --files FOLDER"
"""How a reader gets the tables that a page cuts short."""

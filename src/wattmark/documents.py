"""Documents from outside (JSON, TOML, a journal's records) read with types: what is of another type counts as not there.

Standard library only. Whoever must refuse what is wrong looks for the None.
"""

from __future__ import annotations

from collections.abc import Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeGuard

_LARGEST = 1e300


def is_mapping(value: object) -> TypeGuard[Mapping[str, object]]:
    """Whether a value is a table; the keys of documents are texts."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[Sequence[object]]:
    """Whether a value is a list or a tuple."""
    return isinstance(value, list | tuple)


def mapping(value: object) -> Mapping[str, object]:
    """A table; an empty one where the value is none."""
    return value if is_mapping(value) else {}


def items(value: object) -> Sequence[object]:
    """The items of a list; none where the value is no list."""
    return value if is_list(value) else ()


def mappings(value: object) -> list[Mapping[str, object]]:
    """The tables in a list."""
    return [item for item in items(value) if is_mapping(item)]


def first(value: object) -> Mapping[str, object]:
    """The first table of a list; an empty one where there is none."""
    found = mappings(value)
    return found[0] if found else {}


def text(value: object) -> str | None:
    """A text."""
    return value if isinstance(value, str) else None


def number(value: object) -> float | None:
    """A finite number; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST else None


def numbers(value: object) -> dict[str, float]:
    """The entries of a table that are finite numbers."""
    pairs = ((str(key), number(item)) for key, item in mapping(value).items())
    return {key: item for key, item in pairs if item is not None}

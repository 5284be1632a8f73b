"""HTML built from parts that escape themselves: whatever is not :class:`Html` is text, so no name can become markup."""

from __future__ import annotations

import html
from collections.abc import Iterable

from wattmark.text import clean

_VOID = frozenset({"meta", "br", "hr", "col"})


class Html(str):
    """Text that is already markup. Only this package makes it, never from a name, a log or a factor."""

    __slots__ = ()


Part = str | int | None | Iterable["Part"]


def escape(part: object) -> Html:
    """Markup for any value: :class:`Html` as it is, everything else as escaped text."""
    return part if isinstance(part, Html) else Html(html.escape(clean(part), quote=True))


def join(*parts: Part) -> Html:
    """The parts one after the other; None is nothing, iterables are flattened."""
    out: list[str] = []
    for part in parts:
        if part is None:
            continue
        out.append(escape(part) if isinstance(part, str | int) else join(*part))
    return Html("".join(out))


def tag(name: str, /, *children: Part, **attributes: object) -> Html:
    """One element. ``class_`` gives ``class``, ``aria_label`` gives ``aria-label``; True is a bare attribute,
    None and False leave it out."""
    words = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(attribute)
        elif value is not None and value is not False:
            words.append(f'{attribute}="{escape(str(value))}"')
    opening = f"<{' '.join(words)}>"
    return Html(opening if name in _VOID else f"{opening}{join(*children)}</{name}>")

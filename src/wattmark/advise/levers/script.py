"""``wm.levers(batch_size=64)``: what a script lets ``wattmark try`` change. Standard library only, a few microseconds.

On its own the script gets what it says. Under ``wattmark try`` the first run tells which levers there are, and each
further one gets what is tried.
"""

from __future__ import annotations

import json
import os
import sys

from wattmark.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from wattmark.advise.levers.lever import Level

_VARIABLE = "WATTMARK_LEVERS"


class Levers:
    """The levers of a script and where they stand: ``levers.batch_size`` or ``levers["batch_size"]``."""

    def __init__(self, values: dict[str, Level]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Level:
        return self._values[name]

    def __getattr__(self, name: str) -> Level:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"no lever {name!r}; there is {', '.join(self._values)}")
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> list[str]:
        """Their names; with this ``dict(levers)`` and ``**levers`` work."""
        return list(self._values)

    def __repr__(self) -> str:
        return f"<Levers {', '.join(f'{name}={value!r}' for name, value in self._values.items())}>"


def levers(**levels: Level | tuple[Level, ...] | list[Level]) -> Levers:
    """What the script can be run with: ``wm.levers(batch_size=64, compile=False, precision=("f32", "bf16"))``.

    A number or word is where it stands as a rule; ``wattmark try`` then tries others that are usual for its name
    (``batch_size``, ``workers``), or the other of True and False. A tuple lists them itself, the usual one first. Raises
    ConfigError for what is no number, word or truth.
    """
    told: dict[str, list[Level]] = {}
    for name, level in levels.items():
        choices: list[Level] = list(level) if isinstance(level, tuple | list) else [level]
        if not choices or not all(type(one) in (bool, int, float, str) for one in choices):
            raise ConfigError(
                f"the lever {name} is {level!r}: it takes numbers, words, True or False",
                hint=f"wm.levers({name}=64), or wm.levers({name}=(64, 128, 256))",
            )
        told[name] = choices
    given = _given()
    if given is not None:
        known: dict[str, list[Level]] = getattr(sys, "_wattmark_declared_levers", {})
        sys._wattmark_declared_levers = {**known, **told}  # type: ignore[attr-defined]  # for the hook, which knows no Wattmark
    wanted = given or {}
    return Levers({name: _as(wanted.get(name, choices[0]), choices[0]) for name, choices in told.items()})


def _given() -> dict[str, Level] | None:
    """What ``wattmark try`` wants tried in this run; None outside of it."""
    text = os.environ.get(_VARIABLE)
    if not text:
        return None
    try:
        values = json.loads(text).get("values", {})
    except (ValueError, AttributeError):
        return None
    return values if isinstance(values, dict) else {}  # pyright: ignore[reportUnknownVariableType]


def _as(value: Level, like: Level) -> Level:
    """As the script's own level: a whole number stays one."""
    if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value

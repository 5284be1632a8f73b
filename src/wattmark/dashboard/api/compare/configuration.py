"""What differs between runs beside their joules: machine, software, settings, command, tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from wattmark.runs.comparison import methods_of
from wattmark.runs.view import RunView
from wattmark.units import format_duration

Group = Literal["machine", "measurement", "software", "settings", "command", "tags"]
GROUPS: tuple[Group, ...] = ("tags", "settings", "command", "software", "machine", "measurement")
_MACHINE = (
    "host",
    "machine",
    "os",
    "kernel",
    "cpu",
    "memory_bytes",
    "gpus",
    "gpu",
    "virtualisation",
    "cgroup",
)
_OWN = ("session", "selection", "update_periods_s", "gpu_shares", "metrics")
"""Of a run's ``extra``: what is of the run alone, or told by its channels."""
_LONGEST = 2_000
_DEEPEST = 6


def configuration(view: RunView) -> dict[tuple[Group, str], str]:
    """Everything that was set or found for a run, flat, as text."""
    record = view.record
    environment = dict(record.environment)
    process: Any = environment.pop("process", None) or {}
    found: dict[tuple[Group, str], str] = {}

    def put(group: Group, name: str, value: Any) -> None:
        for key, text in _flat(name, value):
            found[group, key] = text

    for key, value in record.tags.items():
        put("tags", key, value or "yes")
    for name in _MACHINE:
        put("machine", name, environment.pop(name, None))
    put("software", "packages", environment.pop("packages", None))
    put("software", "git", environment.pop("git", None))
    put("software", "python", process.get("python"))
    put("software", "executable", process.get("executable"))
    put("command", "command", " ".join(str(word) for word in process.get("command") or ()))
    put("command", "cwd", process.get("cwd"))
    put("settings", "environment", process.get("environment"))
    put("settings", "environment", environment)
    put("settings", "", {key: value for key, value in record.extra.items() if key not in _OWN})
    put(
        "measurement",
        "period",
        format_duration(float(record.recorder.get("period_s") or 0))
        if record.recorder.get("period_s")
        else None,
    )
    for component, method in methods_of(view).items():
        sources = {
            curve.curve.channel.source for curve in view.counted if curve.curve.channel.component == component
        }
        put("measurement", component, f"{method} ({', '.join(sorted(sources))})")
    return found


def differences(views: Sequence[RunView]) -> tuple[list[tuple[Group, str, list[str | None]]], int]:
    """What is not the same in all: group, name, and the value in each (None: not there); and how much is the same."""
    each = [configuration(view) for view in views]
    keys = sorted({key for one in each for key in one}, key=lambda key: (GROUPS.index(key[0]), key[1]))
    rows: list[tuple[Group, str, list[str | None]]] = [
        (group, name, [one.get((group, name)) for one in each]) for group, name in keys
    ]
    different = [row for row in rows if len(set(row[2])) > 1]
    return different, len(rows) - len(different)


def _flat(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, str]]:
    if value is None or value == "" or value == {} or value == []:
        return
    if isinstance(value, Mapping) and depth < _DEEPEST:
        for key, inner in cast("Mapping[Any, Any]", value).items():
            yield from _flat(f"{name} {key}".strip(), inner, depth + 1)
    elif isinstance(value, list | tuple):
        yield name, ", ".join(str(one) for one in cast("Sequence[Any]", value))[:_LONGEST]
    else:
        yield name, str(cast("object", value))[:_LONGEST]

"""What differs between runs beside their joules: machine, software, settings, command, tags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from wattmark.documents import is_list, is_mapping, items, mapping, number
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
    process = mapping(environment.pop("process", None))
    texts: dict[tuple[Group, str], str] = {}

    def put(group: Group, name: str, value: object) -> None:
        for key, text in _flat(name, value):
            texts[group, key] = text

    for key, value in record.tags.items():
        put("tags", key, value or "yes")
    for name in _MACHINE:
        put("machine", name, environment.pop(name, None))
    put("software", "packages", environment.pop("packages", None))
    put("software", "git", environment.pop("git", None))
    put("software", "python", process.get("python"))
    put("software", "executable", process.get("executable"))
    put("command", "command", " ".join(map(str, items(process.get("command")))))
    put("command", "cwd", process.get("cwd"))
    put("settings", "environment", process.get("environment"))
    put("settings", "environment", environment)
    put("settings", "", {key: value for key, value in record.extra.items() if key not in _OWN})
    period_s = number(record.recorder.get("period_s"))
    put(
        "measurement",
        "period",
        format_duration(period_s) if period_s else None,
    )
    for component, method in methods_of(view).items():
        sources = {
            curve.curve.channel.source for curve in view.counted if curve.curve.channel.component == component
        }
        put("measurement", component, f"{method} ({', '.join(sorted(sources))})")
    return texts


def differences(views: Sequence[RunView]) -> tuple[list[tuple[Group, str, list[str | None]]], int]:
    """What is not the same in all: group, name, and the value in each (None: not there); and how much is the same."""
    each = [configuration(view) for view in views]
    keys = sorted({key for texts in each for key in texts}, key=lambda key: (GROUPS.index(key[0]), key[1]))
    rows: list[tuple[Group, str, list[str | None]]] = [
        (group, name, [texts.get((group, name)) for texts in each]) for group, name in keys
    ]
    different = [row for row in rows if len(set(row[2])) > 1]
    return different, len(rows) - len(different)


def _flat(name: str, value: object, depth: int = 0) -> Iterator[tuple[str, str]]:
    if value is None or value == "" or value == {} or value == []:
        return
    if is_mapping(value) and depth < _DEEPEST:
        for key, inner in value.items():
            yield from _flat(f"{name} {key}".strip(), inner, depth + 1)
    elif is_list(value):
        yield name, ", ".join(map(str, value))[:_LONGEST]
    else:
        yield name, str(value)[:_LONGEST]

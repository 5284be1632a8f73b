"""``run-*.wandb``, the file of a run of Weights & Biases, offline or not: its system metrics ``gpu.0.powerWatts``.

Records lie in blocks of 32 KiB as in LevelDB's logs (its doc/log_format.md), after 7 bytes; each is a ``Record`` of
wandb/proto/wandb_internal.proto (field numbers as there).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from wattmark.store.importing.reading import Problem, Reading
from wattmark.store.importing.records import file_title
from wattmark.store.importing.trackers.protobuf import fields, messages, text
from wattmark.store.importing.trackers.series import TrackedRun, is_power, reading

_MAGIC = b":W&B\xe1\xbe\x00"
_BLOCK, _HEADER = 32_768, 7
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_STATS, _RUN = 7, 17


def recognises(head: bytes) -> bool:
    """By its first bytes."""
    return head.startswith(_MAGIC)


def runs(path: str, data: bytes) -> Reading:
    """The run of the file. Raises ImportFileError where it has no powers."""
    run = TrackedRun(path, file_title(path.removesuffix(".wandb"), "wandb"))
    problems: list[Problem] = []
    for record in _records(data, problems):
        try:
            for number, value in fields(record):
                if number == _STATS and isinstance(value, bytes):
                    _take(run, value)
                elif number == _RUN and isinstance(value, bytes):
                    run.id = "/".join(text(value, field) for field in (2, 3, 1))
                    run.name = text(value, 8) or text(value, 1) or run.name
                    run.facts = {"id": text(value, 1), "project": text(value, 3)}
        except (ValueError, RecursionError) as error:
            problems.append(Problem(None, f"a record is no record ({error}); left out"))
    return reading(path, "wandb", "Weights & Biases", [run], problems)


def _take(run: TrackedRun, stats: bytes) -> None:
    t_ns = 0
    for stamp in messages(stats, 2):
        parts = dict(fields(stamp))
        t_ns = int(parts.get(1, 0)) * 1_000_000_000 + int(parts.get(2, 0))
    for item in messages(stats, 3):
        name = text(item, 1)
        if is_power(name):
            value = json.loads(text(item, 16))
            if isinstance(value, int | float) and not isinstance(value, bool):
                run.add(name, t_ns, float(value))


def _records(data: bytes, problems: list[Problem]) -> Iterator[bytes]:
    at, parts = len(_MAGIC), b""
    while at + _HEADER <= len(data):
        room = _BLOCK - at % _BLOCK
        if room < _HEADER:  # the rest of a block that has no room for a header
            at += room
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        begin = at + _HEADER
        if not _FULL <= kind <= _LAST or _HEADER + size > room:
            problems.append(Problem(None, f"byte {at} begins no record; the rest of its block is left out"))
            at, parts = at + room, b""
            continue
        at = begin + size
        if at > len(data):
            problems.append(Problem(None, "the last record is cut off; left out"))
            return
        parts = data[begin:at] if kind in (_FULL, _FIRST) else parts + data[begin:at]
        if kind in (_FULL, _LAST):
            yield parts
            parts = b""

"""``events.out.tfevents.*`` of TensorBoard: scalars that are the power of a part, such as ``system/gpu_0_power_watts``.

Records of TFRecord (tensorflow.org, TFRecord and tf.train.Example), each an ``Event`` of tensorboard/compat/proto: wall
time 1, summary 5, of a value tag 1, simple value 2, tensor 8. The times are those at which a value was written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from wattmark.store.importing.reading import Problem, Reading
from wattmark.store.importing.trackers.protobuf import fields, messages, text
from wattmark.store.importing.trackers.series import TrackedRun, is_power, reading

_SUMMARY = 5
_FLOAT, _DOUBLE = 1, 2


def recognises(head: bytes) -> bool:
    """By its first record, the version of the file."""
    return b"brain.Event:" in head[12:64]


def runs(path: str, data: bytes) -> Reading:
    """The run of the file, named by its folder. Raises ImportFileError where it has no powers."""
    folder = Path(path).resolve().parent.name
    run = TrackedRun(f"{folder}/{Path(path).name}", folder or "tensorboard")
    problems: list[Problem] = []
    for event in _records(data, problems):
        try:
            _take(run, event)
        except ValueError as error:
            problems.append(Problem(None, f"an event is none ({error}); left out"))
    return reading(path, "tensorboard", "TensorBoard", [run], problems)


def _take(run: TrackedRun, event: bytes) -> None:
    wall_s = next((value for number, value in fields(event) if number == 1 and isinstance(value, float)), 0.0)
    if not 0 < wall_s < 1e11:
        return
    for summary in messages(event, _SUMMARY):
        for value in messages(summary, 1):
            name = text(value, 1)
            watts = _scalar(value) if is_power(name) else None
            if watts is not None:
                run.add(name, round(wall_s * 1e9), watts)


def _scalar(value: bytes) -> float | None:
    for number, content in fields(value):
        if number == 2 and isinstance(content, float):
            return content
        if number == 8 and isinstance(content, bytes):
            return _of_tensor(content)
    return None


def _of_tensor(tensor: bytes) -> float | None:
    kind = 0
    for number, content in fields(tensor):
        if number == 1 and isinstance(content, int):
            kind = content
        elif isinstance(content, float):
            return content
        elif number in (4, 5, 6) and isinstance(content, bytes) and kind in (_FLOAT, _DOUBLE):
            form = "<f" if kind == _FLOAT else "<d"
            if len(content) == struct.calcsize(form):
                return struct.unpack(form, content)[0]
    return None


def _records(data: bytes, problems: list[Problem]) -> Iterator[bytes]:
    """Length (8 bytes), its checksum (4), the record, its checksum (4)."""
    at = 0
    while at + 16 <= len(data):
        size = int.from_bytes(data[at : at + 8], "little")
        end = at + 12 + size
        if end + 4 > len(data):
            break
        yield data[at + 12 : end]
        at = end + 4
    if at < len(data):
        problems.append(
            Problem(None, f"the record at byte {at} is cut off or damaged; it and the rest are left out")
        )

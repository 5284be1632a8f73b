"""What is known only afterwards: samples that later readings took back, and time in which a sensor did not measure.

The recorder judges each reading by the ones before it; here the whole curve is at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattmark.runs.record import Int64

_VOID = ("blip", "catch_up")
_TAKEN_BACK = ("hole", "reset", "refused_jump")

Note = Mapping[str, Any]


def settled(notes: Sequence[Note]) -> list[Note]:
    """The notes without the holes and resets that a later ``blip`` or ``catch_up`` of their channel took back."""
    voids = _voids(notes)
    return [
        note
        for note in notes
        if note["code"] not in _TAKEN_BACK
        or not any(
            from_ns <= note.get("from_ns", note["t_ns"]) and note["t_ns"] <= to_ns
            for from_ns, to_ns in voids.get(str(note.get("channel")), ())
        )
    ]


def standing(channel: str, t_ns: Int64, notes: Sequence[Note]) -> NDArray[np.bool_]:
    """Which samples of a channel stand: those that are not strictly inside what was taken back. t_ns: (n,)."""
    keep = np.ones(len(t_ns), np.bool_)
    for from_ns, to_ns in _voids(notes).get(channel, ()):
        keep &= (t_ns <= from_ns) | (t_ns >= to_ns)
    return keep


def _voids(notes: Iterable[Note]) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for note in notes:
        if note["code"] in _VOID and note.get("channel"):
            found.setdefault(str(note["channel"]), []).append((int(note["from_ns"]), int(note["to_ns"])))
    return found

"""How far work is: marks of what was done by when, from spans, from what a program said, or from its output."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wattmark.runs.reading.journals import ProcessEvents
from wattmark.runs.record import Details

UNITS = ("epochs", "steps")
"""What is counted, the one that says most first: a step may be one of training, of evaluation, or of loading."""
_SPAN_NAMES = {"epoch": "epochs", "epochs": "epochs", "step": "steps", "steps": "steps"}
MOST_MARKS = 512


@dataclass(slots=True)
class Progress:
    """Marks (seconds from the run's start, units done by then) that rise, and how many units there are in all.

    restarts: how often the work went back behind what it had done (a checkpoint was loaded, a bar began anew): what was
    marked before tells nothing of how far it is, so it is forgotten.
    """

    unit: str = "epochs"
    total: float | None = None
    marks: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    restarts: int = 0

    @property
    def done(self) -> float:
        """Units done at the last mark."""
        return self.marks[-1][1] if self.marks else 0.0

    @property
    def known(self) -> bool:
        """Whether it says how far of how much."""
        return bool(self.marks) and self.total is not None and self.total > 0

    def mark(self, t_s: float, done: float, total: float | None = None) -> None:
        """So much was done by now. What is no number is passed over."""
        if not (math.isfinite(t_s) and math.isfinite(done) and done >= 0):
            return
        if total is not None and math.isfinite(total) and total > 0:
            self.total = total
        if self.marks:
            last_s, last = self.marks[-1]
            if done < last:
                self.restarts += 1
                self.marks.clear()
            elif done == last:
                return
            elif t_s <= last_s:  # several at once: the last word holds
                self.marks[-1] = (last_s, done)
                return
        self.marks.append((t_s, done))
        if len(self.marks) > MOST_MARKS:  # every second one, the first and the last kept
            self.marks = [*self.marks[:-1:2], self.marks[-1]]

    def told(self) -> str:
        """``12 of 90 epochs``."""
        done = f"{self.done:.1f}".removesuffix(".0")
        return f"{done} of {self.total:g} {self.unit}" if self.total else f"{done} {self.unit}"


def of_spans(processes: Sequence[ProcessEvents], start_ns: int) -> dict[str, Progress]:
    """Ended spans named ``epoch`` and ``step`` as progress by unit, of the process that has most of them: ranks do the same
    epochs. A count ``epochs=`` or ``steps=`` on any span is taken as the running sum of what was done."""
    best: dict[str, Progress] = {}
    for events in processes:
        for unit, progress in _of_process(events, start_ns).items():
            if unit not in best or progress.done > best[unit].done:
                best[unit] = progress
    return best


def expected_of(processes: Sequence[ProcessEvents]) -> dict[str, float]:
    """What processes said to have before them (``run.expect``), the last word of each kind."""
    said = sorted((event for events in processes for event in events.expected), key=lambda one: one["t_ns"])
    counts: dict[str, float] = {}
    for event in said:
        counts.update(event["counts"])
    return counts


def best_of(candidates: Mapping[str, Progress], expected: Mapping[str, float]) -> Progress | None:
    """The progress that says most: with a known total before one without, epochs before steps; None without any mark."""
    named = [candidates[unit] for unit in UNITS if unit in candidates and candidates[unit].marks]
    for progress in named:
        total = expected.get(progress.unit)
        if total is not None:
            progress.total = total
    return next((one for one in named if one.known), named[0] if named else None)


def _of_process(events: ProcessEvents, start_ns: int) -> dict[str, Progress]:
    opens, closes = events.opens, events.closes
    ends: dict[int, int] = dict(zip(closes["span"].tolist(), closes["t_ns"].tolist(), strict=True))
    found: dict[str, Progress] = {}
    units = {
        number: unit
        for number, name in events.names.items()
        if (unit := _SPAN_NAMES.get(name.casefold())) is not None
    }
    for number, unit in units.items():
        own = opens[opens["name"] == number]
        times = np.sort(np.array([ends[span] for span in own["span"].tolist() if span in ends], np.int64))
        if len(times):  # what was before the first one began (importing, loading) is no part of it
            times = np.append(own["t_ns"].min(), times)
            _add(found, unit, times - start_ns, np.arange(float(len(times))))
    counted: dict[str, list[tuple[int, float]]] = {}
    for span, detail in events.details.items():
        if span in ends:
            for key, value in _counts(detail):
                counted.setdefault(key, []).append((ends[span], value))
    for unit, rows in counted.items():
        rows.sort()
        _add(found, unit, np.array([row[0] for row in rows]) - start_ns, np.cumsum([row[1] for row in rows]))
    return found


def _add(found: dict[str, Progress], unit: str, times_ns: Any, done: Any) -> None:
    progress = Progress(unit)
    for t_ns, count in zip(times_ns.tolist(), done.tolist(), strict=True):
        progress.mark(t_ns / 1e9, count)
    if unit not in found or progress.done > found[unit].done:
        found[unit] = progress


def _counts(detail: Details) -> list[tuple[str, float]]:
    return [
        (key, float(value)) for key, value in detail.get("counts", {}).items() if key in UNITS and value > 0
    ]

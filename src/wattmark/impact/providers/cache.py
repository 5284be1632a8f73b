"""Answers kept on disk, one file for each provider, place, zone and signal: asked once, offline afterwards.

A reading is kept no longer than its publisher's terms allow, and no key or address with one is ever in a file. Estimates and
forecasts are asked for again after a few minutes; what has settled is not. A file that cannot be read counts as none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wattmark.documents import items, mapping, number, text
from wattmark.impact.providers.base import DAY_S, Answer, CarbonProvider, Reading
from wattmark.impact.series import Signal
from wattmark.paths import data_dir

FORMAT = 1
RENEW_S = 300.0
"""Grids are published every five minutes at best."""
MOST_READINGS = 400_000


class Kept(NamedTuple):
    """A reading and when (Unix seconds) it was asked for."""

    reading: Reading
    asked_s: float

    @property
    def settled(self) -> bool:
        """Whether it will not change any more."""
        return not (self.reading.estimated or self.reading.forecast or self.reading.g_per_kwh is None)


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of answers; the default one lies in the data folder. keep_days: in place of what a provider's terms say,
    where one's own licence says something else."""

    folder: Path
    keep_days: float | None = None

    @classmethod
    def here(cls) -> Cache:
        """The user's own."""
        return cls(Path(data_dir()) / "carbon-intensity")

    def path(self, provider: CarbonProvider, zone: str, signal: Signal) -> Path:
        """Where these answers lie; nothing of the zone's text is part of the path."""
        key = hashlib.sha256("\0".join((provider.place, zone, signal)).encode()).hexdigest()[:32]
        return self.folder / f"{provider.name}-{key}.json"

    def read(
        self, provider: CarbonProvider, zone: str, signal: Signal, now_s: float
    ) -> tuple[list[Kept], Answer | None]:
        """What may still be used, in order of time, and the answer that it was last part of (without readings)."""
        try:
            data: object = json.loads(self.path(provider, zone, signal).read_bytes())
        except (OSError, ValueError, RecursionError):
            return [], None
        table = mapping(data)
        if table.get("format") != FORMAT or table.get("zone") != zone or table.get("signal") != signal:
            return [], None
        keep_days = provider.terms.keep_days if self.keep_days is None else self.keep_days
        oldest = -float("inf") if keep_days is None else now_s - keep_days * DAY_S
        kept: list[Kept] = []
        for row in items(table.get("readings")):
            one = _kept(row)
            if one is not None and oldest <= one.asked_s <= now_s + DAY_S:
                kept.append(one)
        notes = tuple(note for note in items(table.get("notes")) if isinstance(note, str))
        about = Answer((), text(table.get("answered")) or zone, signal, notes, number(table.get("factor")))
        return sorted(kept, key=lambda one: one.reading.start_s), about

    def write(
        self, provider: CarbonProvider, zone: str, signal: Signal, kept: Iterable[Kept], answer: Answer
    ) -> None:
        """Keep these. A folder that cannot be written to is no reason to fail: the answer is here already."""
        rows = [(*one.reading, one.asked_s) for one in kept][-MOST_READINGS:]
        document = {
            "format": FORMAT,
            "zone": zone,
            "signal": signal,
            "answered": answer.zone,
            "licence": provider.terms.licence,
            "notes": list(answer.notes),
            "factor": answer.factor,
            "readings": rows,
        }
        path = self.path(provider, zone, signal)
        waiting = path.with_name(f".{path.name}.{os.getpid()}")
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                waiting.write_text(json.dumps(document), encoding="utf-8")
                waiting.replace(path)
            finally:
                waiting.unlink(missing_ok=True)


def covers(kept: Iterable[Kept], start_s: float, end_s: float, now_s: float) -> bool:
    """Whether [start_s, end_s) needs no asking: every moment has a reading that has settled or was asked for just now."""
    at = start_s
    for one in sorted(kept, key=lambda one: one.reading.start_s):
        reading = one.reading
        if reading.end_s <= at:
            continue
        if reading.start_s > at or at >= end_s:
            break
        if one.settled or 0 <= now_s - one.asked_s < RENEW_S:
            at = reading.end_s
    return at >= end_s


def joined(kept: Iterable[Kept], fresh: Iterable[Reading], asked_s: float) -> list[Kept]:
    """Both, in order of time. A fresh reading stands in place of what it overlaps, but a forecast not of what has
    happened."""
    new = [Kept(reading, asked_s) for reading in fresh]
    by_start = {one.reading.start_s: one for one in kept}
    for one in new:
        before = by_start.get(one.reading.start_s)
        if before is None or one.settled or not before.settled:
            by_start[one.reading.start_s] = one
    return [by_start[start] for start in sorted(by_start)]


def _kept(row: object) -> Kept | None:
    cells = items(row)
    if len(cells) != 6:
        return None
    start, end, value, asked = number(cells[0]), number(cells[1]), number(cells[2]), number(cells[5])
    if start is None or end is None or asked is None or end <= start:
        return None
    return Kept(Reading(start, end, value, cells[3] is True, cells[4] is True), asked)

"""Counters read by the measured process itself at the edges of spans, and placed on the recorder's curves.

A reading costs about a microsecond per hardware counter. Only counters that can be read from any process (RAPL) take
part; the recorder's own samples fill the time between.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from wattmark.recorder import journal
from wattmark.sources.base import Host, Source

if TYPE_CHECKING:
    from wattmark.recorder.events import EventLog
    from wattmark.runs.reading.entries import Note
    from wattmark.runs.record import Curve


class PreciseReader:
    """Reads the RAPL counters of this machine into an event log."""

    def __init__(self, options: Mapping[str, Mapping[str, object]] | None) -> None:
        from wattmark.sources.rapl import source as rapl

        self._pid = os.getpid()
        findings = [finding for finding in rapl.probe(Host.here(options=options)) if finding.open is not None]
        self._sources: list[Source] = [finding.open() for finding in findings if finding.open is not None]
        self.channels = [channel.id for source in self._sources for channel in source.channels]
        self._log: EventLog | None = None

    def read(self, log: EventLog) -> None:
        """Read everything once and write it down."""
        if not self.channels:
            return
        if log is not self._log:
            log.write_json(journal.READING_CHANNELS, {"channels": self.channels})
            self._log = log
        before = time.monotonic_ns()
        values = [value for source in self._sources for value in source.read()[: len(source.channels)]]
        now = (before + time.monotonic_ns()) // 2
        raw = [
            int(value) if value is not None and 0 <= value < -journal.MISSING else journal.MISSING
            for value in values
        ]
        log.write(
            journal.READING,
            journal.READING_HEAD.pack(now)
            + b"".join(value.to_bytes(8, "little", signed=True) for value in raw),
        )


def merge(
    curves: Sequence[Curve],
    notes: Sequence[Note],
    readings: Mapping[str, Sequence[tuple[int, int]]],
) -> list[Curve]:
    """The curves with further samples: ``readings`` gives (time ns, raw µJ) by channel id.

    A raw value is tied to the curve by the last ``base`` note before it; one that does not fit between its
    neighbours is left out.
    """
    import numpy as np

    from wattmark.recorder.unwrap import place

    merged: list[Curve] = []
    for curve in curves:
        channel = curve.channel
        bases = sorted(
            (note["t_ns"], (note["raw"], note["cumulative_uj"]))
            for note in notes
            if note["code"] == "base"
            and note.get("channel") == channel.id
            and "raw" in note
            and "cumulative_uj" in note
        )
        points: list[tuple[int, int]] = []
        if bases and len(curve.t_ns) > 1:
            base_times = np.array([at for at, _ in bases])
            for t_ns, raw in readings.get(channel.id, ()):
                base = bases[max(0, int(np.searchsorted(base_times, t_ns, side="right")) - 1)][1]
                near = int(np.interp(t_ns, curve.t_ns, curve.energy_uj))
                points.append((t_ns, place(base, near, raw, channel.wrap_uj)))
        merged.append(_with_points(curve, points) if points else curve)
    return merged


def _with_points(curve: Curve, points: Sequence[tuple[int, int]]) -> Curve:
    import numpy as np

    t_new = np.array([t_ns for t_ns, _ in points], np.int64)
    e_new = np.array([energy for _, energy in points], np.int64)
    after = np.searchsorted(curve.t_ns, t_new)
    low = np.where(after > 0, curve.energy_uj[np.maximum(after - 1, 0)], np.iinfo(np.int64).min)
    high = np.where(
        after < len(curve.t_ns),
        curve.energy_uj[np.minimum(after, len(curve.t_ns) - 1)],
        np.iinfo(np.int64).max,
    )
    # a counter may be up to one update older than its time stamp, so its neighbours bound it with that slack
    slack = int(curve.channel.max_power_w * 1e6 * max(curve.channel.update_period_s, 0.001))
    fits = (e_new >= low - slack) & (e_new <= high + slack)
    t_all = np.concatenate((curve.t_ns, t_new[fits]))
    e_all = np.concatenate((curve.energy_uj, e_new[fits]))
    order = np.argsort(t_all, kind="stable")
    t_all, e_all = t_all[order], np.maximum.accumulate(e_all[order])
    keep = np.concatenate(([True], np.diff(t_all) > 0))
    return replace(curve, t_ns=t_all[keep], energy_uj=e_all[keep])

"""A stored run read in parts: its description at once, of its curves only the blocks that a question needs.

A block of a column begins with its number of values and its first value, so the beginnings of all blocks tell which of
them hold a moment. What was read is kept as long as there is room.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

import numpy as np
import sqlalchemy as sa

from wattmark.runs.display.overview import Steps
from wattmark.runs.energy import CurveFacts
from wattmark.runs.record import Curve, Float32, Int64, RunRecord, SeriesData, Spans
from wattmark.sources.base import Channel, Series
from wattmark.store import pack, tables
from wattmark.store.columns import HEADER_BYTES, beginnings, decode, decode_floats

_KEPT_BLOCKS = 192
"""Decoded blocks of half a megabyte that stay in memory."""

Reading = Callable[[], AbstractContextManager[sa.Connection]]


class StoredRun:
    """One run of the store. Safe to share between threads. Methods may raise StoreError."""

    def __init__(
        self, run_id: str, content: Mapping[str, Any], tags: Mapping[str, str], reading: Reading
    ) -> None:
        self._run_id = run_id
        self._header: dict[str, Any] = content["record"]
        self._overviews: Mapping[str, list[float]] = content.get("overviews") or {}
        self._reading = reading
        self._lock = threading.Lock()
        self._index: dict[str, tuple[Int64, Int64]] = {}
        self._blocks: OrderedDict[tuple[str, int], Int64] = OrderedDict()
        self.channels = tuple(Channel.from_dict(curve["channel"]) for curve in self._header["curves"])
        self.series = tuple(Series.from_dict(column["series"]) for column in self._header["series"])
        self.tags = dict(tags)

    @cached_property
    def record(self) -> RunRecord:
        """The record with its spans, without curves, side series and CPU times."""
        return pack.unpack_plain(self._header, self.tags, self.spans)

    @cached_property
    def spans(self) -> Spans:
        """All spans."""
        described = self._header["spans"]
        names = {value for key, value in described.items() if isinstance(value, str) and key != "names"} | {
            "details"
        }
        return pack.unpack_spans(described, {name: self._column(name) for name in names})

    def samples(self, number: int) -> int:
        """How many samples a curve has."""
        counts = self._beginnings(self._header["curves"][number]["e"])[1]
        return int(counts.sum())

    def facts(self, number: int) -> CurveFacts | None:
        """What the whole curve says about intervals on it; None for a curve without an overview."""
        facts = self._overviews.get(str(number))
        return CurveFacts(*facts[1:]) if facts else None

    def overview(self, number: int) -> Steps | None:
        """The curve in bins; None for one that is short, or was stored without."""
        if str(number) not in self._overviews:
            return None
        t, energy, low, high = (self._column(f"o{number}{kind}") for kind in "telh")
        return Steps(
            decode(t), decode(energy), decode_floats(low, np.float32), decode_floats(high, np.float32)
        )

    def curve(self, number: int) -> Curve:
        """The whole curve."""
        described = self._header["curves"][number]
        return Curve(
            self.channels[number],
            decode(self._column(described["t"])),
            decode(self._column(described["e"])),
            self.holes(number),
            pack.vague_of(described),
            pack.part_of(described),
        )

    def holes(self, number: int) -> Int64:
        """The curve's holes, (m, 2)."""
        return np.reshape(decode(self._column(self._header["curves"][number]["holes"])), (-1, 2))

    def around(self, number: int, t_ns: Int64) -> Curve:
        """The curve with the samples on both sides of each moment; between them any number may be left out."""
        described = self._header["curves"][number]
        first_t, _ = self._beginnings(described["t"])
        if not len(first_t):
            return Curve(self.channels[number], first_t, first_t, self.holes(number))
        return self._joined(number, np.unique(np.clip(np.searchsorted(first_t, t_ns, "right") - 1, 0, None)))

    def between(self, number: int, start_ns: int, end_ns: int) -> Curve:
        """The curve with all samples of a time and the nearest ones on either side."""
        first_t, _ = self._beginnings(self._header["curves"][number]["t"])
        edges = np.clip(np.searchsorted(first_t, [start_ns, end_ns], "right") - 1, 0, None)
        wanted: Int64 = np.arange(int(edges[0]), int(edges[1]) + 1 if len(first_t) else 0, dtype=np.int64)
        return self._joined(number, wanted)

    def samples_between(self, number: int, start_ns: int, end_ns: int) -> int:
        """About how many samples :meth:`between` would read."""
        first_t, counts = self._beginnings(self._header["curves"][number]["t"])
        edges = np.clip(np.searchsorted(first_t, [start_ns, end_ns], "right") - 1, 0, None)
        return int(counts[edges[0] : edges[1] + 1].sum())

    def side(self, number: int) -> SeriesData:
        """A side series."""
        described = self._header["series"][number]
        values: Float32 = decode_floats(self._column(described["v"]), np.float32)
        return SeriesData(self.series[number], decode(self._column(described["t"])), values)

    def _joined(self, number: int, wanted: Int64) -> Curve:
        described = self._header["curves"][number]
        first_t, _ = self._beginnings(described["t"])
        first_e, _ = self._beginnings(described["e"])
        times: list[Int64] = []
        energies: list[Int64] = []
        for part in wanted.tolist():
            times.append(self._block(described["t"], part))
            energies.append(self._block(described["e"], part))
            after = part + 1
            if after < len(first_t) and after not in wanted:
                times.append(first_t[after : after + 1])
                energies.append(first_e[after : after + 1])
        none = np.empty(0, np.int64)
        return Curve(
            self.channels[number],
            np.concatenate(times) if times else none,
            np.concatenate(energies) if energies else none,
            self.holes(number),
            pack.vague_of(described),
            pack.part_of(described),
        )

    def _beginnings(self, column: str) -> tuple[Int64, Int64]:
        """First value and length of each block of a column."""
        if column not in self._index:
            blocks = tables.blocks.c
            start = sa.func.substr(blocks.data, 1, HEADER_BYTES)
            self._index[column] = beginnings([bytes(row[0]) for row in self._rows(column, start)])
        return self._index[column]

    def _block(self, column: str, part: int) -> Int64:
        key = (column, part)
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
        values = decode([self._rows(column, tables.blocks.c.data, part)[0][0]])
        with self._lock:
            self._blocks[key] = values
            while len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        return values

    def _column(self, column: str) -> list[bytes]:
        return [row[0] for row in self._rows(column, tables.blocks.c.data)]

    def _rows(self, column: str, what: Any, part: int | None = None) -> list[Any]:
        blocks = tables.blocks.c
        wanted = sa.and_(blocks.run_id == self._run_id, blocks.column == column)
        if part is not None:
            wanted = sa.and_(wanted, blocks.part == part)
        with self._reading() as connection:
            return list(connection.execute(sa.select(what).where(wanted).order_by(blocks.part)).all())

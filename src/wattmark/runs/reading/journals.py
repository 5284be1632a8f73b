"""Reading a session's folder: journals in, columns out; damage and loss become gaps and notes, never errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wattmark.errors import JournalError
from wattmark.recorder import journal
from wattmark.runs.record import Anchor, Float64, Int64
from wattmark.sources.base import Channel, Series


@dataclass(slots=True)
class GroupData:
    """What one source gave: t_ns (n,), energy_uj (n, channels) with ``journal.MISSING``; series alike in float32."""

    source: str
    period_s: float
    channels: tuple[Channel, ...]
    series: tuple[Series, ...]
    t_ns: Int64
    energy_uj: Int64
    series_t_ns: Int64
    series_values: np.ndarray[Any, np.dtype[np.float32]]


@dataclass(slots=True)
class RecorderData:
    """All that the recorder left: headers, samples by group, clocks, notes, its own cost, and how it ended."""

    header: dict[str, Any] = field(default_factory=dict[str, Any])
    groups: list[GroupData] = field(default_factory=list[GroupData])
    anchors: list[Anchor] = field(default_factory=list[Anchor])
    notes: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tree_cpu: Float64 = field(default_factory=lambda: np.empty((0, 3)))
    cost: Float64 = field(default_factory=lambda: np.empty((0, 3)))
    end: dict[str, Any] | None = None
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    gpu_users: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    problems: list[str] = field(default_factory=list[str])

    @property
    def last_ns(self) -> int | None:
        """The time of the last thing written."""
        ends = [int(group.t_ns[-1]) for group in self.groups if len(group.t_ns)]
        if self.end is not None:
            ends.append(int(self.end["t_ns"]))
        return max(ends, default=None)


@dataclass(slots=True)
class ProcessEvents:
    """The event journal of one process: its header, runs, and spans in columns."""

    header: dict[str, Any]
    runs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    run_ends: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    names: dict[int, str] = field(default_factory=dict[int, str])
    opens: list[tuple[int, int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int, int]])
    closes: dict[int, int] = field(default_factory=dict[int, int])
    details: dict[int, dict[str, dict[str, Any]]] = field(
        default_factory=dict[int, dict[str, dict[str, Any]]]
    )
    readings: dict[str, list[tuple[int, int]]] = field(default_factory=dict[str, list[tuple[int, int]]])

    @property
    def pid(self) -> int:
        """The process."""
        return int(self.header["pid"])


def read_recorder(folder: str) -> RecorderData:
    """The recorder's segments of a session, joined."""
    return RecorderFollower(folder).read()


def read_events(folder: str) -> list[ProcessEvents]:
    """The event journals of all processes of a session."""
    return EventsFollower(folder).read()


class RecorderFollower:
    """The recorder's segments of a session that may go on: each look reads what was written since the last."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._data = RecorderData()
        self._tails: dict[str, _Tail] = {}
        self._chunks: dict[int, tuple[list[bytes], list[bytes]]] = {}
        self._tree: list[tuple[int, float, float]] = []
        self._cost: list[tuple[int, float, int]] = []

    def read(self) -> RecorderData:
        """All that is there by now."""
        data = self._data
        data.problems = []
        for path in _files(self._folder, "recorder-"):
            tail = self._tails.setdefault(path, _Tail(path))
            try:
                for kind, payload in tail.records():
                    self._take(kind, payload)
            except JournalError as error:
                data.problems.append(str(error))
                continue
            if not data.header:
                data.header = tail.header
        data.tree_cpu = np.array(self._tree, np.float64).reshape(-1, 3)
        data.cost = np.array(self._cost, np.float64).reshape(-1, 3)
        data.groups = [
            _group(description, *self._chunks.get(description["index"], ([], [])))
            for description in data.header.get("groups", ())
        ]
        return data

    def _take(self, kind: int, payload: memoryview | bytes) -> None:
        data = self._data
        if kind == journal.SAMPLE:
            self._chunks.setdefault(payload[0] | payload[1] << 8, ([], []))[0].append(bytes(payload))
        elif kind == journal.SERIES:
            self._chunks.setdefault(payload[0] | payload[1] << 8, ([], []))[1].append(bytes(payload))
        elif kind == journal.TREE:
            self._tree.append(journal.TREE_BODY.unpack(payload))
        elif kind == journal.COST:
            self._cost.append(journal.COST_BODY.unpack(payload))
        elif kind == journal.ANCHOR:
            data.anchors.append(Anchor(*journal.ANCHOR_BODY.unpack(payload)))
        elif kind == journal.NOTE:
            data.notes.append(journal.Record(kind, payload).json())
        elif kind == journal.FACTS:
            data.facts = journal.Record(kind, payload).json()
        elif kind == journal.GPU_USERS:
            data.gpu_users.append(journal.Record(kind, payload).json())
        elif kind == journal.END:
            data.end = journal.Record(kind, payload).json()


class EventsFollower:
    """The event journals of a session that may go on: each look reads what was written since the last."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._known: dict[str, tuple[_Tail, ProcessEvents, list[str]]] = {}

    def read(self) -> list[ProcessEvents]:
        """All that is there by now."""
        for path in _files(self._folder, "events-"):
            if path not in self._known:
                self._known[path] = (_Tail(path), ProcessEvents({}), [])
            tail, events, reading_channels = self._known[path]
            try:
                for kind, payload in tail.records():
                    _take_event(events, reading_channels, kind, payload)
            except JournalError:
                continue
            events.header = tail.header
        return [events for tail, events, _ in self._known.values() if tail.header]


class _Tail:
    """One journal, read on from where the last look ended."""

    def __init__(self, path: str) -> None:
        self.header: dict[str, Any] = {}
        self._path = path
        self._offset = 0

    def records(self) -> Iterator[journal.Record]:
        """The records after the header that are new. Raises JournalError as ``read_journal`` does."""
        if not self.header:
            header, records = journal.read_journal(self._path)
            self._offset = next(
                (journal.PREFIX_BYTES + len(first.payload) for first in journal.decode(self._bytes())), 0
            )
            self.header = header if self._offset else {}
        else:
            records = journal.decode(self._bytes())
        for record in records:
            self._offset += journal.PREFIX_BYTES + len(record.payload)
            yield record

    def _bytes(self) -> bytes:
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                return file.read()
        except OSError:
            return b""  # read into the store meanwhile; what was seen stands


def _take_event(
    events: ProcessEvents, reading_channels: list[str], kind: int, payload: memoryview | bytes
) -> None:
    if kind == journal.SPAN_OPEN:
        events.opens.append(journal.SPAN_OPEN_BODY.unpack(payload))
    elif kind == journal.SPAN_CLOSE:
        span, t_ns = journal.SPAN_CLOSE_BODY.unpack(payload)
        events.closes[span] = t_ns
    elif kind == journal.SPAN_DETAIL:
        detail = journal.Record(kind, payload).json()
        known = events.details.setdefault(detail.pop("span"), {"counts": {}, "attrs": {}})
        for key, values in detail.items():
            known[key].update(values)
    elif kind == journal.NAME:
        number = journal.NAME_HEAD.unpack_from(payload)[0]
        events.names[number] = bytes(payload[journal.NAME_HEAD.size :]).decode("utf-8", "replace")
    elif kind == journal.RUN_OPEN:
        events.runs.append(journal.Record(kind, payload).json())
    elif kind == journal.RUN_CLOSE:
        end = journal.Record(kind, payload).json()
        events.run_ends[end["run_id"]] = end
    elif kind == journal.READING_CHANNELS:
        reading_channels[:] = journal.Record(kind, payload).json()["channels"]
    elif kind == journal.READING:
        t_ns, *values = np.frombuffer(payload, "<i8").tolist()
        for channel, raw in zip(reading_channels, values, strict=False):
            if raw != journal.MISSING:
                events.readings.setdefault(channel, []).append((t_ns, raw))


def _group(description: dict[str, Any], samples: list[bytes], sides: list[bytes]) -> GroupData:
    channels = tuple(Channel.from_dict(item) for item in description["channels"])
    series = tuple(Series.from_dict(item) for item in description["series"])
    sample_type = np.dtype(
        [("group", "<u2"), ("t_ns", "<i8"), ("width", "<u4"), ("energy", "<i8", (len(channels),))]
    )
    side_type = np.dtype([("group", "<u2"), ("t_ns", "<i8"), ("values", "<f4", (len(series),))])
    rows = np.frombuffer(b"".join(item for item in samples if len(item) == sample_type.itemsize), sample_type)
    side_rows = np.frombuffer(b"".join(item for item in sides if len(item) == side_type.itemsize), side_type)
    return GroupData(
        description["source"],
        float(description["period_s"]),
        channels,
        series,
        rows["t_ns"].astype(np.int64),
        rows["energy"].astype(np.int64).reshape(len(rows), len(channels)),
        side_rows["t_ns"].astype(np.int64),
        side_rows["values"].astype(np.float32).reshape(len(side_rows), len(series)),
    )


def _files(folder: str, prefix: str) -> list[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [
        f"{folder}/{name}"
        for name in sorted(names)
        if name.startswith(prefix) and name.endswith(journal.SUFFIX) and os.path.isfile(f"{folder}/{name}")
    ]

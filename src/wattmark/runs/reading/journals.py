"""Reading a session's folder: journals in, columns out; damage and loss become gaps and notes, never errors."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from wattmark.documents import is_mapping, items, mapping, mappings, numbers
from wattmark.errors import JournalError
from wattmark.recorder import journal
from wattmark.runs.metrics import Report
from wattmark.runs.reading import entries
from wattmark.runs.reading.entries import Document, End, Expected, GpuUsers, Note, Opening, Prediction
from wattmark.runs.reading.pairs import pairs_at
from wattmark.runs.record import Anchor, Details, Float64, Int64
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
    series_values: NDArray[np.float32]


@dataclass(slots=True)
class RecorderData:
    """All that the recorder left: headers, samples by group, clocks, notes, its own cost, and how it ended.

    later: descriptions of groups that were read from some time on; roles: channel id -> those in whose place it counts.
    """

    header: Document = field(default_factory=dict[str, object])
    groups: list[GroupData] = field(default_factory=list[GroupData])
    anchors: list[Anchor] = field(default_factory=list[Anchor])
    notes: list[Note] = field(default_factory=list[Note])
    tree_cpu: Float64 = field(default_factory=lambda: np.empty((0, 3)))
    cost: Float64 = field(default_factory=lambda: np.empty((0, 3)))
    end: Document | None = None
    facts: Document = field(default_factory=dict[str, object])
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    later: list[Document] = field(default_factory=list[Document])
    gpu_users: list[GpuUsers] = field(default_factory=list[GpuUsers])
    problems: list[str] = field(default_factory=list[str])

    @property
    def last_ns(self) -> int | None:
        """The time of the last thing written."""
        ends = [int(group.t_ns[-1]) for group in self.groups if len(group.t_ns)]
        if self.end is not None:
            ends.append(entries.nanoseconds(self.end["t_ns"]))
        return max(ends, default=None)


NOT_UNDERSTOOD = (struct.error, KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
"""What a record may raise whose checksum is right and whose content is not what this version expects."""

PASSED_OVER = "were passed over"
"""What a problem says of bytes that nothing can be made of."""

Rows = NDArray[np.void]
"""Records as written, a structured array."""
_OPEN: np.dtype[np.void] = np.dtype(
    [("type", "u1"), ("span", "<u4"), ("parent", "<u4"), ("name", "<u4"), ("t_ns", "<i8"), ("thread", "<u8")]
)
_CLOSE: np.dtype[np.void] = np.dtype([("type", "u1"), ("span", "<u4"), ("t_ns", "<i8")])
_PATIENCE, _MOST_PATIENCE = 1, 1_000
"""Records that are read one by one before spans are looked for again that stand end to end."""


@dataclass(slots=True)
class ProcessEvents:
    """The event journal of one process: its header, runs, and spans in columns.

    ``windows`` are measures that began inside a run, ``runs`` those that did not. ``problems`` names what was left out.
    """

    header: Document
    runs: list[Opening] = field(default_factory=list[Opening])
    windows: list[Opening] = field(default_factory=list[Opening])
    run_ends: dict[str, End] = field(default_factory=dict[str, End])
    names: dict[int, str] = field(default_factory=dict[int, str])
    details: dict[int, Details] = field(default_factory=dict[int, Details])
    readings: dict[str, list[tuple[int, int]]] = field(default_factory=dict[str, list[tuple[int, int]]])
    notes: list[Note] = field(default_factory=list[Note])
    problems: list[str] = field(default_factory=list[str])
    _opens: list[Rows] = field(default_factory=list["Rows"])
    _closes: list[Rows] = field(default_factory=list["Rows"])
    metrics: list[Report] = field(default_factory=list[Report])
    expected: list[Expected] = field(default_factory=list[Expected])
    predictions: list[Prediction] = field(default_factory=list[Prediction])

    @property
    def pid(self) -> int:
        """The process."""
        return entries.nanoseconds(self.header["pid"])

    @property
    def opens(self) -> Rows:
        """Beginnings of spans, as written: a structured array of ``span``, ``parent``, ``name``, ``t_ns``, ``thread``."""
        return _joined(self._opens, _OPEN)

    @property
    def closes(self) -> Rows:
        """Ends of spans, as written: a structured array of ``span`` and ``t_ns``."""
        return _joined(self._closes, _CLOSE)

    @property
    def last_ns(self) -> int:
        """The time of the last thing that it wrote; 0 for nothing."""
        times = [record["t_ns"] for record in (*self.runs, *self.windows, *self.run_ends.values())]
        times += [int(rows["t_ns"].max()) for rows in (self.opens, self.closes) if len(rows)]
        return max(times, default=0)

    def add_spans(self, opens: list[bytes], closes: list[bytes]) -> None:
        """Take in bodies of records of spans."""
        if opens:
            self._opens.append(np.frombuffer(b"".join(opens), _OPEN))
        if closes:
            self._closes.append(np.frombuffer(b"".join(closes), _CLOSE))


def _joined(chunks: list[Rows], kind: np.dtype[np.void]) -> Rows:
    if len(chunks) != 1:
        chunks[:] = [np.concatenate(chunks) if chunks else np.empty(0, kind)]
    return chunks[0]


def read_recorder(folder: str, *, salvage: bool = False) -> RecorderData:
    """The recorder's segments of a session, joined. salvage: those too whose header is gone."""
    return RecorderFollower(folder, salvage=salvage).read()


def read_events(folder: str, *, salvage: bool = False) -> list[ProcessEvents]:
    """The event journals of all processes of a session. salvage: those too whose header is gone."""
    return EventsFollower(folder, salvage=salvage).read()


class RecorderFollower:
    """The recorder's segments of a session that may go on: each look reads what was written since the last."""

    def __init__(self, folder: str, *, salvage: bool = False) -> None:
        self._folder = folder
        self._salvage = salvage
        self._data = RecorderData()
        self._tails: dict[str, _Tail] = {}
        self._chunks: dict[int, tuple[list[bytes], list[bytes]]] = {}
        self._not_understood: list[str] = []
        self._tree: list[tuple[int, float, float]] = []
        self._cost: list[tuple[int, float, int]] = []

    def read(self) -> RecorderData:
        """All that is there by now."""
        data = self._data
        data.problems = self._not_understood[:]
        for path in _files(self._folder, "recorder-"):
            tail = self._tails.setdefault(path, _Tail(path, salvage=self._salvage))
            try:
                for kind, payload in tail.records():
                    _understood(self._take, kind, payload, self._not_understood)
            except JournalError as error:
                data.problems.append(str(error))
                continue
            data.problems += tail.damage
            if not data.header.get("groups"):
                data.header = tail.header
        data.tree_cpu = np.array(self._tree, np.float64).reshape(-1, 3)
        data.cost = np.array(self._cost, np.float64).reshape(-1, 3)
        data.groups = []
        for description in (*mappings(data.header.get("groups")), *data.later):
            try:
                chunks = self._chunks.get(entries.nanoseconds(description["index"]), ([], []))
                data.groups.append(_group(description, *chunks))
            except NOT_UNDERSTOOD as error:
                data.problems.append(f"a source of {self._folder} was not understood: {_said(error)}")
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
            data.notes.append(entries.note(journal.Record(kind, payload).json()))
        elif kind == journal.FACTS:
            data.facts = journal.Record(kind, payload).json()
        elif kind == journal.GROUPS:
            more = journal.Record(kind, payload).json()
            data.later += mappings(more["groups"])
            data.roles = entries.roles(more)
        elif kind == journal.GPU_USERS:
            data.gpu_users.append(entries.gpu_users(journal.Record(kind, payload).json()))
        elif kind == journal.END:
            data.end = journal.Record(kind, payload).json()


class EventsFollower:
    """The event journals of a session that may go on: each look reads what was written since the last."""

    def __init__(self, folder: str, *, salvage: bool = False) -> None:
        self._folder = folder
        self._salvage = salvage
        self._tails: dict[str, _Tail] = {}
        self._processes: dict[str, tuple[ProcessEvents, list[str]]] = {}

    def read(self) -> list[ProcessEvents]:
        """All that is there by now."""
        for path in _files(self._folder, "events-"):
            process = self._processes.setdefault(_process_of(path), (ProcessEvents({}), []))
            events, reading_channels = process
            tail = self._tails.setdefault(path, _Tail(path, salvage=self._salvage))
            try:
                opens, closes, others = tail.events()
            except JournalError:
                continue
            for kind, payload in _without_details(others, events):
                _understood(
                    lambda kind, payload, events=events, channels=reading_channels: _take_event(
                        events, channels, kind, payload
                    ),
                    kind,
                    payload,
                    events.problems,
                )
            events.add_spans(opens, closes)
            events.problems += tail.damage
            tail.damage.clear()
            events.header = tail.header
        return [events for events, _ in self._processes.values() if events.header]


class _Tail:
    """One journal, read on from where the last look ended. What is damaged is passed over, and told in ``damage``.

    salvage: read it even if its header is gone; the name of the file says whose it is.
    """

    def __init__(self, path: str, *, salvage: bool = False) -> None:
        self.header: Document = {}
        self.damage: list[str] = []
        self._path = path
        self._salvage = salvage
        self._offset = 0

    def records(self) -> Iterator[journal.Record]:
        """The records after the header that are new. Raises JournalError as ``read_journal`` does."""
        return (journal.Record(body[0], body[1:]) for body in self._bodies())

    def events(self) -> tuple[list[bytes], list[bytes], list[journal.Record]]:
        """The same in bulk: bodies (type and payload) of records that open and close spans, of several end to end where they
        stood so, and the other records whole."""
        opens: list[bytes] = []
        closes: list[bytes] = []
        others: list[journal.Record] = []
        for body in self._bodies((opens, closes, others)):
            kind = body[0]
            if kind == journal.SPAN_OPEN and len(body) == _OPEN.itemsize:
                opens.append(body)
            elif kind == journal.SPAN_CLOSE and len(body) == _CLOSE.itemsize:
                closes.append(body)
            else:
                others.append(journal.Record(kind, body[1:]))
        return opens, closes, others

    def _bodies(
        self, bulk: tuple[list[bytes], list[bytes], list[journal.Record]] | None = None
    ) -> Iterator[bytes]:
        """Type and payload of every record that is new, also of those behind damage. bulk: where the beginnings, the ends
        and the details go of spans that end right after they began; they are not given one by one then."""
        data = self._new()
        unpack, frame = journal.PREFIX.unpack_from, journal.PREFIX_BYTES - 1
        start, offset, end = self._offset, 0, len(data)
        wait, patience = 0, _PATIENCE
        while True:
            while offset + frame < end:
                if bulk is not None:
                    wait -= 1
                    if wait < 0:
                        pairs = pairs_at(data, offset)
                        # where other records stand between, it is not worth looking at each
                        patience = _PATIENCE if pairs.read else min(2 * patience, _MOST_PATIENCE)
                        wait = patience
                        if pairs.read:
                            opens, closes, others = bulk
                            opens.append(pairs.opens)
                            closes.append(pairs.closes)
                            others.extend(journal.Record(journal.SPAN_DETAIL, it) for it in pairs.details)
                            offset += pairs.read
                            continue
                length, crc, _ = unpack(data, offset)
                stop = offset + frame + length
                if length == 0 or length > journal.MAX_RECORD_BYTES or stop > end:
                    break
                body = data[offset + frame : stop]
                if crc32(body) != crc:
                    break
                offset = stop
                yield body
            self._offset = start + offset
            further = journal.after_damage(data, offset)
            if further < 0:
                return
            name = os.path.basename(self._path)
            self.damage.append(f"{further - offset} damaged bytes of {name} {PASSED_OVER}")
            offset = further

    def _new(self) -> bytes:
        """What was written since the last look, the header left out. Raises JournalError."""
        if not self.header:
            try:
                header, _ = journal.read_journal(self._path)
            except JournalError:
                pid = os.path.basename(self._path).split("-")[1]
                if not self._salvage or not pid.isdigit():
                    raise
                self.header = {"pid": int(pid)}
                return self._bytes()
            self._offset = next(
                (journal.PREFIX_BYTES + len(first.payload) for first in journal.decode(self._bytes())), 0
            )
            self.header = header if self._offset else {}
        return self._bytes()

    def _bytes(self) -> bytes:
        try:
            with open(self._path, "rb") as file:
                file.seek(self._offset)
                return file.read()
        except OSError:
            return b""  # read into the store meanwhile; what was seen stands


def _process_of(path: str) -> str:
    """One name for all files of a process: ``events-PID-HEX`` of ``events-PID-HEX-0001.wmj``."""
    return "-".join(os.path.basename(path).removesuffix(journal.SUFFIX).split("-")[:3])


def _understood(
    take: Callable[[int, memoryview | bytes], None],
    kind: int,
    payload: memoryview | bytes,
    problems: list[str],
) -> None:
    """Take a record in; one that is not what it should be is left out, and named."""
    try:
        take(kind, payload)
    except NOT_UNDERSTOOD as error:
        problems.append(f"a record of type {kind} was not understood: {_said(error)}")


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _without_details(records: list[journal.Record], events: ProcessEvents) -> Iterator[journal.Record]:
    """The records that are left when details of spans have been taken in together; all of them if one of those is not what
    it should be, so that it is named."""
    payloads = [bytes(payload) for kind, payload in records if kind == journal.SPAN_DETAIL]
    try:
        spans, details = _details(payloads)
    except NOT_UNDERSTOOD:
        yield from records
        return
    for span, detail in zip(spans, details, strict=True):
        if span in events.details:
            _take_detail(events, {"span": span, **detail})
        else:
            events.details[span] = detail
    yield from (record for record in records if record[0] != journal.SPAN_DETAIL)


_SPAN = re.compile(rb'\{"span": ?(\d+),')


def _details(payloads: list[bytes]) -> tuple[list[int], list[Details]]:
    """Numbers of spans and their details, from what this version writes: ``{"span": 5, "counts": {...}, "attrs": {...}}``.
    What follows the number is the same for many spans, and read once. Raises ValueError for anything else."""
    heads = [_SPAN.match(payload) for payload in payloads]
    known = [head for head in heads if head is not None]
    if len(known) != len(payloads):
        raise ValueError("not as this version writes it")
    tails = [head.string[head.end() :] for head in known]
    distinct = list(dict.fromkeys(tails))
    documents = items(json.loads(b"[{" + b",{".join(distinct) + b"]"))
    plain = [document for document in documents if is_mapping(document) and _is_plain(document)]
    if len(plain) != len(distinct):
        raise ValueError("not as this version writes it")
    read: dict[bytes, Details] = {
        tail: {"counts": numbers(document.get("counts")), "attrs": mapping(document.get("attrs"))}
        for tail, document in zip(distinct, plain, strict=True)
    }
    return [int(head[1]) for head in known], [read[tail] for tail in tails]


def _is_plain(detail: Document) -> bool:
    """Whether a span's details, its number left out, are what this version writes."""
    return (
        detail.keys() <= {"counts", "attrs"}
        and is_mapping(detail.get("counts", {}))
        and is_mapping(detail.get("attrs", {}))
    )


def _take_detail(events: ProcessEvents, detail: Document) -> None:
    span = entries.nanoseconds(detail["span"])
    before = events.details.get(span, {})
    events.details[span] = {
        "counts": {**before.get("counts", {}), **numbers(detail.get("counts"))},
        "attrs": {**before.get("attrs", {}), **mapping(detail.get("attrs"))},
    }


def _take_event(
    events: ProcessEvents, reading_channels: list[str], kind: int, payload: memoryview | bytes
) -> None:
    if kind == journal.SPAN_DETAIL:
        _take_detail(events, journal.Record(kind, payload).json())
    elif kind == journal.NAME:
        number = journal.NAME_HEAD.unpack_from(payload)[0]
        events.names[number] = bytes(payload[journal.NAME_HEAD.size :]).decode("utf-8", "replace")
    elif kind == journal.RUN_OPEN:
        events.runs.append(entries.opening(journal.Record(kind, payload).json()))
    elif kind == journal.WINDOW_OPEN:
        events.windows.append(entries.opening(journal.Record(kind, payload).json()))
    elif kind in (journal.RUN_CLOSE, journal.WINDOW_CLOSE):
        end = entries.end(journal.Record(kind, payload).json())
        events.run_ends[end["run_id"]] = end
    elif kind == journal.NOTE:
        events.notes.append(entries.note(journal.Record(kind, payload).json()))
    elif kind == journal.METRICS:
        events.metrics.append(entries.report(journal.Record(kind, payload).json()))
    elif kind == journal.EXPECTED:
        events.expected.append(entries.expected(journal.Record(kind, payload).json()))
    elif kind == journal.PREDICTION:
        events.predictions.append(entries.prediction(journal.Record(kind, payload).json()))
    elif kind == journal.READING_CHANNELS:
        reading_channels[:] = map(str, items(journal.Record(kind, payload).json()["channels"]))
    elif kind == journal.READING:
        t_ns, *values = np.frombuffer(payload, "<i8").tolist()
        for channel, raw in zip(reading_channels, values, strict=False):
            if raw != journal.MISSING:
                events.readings.setdefault(channel, []).append((t_ns, raw))


def _group(description: Document, samples: list[bytes], sides: list[bytes]) -> GroupData:
    channels = tuple(Channel.from_dict(item) for item in mappings(description["channels"]))
    series = tuple(Series.from_dict(item) for item in mappings(description["series"]))
    sample_type = np.dtype(
        [("group", "<u2"), ("t_ns", "<i8"), ("width", "<u4"), ("energy", "<i8", (len(channels),))]
    )
    side_type = np.dtype([("group", "<u2"), ("t_ns", "<i8"), ("values", "<f4", (len(series),))])
    rows = np.frombuffer(b"".join(item for item in samples if len(item) == sample_type.itemsize), sample_type)
    side_rows = np.frombuffer(b"".join(item for item in sides if len(item) == side_type.itemsize), side_type)
    return GroupData(
        str(description["source"]),
        float(str(description["period_s"])),
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

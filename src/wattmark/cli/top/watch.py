"""Runs that go on, as ``wattmark top`` sees them: journals read from where the last look ended, and live pages.

Nothing is asked of a recorder and nothing is written, so watching costs the run nothing but the reads.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wattmark.cli.top.curves import Curves
from wattmark.cli.top.state import Count, RunPrediction, RunState, SpanRow
from wattmark.documents import numbers
from wattmark.recorder import journal, tree
from wattmark.recorder.live import ENDED, Live, LiveReader
from wattmark.runs.reading.session import session_folders

RATE_S = 5.0
"""Counts per second are means over about this long."""
_NEVER_NS = 2**63 - 1


class Watcher:
    """All sessions of this host under a folder of journals."""

    def __init__(self, journals: str) -> None:
        self.journals = journals
        self._sessions: dict[str, _Session] = {}
        self._over: set[str] = set()

    def look(self) -> list[RunState]:
        """How the runs that go on stand now, the newest first; one that has ended since the last look is there once."""
        folders = [folder for folder in session_folders(self.journals) if folder not in self._over]
        for folder in folders:
            if folder not in self._sessions and Path(folder, "live").exists():
                session = _Session(folder)
                if session.recorder_lives():
                    self._sessions[folder] = session
                else:
                    self._over.add(folder)
        run_states: list[RunState] = []
        for folder, session in list(self._sessions.items()):
            states = list(session.look())
            run_states += states
            if not session.alive:
                del self._sessions[folder]
                self._over.add(folder)
        return sorted(run_states, key=lambda state: state.start_ns, reverse=True)


@dataclass(slots=True)
class _Row:
    """The spans of one path that have ended."""

    times: int = 0
    seconds: float = 0.0
    energy_j: float | None = None
    counts: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(slots=True)
class _Run:
    """One run of a session, while it is watched."""

    opened: dict[str, Any]
    pid: int
    end: dict[str, Any] | None = None
    prediction: dict[str, Any] | None = None
    shown: bool = False
    ended: bool = False
    rows: dict[str, _Row] = field(default_factory=dict[str, _Row])
    pending: list[tuple[_Span, int]] = field(default_factory=list["tuple[_Span, int]"])
    seen: deque[tuple[int, dict[str, float]]] = field(default_factory=deque[tuple[int, dict[str, float]]])

    @property
    def start_ns(self) -> int:
        return int(self.opened["t_ns"])

    @property
    def end_ns(self) -> int | None:
        return None if self.end is None else int(self.end["t_ns"])


@dataclass(slots=True)
class _Span:
    path: str
    start_ns: int
    counts: dict[str, float] = field(default_factory=dict[str, float])


class _Session:
    """One session's folder: its recorder's live page, its processes' events, its runs."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.alive = True
        self._live: LiveReader | None = None
        self._curves = Curves(folder)
        self._tails: dict[str, _EventTail] = {}
        self._runs: list[_Run] = []

    def recorder_lives(self) -> bool:
        """Whether someone still publishes here."""
        try:
            live = self._page().read()
        except (OSError, ValueError):
            return False
        return live.state != ENDED and tree.is_alive(live.recorder_pid, None)

    def look(self) -> Iterator[RunState]:
        """The runs that go on, and once more those that have ended since."""
        live = self._read_live()
        self._read_events()
        recorder_lives = self.recorder_lives()
        owners = {tail.pid for tail in self._tails.values() if tail.lives()}
        self._curves.look(live)
        for run in self._runs:
            _settle(run, self._curves, live.t_ns if live is not None and recorder_lives else _NEVER_NS)
        for run in self._runs:
            if run.ended:
                continue
            run.ended = run.end is not None or run.pid not in owners
            if run.shown or not run.ended:
                run.shown = True
                yield self._state(run, live, run.ended, recorder_lives)
        self.alive = recorder_lives or bool(owners)

    def _page(self) -> LiveReader:
        if self._live is None:
            self._live = LiveReader(self.folder)
        return self._live

    def _read_live(self) -> Live | None:
        try:
            live = self._page().read()
        except (OSError, ValueError):
            return None
        return live

    def _read_events(self) -> None:
        try:
            names = [path.name for path in Path(self.folder).iterdir()]
        except OSError:
            return  # read into the store meanwhile; what was seen stands
        for name in names:
            if name.startswith("events-") and name.endswith(journal.SUFFIX) and name not in self._tails:
                self._tails[name] = _EventTail(f"{self.folder}/{name}")
        for tail in self._tails.values():
            for kind, payload in tail.read():
                if kind == journal.RUN_OPEN:
                    self._runs.append(_Run(journal.Record(kind, payload).json(), tail.pid))
                    self._runs.sort(key=lambda run: run.start_ns)
                elif kind == journal.PREDICTION:
                    said = journal.Record(kind, payload).json()
                    for run in self._runs:
                        if run.opened["run_id"] == said["run_id"]:
                            run.prediction = said
                elif kind == journal.RUN_CLOSE:
                    end = journal.Record(kind, payload).json()
                    for run in self._runs:
                        if run.opened["run_id"] == end["run_id"]:
                            run.end = end
        for tail in self._tails.values():
            for span, end_ns in tail.take_closed():
                run = self._run_at(span.start_ns)
                if run is not None:
                    run.pending.append((span, end_ns))

    def _run_at(self, t_ns: int) -> _Run | None:
        """The run that a span belongs to; ranks may begin a moment before the run that they join."""
        begun = [run for run in self._runs if run.start_ns <= t_ns]
        return begun[-1] if begun else (self._runs[0] if self._runs else None)

    def _state(self, run: _Run, live: Live | None, over: bool, recorder_lives: bool) -> RunState:
        end_ns = run.end_ns or (
            time.monotonic_ns() if not over else max(run.start_ns, live.t_ns if live else 0)
        )
        known_ns = run.start_ns if live is None else max(run.start_ns, min(end_ns, live.t_ns))
        curves = self._curves
        rows = [
            SpanRow(path, row.times, row.seconds, row.energy_j, dict(row.counts), open=False)
            for path, row in run.rows.items()
        ]
        current = self._open_rows(run, end_ns, known_ns)
        counts = _counts([*rows, *current])
        run.seen.append((end_ns, {count.name: count.value for count in counts}))
        while len(run.seen) > 2 and end_ns - run.seen[1][0] >= RATE_S * 1e9:
            run.seen.popleft()
        then_ns, then = run.seen[0]
        elapsed_s = (end_ns - then_ns) / 1e9
        rates = [
            count._replace(per_s=(count.value - then.get(count.name, 0.0)) / elapsed_s)
            if elapsed_s > 0 and not over
            else count
            for count in counts
        ]
        status = (run.end or {}).get("status") or ("interrupted" if over else "running")
        return RunState(
            run_id=run.opened["run_id"],
            name=run.opened["name"],
            status=status,
            tags=dict(run.opened.get("tags", {})),
            pid=run.pid,
            start_ns=run.start_ns,
            duration_s=(end_ns - run.start_ns) / 1e9,
            components=tuple(curves.components(run.start_ns, known_ns)),
            open=tuple(current),
            ended=tuple(rows),
            counts=tuple(rates),
            readings=curves.readings(run.start_ns, known_ns),
            recorder_lost=not recorder_lives and not over,
            prediction=None if over else RunPrediction.of(run.prediction),
        )

    def _open_rows(self, run: _Run, now_ns: int, known_ns: int) -> list[SpanRow]:
        grouped: dict[str, list[_Span]] = {}
        for tail in self._tails.values():
            for span in tail.open.values():
                if self._run_at(span.start_ns) is run and run.end is None:
                    grouped.setdefault(span.path, []).append(span)
        rows: list[SpanRow] = []
        for path, spans in grouped.items():
            start_ns = min(span.start_ns for span in spans)
            counts: dict[str, float] = {}
            for span in spans:
                _add(counts, span.counts)
            energy_j = self._curves.between(start_ns, known_ns) if known_ns > start_ns else None
            rows.append(SpanRow(path, len(spans), (now_ns - start_ns) / 1e9, energy_j, counts, open=True))
        return sorted(rows, key=lambda row: row.path)


def _settle(run: _Run, curves: Curves, known_ns: int) -> None:
    """Give ended spans their joules once the curves reach beyond their ends."""
    ready = [(span, end_ns) for span, end_ns in run.pending if end_ns <= known_ns]
    if not ready:
        return
    run.pending = [(span, end_ns) for span, end_ns in run.pending if end_ns > known_ns]
    edges = np.array([(span.start_ns, end_ns) for span, end_ns in ready], np.int64)
    energies = curves.energies_j(edges[:, 0], edges[:, 1])
    for number, (span, end_ns) in enumerate(ready):
        row = run.rows.setdefault(span.path, _Row())
        row.times += 1
        row.seconds += (end_ns - span.start_ns) / 1e9
        _add(row.counts, span.counts)
        if energies is not None:
            row.energy_j = (row.energy_j or 0.0) + float(energies[number])


def _add(counts: dict[str, float], more: dict[str, float]) -> None:
    for key, value in more.items():
        counts[key] = counts.get(key, 0) + value


def _counts(rows: list[SpanRow]) -> list[Count]:
    """What the spans count, each thing once: an epoch's samples are not added to those of its steps."""
    counts: list[Count] = []
    for name in dict.fromkeys(key for row in rows for key in row.counts):
        holders = [row for row in rows if name in row.counts]
        inner = [
            row for row in holders if not any(other.path.startswith(f"{row.path}/") for other in holders)
        ]
        value = sum(row.counts[name] for row in inner)
        energies = [row.energy_j for row in inner]
        energy_j = (
            sum(component_j for component_j in energies if component_j is not None)
            if None not in energies
            else None
        )
        counts.append(Count(name, value, None, energy_j))
    return counts


class _EventTail:
    """The event journal of one process, read on from where the last look ended."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.pid = 0
        self.open: dict[int, _Span] = {}
        self._header: dict[str, Any] = {}
        self._offset = 0
        self._names: dict[int, str] = {}
        self._closed: list[tuple[_Span, int]] = []

    def lives(self) -> bool:
        """Whether its process still runs, on this host."""
        header = self._header
        return header.get("host") == os.uname().nodename and tree.is_alive(
            self.pid, header.get("start_ticks")
        )

    def take_closed(self) -> list[tuple[_Span, int]]:
        """Spans that ended since the last call, with their ends."""
        closed, self._closed = self._closed, []
        return closed

    def read(self) -> Iterator[journal.Record]:
        """New records of runs; those of spans are kept here."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return
        for record in journal.decode(data):
            self._offset += journal.PREFIX_BYTES + len(record.payload)
            kind, payload = record
            if kind == journal.SPAN_OPEN:
                span, parent, name, t_ns, _ = journal.SPAN_OPEN_BODY.unpack(payload)
                own = self._names.get(name, f"span {name}")
                outer = self.open.get(parent)
                self.open[span] = _Span(f"{outer.path}/{own}" if outer else own, t_ns)
            elif kind == journal.SPAN_CLOSE:
                span, t_ns = journal.SPAN_CLOSE_BODY.unpack(payload)
                ended = self.open.pop(span, None)
                if ended is not None:
                    self._closed.append((ended, t_ns))
            elif kind == journal.SPAN_DETAIL:
                detail = record.json()
                current = self.open.get(int(str(detail["span"])))
                if current is not None:
                    current.counts.update(numbers(detail.get("counts")))
            elif kind == journal.NAME:
                number = journal.NAME_HEAD.unpack_from(payload)[0]
                self._names[number] = bytes(payload[journal.NAME_HEAD.size :]).decode("utf-8", "replace")
            elif kind == journal.HEADER:
                self._header = record.json()
                self.pid = int(self._header["pid"])
            else:
                yield record

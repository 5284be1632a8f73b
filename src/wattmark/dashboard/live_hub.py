"""Runs that go on, of any process of this machine: journals are followed, not read anew, and what has ended is stored."""

from __future__ import annotations

import struct
import threading
import time
import warnings
from dataclasses import dataclass, field

from wattmark.errors import StoreError
from wattmark.runs.reading.journals import EventsFollower, RecorderFollower
from wattmark.runs.reading.liveness import who_lives
from wattmark.runs.reading.session import SessionData, session_folders
from wattmark.runs.record import RunRecord
from wattmark.store import Store
from wattmark.store.ingest import DAMAGED, ingest_leftovers, ingest_session, kept_runs
from wattmark.store.trash import PROJECT

FRESH_S = 0.4
"""A look that is this recent serves everybody who asks."""
_SWEEP_S = 30.0
"""So often everything that lies about is offered to the store, also what was never seen alive."""
_NOT_YET = (OSError, struct.error, KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
"""A journal that cannot be read as it stands: it is just being made, taken away, or damaged, for ingestion to judge."""


@dataclass(slots=True)
class _Followed:
    recorder: RecorderFollower
    events: EventsFollower
    alive: bool = True
    records: list[RunRecord] = field(default_factory=list[RunRecord])


class LiveHub:
    """What goes on under a folder of journals. Safe to share between threads."""

    def __init__(self, store: Store, journals: str) -> None:
        self._store = store
        self._journals = journals
        self._lock = threading.Lock()
        self._sessions: dict[str, _Followed] = {}
        self._looked_s = 0.0
        self._swept_s = time.monotonic()
        self._found: tuple[RunRecord, ...] = ()

    def records(self) -> tuple[RunRecord, ...]:
        """The runs that are not in the store yet, as they stand now; the newest first."""
        with self._lock:
            if time.monotonic() - self._looked_s >= FRESH_S:
                self._look()
                self._looked_s = time.monotonic()
            return self._found

    def find(self, ref: str) -> RunRecord | None:
        """The one that is meant: by its id, the beginning of it, or its name."""
        for record in self.records():
            if ref and (record.run_id == ref or record.name == ref or record.run_id.startswith(ref)):
                return record
        return None

    def tend(self) -> None:
        """Put what has ended into the store."""
        now = time.monotonic()
        try:
            self.records()
            with self._lock:
                over = [folder for folder, session in self._sessions.items() if not session.alive]
                sweep = now - self._swept_s > _SWEEP_S
                self._swept_s = now if sweep else self._swept_s
            for folder in over:
                ingest_session(self._store, folder)
            if sweep:
                ingest_leftovers(self._store, self._journals)
        except StoreError as error:
            warnings.warn(f"wattmark: what has ended cannot be stored: {error}", stacklevel=2)

    def _look(self) -> None:
        folders = [path for path in session_folders(self._journals) if not path.endswith(f"/{DAMAGED}")]
        for gone in set(self._sessions) - set(folders):
            del self._sessions[gone]
        records: list[RunRecord] = []
        for folder in folders:
            session = self._sessions.setdefault(
                folder, _Followed(RecorderFollower(folder), EventsFollower(folder))
            )
            try:
                living = who_lives(folder)
                events = session.events.read()
                data = SessionData(folder, session.recorder.read(), events, living)
                stored_ids = kept_runs(folder)
                session.records = [record for record in data.runs() if record.run_id not in stored_ids]
                session.alive = data.alive or not data.events
            except _NOT_YET:
                session.alive = False
            records += session.records
        recent_ids = (
            {summary.run_id for summary in self._store.summaries(limit=200)} if records else set[str]()
        )
        records = [record for record in records if record.run_id not in recent_ids]
        if self._store.project is not None:
            records = [record for record in records if record.tags.get(PROJECT) == self._store.project]
        self._found = tuple(sorted(records, key=lambda record: record.started_wall_ns, reverse=True))

"""From journals to the store: what runs left in their folders is kept once, and the folder goes.

Any number of processes and machines may do this at once; each folder is locked while it is read. What cannot be read
is moved aside to ``damaged/`` with a warning, never deleted.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
import time
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from wattmark.errors import JournalError
from wattmark.recorder import journal, tree
from wattmark.runs.reading.session import SessionData, session_folders
from wattmark.runs.record import RunRecord
from wattmark.runs.summary import summarise
from wattmark.runs.view import RunView
from wattmark.store.store import Store
from wattmark.tracker.process import WattmarkWarning

DAMAGED = "damaged"
LOCK = "ingest.lock"
KEPT = "kept"
"""In the folder of a session that goes on: the ids of its runs that are in the store already, one a line."""

ELSEWHERE_S = 900.0
"""A session of another machine counts as alive while its journals were written this recently."""
STARTING_S = 60.0
"""A folder without journals may belong to a recorder that is about to start for this long."""

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DAMAGE = (
    JournalError,
    struct.error,
    KeyError,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
)
"""What reading a journal may raise whose checksums are right and whose content is not."""


def ingest_leftovers(store: Store, journals_dir: str) -> list[str]:
    """Keep the finished runs of all sessions under ``journals_dir``; the ids of those that are new in the store.

    Sessions still alive stay where they are. Raises StoreError if the store cannot be written.
    """
    return [record.run_id for folder in _folders(journals_dir) for record in ingest_session(store, folder)]


def ingest_session(store: Store, folder: str, *, over: bool = False) -> list[RunRecord]:
    """Keep the finished runs of one session, and delete its folder if nothing lives there; the runs that are new.

    over: this process writes no more to it (else a session of this process is alive as long as the process is).
    """
    with _locked(folder) as locked:
        if not locked:
            return []
        try:
            return _ingest(store, folder, os.getpid() if over else -1)
        except PermissionError:
            return []  # another user's
        except _DAMAGE as error:
            _move_aside(folder, f"{type(error).__name__}: {error}")
            return []


def open_runs(journals_dir: str) -> list[RunRecord]:
    """Runs that are not in the store because they, or processes beside them, still go on; the oldest first."""
    found: list[RunRecord] = []
    for folder in _folders(journals_dir):
        try:
            kept = kept_runs(folder)
            found += [record for record in SessionData(folder).runs() if record.run_id not in kept]
        except (OSError, *_DAMAGE):
            continue  # gone since, or for the next ingestion to judge
    return found


def _ingest(store: Store, folder: str, own_pid: int) -> list[RunRecord]:
    data = SessionData(folder)
    records = list(data.runs())
    owners = {run_id: events.pid for events in data.events for run_id in events.run_ends}
    readable = len(data.events)
    data.events = [events for events in data.events if events.pid != own_pid]
    alive = data.alive or _alive_elsewhere(folder, data)
    writers = {
        events.pid for events in data.events if tree.is_alive(events.pid, events.header.get("start_ticks"))
    }
    kept = kept_runs(folder)
    added: list[RunRecord] = []
    for record in records:
        if record.run_id in kept:
            continue
        if alive and not (record.run_id in owners and writers <= {owners[record.run_id]}):
            continue  # it goes on, or others may still write spans of it
        if not _RUN_ID.fullmatch(record.run_id):
            raise ValueError(f"{record.run_id!r} is no id of a run")
        if store.add(record, summarise(RunView(record))):
            added.append(record)
        if alive:
            with open(f"{folder}/{KEPT}", "a", encoding="ascii") as file:
                file.write(f"{record.run_id}\n")
    if not alive:
        if records:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            _remove_empty(folder, data, readable)
    return added


def _remove_empty(folder: str, data: SessionData, readable: int) -> None:
    """A session without runs goes, unless it may just be starting or holds journals that were not understood."""
    journals = [path.name for path in Path(folder).iterdir() if path.name.endswith(journal.SUFFIX)]
    if not journals and time.time() - Path(folder).stat().st_mtime < STARTING_S:
        return
    events = sum(name.startswith("events-") for name in journals)
    if events > readable or (journals and not events and data.recorder.problems):
        _move_aside(folder, "no run could be read from it")
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _alive_elsewhere(folder: str, data: SessionData) -> bool:
    """Whether another machine may still write here; processes cannot be asked there, times of files can."""
    headers = [data.recorder.header, *(events.header for events in data.events)]
    host = next((header["host"] for header in headers if header.get("host")), None)
    if host is None or host == os.uname().nodename:
        return False
    if data.recorder.end is not None:
        return False
    written = [entry.stat().st_mtime for entry in os.scandir(folder) if entry.name.endswith(journal.SUFFIX)]
    return time.time() - max(written, default=0.0) < ELSEWHERE_S


def _move_aside(folder: str, why: str) -> None:
    """Put a folder that cannot be read under ``damaged/`` beside it, and say so."""
    target = Path(folder).parent / DAMAGED / Path(folder).name
    try:
        target.parent.mkdir(mode=0o700, exist_ok=True)
        Path(folder).rename(target)
    except OSError as error:
        warnings.warn(
            f"wattmark: {folder} cannot be read ({why}) nor moved aside ({error.strerror})",
            WattmarkWarning,
            stacklevel=2,
        )
        return
    warnings.warn(f"wattmark: a damaged journal was moved to {target}: {why}", WattmarkWarning, stacklevel=2)


def _folders(journals_dir: str) -> list[str]:
    return [folder for folder in session_folders(journals_dir) if not folder.endswith(f"/{DAMAGED}")]


def kept_runs(folder: str) -> set[str]:
    """The runs of a session that are in the store already."""
    try:
        with open(f"{folder}/{KEPT}", encoding="ascii", errors="replace") as file:
            return set(file.read().split())
    except FileNotFoundError:
        return set()


@contextmanager
def _locked(folder: str) -> Generator[bool]:
    """Only one process at a time; False if the folder is gone by the time it is our turn, or is not ours to read."""
    try:
        lock = os.open(f"{folder}/{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder, LOCK).exists()
    finally:
        os.close(lock)

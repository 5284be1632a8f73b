"""Who still writes to a session's folder: asked before it is read, since what was read of the dead is then all there is."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from wattmark.errors import JournalError
from wattmark.recorder import journal, tree
from wattmark.recorder.launch import OWNER, hears
from wattmark.recorder.system import boot_id

ELSEWHERE_S = 900.0
"""A session of another machine counts as alive while its journals were written this recently."""
STARTING_S = 60.0
"""A folder that does not say whose it is may be just being made for this long."""


@dataclass(frozen=True, slots=True)
class Liveness:
    """What lives in a session. processes: those with an event journal. files: what lay there, with sizes and times."""

    recorder: bool
    owner: bool
    owner_pid: int
    elsewhere: bool
    processes: frozenset[int]
    journals: frozenset[str]
    files: tuple[tuple[str, int, int], ...]

    @property
    def any(self) -> bool:
        """Whether anything may still be written."""
        return self.recorder or self.owner or self.elsewhere or bool(self.processes)

    def without(self, pid: int) -> Liveness:
        """The same if the process ``pid`` writes no more."""
        return Liveness(
            self.recorder,
            self.owner and self.owner_pid != pid,
            self.owner_pid,
            self.elsewhere,
            self.processes - {pid},
            self.journals,
            self.files,
        )


def who_lives(folder: str) -> Liveness:
    """Ask the owner, the recorder, and every process that has a journal here."""
    files = tuple(_files(folder))
    journals = [name for name, _, _ in files if name.endswith(journal.SUFFIX)]
    living: set[int] = set()
    hosts: set[str] = set()
    boots: set[str] = set()
    for name in journals:
        try:
            header = journal.read_header(f"{folder}/{name}")
        except JournalError:
            continue
        hosts.add(str(header.get("host", "")))
        if header.get("boot_id"):
            boots.add(str(header["boot_id"]))
        pid, ticks = header.get("pid"), header.get("start_ticks")
        if (
            name.startswith("events-")
            and isinstance(pid, int)
            and tree.is_alive(pid, ticks if isinstance(ticks, int) else None)
        ):
            living.add(pid)
    owner = _owner(folder)
    if owner is not None:
        hosts.add(owner[3])
        boots.add(owner[2])
    newest = max((mtime for _, _, mtime in files), default=0) / 1e9
    here = os.uname().nodename in hosts or not hosts - {""}
    if not here:  # processes cannot be asked there, times of files can
        elsewhere = time.time() - newest < ELSEWHERE_S
        return Liveness(False, False, 0, elsewhere, frozenset(), frozenset(journals), files)
    this_boot = not boots or boot_id() in boots
    if owner is None:
        owner_lives = not journals and time.time() - max(newest, _made_s(folder)) < STARTING_S
    else:
        owner_lives = this_boot and tree.is_alive(owner[0], owner[1] or None)
    return Liveness(
        this_boot and hears(folder),
        owner_lives,
        0 if owner is None else owner[0],
        False,
        frozenset(living if this_boot else ()),
        frozenset(journals),
        files,
    )


def _files(folder: str) -> list[tuple[str, int, int]]:
    files: list[tuple[str, int, int]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                named = entry.name.endswith((journal.SUFFIX, ".new")) or entry.name in (
                    "live",
                    "members",
                    OWNER,
                )
                if named and entry.is_file():
                    status = entry.stat()
                    files.append((entry.name, status.st_size, status.st_mtime_ns))
    except OSError:
        return []
    return sorted(files)


def _made_s(folder: str) -> float:
    try:
        return os.stat(folder).st_mtime
    except OSError:
        return 0.0


def _owner(folder: str) -> tuple[int, int, str, str] | None:
    """Pid, start in ticks, boot and host of the process that made the folder; None if that is not written there."""
    try:
        with open(f"{folder}/{OWNER}", encoding="utf-8", errors="replace") as file:
            pid, ticks, boot, host = file.read(1024).split(" ", 3)
        return int(pid), int(ticks), boot, host
    except (OSError, ValueError):
        return None

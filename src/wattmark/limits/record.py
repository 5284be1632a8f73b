"""What is written down before a cap is changed: a file for each keeper, on the disk before the device is touched.

A record names devices and values, never paths: whoever puts back looks the device up on this machine. While its keeper lives
it holds a lock on the file beside the record, so that a record without that lock is left over.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from wattmark.documents import mapping, mappings, number, text
from wattmark.limits.base import same
from wattmark.paths import data_dir
from wattmark.recorder.system import boot_id

FOLDER, SUFFIX, HELD = "caps", ".json", ".lock"
VERSION = 1


@dataclass(slots=True)
class DeviceRecord:
    """old: its setting from before; ours: what we have set or are about to (the last two). pending: it was not read back
    yet, so a driver that clamps may have made another value of it."""

    key: str
    id: str
    label: str
    old: dict[str, int]
    ours: list[dict[str, int]] = field(default_factory=list[dict[str, int]])
    pending: bool = False

    def is_ours(self, knob: str, value: int) -> bool:
        """Whether a knob's value is one that we have set."""
        mine = [setting[knob] for setting in self.ours if knob in setting]
        if any(same(value, one) for one in mine):
            return True
        ends = [*mine, self.old[knob]]
        return self.pending and min(ends) <= value <= max(ends)

    def to_dict(self) -> dict[str, object]:
        """Plain data."""
        return {
            "key": self.key,
            "id": self.id,
            "label": self.label,
            "old": self.old,
            "ours": self.ours,
            "pending": self.pending,
        }


@dataclass(slots=True)
class CapRecord:
    """What one keeper has changed. kept: on the user's wish, so nothing puts it back by itself."""

    name: str
    devices: list[DeviceRecord] = field(default_factory=list[DeviceRecord])
    kept: bool = False
    boot: str = field(default_factory=boot_id)
    host: str = field(default_factory=lambda: os.uname().nodename)

    @property
    def here(self) -> bool:
        """Whether it is of this machine; a data folder may be shared by several."""
        return self.host == os.uname().nodename

    @property
    def outlived(self) -> bool:
        """Whether the machine was started since, so that its caps are those of its firmware and drivers."""
        return self.boot != boot_id()

    def write(self) -> None:
        """Put it on the disk, whole or not at all. Raises OSError."""
        folder = record_folder()
        os.makedirs(folder, mode=0o700, exist_ok=True)
        data = {
            "version": VERSION,
            "boot": self.boot,
            "host": self.host,
            "kept": self.kept,
            "devices": [device.to_dict() for device in self.devices],
        }
        path = f"{folder}/{self.name}{SUFFIX}"
        fd = os.open(
            f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            os.write(fd, json.dumps(data).encode())
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(f"{path}.new", path)
        _sync(folder)

    def remove(self) -> None:
        """It is no longer needed."""
        folder = record_folder()
        for ending in (SUFFIX, f"{SUFFIX}.new", HELD):
            try:
                os.unlink(f"{folder}/{self.name}{ending}")
            except FileNotFoundError:
                continue
        _sync(folder)

    def hold(self) -> int | None:
        """Lock it for this process: the descriptor, or None while its keeper (or another who puts back) lives."""
        folder = record_folder()
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return lock(f"{folder}/{self.name}{HELD}", create=True)

    @classmethod
    def read(cls, name: str) -> CapRecord | None:
        """The record of a name; None if it is gone or nothing that we have written."""
        try:
            fd = os.open(f"{record_folder()}/{name}{SUFFIX}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        with os.fdopen(fd, "rb") as file:
            try:
                data = mapping(json.loads(file.read()))
            except ValueError:
                return None
        boot, host = text(data.get("boot")), text(data.get("host"))
        devices = [one for row in mappings(data.get("devices")) if (one := _device(row)) is not None]
        if data.get("version") != VERSION or boot is None or host is None or not devices:
            return None
        return cls(name, devices, data.get("kept") is True, boot, host)


def record_folder() -> str:
    """Where the records lie."""
    return os.path.join(data_dir(), FOLDER)


def records() -> Iterator[CapRecord]:
    """All that are there and can be read."""
    try:
        names = sorted(os.listdir(record_folder()))
    except OSError:
        return
    for name in names:
        if name.endswith(SUFFIX):
            record = CapRecord.read(name.removesuffix(SUFFIX))
            if record is not None:
                yield record


def lock(path: str, *, create: bool = False) -> int | None:
    """A descriptor that holds the only lock on a file or folder until it is closed; None if another process holds it.

    The kernel gives such a lock (flock) back when its holder ends, however it ends. Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:
        os.close(fd)
        raise
    return fd


def holder(path: str, procfs: str = "/proc") -> str:
    """Who holds the lock on a file or folder, in words: its process and command, as far as the kernel tells."""
    try:
        stat = os.stat(path)
        with open(f"{procfs}/locks", encoding="ascii", errors="replace") as file:
            rows = [line.split() for line in file]
    except OSError:
        return "another process"
    place = f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"
    for row in rows:
        if len(row) > 5 and row[1] == "FLOCK" and row[5] == place and row[4].isdigit():
            try:
                with open(f"{procfs}/{row[4]}/comm", encoding="utf-8", errors="replace") as file:
                    return f"process {row[4]} ({file.read().strip()})"
            except OSError:
                return f"process {row[4]}"
    return "another process"


def _device(row: Mapping[str, object]) -> DeviceRecord | None:
    key, name, label, old = (
        text(row.get("key")),
        text(row.get("id")),
        text(row.get("label")),
        _setting(row.get("old")),
    )
    if key is None or name is None or label is None or old is None:
        return None
    ours = [one for item in mappings(row.get("ours")) if (one := _setting(item)) is not None]
    return DeviceRecord(key, name, label, old, ours, row.get("pending") is True)


def _setting(value: object) -> dict[str, int] | None:
    numbers = {str(key): number(item) for key, item in mapping(value).items()}
    if not numbers:
        return None
    setting = {
        key: int(item)
        for key, item in numbers.items()
        if item is not None and item >= 0 and item == int(item)
    }
    return setting if len(setting) == len(numbers) else None


def _sync(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

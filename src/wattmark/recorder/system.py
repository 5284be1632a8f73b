"""What the recorder asks of the operating system: who lives, who holds the session, what memory it takes itself.

Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import struct

from wattmark.recorder import signals

CONTROL = "control"
MEMBERS = "members"


def boot_id() -> str:
    """The kernel's id of this boot: monotonic times of two boots must not be mixed."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def resident_bytes() -> int:
    """Resident memory of this process."""
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:
            return int(file.read(128).split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def open_control(folder: str) -> int:
    """The pipe through which any process sends commands."""
    path = f"{folder}/{CONTROL}"
    os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def watch(pid: int) -> int:
    """A descriptor that becomes readable when the process ends; -1 if it has ended already."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return -1


_FLOCK = struct.Struct("hhqqi4x")


def lock_is_held(fd: int) -> bool:
    """Whether any other process holds a lock on the member file (such locks die with their process)."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    return _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))[0] != fcntl.F_UNLCK


def detach() -> None:
    """Let go of the owner's descriptors, folder and terminal signals."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2:
            try:
                os.close(fd)
            except OSError:
                continue
    os.chdir("/")
    signals.ignore()

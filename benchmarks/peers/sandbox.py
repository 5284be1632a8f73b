"""Run a command where /sys/class/powercap is a fake powercap tree, and where there is no network.

``python sandbox.py TREE CMD...`` gives CMD a mount namespace of its own: TREE (written by faketree.py) appears at
/sys/class/powercap and /sys/devices/virtual/powercap, everything else under /sys stays as it is. So peers run
unmodified although they hard-code the path. Without a network nobody's look-up of a location is timed. Needs root.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

NEW_MOUNTS, NEW_NETWORK = 0x00020000, 0x40000000
BIND, RECURSIVE, PRIVATE = 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *args: object) -> None:
    if getattr(_libc, name)(*args):
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


def _mount(source: str, target: str, kind: bytes | None = None, flags: int = 0) -> None:
    _call("mount", source.encode(), target.encode(), kind, ctypes.c_ulong(flags), None)


def enter(tree: str) -> None:
    """Move this process into the namespace."""
    _call("unshare", NEW_MOUNTS | NEW_NETWORK)
    _mount("none", "/", None, RECURSIVE | PRIVATE)
    stage = tree + ".sys"
    os.makedirs(stage, exist_ok=True)
    _mount("tmpfs", stage, b"tmpfs")
    for folder, ours in (("class", "class/powercap"), ("devices/virtual", "devices/virtual/powercap")):
        shadow = os.path.join(stage, folder)
        os.makedirs(shadow)
        real = os.path.join("/sys", folder)
        for entry in [*os.listdir(real), "powercap"]:
            target = os.path.join(shadow, entry)
            os.mkdir(target)
            source = os.path.join(tree, ours) if entry == "powercap" else os.path.join(real, entry)
            _mount(source, target, None, BIND | RECURSIVE)
        _mount(shadow, real, None, BIND | RECURSIVE)


if __name__ == "__main__":
    enter(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM):  # a job in the background is started with Ctrl-C ignored
        signal.signal(number, signal.SIG_DFL)
    os.execvp(sys.argv[2], sys.argv[2:])

"""Whether it was memory that ended a trial: what frameworks say, and what the kernel counts."""

from __future__ import annotations

import re

_WORDS = re.compile(
    r"\bOutOfMemory(?:Error)?\b|\bMemoryError\b|out of memory\b|\bbad_alloc\b|Cannot allocate memory"
    r"|RESOURCE_EXHAUSTED|\bOOM\b",
    re.IGNORECASE,
)


def speaks_of_memory(text: str) -> bool:
    """Whether an error message is that of Python, torch, JAX, CUDA, C++ or the C library for "no memory left"."""
    return _WORDS.search(text) is not None


def oom_kills() -> int:
    """How many processes the kernel has ended for memory: in this control group (cgroup v2) and on this machine.

    Only differences mean something. 0 where the kernel does not tell.
    """
    return _count(f"/sys/fs/cgroup{_group()}/memory.events") + _count("/proc/vmstat")


def _group() -> str:
    try:
        with open("/proc/self/cgroup", encoding="ascii", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return ""
    return next((line[3:].rstrip("/") for line in lines if line.startswith("0::")), "")


def _count(path: str) -> int:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return 0
    return next((int(row[1]) for row in words if len(row) == 2 and row[0] == "oom_kill"), 0)

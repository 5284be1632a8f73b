"""How many threads a model gets."""

from __future__ import annotations

import os

from wattmark.workloads.tasks.base import Settings


def threads_of(settings: Settings) -> int:
    """As asked for; else the cores that this process may use, less one, which the recorder and the rest may have."""
    if settings.threads > 0:
        return settings.threads
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)

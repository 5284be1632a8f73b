"""What stands behind a proxy on this machine: a server that passes requests on is only a small part of the server.

The processes that the server's own connections lead to, as far as ``/proc`` shows both ends: LiteLLM or nginx before a model
server, a scheduler before its workers. They are looked for while a few short requests are on their way, since a proxy may
close its connections after each. Standard library only.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from wattmark.serving.server.owner import (
    Address,
    address_of,
    family_of,
    holders_at,
    name_of,
    rows_of,
    sockets_of,
)

ESTABLISHED = "01"
"""State TCP_ESTABLISHED (include/net/tcp_states.h)."""
LOOK_EVERY_S = 0.02
DEEPEST = 4
"""Proxies before proxies are followed no further than this."""
NOT_SERVING = frozenset(
    {"postgres", "mysqld", "mariadbd", "redis-server", "valkey-server", "mongod", "systemd-resolve"}
)
"""Programs that keep a proxy's books; what they do is not made for tokens."""


def backends(pids: Sequence[int], procfs: str = "/proc") -> tuple[int, ...]:
    """The roots of further processes that these (with their children) are connected to at this moment, and so on."""
    known = {*pids, os.getpid()}
    family = family_of(pids, procfs)
    found: set[int] = set()
    for _ in range(DEEPEST):
        fresh = _next(family, procfs) - known - family
        if not fresh:
            break
        found |= fresh
        known |= fresh
        family = family_of(fresh, procfs)
    return tuple(sorted(found))


@contextmanager
def watching(pids: Sequence[int], procfs: str = "/proc") -> Generator[set[int]]:
    """The set grows with the backends that are seen while the block runs."""
    found, done = set[int](), threading.Event()

    def watch() -> None:
        while True:
            found.update(backends(pids, procfs))
            if done.wait(LOOK_EVERY_S):
                return

    thread = threading.Thread(target=watch, daemon=True)
    if pids:
        thread.start()
    try:
        yield found
    finally:
        done.set()
        if pids:
            thread.join()
            found.update(backends(pids, procfs))


def _next(family: set[int], procfs: str) -> set[int]:
    """Who listens where the connections of these processes lead."""
    if not family:
        return set()
    own = sockets_of(family, procfs)
    ends: set[tuple[Address, int]] = set()
    for row in rows_of(f"{procfs}/{min(family)}/net"):
        if row[3] == ESTABLISHED and row[9] in own:
            remote, _, port = row[2].partition(":")
            ends.add((address_of(remote), int(port, 16)))
    holders = {pid for address, port in ends for pid in holders_at(address, port, procfs)}
    return {pid for pid in holders if name_of(pid, procfs) not in NOT_SERVING}

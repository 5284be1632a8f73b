"""The sources of a node, read for ever: cumulative energy of each channel and component, by the recorder's own code."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wattmark.errors import SourceEnded, SourceError, SourceGone
from wattmark.recorder import journal
from wattmark.recorder.choice import Choice
from wattmark.recorder.sampling import Group
from wattmark.sources.base import COMPONENTS, Channel, Host
from wattmark.sources.discovery import Selection, discover

LEAST_PERIOD_S = 0.1
"""Clients get nothing newer than this: the kernel keeps finer readings from users, who could read keys out of them (Lipp et
al., PLATYPUS, IEEE S&P 2021)."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One moment. channels_uj: cumulative µJ since the agent began, by channel; None where the sensor gave nothing now.
    components_uj: the sums of what counts, by component."""

    t_ns: int
    channels_uj: Mapping[str, int | None]
    components_uj: Mapping[str, int]


class Node:
    """Opened sources. Safe for threads."""

    def __init__(self, host: Host, wanted: Sequence[str] | None = None) -> None:
        """Raises ConfigError where a source is named that there is not."""
        self.selection: Selection = discover(host, wanted, ("agent",))
        opened = self.selection.open()
        self._groups = [
            Group(index, source, channels, LEAST_PERIOD_S)
            for index, (source, channels) in enumerate(opened.sources)
            if channels
        ]
        self._choice = Choice(self.selection, self._groups, LEAST_PERIOD_S, host.procfs)
        self._lock = threading.Lock()
        self._gone: set[int] = set()
        self.notes: list[str] = [warning["message"] for warning in self.selection.warnings]
        self.latest = self._read()
        self._choice.prove()
        self.review(start=True)

    @property
    def channels(self) -> tuple[Channel, ...]:
        """All channels that are read, in order; what stands in for another is not counted beside it."""
        roles = self._choice.roles
        return tuple(
            channel._replace(counted=channel.counted and channel.id not in roles)
            for group in self._groups
            for channel in group.channels
        )

    def read(self, not_older_than_s: float = 0.0) -> Reading:
        """The sources now, or the last reading if it is no older than that."""
        with self._lock:
            if time.monotonic_ns() - self.latest.t_ns > not_older_than_s * 1e9:
                self.latest = self._read()
            return self.latest

    def review(self, *, start: bool = False) -> None:
        """Read something else in the place of what gives nothing; once a second or less."""
        with self._lock:
            _, told = self._choice.review(time.monotonic_ns(), start=start)
            self.notes += [message for _, message, _ in told]

    def gpu_users(self) -> Mapping[str, Mapping[int, int]]:
        """Channel of each GPU -> weight of each process on it: time on its multiprocessors where that is told for all, else
        bytes of its memory."""
        found: dict[str, dict[int, int]] = {}
        with self._lock:
            for group in self._groups:
                ask = getattr(group.source, "processes", None)
                users = ask() if ask is not None else ()
                for channel in {user.channel_id for user in users}:
                    own = [user for user in users if user.channel_id == channel]
                    busy = [user.sm_percent for user in own]
                    known = None not in busy and sum(busy) > 0
                    amounts = busy if known else [user.memory_bytes or 0 for user in own]
                    for user, amount in zip(own, amounts, strict=True):
                        by_process = found.setdefault(channel, {})
                        by_process[user.pid] = by_process.get(user.pid, 0) + int(amount)
        return found

    def close(self) -> None:
        """Close the sources."""
        for group in self._groups:
            group.source.close()

    def _read(self) -> Reading:
        for group in self._groups:
            if group.index in self._gone:
                continue
            try:
                group.read()
            except (SourceEnded, SourceGone) as error:
                self._gone.add(group.index)
                self.notes.append(f"{group.source.name} was dropped: {error}")
                group.latest_uj[:] = [journal.MISSING] * len(group.channels)
            except SourceError as error:
                group.missed(time.monotonic_ns(), str(error))
            self.notes += [message for code, _, message, _ in group.take_events() if code != "base"]
        del self.notes[:-100]
        channels = {
            channel.id: None if value == journal.MISSING else value
            for group in self._groups
            for channel, value in zip(group.channels, group.latest_uj, strict=True)
        }
        totals = self._choice.totals()
        by_component = {
            name: value for name, value in zip(COMPONENTS, totals, strict=True) if value is not None
        }
        return Reading(time.monotonic_ns(), channels, by_component)

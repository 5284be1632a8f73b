"""Whose joules: the energy of each interval, split so that every sum is exact.

Of each component's energy in an interval
- the *idle pot* is what the component draws without work: its lowest power so far, over five seconds or more (a model's own
  idle power where it has one). It belongs to no one, and is not spread;
- the rest goes to units by their CPU time, of a GPU to processes by their share of it; a unit's own counter (``cpu.stat`` of
  cgroup 2) has also the processes that nobody saw, else its processes' times are added up;
- what ran in no unit (the kernel's threads, interrupts) or on a GPU without known users is *unattributed*, and shown.

Energies are whole microjoules, so idle pot + units + unattributed is the component's energy to the last one, however
long the agent runs. CPU time says nothing of what an instruction costs: a share errs by how much hotter a unit's work is
than the average (docs/guide/agent.md).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from wattmark.agent.units import Unit

Key = TypeVar("Key", bound=Hashable)
IDLE_WINDOW_NS = 5_000_000_000


def split(total: int, weights: Mapping[Key, int], whole: int) -> tuple[dict[Key, int], int]:
    """``total`` by weights of ``whole`` (their sum, if that is more): the parts, and what is left for no one."""
    most = max(whole, sum(weights.values()))
    if total <= 0 or most <= 0:
        return {}, total
    parts = {key: total * weight // most for key, weight in weights.items() if weight > 0}
    return parts, total - sum(parts.values())


@dataclass(slots=True)
class Idle:
    """The power of a component without work, learnt as the lowest over windows of five seconds. watts: None at first."""

    watts: float | None = None
    _window: tuple[int, int] | None = None

    def see(self, t_ns: int, total_uj: int) -> None:
        """A cumulative reading."""
        if self._window is None:
            self._window = (t_ns, total_uj)
            return
        elapsed = t_ns - self._window[0]
        if elapsed >= IDLE_WINDOW_NS:
            watts = (total_uj - self._window[1]) * 1e3 / elapsed
            if watts >= 0 and (self.watts is None or watts < self.watts):
                self.watts = watts
            self._window = (t_ns, total_uj)

    def of(self, energy_uj: int, elapsed_ns: int) -> int:
        """The idle part of an interval's energy; all of it as long as nothing is known."""
        if self.watts is None:
            return energy_uj
        return min(energy_uj, round(self.watts * elapsed_ns / 1e3))


@dataclass(slots=True)
class Account:
    """Cumulative µJ of one part of the node: idle, unattributed, of owners, and of owners that are gone. ``total`` is what
    was measured, and their sum."""

    total: int = 0
    idle: int = 0
    unattributed: int = 0
    gone: int = 0
    owners: dict[Unit, int] = field(default_factory=dict[Unit, int])

    def add(self, energy_uj: int, idle_uj: int, weights: Mapping[Unit, int], whole: int) -> dict[Unit, int]:
        """One interval; what each owner got."""
        parts, rest = split(energy_uj - idle_uj, weights, whole)
        self.total += energy_uj
        self.idle += idle_uj
        self.unattributed += rest
        for owner, part in parts.items():
            self.owners[owner] = self.owners.get(owner, 0) + part
        return parts

    def drop(self, owner: Unit) -> None:
        """An owner that is gone: its energy is no longer told by name."""
        self.gone += self.owners.pop(owner, 0)

"""The ledger of a node: at each tick what was measured, and whose it was."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from wattmark.agent.node import Node, Reading
from wattmark.agent.processes import Process, ProcessTable
from wattmark.agent.shares import Account, Idle, split
from wattmark.agent.units import Unit, unit_of
from wattmark.recorder.tree import host_busy_s
from wattmark.sources.base import Host, read_text

KEEP_GONE_NS = 600_000_000_000
"""A unit that is gone is told for ten more minutes, so that whoever asks every minute sees its last joules."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_OF_SERVICES = ("/init.scope", "/")


@dataclass(frozen=True, slots=True)
class PartState:
    """One component, or one GPU, at a tick: cumulative µJ, watts since the tick before, and idle power as learnt."""

    component: str
    total_uj: int
    idle_uj: int
    unattributed_uj: int
    gone_uj: int
    watts: float | None
    idle_w: float | None


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process at a tick: cumulative µJ since it was first seen; its unit."""

    process: Process
    unit: Unit
    energy_uj: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known at a tick. reading: the sensors then. parts: by component, or by channel of a GPU. units: cumulative µJ
    by unit and component. Of each part, idle + unattributed + gone + all units is its total."""

    reading: Reading
    parts: Mapping[str, PartState]
    units: Mapping[tuple[Unit, str], int]
    processes: tuple[ProcessState, ...]


class Attribution:
    """Splits the energy of a node at each tick. Safe for threads that look at ``ledger``."""

    def __init__(self, node: Node, host: Host) -> None:
        self._node, self._host = node, host
        self._table = ProcessTable(host)
        self._accounts: dict[str, Account] = {}
        self._idle: dict[str, Idle] = {}
        self._component: dict[str, str] = {}
        self._process_uj: dict[tuple[int, int], int] = {}
        self._unit_usage: dict[str, int] = {}
        self._units: dict[str, Unit] = {}
        self._seen_ns: dict[Unit, int] = {}
        self._busy_s = host_busy_s(host.procfs)
        self._last = node.read()
        nothing = Reading(self._last.t_ns, dict.fromkeys(self._last.channels_uj, 0), {})
        for part, (component, energy_uj, cumulative) in self._energies(self._last, nothing).items():
            self._component[part] = component
            self._idle[part] = Idle(self._known_idle_w(component))
            self._idle[part].see(self._last.t_ns, cumulative)
            self._accounts[part] = Account()
            self._accounts[part].add(energy_uj, energy_uj, {}, 0)  # before the first tick, of no one
        self._usage_of(self._table.cgroups())
        self._lock = threading.Lock()
        self._ledger = self._state({})

    @property
    def ledger(self) -> Ledger:
        """The last tick."""
        with self._lock:
            return self._ledger

    def command_line(self, process: Process) -> list[str]:
        """The words of one process of the ledger."""
        return self._table.command_line(process)

    def tick(self) -> Ledger:
        """Read everything and split what was used since the last tick."""
        ran = self._table.look()
        busy_s = host_busy_s(self._host.procfs)
        reading = self._node.read()
        elapsed_ns = max(1, reading.t_ns - self._last.t_ns)
        by_cgroup: dict[str, dict[int, int]] = {}
        for pid, ticks in ran.items():
            process = self._table.get(pid)
            if process is not None:
                by_cgroup.setdefault(process.cgroup, {})[pid] = ticks * 1_000_000 // _TICKS_PER_S
        unit_us: dict[Unit, int] = {}
        for path, used_us in self._usage_of(self._table.cgroups()).items():
            unit = self._unit(path)
            own = sum(by_cgroup.get(path, {}).values())
            unit_us[unit] = unit_us.get(unit, 0) + (own if used_us is None else used_us)
        whole_us = 0
        if busy_s is not None and self._busy_s is not None:
            whole_us = max(0, round((busy_s - self._busy_s) * 1e6))
        self._busy_s = busy_s
        watts: dict[str, float] = {}
        for part, (component, energy_uj, cumulative) in self._energies(reading, self._last).items():
            self._component[part] = component
            account = self._accounts.setdefault(part, Account())
            idle = self._idle.setdefault(part, Idle(self._known_idle_w(component)))
            idle.see(reading.t_ns, cumulative)
            idle_uj = idle.of(energy_uj, elapsed_ns)
            watts[part] = energy_uj * 1e3 / elapsed_ns
            if part == component:
                given = account.add(energy_uj, idle_uj, unit_us, whole_us)
                self._to_processes(given, by_cgroup)
            else:
                self._to_gpu_users(part, account, energy_uj, idle_uj)
        self._last = reading
        self._forget(reading.t_ns)
        ledger = self._state(watts)
        with self._lock:
            self._ledger = ledger
        return ledger

    def _energies(self, reading: Reading, last: Reading) -> dict[str, tuple[str, int, int]]:
        """Part -> component, µJ since ``last``, cumulative µJ. GPUs that can be told apart are parts of their own."""
        gpus = [c.id for c in self._node.channels if c.component == "gpu" and c.counted]
        found: dict[str, tuple[str, int, int]] = {}
        of_gpus = 0
        for name in gpus:
            now, before = reading.channels_uj.get(name), last.channels_uj.get(name)
            if now is not None and before is not None:
                found[name] = ("gpu", max(0, now - before), now)
                of_gpus += max(0, now - before)
        for component, now in reading.components_uj.items():
            energy = max(0, now - last.components_uj.get(component, 0))
            if component == "gpu" and found:
                energy -= of_gpus  # what a stand-in counted
                if energy <= 0:
                    continue
            found[component] = (component, energy, now)
        return found

    def _known_idle_w(self, component: str) -> float | None:
        """The idle power of a component whose counted channels are all models that know it; None of any other."""
        counted = [c for c in self._node.channels if c.component == component and c.counted]
        if not counted or any(c.method != "modelled" or not c.curve_w for c in counted):
            return None
        return sum(c.curve_w[0] for c in counted)

    def _to_processes(self, given: Mapping[Unit, int], by_cgroup: Mapping[str, Mapping[int, int]]) -> None:
        """What a unit got, to its processes by their CPU time; what nobody saw stays with the unit alone."""
        by_unit: dict[Unit, dict[int, int]] = {}
        for path, used in by_cgroup.items():
            by_unit.setdefault(self._unit(path), {}).update(used)
        for unit, energy in given.items():
            used = by_unit.get(unit, {})
            parts, _ = split(energy, used, sum(used.values()))
            for pid, part in parts.items():
                self._credit(pid, part)

    def _to_gpu_users(self, part: str, account: Account, energy_uj: int, idle_uj: int) -> None:
        users = self._node.gpu_users().get(part, {})
        known = {pid: weight for pid, weight in users.items() if self._table.get(pid) is not None}
        by_unit: dict[Unit, int] = {}
        for pid, weight in known.items():
            process = self._table.get(pid)
            assert process is not None
            unit = self._unit(process.cgroup)
            by_unit[unit] = by_unit.get(unit, 0) + weight
        whole = sum(users.values())
        account.add(energy_uj, idle_uj, by_unit, whole)
        parts, _ = split(energy_uj - idle_uj, known, whole)
        for pid, energy in parts.items():
            self._credit(pid, energy)

    def _credit(self, pid: int, energy_uj: int) -> None:
        process = self._table.get(pid)
        if process is not None:
            key = (pid, process.start)
            self._process_uj[key] = self._process_uj.get(key, 0) + energy_uj

    def _usage_of(self, paths: set[str]) -> dict[str, int | None]:
        """µs of CPU that each cgroup used since the last look, by its own counter; None where that is not known.

        Only processes' own cgroups are asked, which are leaves (the kernel allows processes in leaves only, but for the
        root, whose counter holds all: it is left to its processes).
        """
        found: dict[str, int | None] = {}
        now: dict[str, int] = {}
        for path in paths:
            usage = None if path in _OF_SERVICES else self._cpu_stat(path)
            if usage is not None:
                now[path] = usage
                before = self._unit_usage.get(path)
                usage = max(0, usage - before) if before is not None else None
            found[path] = usage
        self._unit_usage = now
        return found

    def _cpu_stat(self, path: str) -> int | None:
        if ".." in path:
            return None
        for root in ("fs/cgroup", "fs/cgroup/unified"):
            text = read_text(self._host.sys(root, path.strip("/"), "cpu.stat"))
            if text and text.startswith("usage_usec "):
                number = text.split(None, 2)[1]
                return int(number) if number.isdigit() else None
        return None

    def _unit(self, path: str) -> Unit:
        unit = self._units.get(path)
        if unit is None:
            unit = self._units[path] = unit_of(path)
        return unit

    def _forget(self, now_ns: int) -> None:
        """Processes that ended, and units that have been gone for long."""
        for key in self._table.ended:
            self._process_uj.pop(key, None)
        there = {self._unit(path) for path in self._table.cgroups()}
        for unit in there:
            self._seen_ns[unit] = now_ns
        for unit in [u for u, seen in self._seen_ns.items() if now_ns - seen > KEEP_GONE_NS]:
            del self._seen_ns[unit]
            for account in self._accounts.values():
                account.drop(unit)
        if len(self._units) > 10 * len(there) + 1_000:
            self._units.clear()

    def _state(self, watts: Mapping[str, float]) -> Ledger:
        parts = {
            name: PartState(
                self._component[name], account.total, account.idle, account.unattributed, account.gone,
                watts.get(name), self._idle[name].watts,
            )
            for name, account in self._accounts.items()
        }  # fmt: skip
        units: dict[tuple[Unit, str], int] = {}
        for name, account in self._accounts.items():
            for owner, energy in account.owners.items():
                key = (owner, self._component[name])
                units[key] = units.get(key, 0) + energy
        processes = tuple(
            ProcessState(process, self._unit(process.cgroup), energy)
            for (pid, start), energy in self._process_uj.items()
            if (process := self._table.get(pid)) is not None and process.start == start
        )
        return Ledger(self._last, parts, units, processes)

"""The choice of what is measured with, made again during the run: for a sensor that gives nothing something else is read.

A channel is silent if it never gave a reading that is believed, gave none for too long, is a counter that stands still, or
says less than its device can draw. What would count without it is opened and read beside it. Which of both counts when
is decided by whoever reads the journal, from their curves: a stand-in counts where the silent one says nothing. Standard
library only.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from wattmark.errors import SourceError
from wattmark.recorder import tree
from wattmark.recorder.sampling import Group
from wattmark.recorder.unwrap import GAP_PERIODS, MIN_GAP_S, AnyCurve
from wattmark.sources.base import COMPONENTS, Channel, Host
from wattmark.sources.discovery import Replacement, Selection
from wattmark.sources.host import sockets_of
from wattmark.sources.models.cpu.procstat import Ticks, busy_cpus, by_cpu
from wattmark.sources.plausibility import (
    FINDINGS,
    agreement_s,
    busy_floor_w,
    contradicts,
    floor_w,
    standstill_s,
)

QUICK_S = 0.005
"""A counter that is renewed this often shows within milliseconds whether it counts ..."""
PROOF_S = 0.025
"""... and gets this long for it before the run begins."""
WITNESS_PERIOD_S = 0.1
"""The power beside a counter is read no more often than this."""
LOOK_S, LOOK_PERIOD_S = 0.4, 0.05
"""``wattmark sources`` reads every sensor for so long, this often."""
MOST_CPUS = 4_096
"""More than this many busy CPUs are none."""
RETRY_NS = 1_000_000_000
"""What failed at first is tried again this often, and later on after a tenth of the time that it has failed for."""


class Seen(NamedTuple):
    """A channel's curve at the last look."""

    t_ns: int
    total_uj: int


class Choice:
    """Looks at the groups of a recorder about once a second; ``groups`` grows by the stand-ins."""

    def __init__(self, selection: Selection, groups: list[Group], period_s: float, procfs: str) -> None:
        self.groups = groups
        self.roles: dict[str, tuple[str, ...]] = {}
        """Channel id -> the channels in whose place it counts."""
        self.silent: dict[str, str] = {}
        """Channel id -> what is wrong with it, as the rest of a sentence."""
        self._selection = selection
        self._period_s = period_s
        self._procfs = procfs
        self._seen: dict[str, Seen] = {}
        self._compared: dict[str, tuple[int, int, int]] = {}
        self._busy: tuple[int, float] | None = None
        self._sockets = sockets_of(Host(procfs=procfs))
        self._by_cpu: tuple[int, dict[int, Ticks]] = (0, {})
        self._retry_ns = 0
        self._began_ns = time.monotonic_ns()
        self._credit: dict[str, list[int]] = {}

    def prove(self) -> None:
        """Read quick counters again until they move, for a moment at most."""
        waiting = [
            (group, curve)
            for group in self.groups
            for channel, curve in zip(group.channels, group.curves, strict=True)
            if channel.counted and channel.kind != "power" and channel.method == "counter"
            and channel.update_period_s <= QUICK_S and floor_w(channel) > 0 and curve.base() is not None
        ]  # fmt: skip
        first = [curve.base() for _, curve in waiting]
        deadline = time.monotonic() + PROOF_S
        while waiting and time.monotonic() < deadline:
            time.sleep(0.001)
            for group in {id(group): group for group, _ in waiting}.values():
                group.probe()
            if all(curve.base() != base for (_, curve), base in zip(waiting, first, strict=True)):
                return
        for (_, curve), base in zip(waiting, first, strict=True):
            if curve.base() == base:
                self.silent.setdefault(curve.channel.id, f"stands still at {base[0] if base else 0} µJ")

    def review(
        self, now: int, *, start: bool = False
    ) -> tuple[list[Group], list[tuple[str, str, dict[str, Any]]]]:
        """What to read from now on beside the rest, and what to note: (code, message, data)."""
        notes: list[tuple[str, str, dict[str, Any]]] = []
        silent = dict(self.silent) if start else {}
        busy, sockets = self._busy_cpus(now), self._busy_sockets(now)
        for group in self.groups:
            for channel, curve in zip(group.channels, group.curves, strict=True):
                why = (
                    None
                    if channel.method == "modelled"
                    else self._doubt(group, channel, curve, now, self._busy_of(channel, busy, sockets))
                )
                if why is not None:
                    silent.setdefault(channel.id, why)
        for name, why in self._contradicted(now).items():
            silent.setdefault(name, why)
        fresh: list[Group] = self._witnesses() if start else []
        if silent.keys() != self.silent.keys() or (start and silent):
            told = self.silent if not start else {}
            self.silent = silent
            fresh += self._stand_ins(self._selection.replace(silent), len(self.groups) + len(fresh))
            counted = {
                c.id for group in self.groups for c in group.channels if c.counted or c.id in self.roles
            }
            notes += [
                self._news(name, why)
                for name, why in silent.items()
                # what stands in for another is missed only while that gives nothing itself
                if name in counted - told.keys()
                and (name not in self.roles or any(other in silent for other in self.roles[name]))
            ]
        self.groups += fresh
        if self._selection.waits and now >= self._retry_ns:
            fresh += self._try_again(now, notes)
        return fresh, notes

    def totals(self) -> list[int | None]:
        """Cumulative µJ of each component, in their order, of what counts and what stands in; None where it is unknown."""
        totals: list[int | None] = [None] * len(COMPONENTS)
        for group in self.groups:
            for place, value in zip(group.places, group.latest_uj, strict=True):
                if place >= 0 and value >= 0:
                    totals[place] = (totals[place] or 0) + value
        if self.roles:
            for place, uj in self.credits():
                totals[place] = (totals[place] or 0) + uj
        return totals

    def credits(self) -> list[tuple[int, int]]:
        """For the live page: (component's index, µJ) of each stand-in, what it counted while it stood in."""
        result: list[tuple[int, int]] = []
        for group in self.groups:
            for channel, latest in zip(group.channels, group.latest_uj, strict=True):
                replaced = self.roles.get(channel.id)
                if replaced is None or latest < 0:
                    continue
                credit = self._credit.setdefault(channel.id, [0, latest])
                if all(name in self.silent for name in replaced):
                    credit[0] += max(0, latest - credit[1])
                credit[1] = latest
                result.append((COMPONENTS.index(channel.component), credit[0]))
        return result

    def _witnesses(self) -> list[Group]:
        """The power beside each counter that counts; read from the beginning, since a counter is judged by it."""
        period_s = max(self._period_s, WITNESS_PERIOD_S)
        return self._stand_ins(self._selection.witnesses(), len(self.groups), period_s)

    def _stand_ins(self, choice: Replacement, first: int, period_s: float | None = None) -> list[Group]:
        fresh = [
            Group(i, source, channels, period_s or self._period_s)
            for i, (source, channels) in enumerate(choice.sources, first)
        ]
        for group in fresh:
            group.places = [-1] * len(group.channels)  # what they count is credited
        for name, replaced in choice.roles.items():
            self.roles[name] = tuple(dict.fromkeys((*self.roles.get(name, ()), *replaced)))
        return fresh

    def _contradicted(self, now: int) -> dict[str, str]:
        """Counters that disagree with their own device's power, each with what is wrong."""
        curves = {
            channel.id: (group.t_ns, curve)
            for group in self.groups
            for channel, curve in zip(group.channels, group.curves, strict=True)
        }
        doubts: dict[str, str] = {}
        for name, (_, witness) in curves.items():
            for counter in (one for one in witness.channel.stands_in_for if one in curves):
                base, power = curves[counter][1].base(), witness.base()
                if base is None or power is None:
                    continue
                then_ns, counted_uj, drawn_uj = self._compared.setdefault(counter, (now, base[1], power[1]))
                seconds, step_uj, power_uj = (now - then_ns) / 1e9, base[1] - counted_uj, power[1] - drawn_uj
                if seconds < agreement_s(witness.channel):
                    if counter in self.silent and "where" in self.silent[counter]:
                        doubts[counter] = self.silent[counter]
                    continue
                self._compared[counter] = (now, base[1], power[1])
                if power_uj > 0 and contradicts(curves[counter][1].channel, step_uj, [power_uj], seconds):
                    doubts[counter] = f"counts {step_uj / 1e6:.3g} J where {name} says {power_uj / 1e6:.3g} J"
        return doubts

    def _try_again(self, now: int, notes: list[tuple[str, str, dict[str, Any]]]) -> list[Group]:
        self._retry_ns = now + max(RETRY_NS, (now - self._began_ns) // 10)
        fresh: list[Group] = []
        for index, (source, channels) in enumerate(self._selection.retry(), start=len(self.groups)):
            fresh.append(Group(index, source, channels, self._period_s))
            for channel in channels:
                message = (
                    f"{channel.id} could not be read when the recorder began, and is measured from now on"
                )
                notes.append(("device-later", message, {"channel": channel.id}))
        self.groups += fresh
        if fresh:
            beside = self._witnesses()
            self.groups += beside
            fresh += beside
        return fresh

    def _news(self, name: str, why: str) -> tuple[str, str, dict[str, Any]]:
        others = [other for other, replaced in self.roles.items() if name in replaced]
        then = f"{' and '.join(others)} stands in for it" if others else "nothing can stand in for it"
        return "silent", f"{name} {why}: {then}", {"channel": name, "stand_ins": others}

    def _doubt(self, group: Group, channel: Channel, curve: AnyCurve, now: int, busy: float) -> str | None:
        """Why nothing is known of a channel now, or None."""
        base = curve.base()
        if base is None:
            return "has given nothing that can be believed"
        before = self._seen.get(channel.id)
        still_s = (now - curve.moved_ns) / 1e9
        period_s = group.period_ns / 1e9
        if channel.kind == "power":
            if still_s > max(GAP_PERIODS * max(channel.update_period_s, period_s), MIN_GAP_S):
                return f"has given nothing that can be believed for {still_s:.1f} s"
        elif floor_w(channel) > 0 and still_s > standstill_s(channel, period_s):
            return f"stands still at {base[0]} µJ"
        if before is None:
            self._seen[channel.id] = Seen(group.t_ns, base[1])
            return None
        seconds = (group.t_ns - before.t_ns) / 1e9
        if seconds < max(1.0, 10 * channel.update_period_s, 3 * period_s):
            return self.silent.get(channel.id)
        self._seen[channel.id] = Seen(group.t_ns, base[1])
        watts = (base[1] - before.total_uj) / 1e6 / seconds
        floor = busy_floor_w(channel, busy)
        return (
            f"says {watts:.3g} W, less than any such device draws ({floor:.3g} W)" if watts < floor else None
        )

    def _busy_of(self, channel: Channel, busy: float | None, sockets: dict[str, float]) -> float:
        """How many busy CPUs a channel holds at the least."""
        if self._holds_all(channel):
            return busy or 0.0
        socket, _, kind = channel.id.partition("/")
        return sockets.get(socket, 0.0) if kind == "package" else 0.0

    def _holds_all(self, channel: Channel) -> bool:
        """Whether the channel is the only measured one of all CPUs."""
        rivals = [
            one
            for group in self.groups
            for one in group.channels
            if one.component == channel.component and floor_w(one) > 0 and not one.stands_in_for
        ]
        return len(rivals) == 1

    def _busy_cpus(self, now: int) -> float | None:
        """CPUs that were busy since the last look, on average; None where that is not known or cannot be."""
        busy_s = tree.host_busy_s(self._procfs)
        before, self._busy = self._busy, None if busy_s is None else (now, busy_s)
        if before is None or busy_s is None or now <= before[0]:
            return None
        cpus = (busy_s - before[1]) / ((now - before[0]) / 1e9)
        return cpus if 0 <= cpus <= MOST_CPUS else None

    def _busy_sockets(self, now: int) -> dict[str, float]:
        """The same for each socket of a machine with several; those of which it is known."""
        if not self._sockets:
            return {}
        try:
            with open(f"{self._procfs}/stat", "rb") as file:
                ticks = by_cpu(file.read())
        except OSError:
            return {}
        then_ns, before = self._by_cpu
        self._by_cpu = now, ticks
        elapsed_s = (now - then_ns) / 1e9
        return {
            socket: busy_cpus(before, ticks, cpus, elapsed_s) or 0.0 for socket, cpus in self._sockets.items()
        }


def first_doubts(selection: Selection, host: Host, seconds: float = LOOK_S) -> dict[str, str]:
    """Channel id -> what is wrong with it, as a sentence; of those sources that a run would read.

    The sources are opened, read for ``seconds``, and closed; those that fail to open become warnings of ``selection``.
    """
    groups = [
        Group(index, source, channels, LOOK_PERIOD_S)
        for index, (source, channels) in enumerate(selection.open().sources)
        if channels
    ]
    choice = Choice(selection, groups, LOOK_PERIOD_S, host.procfs)
    wrong: dict[str, str] = {}
    deadline = time.monotonic() + seconds
    first: dict[str, tuple[int, int]] = {}
    while True:
        for group in groups:
            try:
                group.read()
            except SourceError as error:
                group.missed(time.monotonic_ns(), str(error))
            for code, _, message, data in group.take_events():
                if code in FINDINGS and "channel" in data:
                    wrong.setdefault(str(data["channel"]), message)
            for channel, curve in zip(group.channels, group.curves, strict=True):
                base = curve.base()
                if base is not None:
                    first.setdefault(channel.id, (group.t_ns, base[1]))
        if time.monotonic() >= deadline:
            break
        time.sleep(LOOK_PERIOD_S)
    choice.prove()
    for group in groups:
        for channel, curve in zip(group.channels, group.curves, strict=True):
            base = curve.base()
            if base is None:
                wrong.setdefault(channel.id, f"{channel.id} has given nothing that can be believed")
            elif channel.id in choice.silent:
                wrong.setdefault(channel.id, f"{channel.id} {choice.silent[channel.id]}")
            elif channel.kind != "power" and standstill_s(channel, LOOK_PERIOD_S) <= 1.0:
                t_ns, energy_uj = first[channel.id]
                length_ns = group.t_ns - t_ns
                watts = 1e3 * (base[1] - energy_uj) / length_ns if length_ns > 0 else floor_w(channel)
                if watts < floor_w(channel):
                    why = f"says {watts:.3g} W, less than any such device draws ({floor_w(channel):.3g} W)"
                    wrong.setdefault(channel.id, f"{channel.id} {why}")
        group.source.close()
    return wrong

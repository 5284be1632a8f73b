"""The rules by which discovery decides what counts, so that no joule is counted twice and none is made up.

A counter before an integrated sensor before a model; never a channel together with one that contains it;
whole-machine readings only where no part is measured; no modelled constant silently added to measured joules.
"""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.sources.base import COMPONENTS, Channel, Component, Method

_RANK: dict[Method, int] = {"counter": 0, "integrated": 1, "modelled": 2}
# Sensors whose scope holds more than their component: sockets of APUs, Grace's with its memory, a rail of Jetsons.
_HOLDS: dict[str, tuple[Component, ...]] = {
    "socket": ("cpu",),
    "apu-socket": ("cpu", "dram"),
    "socket+dram": ("dram",),
    "cpu+gpu rail": ("cpu",),
}
_HOST_SCOPES = {"machine": 0, "module": 1, "supply": 2}
"""Of meters that are equal otherwise, the widest is preferred."""
_METHODS: dict[Method, str] = {
    "counter": "the energy counter",
    "integrated": "the power sensor, integrated,",
    "modelled": "the model",
}


class Verdicts:
    """The rules, applied.

    ``counted``: channel id -> in the total; ``reasons``: channel id -> sentence; ``needless``: channels of
    models that nothing asks for; ``covered``: component -> the source that measures it.
    """

    def __init__(self, channels: Sequence[Channel], asked: frozenset[str]) -> None:
        self.counted: dict[str, bool] = {}
        self.reasons: dict[str, str] = {}
        self.needless: set[str] = set()
        self.covered: dict[str, str] = {}
        self._asked = asked
        self._by_id = {channel.id: channel for channel in channels}
        self._order = list(dict.fromkeys(channel.source for channel in channels))
        open_to_count = [channel for channel in channels if not self._ruled_out(channel)]
        measured = [channel for channel in open_to_count if channel.method != "modelled"]
        parts = [channel for channel in measured if channel.component != "host"]
        self._count_parts(parts)
        self._count_hosts([channel for channel in measured if channel.component == "host"])
        self._count_models([channel for channel in open_to_count if channel.method == "modelled"])

    def _say(self, channel: Channel, counted: bool, why: str) -> None:
        self.counted[channel.id] = counted
        self.reasons[channel.id] = why

    def _ruled_out(self, channel: Channel) -> bool:
        """What a channel's own description settles."""
        holder = next(
            (i for i in channel.inside if i in self._by_id and self._by_id[i].component != "host"), None
        )
        proper = next((i for i in channel.stands_in_for if i in self._by_id), None)
        if proper is not None:
            self.needless.add(channel.id)
            self._say(channel, False, f"Stands in for {proper} where that gives nothing.")
        elif channel.copy_of and channel.copy_of in self._by_id:
            self._say(channel, False, f"Not counted: it is the counter of {channel.copy_of} again.")
        elif holder is not None:
            self._say(channel, False, f"Not counted: {holder} contains it.")
        elif not channel.counted:
            self._say(channel, False, "Not counted: its source cannot say that it adds to the total.")
        else:
            return False
        return True

    def _count_parts(self, parts: Sequence[Channel]) -> None:
        """Measured components: one source each for cpu, memory and the like; any number of GPUs."""
        left = list(parts)
        for channel in parts:
            for other in parts:
                if channel.component in _HOLDS.get(other.scope, ()) and other.scope != "socket":
                    self._say(channel, False, f"Not counted: {other.id} contains it ({other.scope}).")
                    left = [one for one in left if one.id != channel.id]
        for channel in [one for one in left if one.scope == "socket"]:
            rival = next((one for one in left if one.component == "cpu"), None)
            if rival is not None:
                why = f"Cross-check: {rival.source} already counts the cpu and what shares its socket."
                self._say(channel, False, why)
                left.remove(channel)
        for channel in left:
            winner = min((one for one in left if self._rivals(channel, one)), key=self._preference)
            if _meter(winner) == _meter(channel) or (winner.source == channel.source and _several(channel)):
                self._say(channel, True, f"Counted: {_METHODS[channel.method]} of the {channel.component}.")
            else:
                how = _better(winner, channel)
                why = f"Cross-check: {winner.source} measures the {channel.component} {how}."
                self._say(channel, False, why)

    def _rivals(self, channel: Channel, other: Channel) -> bool:
        """Whether two channels may measure the same thing: GPUs and SoCs of two dedicated sources do not."""
        if channel.component != other.component:
            return False
        return (
            not _several(channel)
            or channel.source == other.source
            or "hwmon" in (channel.source, other.source)
        )

    def _preference(self, channel: Channel) -> tuple[bool, int, bool, int]:
        """Best first: what the user named, the better method, sources that know their device."""
        unasked = bool(self._asked) and channel.source not in self._asked
        return (unasked, _RANK[channel.method], channel.source == "hwmon", self._order.index(channel.source))

    def _count_hosts(self, hosts: Sequence[Channel]) -> None:
        """Whole-machine readings contain the parts; they count only where none of those is measured.

        What measures the whole machine is never added to another that does. The modules of one machine are, its power
        supplies are, and the platforms of its sockets are, within one kind of meter.
        """
        part = next((self._by_id[i] for i, counted in self.counted.items() if counted), None)
        best = min(
            hosts, key=lambda one: (*self._preference(one), _HOST_SCOPES.get(one.scope, 0)), default=None
        )
        for channel in hosts:
            if part is not None:
                why = f"Cross-check: it contains {part.id}, which is measured by itself."
                self._say(channel, False, why)
                continue
            assert best is not None
            adds = best.scope != "machine" and channel.scope == best.scope and _meter(channel) == _meter(best)
            if channel is best or adds:
                self._say(channel, True, "Counted: no part of the machine is measured by itself.")
            else:
                name = best.source if best.source != channel.source else best.id
                how = _better(best, channel)
                self._say(channel, False, f"Cross-check: {name} measures the whole machine {how}.")

    def _count_models(self, models: Sequence[Channel]) -> None:
        """Models answer only for what no sensor covers, and join measured joules only if asked for."""
        for channel in [self._by_id[i] for i, counted in self.counted.items() if counted]:
            for component in (channel.component, *_HOLDS.get(channel.scope, ())):
                self.covered.setdefault(component, channel.source)
        for channel in sorted(models, key=lambda one: one.component != "cpu"):
            modelled = [
                self._by_id[i]
                for i, yes in self.counted.items()
                if yes and self._by_id[i].method == "modelled"
            ]
            twin = next((one for one in modelled if self._repeats(channel, one)), None)
            with_cpu = any(one.component == "cpu" for one in modelled)
            sensor = self.covered.get(channel.component)
            if sensor is not None:
                if channel.source not in self._asked:
                    self.needless.add(channel.id)
                self._say(channel, False, f"Not needed: {sensor} measures the {channel.component}.")
            elif "host" in self.covered:
                self._say(
                    channel, False, f"Shown only: {self.covered['host']} measures the whole machine with it."
                )
            elif twin is not None:
                self._say(
                    channel, False, f"Shown only: {twin.id} already stands for the {channel.component}."
                )
            elif channel.component == "cpu" or channel.source in self._asked or with_cpu:
                self._say(
                    channel,
                    True,
                    f"Counted: no sensor of the {channel.component} is usable here.",
                )
            else:
                self._say(
                    channel,
                    False,
                    f"Shown only: a model joins measured joules only if asked for ({channel.source}).",
                )

    def _repeats(self, channel: Channel, other: Channel) -> bool:
        """Whether a second model says the same again: of another source, or in another scope."""
        same = channel.component == other.component
        return same and (channel.source != other.source or channel.scope != other.scope)


def components_of(channel: Channel) -> frozenset[Component]:
    """The components whose energy a channel holds: its own, and what its scope adds; a machine's meter holds all."""
    if channel.component == "host":
        return frozenset(COMPONENTS)
    return frozenset((channel.component, *_HOLDS.get(channel.scope, ())))


def overlap(channel: Channel, other: Channel) -> bool:
    """Whether both may hold the same joules. Of GPUs and SoCs a machine may have several, each with its own."""
    shared = components_of(channel) & components_of(other)
    return bool(shared - {"gpu", "soc"}) or bool(shared and "host" in (channel.component, other.component))


def _several(channel: Channel) -> bool:
    """Whether a machine may have several of the component that no one source knows all of."""
    return channel.component in ("gpu", "soc")


def _meter(channel: Channel) -> str:
    """What reads the channel: channels of one meter are parts that add up, two meters may read the same thing twice.

    hwmon is not one meter but many: each of its drivers is one, named first in the label.
    """
    return f"hwmon {channel.label.partition(' ')[0]}" if channel.source == "hwmon" else channel.source


def _better(winner: Channel, loser: Channel) -> str:
    if winner.method != loser.method:
        return {"counter": "with a counter", "integrated": "with a sensor"}.get(winner.method, "by a model")
    return "too, and was preferred"

"""Whose joules: above idle, and those of one process tree. Each rule is named beside its number.

Total is what the hardware used. *Above idle* takes off what the machine uses anyway. *Attributed* is the process tree's:

- of a part with a known idle power (a model's, or the calibrated baseline), what is above idle, by the tree's CPU time:
  with the model's curve ``g(u) = P(u) - P(0)`` the tree, busy for ``u_tree`` of the machine, has ``g(u_tree) / g(u)`` of it
  (by its share of busy CPU time where no curve is known); and of the idle power the share of the machine's CPU time that
  it used. Neither depends on what a neighbour does;
- of a part without known idle power, the tree's share of all busy CPU time;
- of a GPU all of it, unless other processes hold memory on it, when the share of the memory is used.

Sampling interval by sampling interval, exited children included.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattmark.documents import items, mapping, number
from wattmark.quantity import SHARE, Quantity, total
from wattmark.runs.energy import Energies
from wattmark.runs.record import Float64, Int64, RunRecord
from wattmark.runs.view import RunView
from wattmark.sources.base import Channel

_SHARED_BY_CPU_TIME = ("cpu", "dram", "soc", "host")
_TICK_S = 0.01
"""CPU times of procfs come in ticks of 10 ms."""
_SEEN_SHARE = 0.75
"""CPU times must have been looked at around at least this share of the run; what is not known is not attributed."""


Scope = Literal["machine", "tree"]
OTHERS_BUSY = 0.1
"""Where other processes kept more than this share of the machine's CPUs busy, the tree's figure comes first."""


HOSTS = "hosts"
"""In ``extra`` of a run over several hosts: what each part says, its shares among it."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a run's energy, the rule that it was taken by, and the same by component and by method."""

    energy: Quantity
    rule: str
    by_component: Mapping[str, Quantity]
    by_method: Mapping[str, Quantity] = field(default_factory=dict[str, Quantity])


class Counted(NamedTuple):
    """A counted channel and its energies of intervals, wherever its curve is."""

    channel: Channel
    between: Callable[[Int64, Int64], Energies]


def hosts_of(record: RunRecord) -> list[Mapping[str, object]]:
    """What each part of a run over several hosts says of itself; nothing for any other run."""
    return [mapping(host) for host in items(record.extra.get(HOSTS))]


def headline_scope(others: float | None, has_tree: bool) -> Scope:
    """Whose energy comes first: the tree's where others used more than :data:`OTHERS_BUSY` of the machine, and it is
    ``known``."""
    return "tree" if has_tree and others is not None and others > OTHERS_BUSY else "machine"


def contention(record: RunRecord) -> float | None:
    """Share of the machine's CPU time that others used during the run, 0..1; None if it was not recorded."""
    hosts = hosts_of(record)
    if hosts:
        told = [(number(host.get("others_busy")), number(host.get("cpus")) or 1.0) for host in hosts]
        if any(share is None for share, _ in told):
            return None
        return sum((share or 0.0) * cpus for share, cpus in told) / sum(cpus for _, cpus in told)
    busy = _busy(record)
    if busy is None or not len(busy.tree_s):
        return None
    seconds = float(busy.elapsed_s.sum()) * busy.cpus
    return float(np.clip((busy.all_s - busy.tree_s).sum() / seconds, 0.0, 1.0)) if seconds > 0 else None


def above_idle(view: RunView) -> Share | None:
    """The run's energy less its idle baseline over the covered time; None without a baseline."""
    if view.record.extra.get(HOSTS):
        return _of_hosts(view.record, "above_idle")
    baseline = view.record.baseline_w
    if not baseline or view.energy is None:
        return None
    parts: dict[str, Quantity] = {}
    for component, energy in view.energy_by_component.items():
        if component not in baseline or not _is_counted(view, component):
            continue
        rest = energy - baseline[component] * view.record.duration_s * view.coverage
        if rest.value < 0:
            rest = rest - rest.value
        parts[component] = rest.bounded(0.0).with_source("above idle")
    result = total(parts.values())
    if result is None:
        return None
    shown = ", ".join(f"{component} {watts:.1f} W" for component, watts in sorted(baseline.items()))
    return Share(result, f"total less the idle baseline ({shown}) over the covered time", parts)


def headline_of(view: RunView) -> tuple[Scope, Quantity | None]:
    """Whose energy a run is known by, and that energy: a neighbour's joules are not in it."""
    others = contention(view.record)
    share = attributed(view) if headline_scope(others, True) == "tree" else None
    return ("machine", view.energy) if share is None else ("tree", share.energy)


def attributed(view: RunView, start_ns: int | None = None, end_ns: int | None = None) -> Share | None:
    """The energy of the measured process tree in the run, or in [start, end) of it; None where its CPU time was not
    recorded."""
    if view.energy is None:
        return None
    counted = [Counted(curve.curve.channel, curve.between) for curve in view.counted]
    return attributed_of(view.record, counted, start_ns, end_ns)


def attributed_of(
    record: RunRecord, counted: Sequence[Counted], start_ns: int | None = None, end_ns: int | None = None
) -> Share | None:
    """The same of a run whose curves need not be in memory."""
    if record.extra.get(HOSTS):
        return _of_hosts(record, "attributed") if start_ns is None and end_ns is None else None
    busy = _busy(record, start_ns, end_ns)
    if busy is None:
        return None
    parts: dict[str, list[Quantity]] = {}
    methods: dict[str, list[Quantity]] = {}
    idle_known = False
    for channel, between in counted:
        energies = between(busy.edges[:-1], busy.edges[1:])
        if channel.component not in _SHARED_BY_CPU_TIME:
            part = energies.weighted(_gpu_share(record, counted, busy.edges), "attributed")
        else:
            watts = _idle_w(record, counted, channel)
            if watts is None:
                weights, spread = busy.share, busy.spread
            else:
                idle_known = True
                weights, spread = _weights(
                    busy, energies.value_j, watts * energies.covered_s, channel.curve_w
                )
            part = energies.weighted(weights, "attributed")
            error = float((energies.value_j * spread).sum())
            name = f"{SHARE}/{record.run_id}/{channel.id}/{busy.edges[0]}-{busy.edges[-1]}"
            part = part.with_error(name, min(error, part.value), error)
        parts.setdefault(channel.component, []).append(part)
        methods.setdefault(channel.method, []).append(part)
    by_component = {component: whole for component, some in parts.items() if (whole := total(some))}
    result = total(by_component.values())
    if result is None:
        return None
    rule = "CPU and memory by the process tree's share of busy CPU time, exited children included"
    if idle_known:
        rule = (
            "above idle by the process tree's CPU time, idle by the share of the machine's CPU time that it used, "
            "exited children included"
        )
    if any(channel.component == "gpu" for channel, _ in counted):
        users = record.extra.get("gpu_shares")
        rule += "; GPUs by the tree's share of their use" if users else "; GPUs whole: no one was told apart"
    by_method = {method: whole for method, some in methods.items() if (whole := total(some))}
    return Share(result, rule, by_component, by_method)


def _of_hosts(record: RunRecord, name: str) -> Share | None:
    """The sum of what each host of a run over several says of itself; None where one cannot say it."""
    told = [mapping(mapping(host).get(name)) for host in hosts_of(record)]
    if not told or not all(told):
        return None

    def added(key: str) -> dict[str, Quantity]:
        names = dict.fromkeys(name for share in told for name in mapping(share.get(key)))
        parts = {
            name: total(
                Quantity.from_dict(mapping(own))
                for share in told
                if (own := mapping(share.get(key)).get(name))
            )
            for name in names
        }
        return {name: whole for name, whole in parts.items() if whole is not None}

    energy = total(Quantity.from_dict(mapping(share.get("energy"))) for share in told)
    rule = f"of each host: {told[0].get('rule')}"
    return None if energy is None else Share(energy, rule, added("by_component"), added("by_method"))


def _idle_w(record: RunRecord, counted: Sequence[Counted], channel: Channel) -> float | None:
    """Watts of a part when nothing runs: a model's own, else the calibrated baseline; None if unknown or shared by
    several channels."""
    if channel.curve_w:
        return channel.curve_w[0]
    alone = sum(other.component == channel.component for other, _ in counted) == 1
    return (record.baseline_w or {}).get(channel.component) if alone else None


def _weights(
    busy: _Busy, value_j: Float64, idle_j: Float64, curve_w: tuple[float, ...]
) -> tuple[Float64, Float64]:
    """The tree's share of each interval's energy, (k,), and what it may be wrong by because CPU times come in ticks."""
    idle_j = np.minimum(idle_j, value_j)
    used_tree, used_all = busy.tree_s / busy.capacity_s, busy.all_s / busy.capacity_s
    if len(curve_w) > 1 and curve_w[-1] > curve_w[0]:
        steps = np.linspace(0.0, 1.0, len(curve_w))
        above = np.asarray(curve_w) - curve_w[0]
        mine, everyone = np.interp(used_tree, steps, above), np.interp(used_all, steps, above)
        share = np.divide(mine, everyone, out=np.zeros_like(mine), where=everyone > 0)
    else:
        share = busy.share
    own_j = idle_j * np.minimum(used_tree, 1.0) + (value_j - idle_j) * share
    whole = np.where(value_j > 0, value_j, 1.0)
    return own_j / whole, busy.spread * (value_j - idle_j) / whole


def _gpu_share(record: RunRecord, counted: Sequence[Counted], edges: Int64) -> Float64:
    """The process tree's mean share of the counted GPUs in each interval, (k,); 1 where nothing is known."""
    looks = [tuple(items(look)) for look in items(record.extra.get("gpu_shares"))]
    boards = [channel.id for channel, _ in counted if channel.component == "gpu"]
    shares = np.ones(len(edges) - 1)
    if not looks or not boards:
        return shares
    times = np.array([look[0] for look in looks], np.int64)
    last = np.searchsorted(times, edges[1:], side="right") - 1
    for row in range(len(shares)):
        look = int(last[row])
        users = mapping(looks[look][1] if look >= 0 else None)
        shares[row] = sum(_first(users.get(board)) for board in boards) / len(boards)
    return shares


def _first(share_and_rule: object) -> float:
    share = number(next(iter(items(share_and_rule)), None))
    return 1.0 if share is None else share


def _is_counted(view: RunView, component: str) -> bool:
    return any(curve.curve.channel.component == component for curve in view.counted)


class _Busy(NamedTuple):
    """CPU seconds between looks. edges: (k+1,) int64 ns; tree_s, all_s, elapsed_s: (k,) float64; cpus: of the machine."""

    edges: NDArray[np.int64]
    tree_s: Float64
    all_s: Float64
    elapsed_s: Float64
    cpus: int

    @property
    def capacity_s(self) -> Float64:
        """CPU seconds that there were."""
        return np.maximum(self.elapsed_s * self.cpus, 1e-9)

    @property
    def share(self) -> Float64:
        """The tree's share of busy time, 0 to 1."""
        return np.divide(self.tree_s, self.all_s, out=np.zeros_like(self.tree_s), where=self.all_s > 0)

    @property
    def spread(self) -> Float64:
        """How far the share may be off, since procfs counts in ticks."""
        ticks = np.divide(2 * _TICK_S, self.all_s, out=np.ones_like(self.all_s), where=self.all_s > 0)
        return np.minimum(ticks, 1.0)


def _busy(record: RunRecord, start_ns: int | None = None, end_ns: int | None = None) -> _Busy | None:
    """CPU times over the run or a part of it, None where too little of it was looked at."""
    rows = record.tree_cpu
    start_ns = record.start_ns if start_ns is None else start_ns
    end_ns = record.end_ns if end_ns is None else end_ns
    if len(rows) < 2:
        return None
    seen_ns = min(rows[-1, 0], end_ns) - max(rows[0, 0], start_ns)
    if seen_ns < _SEEN_SHARE * (end_ns - start_ns):
        return None
    inner = rows[(rows[:, 0] > start_ns) & (rows[:, 0] < end_ns), 0]
    edges = np.concatenate(([start_ns], inner, [end_ns])).astype(np.int64)
    tree = np.diff(np.interp(edges, rows[:, 0], rows[:, 1]))
    busy = np.maximum(np.diff(np.interp(edges, rows[:, 0], rows[:, 2])), tree)
    cpus = number(mapping(record.environment.get("cpu")).get("threads"))
    return _Busy(edges, tree, busy, np.diff(edges) / 1e9, int(cpus) if cpus else os.cpu_count() or 1)

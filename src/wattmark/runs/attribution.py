"""Whose joules: above idle, and those of one process tree. Each rule is named beside its number.

Total is what the hardware used. *Above idle* takes off what the machine uses anyway. *Attributed* is the share of the
process tree: of the CPU (and of the memory, whose traffic has no better measure here) by its share of all busy CPU time,
sampling interval by sampling interval, exited children included; of a GPU all of it, unless other processes hold memory
on it, when the share of the memory is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from wattmark.quantity import Quantity, total
from wattmark.runs.record import Float64
from wattmark.runs.view import RunView

_SHARED_BY_CPU_TIME = ("cpu", "dram", "soc", "host")
_TICK_S = 0.01
"""CPU times of procfs come in ticks of 10 ms."""
_SEEN_SHARE = 0.75
"""CPU times must have been looked at around at least this share of the run; what is not known is not attributed."""


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a run's energy and the rule that it was taken by."""

    energy: Quantity
    rule: str


def above_idle(view: RunView) -> Share | None:
    """The run's energy less its idle baseline over the covered time; None without a baseline."""
    baseline = view.record.baseline_w
    if not baseline or view.energy is None:
        return None
    parts: list[Quantity] = []
    for component, energy in view.energy_by_component.items():
        if component not in baseline or not _is_counted(view, component):
            continue
        idle_j = baseline[component] * view.record.duration_s * view.coverage
        value = max(0.0, energy.value - idle_j)
        low, high = max(0.0, energy.low - idle_j), max(0.0, energy.high - idle_j)
        parts.append(Quantity(value, min(low, value), max(high, value), "J", "above idle"))
    result = total(parts)
    if result is None:
        return None
    shown = ", ".join(f"{component} {watts:.1f} W" for component, watts in sorted(baseline.items()))
    return Share(result, f"total less the idle baseline ({shown}) over the covered time")


def attributed(view: RunView) -> Share | None:
    """The energy of the measured process tree; None where its CPU time was not recorded."""
    rows, record = view.record.tree_cpu, view.record
    if len(rows) < 2 or view.energy is None:
        return None
    seen_ns = min(rows[-1, 0], record.end_ns) - max(rows[0, 0], record.start_ns)
    if seen_ns < _SEEN_SHARE * (record.end_ns - record.start_ns):
        return None
    edges, shares, spread = _shares(rows, view.record.start_ns, view.record.end_ns)
    parts: list[Quantity] = []
    for component, energies in view.between(edges[:-1], edges[1:]).items():
        if component in _SHARED_BY_CPU_TIME:
            value = float((energies.value_j * shares).sum())
            low = float((energies.low_j * np.clip(shares - spread, 0, 1)).sum())
            high = float((energies.high_j * np.clip(shares + spread, 0, 1)).sum())
        else:
            of_gpu = _gpu_share(view, edges)
            value, low, high = (
                float((column * of_gpu).sum())
                for column in (energies.value_j, energies.low_j, energies.high_j)
            )
        parts.append(Quantity(value, min(low, value), max(high, value), "J", "attributed"))
    result = total(parts)
    if result is None:
        return None
    rule = "CPU and memory by the process tree's share of busy CPU time, exited children included"
    if any(curve.curve.channel.component == "gpu" for curve in view.counted):
        told = view.record.extra.get("gpu_shares")
        rule += "; GPUs by the tree's share of their use" if told else "; GPUs whole: no one was told apart"
    return Share(result, rule)


def _gpu_share(view: RunView, edges: NDArray[np.int64]) -> Float64:
    """The process tree's mean share of the counted GPUs in each interval, (k,); 1 where nothing is known."""
    looks = cast(list[tuple[int, dict[str, tuple[float, str]]]], view.record.extra.get("gpu_shares") or [])
    boards = [curve.curve.channel.id for curve in view.counted if curve.curve.channel.component == "gpu"]
    shares = np.ones(len(edges) - 1)
    if not looks or not boards:
        return shares
    times = np.array([look[0] for look in looks], np.int64)
    last = np.searchsorted(times, edges[1:], side="right") - 1
    for row in range(len(shares)):
        look = int(last[row])
        users: dict[str, tuple[float, str]] = looks[look][1] if look >= 0 else {}
        shares[row] = sum(users[board][0] if board in users else 1.0 for board in boards) / len(boards)
    return shares


def _is_counted(view: RunView, component: str) -> bool:
    return any(curve.curve.channel.component == component for curve in view.counted)


def _shares(rows: Float64, start_ns: int, end_ns: int) -> tuple[NDArray[np.int64], Float64, Float64]:
    """Edges in ns (k+1,), the tree's share of busy time in each interval (k,), and half the width of its interval."""
    inner = rows[(rows[:, 0] > start_ns) & (rows[:, 0] < end_ns), 0]
    edges = np.concatenate(([start_ns], inner, [end_ns])).astype(np.int64)
    tree = np.interp(edges, rows[:, 0], rows[:, 1])
    busy = np.interp(edges, rows[:, 0], rows[:, 2])
    own, all_busy = np.diff(tree), np.diff(busy)
    all_busy = np.maximum(all_busy, own)
    share = np.divide(own, all_busy, out=np.zeros_like(own), where=all_busy > 0)
    spread = np.divide(2 * _TICK_S, all_busy, out=np.ones_like(own), where=all_busy > 0)
    return edges, share, np.minimum(spread, 1.0)

"""Series of samples from elsewhere become energy curves: one for each board or node, with holes where nothing was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wattmark.runs.record import Curve, Float64, Int64
from wattmark.serving.power.names import Meaning
from wattmark.sources.base import Channel

LONGEST_GAP = 2.5
"""Samples further apart than this many usual gaps have a hole between them: at least one is missing."""
REPLICAS = frozenset({"replica", "prometheus", "prometheus_replica", "__replica__", "receive", "tenant_id"})
"""Labels by which copies of one series differ (highly available pairs, Thanos)."""
OF_SLICES = frozenset(
    {"GPU_I_ID", "GPU_I_PROFILE", "pod", "namespace", "container", "hpc_job", "exported_pod"}
)
"""Labels of DCGM's users of a board: its power is told once for each of them."""
NODE = ("Hostname", "hostname", "node", "node_name", "instance")
PART = ("UUID", "uuid", "gpu", "gpu_uuid", "device", "minor_number", "path", "index", "socket", "package")


@dataclass(frozen=True, slots=True)
class Samples:
    """One series: labels; times (n,) in ns of this machine's monotonic clock, strictly increasing; values (n,), as told."""

    labels: Mapping[str, str]
    t_ns: Int64
    values: Float64


@dataclass(frozen=True, slots=True)
class PowerReadings:
    """What was told of a time: curves on this machine's clock, the clock's uncertainty, and what a reader must know."""

    curves: tuple[Curve, ...]
    clock_s: float
    period_s: float
    notes: tuple[str, ...]
    where: str


def curves_of(
    series: Sequence[Samples], meaning: Meaning, *, source: str, clock_s: float = 0.0
) -> tuple[tuple[Curve, ...], tuple[str, ...]]:
    """A curve for each board or node, and in words what is missing or was told twice.

    clock_s: how far the times may be off, either way; it widens the ends of every interval.
    """
    curves: list[Curve] = []
    notes: list[str] = []
    alike: dict[str, list[Samples]] = {}
    for one in series:
        alike.setdefault(identity(one.labels), []).append(one)
    for name, copies in alike.items():
        samples, twice = _joined(copies)
        if twice:
            notes.append(
                f"{name} is told {twice} times at once (replicas, or slices of one board): it counts once"
            )
        if meaning.counter:
            samples = _changes(samples)
        if len(samples.t_ns) < 2:
            notes.append(f"{name}: {len(samples.t_ns)} samples are too few for its energy")
            continue
        curve, own = _curve(name, samples, meaning, source, clock_s)
        curves.append(curve)
        notes += own
    return tuple(curves), tuple(notes)


def identity(labels: Mapping[str, str]) -> str:
    """The board or node that a series is of, as a short name: ``node/part``."""
    node = next((labels[name] for name in NODE if labels.get(name)), "")
    part = next((labels[name] for name in PART if labels.get(name)), "")
    if not part:
        ignored = {*REPLICAS, *OF_SLICES, *NODE, "__name__", "job", "le"}
        part = ",".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in ignored)
    return "/".join(word for word in (node, part) if word) or "all"


def _joined(copies: Sequence[Samples]) -> tuple[Samples, int]:
    """One series of several of one board: those that follow one another (a pod that was replaced) are joined, those at the
    same time are copies, of which the longest counts; and how many were told at once, 0 if never."""
    ordered = sorted((one for one in copies if len(one.t_ns)), key=lambda one: -len(one.t_ns))
    if not ordered:
        return copies[0], 0
    kept, most = [ordered[0]], 1
    for one in ordered[1:]:
        if all(one.t_ns[-1] < other.t_ns[0] or one.t_ns[0] > other.t_ns[-1] for other in kept):
            kept.append(one)
        else:
            most += 1
    kept.sort(key=lambda one: int(one.t_ns[0]))
    joined = Samples(
        ordered[0].labels,
        np.concatenate([one.t_ns for one in kept]),
        np.concatenate([one.values for one in kept]),
    )
    return joined, most if most > 1 else 0


def _changes(samples: Samples) -> Samples:
    """The readings of a counter: a value that comes again is the one from before, which the exporter had not renewed."""
    new = (
        np.concatenate(([True], np.diff(samples.values) != 0))
        if len(samples.values)
        else np.empty(0, np.bool_)
    )
    return Samples(samples.labels, samples.t_ns[new], samples.values[new])


def _curve(
    name: str, samples: Samples, meaning: Meaning, source: str, clock_s: float
) -> tuple[Curve, list[str]]:
    t_ns, values = samples.t_ns, samples.values * meaning.scale
    seconds = np.diff(t_ns) / 1e9
    usual_s = float(np.median(seconds))
    wide = seconds > LONGEST_GAP * usual_s
    notes: list[str] = []
    if meaning.counter:
        steps = np.diff(values)
        back = steps < 0
        steps = np.where(back, 0.0, steps)
        holes = back  # across a gap a counter still tells the whole
        if back.any():
            notes.append(
                f"{name}: the counter began anew {int(back.sum())} times; the joules of these gaps are not known"
            )
        if wide.any():
            notes.append(
                f"{name}: up to {seconds.max():.0f} s without a new reading, {int(wide.sum())} times; a counter bridges that"
            )
    else:
        steps = (values[1:] + values[:-1]) / 2 * seconds
        holes = wide | (steps < 0)
        steps = np.where(holes, 0.0, steps)
        if holes.any():
            notes.append(
                f"{name}: nothing was told for {seconds[holes].sum():.0f} s (usually every {usual_s:.3g} s): a hole"
            )
    period_s = 0.0 if meaning.live else _renewed_s(samples, usual_s)
    channel = Channel(
        id=f"{name}",
        component=meaning.component,
        source=source,
        method="counter" if meaning.counter else "integrated",
        scope="board" if meaning.component == "gpu" else "node",
        kind="energy" if meaning.counter else "power",
        accuracy=meaning.accuracy,
        update_period_s=float(np.hypot(period_s, clock_s)),
        label=name,
    )
    energy_uj = np.concatenate(([0.0], np.cumsum(steps))) * 1e6
    return Curve(channel, t_ns, np.round(energy_uj).astype(np.int64), _holes(t_ns, holes)), notes


def _renewed_s(samples: Samples, usual_s: float) -> float:
    """How often the exporter takes a new reading, as far as changes of the value tell."""
    changed = samples.t_ns[1:][np.diff(samples.values) != 0]
    return max(usual_s, float(np.median(np.diff(changed))) / 1e9) if len(changed) > 2 else usual_s


def _holes(t_ns: Int64, missing: NDArray[np.bool_]) -> Int64:
    """Gaps as disjoint intervals; neighbours become one."""
    starts, ends = t_ns[:-1][missing], t_ns[1:][missing]
    if not len(starts):
        return np.empty((0, 2), np.int64)
    apart = np.concatenate(([True], starts[1:] > ends[:-1]))
    last = np.concatenate((apart[1:], [True]))
    return np.stack([starts[apart], ends[last]], axis=1)

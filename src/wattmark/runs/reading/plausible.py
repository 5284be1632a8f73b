"""What is known only afterwards: samples that later readings took back, and time in which a sensor did not measure.

The recorder judges each reading by the ones before it; here the whole curve is at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wattmark.recorder.unwrap import SLACK_NS
from wattmark.runs.reading.entries import Note, interval
from wattmark.runs.reading.journals import GroupData
from wattmark.runs.record import Curve, Float64, Int64
from wattmark.sources.base import Channel
from wattmark.sources.plausibility import (
    AGREEMENT_S,
    BUSY_GPU_W,
    SHORT_AGREEMENT_S,
    agreement_s,
    busy_floor_w,
    contradicts,
    floor_w,
    standstill_s,
)

_VOID = ("blip", "catch_up")
_TAKEN_BACK = ("hole", "reset", "refused_jump")

_MOST_CPUS = 4_096
_UNLIKE = 3.0
"""A step that is this many times any other is doubted ..."""
_MORE_BUSY, _MORE_CPUS = 1.5, 0.2
"""... unless the CPUs were busier by this factor and this share of one."""
_END_NS = 1_000_000_000
_END_STEPS = 2
"""How near to an end a step is that nothing before (or after) it can confirm: so long, or so many readings."""
_FEW_STEPS, _FEW_S = 3, 0.5
"""So few other steps, or so little other time, say nothing of what is usual: then only what the device can do counts."""
_BRIEF_NS = 1_000_000_000
"""A sensor that missed less of a run than this and than a fifth of it needs no stand-in."""
_LEAST_NS = 50_000_000
"""What stands in for less than this says nothing."""


def settled(notes: Sequence[Note]) -> list[Note]:
    """The notes without the holes and resets that a later ``blip`` or ``catch_up`` of their channel took back."""
    voids = _voids(notes)
    return [
        note
        for note in notes
        if note["code"] not in _TAKEN_BACK
        or not any(
            from_ns <= note.get("from_ns", note["t_ns"]) and note["t_ns"] <= to_ns
            for from_ns, to_ns in voids.get(note.get("channel", ""), ())
        )
    ]


def standing(channel: str, t_ns: Int64, notes: Sequence[Note]) -> NDArray[np.bool_]:
    """Which samples of a channel stand: those that are not strictly inside what was taken back. t_ns: (n,)."""
    keep = np.ones(len(t_ns), np.bool_)
    for from_ns, to_ns in _voids(notes).get(channel, ()):
        keep &= (t_ns <= from_ns) | (t_ns >= to_ns)
    return keep


def _voids(notes: Iterable[Note]) -> dict[str, list[tuple[int, int]]]:
    voids: dict[str, list[tuple[int, int]]] = {}
    for note in notes:
        times = interval(note)
        if note["code"] in _VOID and "channel" in note and times is not None:
            voids.setdefault(note["channel"], []).append(times)
    return voids


def doubted(
    curve: Curve, group: GroupData, busy_s: Float64 | None = None, busy_gpu: Float64 | None = None
) -> list[Note]:
    """Holes of a measured curve that its readings do not show: notes ``stuck`` and ``below_idle`` with their time.

    busy_s: (n, 2), times and cumulative busy seconds of the CPUs that the channel holds, where that is known.
    busy_gpu: (k, 2), times and the busy share (0 to 1) of the channel's GPU, where that is read.
    A counter that stood still and then made up for it was renewed slowly: that is no hole.
    """
    channel, t_ns, energy = curve.channel, curve.t_ns, curve.energy_uj
    if channel.method == "modelled" or floor_w(channel) <= 0 or len(t_ns) < 2:
        return []
    stuck: list[tuple[int, int]] = []
    late: list[tuple[int, int]] = []
    if channel.kind != "power":
        stuck, late = _stuck(channel, t_ns, energy, standstill_s(channel, group.period_s))
    settled_ns = np.array([*curve.holes.tolist(), *stuck, *late], np.int64).reshape(-1, 2)
    low = _below_idle(curve, settled_ns, group.period_s, busy_s, busy_gpu)
    return [
        {
            "code": code,
            "channel": channel.id,
            "t_ns": to_ns,
            "from_ns": from_ns,
            "to_ns": to_ns,
            "message": f"{channel.id} {what} for {(to_ns - from_ns) / 1e9:.1f} s: what was used then is not known from it",
        }
        for code, what, intervals in (
            ("stuck", "stood still", stuck),
            ("below_idle", "said less than any such device draws", low),
        )
        for from_ns, to_ns in intervals
    ]


def unconfirmed(curve: Curve, busy_s: Float64 | None, gpu_looked_at: bool) -> list[Note]:
    """The one step of a counter that is unlike all others and that nothing confirms: a note ``unconfirmed`` with its time.

    A counter may leave its line for a moment, and where it comes back that is mended; the first and the last readings have
    nothing on one side, and some counters never come back. A step that is :data:`_UNLIKE` times all others is not counted

    - at an end of the curve, if it is more than half of what the device can do, or the device was not busier (where there
      are others enough to tell);
    - elsewhere, if it is more than a sixth of what a processor can do, and the CPUs are known not to have been busier.

    busy_s: (n, 2), times and cumulative busy CPU seconds. gpu_looked_at: whether the utilisation of the GPU is known, which
    says nothing of a short time.
    """
    channel, t_ns, energy = curve.channel, curve.t_ns, curve.energy_uj
    if channel.method == "modelled" or channel.kind == "power" or channel.source == "replay" or len(t_ns) < 2:
        return []
    seconds = np.diff(t_ns) / 1e9
    # What came at once may have gathered since the counter moved before, and for as long as it is not renewed.
    moved = np.maximum.accumulate(np.where(np.diff(energy) > 0, np.arange(1, len(t_ns)), 0))
    since_s = (t_ns[1:] - t_ns[np.concatenate(([0], moved[:-1]))]) / 1e9
    watts = np.diff(energy) / 1e6 / (since_s + SLACK_NS / 1e9 + channel.update_period_s)
    row = int(watts.argmax())
    others = np.delete(watts, row)
    usual_w, most_w = float(others.max()) if len(others) else 0.0, float(watts[row])
    step_uj, from_ns, to_ns = int(energy[row + 1] - energy[row]), int(t_ns[row]), int(t_ns[row + 1])
    if most_w <= _UNLIKE * usual_w or step_uj <= 2 * channel.resolution_uj:
        return []
    at_start = row < _END_STEPS or from_ns < int(t_ns[0]) + _END_NS
    at_end = row >= len(watts) - _END_STEPS or to_ns > int(t_ns[-1]) - _END_NS
    busier = None if channel.component == "gpu" else _was_busier(busy_s, from_ns, to_ns)
    if at_start or at_end:
        seen_s = float(seconds.sum() - seconds[row])
        few = len(others) < _FEW_STEPS or seen_s < _FEW_S
        explained = busier or (channel.component == "gpu" and gpu_looked_at) or few
        doubted_w = channel.max_power_w / 2 if explained else 0.0
    else:
        doubted_w = channel.max_power_w / 6 if busier is False and channel.component == "cpu" else math.inf
    if most_w <= doubted_w:
        return []
    which = "last" if at_end else "first" if at_start else "strangest"
    return [
        {
            "code": "unconfirmed",
            "channel": channel.id,
            "t_ns": to_ns,
            "from_ns": from_ns,
            "to_ns": to_ns,
            "message": f"{channel.id} stepped by {step_uj / 1e6:.3g} J in its {which} {seconds[row]:.3g} s, {most_w:.3g} W "
            f"where it never said more than {usual_w:.3g} W, and nothing else says that this was so: not counted",
        }
    ]


def _was_busier(busy_s: Float64 | None, from_ns: int, to_ns: int) -> bool | None:
    """Whether the CPUs were busier in one time than in the rest; None where that is not known."""
    if busy_s is None or len(busy_s) < 2 or busy_s[-1, 1] <= busy_s[0, 1]:
        return None
    first_ns, last_ns = float(busy_s[0, 0]), float(busy_s[-1, 0])
    marks = np.interp([first_ns, from_ns, to_ns, last_ns], busy_s[:, 0], busy_s[:, 1])
    rest_ns = last_ns - first_ns - (to_ns - from_ns)
    if rest_ns <= 0 or to_ns <= from_ns:
        return None
    cpus = 1e9 * float(marks[2] - marks[1]) / (to_ns - from_ns)
    usual = 1e9 * float(marks[3] - marks[0] - (marks[2] - marks[1])) / rest_ns
    return cpus > _MORE_BUSY * usual + _MORE_CPUS


def flattened(curve: Curve, holes: Sequence[tuple[int, int]]) -> Curve:
    """The curve with further holes. It is flat in them, so that what it said there is in no sum."""
    every = disjoint([*map(tuple, curve.holes.tolist()), *holes])
    t_ns, energy = curve.t_ns, curve.energy_uj
    if not len(holes) or len(t_ns) < 2:
        return replace(curve, holes=every)
    times: Int64 = np.union1d(t_ns, np.clip(every.ravel(), t_ns[0], t_ns[-1])).astype(np.int64)
    origin_ns = int(t_ns[0])
    since: Float64 = (times - origin_ns).astype(np.float64)
    then: Float64 = (t_ns - origin_ns).astype(np.float64)
    at = np.searchsorted(every[:, 0], times[:-1], side="right") - 1
    outside = np.where((at >= 0) & (times[:-1] < every[at, 1]), 0.0, 1.0)
    reached = np.interp(since, then, energy)
    risen = np.concatenate(([0.0], np.cumsum(np.diff(reached) * outside)))
    return replace(curve, t_ns=times, energy_uj=energy[0] + np.rint(risen).astype(np.int64), holes=every)


def contradicted(curve: Curve, witness: Curve) -> list[Note]:
    """Holes of a counter where the power sensor of its device says something else: notes ``contradicted``.

    A witness that always says the same, to the last digit, beside a counter that varies is frozen, and judges nothing.
    """
    channel, t_ns, energy = curve.channel, curve.t_ns, curve.energy_uj
    if len(t_ns) < 2 or len(witness.t_ns) < 2:
        return []
    start, end = max(t_ns[0], witness.t_ns[0]), min(t_ns[-1], witness.t_ns[-1])
    length_s = float(end - start) / 1e9
    if length_s < agreement_s(witness.channel, SHORT_AGREEMENT_S) or _is_frozen(curve, witness):
        return []
    window_s = agreement_s(witness.channel, AGREEMENT_S)
    edges = np.linspace(float(start), float(end), max(1, int(length_s // window_s)) + 1)
    lag_ns = witness.channel.update_period_s * 1e9
    steps = np.diff(np.interp(edges, t_ns, energy))
    power = np.array(
        [
            np.diff(np.interp(edges + shift, witness.t_ns, witness.energy_uj))
            for shift in (-lag_ns, 0.0, lag_ns)
        ]
    )
    power[0, 0], power[2, -1] = power[1, 0], power[1, -1]  # the witness does not reach beyond its ends
    silent = disjoint([*map(tuple, curve.holes.tolist()), *map(tuple, witness.holes.tolist())])
    intervals = [
        (int(a), int(b))
        for a, b, step, uj in zip(edges[:-1], edges[1:], steps, power.T, strict=True)
        if contradicts(channel, float(step), uj.tolist(), (b - a) / 1e9)
        and not any(from_ns < b and to_ns > a for from_ns, to_ns in silent.tolist())
    ]
    return [
        {
            "code": "contradicted",
            "channel": channel.id,
            "t_ns": to_ns,
            "from_ns": from_ns,
            "to_ns": to_ns,
            "message": f"{channel.id} and {witness.channel.id} of the same device disagree by far for "
            f"{(to_ns - from_ns) / 1e9:.1f} s: the counter is not believed",
        }
        for from_ns, to_ns in _joined(intervals)
    ]


def _is_frozen(curve: Curve, witness: Curve) -> bool:
    watts = np.diff(witness.energy_uj) * 1e3 / np.diff(witness.t_ns)
    if len(watts) < 3 or float(np.ptp(watts)) > 1e-3:
        return False
    marks = np.linspace(float(curve.t_ns[0]), float(curve.t_ns[-1]), 5)
    quarters = np.diff(np.interp(marks, curve.t_ns, curve.energy_uj))
    return bool(quarters.min() > 0 and quarters.max() > 1.5 * quarters.min())


def _stuck(
    channel: Channel, t_ns: Int64, energy: Int64, patience_s: float
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The times for which a counter stood still longer than it may: without making up for it afterwards, and with."""
    moves = np.flatnonzero(np.diff(energy) > 0)
    starts, ends = np.concatenate(([0], moves + 1)), np.concatenate((moves, [len(t_ns) - 1]))
    long = (t_ns[ends] - t_ns[starts]) / 1e9 > patience_s
    total_uj, total_ns = int(energy[-1] - energy[0]), int(t_ns[-1] - t_ns[0])
    stuck: list[tuple[int, int]] = []
    late: list[tuple[int, int]] = []
    for start, end in zip(starts[long].tolist(), ends[long].tolist(), strict=True):
        if end + 1 < len(t_ns):
            step_uj, step_ns = int(energy[end + 1] - energy[end]), int(t_ns[end + 1] - t_ns[start])
            elsewhere_ns = total_ns - step_ns
            elsewhere = (total_uj - step_uj) / elsewhere_ns if elsewhere_ns > 0 else 0.0
            if step_uj / step_ns >= 0.5 * elsewhere and step_uj * 1e3 / step_ns >= floor_w(channel):
                late.append((int(t_ns[start]), int(t_ns[end + 1])))
                continue
        stuck.append((int(t_ns[start]), int(t_ns[end])))
    return stuck, late


def _below_idle(
    curve: Curve, settled_ns: Int64, period_s: float, busy_s: Float64 | None, busy_gpu: Float64 | None
) -> list[tuple[int, int]]:
    """The times, window by window, in which the mean power is below what the device draws at the least.

    settled_ns: (m, 2), times of which is known already what they are.
    """
    channel, t_ns, energy = curve.channel, curve.t_ns, curve.energy_uj
    window_ns = int(max(1.0, 10 * channel.update_period_s, 3 * period_s) * 1e9)
    length_ns = int(t_ns[-1] - t_ns[0])
    count = max(1, length_ns // window_ns)
    if length_ns < 1e10 * channel.update_period_s:
        return []
    marks: Int64 = t_ns[0] + np.arange(count + 1) * (length_ns // count)
    rows: Int64 = np.unique(np.minimum(np.searchsorted(t_ns, marks), len(t_ns) - 1)).astype(np.int64)
    edges = t_ns[rows]
    if len(edges) < 2:
        return []
    covered = np.diff(edges).astype(np.float64)
    for from_ns, to_ns in settled_ns.tolist():
        covered -= np.clip(np.minimum(edges[1:], to_ns) - np.maximum(edges[:-1], from_ns), 0, None)
    watts = np.divide(
        np.diff(energy[rows]) * 1e3, covered, out=np.full(len(covered), np.inf), where=covered > 0
    )
    watts[covered < 0.5 * np.diff(edges)] = np.inf
    busy = np.zeros(len(covered))
    if busy_s is not None and len(busy_s) > 1:
        at = np.interp(edges, busy_s[:, 0], busy_s[:, 1])
        busy = np.diff(at) * 1e9 / np.diff(edges)
        busy[(busy < 0) | (busy > _MOST_CPUS)] = 0.0
    low = watts < floor_w(channel) + (busy_floor_w(channel, 1.0) - floor_w(channel)) * busy
    if busy_gpu is not None and len(busy_gpu):
        # the share holds for the time since the reading before it; the less of both ends is safe
        share = np.interp(edges, busy_gpu[:, 0], busy_gpu[:, 1])
        low |= watts < floor_w(channel) + BUSY_GPU_W * np.minimum(share[1:], share[:-1])
    return _joined([(int(edges[i]), int(edges[i + 1])) for i in np.flatnonzero(low)])


def _joined(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for from_ns, to_ns in intervals:
        if joined and from_ns <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(to_ns, joined[-1][1]))
        else:
            joined.append((from_ns, to_ns))
    return joined


def disjoint(holes: Iterable[tuple[int, int]]) -> Int64:
    """Intervals sorted and joined, (m, 2) int64."""
    return np.array(_joined(sorted(holes)), np.int64).reshape(-1, 2)


def with_stand_ins(
    curves: Sequence[Curve], roles: Mapping[str, Sequence[str]], start_ns: int, end_ns: int
) -> list[Curve]:
    """The curves of a run, decided: what stands in for others counts where none of those says anything.

    A channel that says nothing in the whole run, and that something stands in for, does not count in it; a stand-in that is
    not needed does not either, and one that is needed for a part of the run has holes elsewhere.
    """
    by_id = {curve.channel.id: curve for curve in curves}
    decided: dict[str, Curve | None] = dict(by_id)
    for name, replaced in roles.items():
        curve = by_id.get(name)
        originals = [by_id[other] for other in replaced if other in by_id]
        if curve is None or not originals:
            continue
        said = disjoint(part for original in originals for part in _said(original, start_ns, end_ns))
        missing_ns = (end_ns - start_ns) - int((said[:, 1] - said[:, 0]).sum())
        needed = missing_ns > min(_BRIEF_NS, 0.2 * (end_ns - start_ns))
        whole_curve = flattened(curve, [(a, b) for a, b in said.tolist()]) if needed else curve
        mine_ns = sum(to_ns - from_ns for from_ns, to_ns in _said(whole_curve, start_ns, end_ns))
        speaks = mine_ns > min(_LEAST_NS, 0.2 * (end_ns - start_ns))
        if not needed and curve.channel.counted:
            decided[name] = None  # read as a precaution only
            continue
        whole = not len(said)
        channel = curve.channel._replace(
            counted=needed and speaks,
            stands_in_for=() if whole else tuple(original.channel.id for original in originals),
        )
        decided[name] = replace(whole_curve, channel=channel)
        if whole and speaks:
            for original in originals:
                decided[original.channel.id] = replace(
                    original, channel=original.channel._replace(counted=False)
                )
    return [curve for original in curves if (curve := decided[original.channel.id]) is not None]


def holds_all(channel: Channel, channels: Iterable[Channel]) -> bool:
    """Whether no other measured channel shares the component, so that this one holds all CPUs."""
    return not any(
        other.id != channel.id
        and other.component == channel.component
        and floor_w(other) > 0
        and not other.stands_in_for
        for other in channels
    )


def _said(curve: Curve, start_ns: int, end_ns: int) -> list[tuple[int, int]]:
    """The parts of a time that a curve covers."""
    if len(curve.t_ns) < 2:
        return []
    # A run's edge seldom falls on a sample: two sampling intervals beyond the last one are covered.
    reach_ns = 2 * int(np.median(np.diff(curve.t_ns)))
    first, last = int(curve.t_ns[0]) - reach_ns, int(curve.t_ns[-1]) + reach_ns
    parts: list[tuple[int, int]] = []
    at = max(start_ns, first)
    for from_ns, to_ns in disjoint(tuple(hole) for hole in curve.holes.tolist()).tolist():
        if to_ns <= at:
            continue
        if from_ns > at:
            parts.append((at, min(from_ns, end_ns, last)))
        at = to_ns
    if at < min(end_ns, last):
        parts.append((at, min(end_ns, last)))
    return [(a, b) for a, b in parts if b > a]

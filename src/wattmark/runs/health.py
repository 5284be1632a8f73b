"""How far the numbers of a run can be trusted: coverage, holes, wraps, sensors that disagree, the recorder's own cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from wattmark.documents import numbers
from wattmark.quantity import Quantity, total
from wattmark.runs.energy import CurveEnergy, Energies
from wattmark.runs.record import Int64, RunRecord, RunWarning
from wattmark.runs.view import RunView
from wattmark.sources.base import Channel

ENOUGH_COVERAGE = 0.99
_MOST_HOLES = 100


class ChannelCurve(Protocol):
    """One channel's curve, in memory or read in parts."""

    @property
    def channel(self) -> Channel:
        """What it is the curve of."""
        ...

    @property
    def holes(self) -> Int64:
        """Where nothing is known, (m, 2) in ns."""
        ...

    def energies(self, start_ns: Int64, end_ns: Int64) -> Energies:
        """Energies of intervals."""
        ...


@dataclass(frozen=True, slots=True)
class Gaps:
    """How often a channel was read in a run, and the longest time between two readings (None: it was read once)."""

    samples: int
    longest_s: float | None


@dataclass(frozen=True, slots=True)
class Advice:
    """Something that would make the numbers better, why, and how (a command, or None)."""

    what: str
    why: str
    how: str | None


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """A channel in a run. coverage: share of the run's time. usual_gap_s, max_gap_s: between readings.

    wraps: how often its counter began anew; wrap_s: how long that takes at its mean power (a gap longer than that
    cannot be told from a shorter one); both None for a counter that never wraps. holes: from and to in seconds of
    the run, the first hundred.
    """

    id: str
    component: str
    method: str
    counted: bool
    coverage: float
    samples: int
    usual_gap_s: float | None
    max_gap_s: float | None
    wraps: int | None
    wrap_s: float | None
    holes: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two readings of one thing. agrees: their intervals meet. ratio: the first over the second."""

    what: str
    first: str
    second: str
    first_energy: Quantity
    second_energy: Quantity
    ratio: float | None
    agrees: bool


@dataclass(frozen=True, slots=True)
class RunHealth:
    """What :func:`run_health` finds. recorder_share: of one core; recorder_rss_bytes: its memory."""

    run_id: str
    name: str
    coverage: float
    channels: tuple[ChannelHealth, ...]
    agreements: tuple[Agreement, ...]
    recorder_share: float | None
    recorder_cpu_s: float | None
    recorder_rss_bytes: float | None
    period_s: float | None
    warnings: tuple[RunWarning, ...]
    advice: tuple[Advice, ...]


def run_health(view: RunView) -> RunHealth:
    """The health of a run in memory."""
    return health_of(view.record, [_Whole(curve) for curve in view.curves], _gaps(view), view.coverage)


def health_of(
    record: RunRecord, curves: Sequence[ChannelCurve], gaps: Mapping[str, Gaps], coverage: float
) -> RunHealth:
    """The health of a run whose curves may be read in parts. gaps: by channel id; coverage: of what is counted."""
    channels = tuple(_channel(record, curve, gaps.get(curve.channel.id)) for curve in curves)
    cost = numbers(record.recorder)
    cpu_s, over_s = cost.get("cpu_s"), cost.get("over_s")
    return RunHealth(
        record.run_id,
        record.name,
        coverage,
        channels,
        tuple(agreements(record, curves)),
        cpu_s / over_s if cpu_s is not None and over_s else None,
        cpu_s,
        cost.get("rss_bytes"),
        cost.get("period_s"),
        record.warnings,
        tuple(_advice(record.run_id, channels)),
    )


def agreements(record: RunRecord, curves: Sequence[ChannelCurve]) -> list[Agreement]:
    """Channels that see the same thing twice: a part and its whole, or two sensors of one component."""
    energies: dict[str, Quantity] = {}
    for curve in curves:
        got = curve.energies(np.array([record.start_ns]), np.array([record.end_ns]))
        if got.covered_s[0] > 0:
            energies[curve.channel.id] = got.quantity(0)
    channels = [curve.channel for curve in curves if curve.channel.id in energies]
    result: list[Agreement] = []
    for whole in channels:
        inside = [part for part in channels if whole.id in part.inside and not part.copy_of]
        parts = total([energies[part.id] for part in inside])
        if parts is not None:
            fits = parts.low <= energies[whole.id].high
            what = "parts within their whole"
            result.append(_agreement(what, _names(inside), whole.id, parts, energies[whole.id], fits))
    for beside in channels:
        if beside.counted or beside.inside:
            continue
        rivals = [rival for rival in channels if rival.counted and rival.component == beside.component]
        rival = total([energies[rival.id] for rival in rivals])
        if rival is not None:
            own = energies[beside.id]
            what = "a mirrored counter" if beside.copy_of else "two sources of one component"
            meets = own.low <= rival.high and rival.low <= own.high
            result.append(_agreement(what, beside.id, _names(rivals), own, rival, meets))
    return result


class _Whole:
    """A curve in memory as :class:`ChannelCurve`."""

    def __init__(self, energy: CurveEnergy) -> None:
        self.channel = energy.curve.channel
        self.holes = energy.curve.holes
        self.energies = energy.between


def _gaps(view: RunView) -> dict[str, Gaps]:
    gaps: dict[str, Gaps] = {}
    for curve in view.record.curves:
        times = curve.t_ns[(curve.t_ns >= view.record.start_ns) & (curve.t_ns <= view.record.end_ns)]
        longest = float(np.diff(times).max()) / 1e9 if len(times) > 1 else None
        gaps[curve.channel.id] = Gaps(len(times), longest)
    return gaps


def _channel(record: RunRecord, curve: ChannelCurve, gaps: Gaps | None) -> ChannelHealth:
    channel = curve.channel
    got = curve.energies(np.array([record.start_ns]), np.array([record.end_ns]))
    covered_s, energy_j = float(got.covered_s[0]), float(got.value_j[0])
    samples = gaps.samples if gaps else 0
    longest_s = gaps.longest_s if gaps else None
    mean_s = record.duration_s / (samples - 1) if samples > 1 else None
    wrap_j = channel.wrap_uj / 1e6 if channel.wrap_uj else None
    holes: list[list[int]] = curve.holes[:_MOST_HOLES].tolist()
    return ChannelHealth(
        id=channel.id,
        component=channel.component,
        method=channel.method,
        counted=channel.counted,
        coverage=min(1.0, covered_s / record.duration_s) if record.duration_s > 0 else 1.0,
        samples=samples,
        usual_gap_s=mean_s if longest_s is None or mean_s is None else min(mean_s, longest_s),
        max_gap_s=longest_s,
        wraps=int(energy_j // wrap_j) if wrap_j else None,
        wrap_s=wrap_j * covered_s / energy_j if wrap_j and energy_j > 0 else None,
        holes=tuple(((a - record.start_ns) / 1e9, (b - record.start_ns) / 1e9) for a, b in holes),
    )


def _advice(run_id: str, channels: Sequence[ChannelHealth]) -> list[Advice]:
    result: list[Advice] = []
    for channel in channels:
        if not channel.counted:
            continue
        if channel.coverage < ENOUGH_COVERAGE:
            why = f"{channel.id} covered {100 * channel.coverage:.1f} % of the run; what it used in the rest is missing"
            result.append(Advice("Look at its holes", why, f"wattmark show {run_id}"))
        if channel.wrap_s and channel.max_gap_s and channel.max_gap_s > 0.5 * channel.wrap_s:
            why = (
                f"{channel.id} was not read for {channel.max_gap_s:.1f} s, "
                f"and its counter begins anew every {channel.wrap_s:.1f} s"
            )
            result.append(Advice("Read it more often", why, "wattmark config set period_s 0.1"))
    return result


def _agreement(what: str, first: str, second: str, a: Quantity, b: Quantity, agrees: bool) -> Agreement:
    return Agreement(what, first, second, a, b, a.value / b.value if b.value > 0 else None, agrees)


def _names(channels: Sequence[Channel]) -> str:
    return " + ".join(channel.id for channel in channels)

"""The total of a run that goes on, from its first part: the settled part's mean, a warm-up that goes on, an interval.

:mod:`wattmark.predict.profile` finds the settled part. Early in a run that is often the settled part of a *warm-up*: the
work still waits for data, compiles, or trains few layers, and later draws more. How much more, its readings tell: a
device that waits now and then draws at times already what it will draw when it does not wait any more. So the rest of
a run of which the share ``w`` was seen is taken to draw ``m + rise (1 - w / FADES) (peak - m)``: m the settled part's
mean, peak the 99th percentile of its readings, no rise from w = :data:`FADES` on, and none after a rise of the level that
was seen to end. ``rise`` is 0 to 1: a level above all that was read is not made up.

The interval is conformal (Lei et al., "Distribution-free predictive inference for regression", JASA 2018): the quantile
of the absolute errors of the rest's mean power in runs that have ended, by the share that was seen, each in its own
scale (what there is up to the peak, and a few per cent of the mean). The shipped model is fitted on 60 trainings on two
machines; how well it does on a machine that it was not fitted on is in benchmarks/predict_early.py.

Also here, by name, the methods M3 and M4 of "How to use model architecture and training environment to estimate the
energy consumption of DL training" (arXiv 2307.05520).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wattmark.errors import ConfigError
from wattmark.predict.profile import block_powers, cumulative_j, first_part, settled_block
from wattmark.quantity import FIT, Z95, Quantity
from wattmark.statistics import Float64

WINDOWS = (0.02, 0.03, 0.05, 0.075, 0.10, 0.125, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50, 0.75)
FADES = 0.3
FLOOR, EARLY_FLOOR = 0.02, 0.05
STARTUP, STARTUP_BLOCKS = 0.03, 3
"""A rise within this share of the run, or these blocks of 20, is the start of the work (importing, loading), not the end
of its warm-up."""
ELSEWHERE = 0.6
"""By so much wider are the intervals at the start of a run, fading like the rise: warm-ups differ between machines by more
than they do on one (benchmarks/predict_early.py, from which this number is)."""
SETTLED_EPOCHS = 5
"""The ``w`` of M3 and M4."""
_Z90 = 1.6448536269514722
_RISES = np.linspace(0.0, 1.0, 51)


class Trace(NamedTuple):
    """A run that has ended: (n,) rising seconds from its start, (n,) watts. The last reading is its end."""

    t_s: Float64
    power_w: Float64


@dataclass(frozen=True, slots=True)
class EarlyPrediction:
    """energy (J), time (s) and power (W) of the whole run. share: of the run, that was seen. settled_s: where its settled
    part begins, in seconds from the start; None: not settled. outside: why the interval is wider than what was fitted."""

    energy: Quantity
    time: Quantity
    power: Quantity
    share: float
    settled_s: float | None
    outside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A fitted model. rise: 0 to 1. reach: by :data:`WINDOWS`, half the width of the 90 % interval of the rest's mean power,
    in units of the scale at the top of the file. basis: what it was fitted on."""

    rise: float
    reach: tuple[float, ...]
    basis: str

    @classmethod
    def fit(cls, traces: Sequence[Trace], basis: str = "") -> WarmUp:
        """From runs that have ended; at least 20, since fewer have no 5th and 95th percentile. Raises ConfigError."""
        if len(traces) < 20:
            raise ConfigError(
                f"{len(traces)} runs do not tell a 90 % interval",
                hint="give at least 20 runs that have ended",
            )
        parts = [[_Part.of(trace, share) for share in WINDOWS] for trace in traces]
        powers = [[_rest_power(trace, share) for share in WINDOWS] for trace in traces]
        early = [place for place, share in enumerate(WINDOWS) if share <= FADES]

        def loss(rise: float) -> float:
            return sum(
                abs(part[i].power(rise) - power[i]) * (1 - WINDOWS[i]) / power[i]
                for part, power in zip(parts, powers, strict=True)
                for i in early
            )

        rise = float(min(_RISES, key=loss))
        scores = np.array(
            [
                [(power[i] - part[i].power(rise)) / part[i].scale for i in range(len(WINDOWS))]
                for part, power in zip(parts, powers, strict=True)
            ]
        )
        reach = min(1.0, 0.9 * (1 + 1 / len(traces)))
        ends = _smooth(np.quantile(np.abs(scores), reach, axis=0, method="higher"))
        ends *= 1 + ELSEWHERE * np.maximum(0.0, 1 - np.array(WINDOWS) / FADES)
        return cls(rise, tuple(round(float(x), 3) for x in ends), basis or f"{len(traces)} runs")

    def predict(
        self, t_s: Float64, power_w: Float64, total_s: float, seen_j: float | None = None
    ) -> EarlyPrediction:
        """The whole of a run of ``total_s`` seconds, of which (n,) readings are there. seen_j: the joules so far, by
        default those of the readings. Raises ConfigError for fewer than two readings, for readings that are no numbers
        or do not rise in time, and for a run that is shorter than its first part."""
        _check(t_s, power_w, total_s)
        share = float(t_s[-1]) / total_s
        part = _Part.of_readings(t_s, power_w, share)
        watts, rest_s = part.power(self.rise), total_s - float(t_s[-1])
        outside = (
            ()
            if share >= WINDOWS[0]
            else (
                f"less than {WINDOWS[0]:.0%} of the run was seen: the interval is that of {WINDOWS[0]:.0%}, widened",
            )
        )
        wider = math.sqrt(WINDOWS[0] / share) if outside else 1.0
        half_w = wider * float(np.interp(math.log(share), np.log(WINDOWS), self.reach)) * part.scale
        seen = part.seen_j if seen_j is None else seen_j
        half_j = Z95 / _Z90 * half_w * rest_s  # terms are the ends of 95 % intervals
        energy = Quantity(
            seen + watts * rest_s,
            unit="J",
            source="early in the run" if rest_s > 0 else "measured",
            terms={f"{FIT}/early": (-half_j, half_j)} if rest_s > 0 else {},
            at_least=seen,
        )
        time = Quantity.exact(total_s, "s", "given")
        return EarlyPrediction(energy, time, energy / time, share, part.settled_s, outside)


SHIPPED = WarmUp(
    1.0,
    (6.535, 6.538, 6.368, 6.156, 5.313, 0.887, 0.748, 0.582, 0.379, 0.223, 0.216, 0.136, 0.117),
    "60 trainings of 5 image classifiers on an RTX 3090 and an RTX 3070 (arXiv 2307.05520)",
)
"""What benchmarks/predict_early.py fits on all of its traces."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What the first part of a run says: its mean (W) where settled, its peak (W), joules so far, share of the run."""

    mean_w: float
    peak_w: float
    seen_j: float
    share: float
    risen: bool
    settled_s: float | None

    @classmethod
    def of(cls, trace: Trace, share: float) -> _Part:
        """The first ``share`` of a run that has ended."""
        return cls.of_readings(*first_part(trace.t_s, trace.power_w, share * float(trace.t_s[-1])), share)

    @classmethod
    def of_readings(cls, t_s: Float64, power_w: Float64, share: float) -> _Part:
        """Readings up to now."""
        curve = cumulative_j(t_s, power_w)
        edges, watts = block_powers(t_s, curve)
        block = settled_block(watts)
        start = block or 0
        mean = float(watts[start:].mean())
        risen = (
            start > STARTUP_BLOCKS
            and start / len(watts) * share >= STARTUP
            and float(watts[STARTUP_BLOCKS:start].mean()) < 0.95 * mean
        )
        inside = power_w[t_s >= edges[start]]
        peak = max(mean, float(np.quantile(inside, 0.99)))
        seen = float(curve[-1] + power_w[0] * t_s[0])
        return cls(mean, peak, seen, share, risen, None if block is None else float(edges[start]))

    def power(self, rise: float) -> float:
        """Mean watts of what is to come."""
        left = 0.0 if self.risen else max(0.0, 1 - self.share / FADES)
        return self.mean_w + rise * left * (self.peak_w - self.mean_w)

    @property
    def scale(self) -> float:
        """The unit of errors, in watts."""
        left = max(0.0, 1 - self.share / FADES)
        return (FLOOR + EARLY_FLOOR * left * left) * self.mean_w + self.peak_w - self.mean_w


def mean_power_of_settled(
    energies_j: Float64, durations_s: Float64, settled: int, total_s: float, epochs: int = SETTLED_EPOCHS
) -> float:
    """M3 of arXiv 2307.05520: joules of a run of ``total_s`` seconds, ``E = P t``, P being the mean power of the
    ``epochs`` (w) epochs from the settled one on (s, counted from 0). (k,) joules and seconds of the first epochs."""
    window = _settled_window(energies_j, settled, epochs)
    return float(energies_j[window].sum() / durations_s[window].sum() * total_s)


def energy_of_settled(energies_j: Float64, settled: int, count: int, epochs: int = SETTLED_EPOCHS) -> float:
    """M4 of arXiv 2307.05520: joules of ``count`` (n) epochs, ``E_initial + E_window (n - s) / w``. (k,) joules of the first
    epochs; E_initial is that before the settled one (s, counted from 0), E_window that of the w = ``epochs`` from it on."""
    window = _settled_window(energies_j, settled, epochs)
    return float(energies_j[:settled].sum() + energies_j[window].sum() * (count - settled) / epochs)


def _settled_window(energies_j: Float64, settled: int, epochs: int) -> slice:
    if settled < 0 or epochs < 1 or settled + epochs > len(energies_j):
        raise ConfigError(
            f"{len(energies_j)} epochs do not hold {epochs} from number {settled} on",
            hint="measure more epochs or take a shorter window",
        )
    return slice(settled, settled + epochs)


def _smooth(ends: Float64) -> Float64:
    """Each end as far as its neighbours': a change of level comes at another share of another run."""
    padded = np.pad(ends, 1, mode="edge")
    return np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])


def _rest_power(trace: Trace, share: float) -> float:
    curve = cumulative_j(trace.t_s, trace.power_w)
    now = share * float(trace.t_s[-1])
    seen = float(cumulative_j(*first_part(trace.t_s, trace.power_w, now))[-1])
    return (float(curve[-1]) - seen) / (float(trace.t_s[-1]) - now)


def _check(t_s: Float64, power_w: Float64, total_s: float) -> None:
    if len(t_s) < 2 or len(t_s) != len(power_w):
        raise ConfigError("a prediction needs at least two readings", hint="wait for them")
    if not (np.isfinite(t_s).all() and np.isfinite(power_w).all() and (np.diff(t_s) > 0).all()):
        raise ConfigError("readings must be numbers and rise in time", hint="leave out what is missing")
    if not math.isfinite(total_s) or total_s < t_s[-1]:
        raise ConfigError(
            f"a run of {total_s} s cannot have a first part of {float(t_s[-1])} s",
            hint="give the length of the whole run",
        )

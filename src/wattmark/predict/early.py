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
from wattmark.predict.base import Examples, Prediction
from wattmark.predict.conformal import Z90
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
METHOD = "early in the run"
SETTLED_EPOCHS = 5
"""The ``w`` of M3 and M4."""
_RISES = np.linspace(0.0, 1.0, 51)


class Trace(NamedTuple):
    """A run that has ended: (n,) rising seconds from its start, (n,) watts. The last reading is its end."""

    t_s: Float64
    power_w: Float64


@dataclass(frozen=True, slots=True)
class FirstPart:
    """A run that goes on, as far as it was seen.

    t_s, power_w: (n,) rising seconds from its start, and watts. length: seconds of the whole run. seen_j: the joules so
    far where they are known better than the readings tell. name: what the run is called.
    """

    t_s: Float64
    power_w: Float64
    length: Quantity | float
    seen_j: float | None = None
    name: str = "run"

    @property
    def length_s(self) -> float:
        """Seconds of the whole run."""
        return float(self.length)

    @property
    def share(self) -> float:
        """Of the run, that was seen: 0 to 1."""
        return float(self.t_s[-1]) / self.length_s


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A fitted model. rise: 0 to 1. reach: by :data:`WINDOWS`, half the width of the 90 % interval of the rest's mean power,
    in units of the scale at the top of the file. basis: what it was fitted on."""

    rise: float
    reach: tuple[float, ...]
    basis: str

    @classmethod
    def fit(cls, traces: Sequence[Trace], basis: str = "", *, elsewhere: float = ELSEWHERE) -> WarmUp:
        """From runs that have ended; at least 20, since fewer have no 5th and 95th percentile. elsewhere: 0 where they
        are runs of the machine that is predicted. Raises ConfigError."""
        for trace in traces:
            _check(*trace, float(trace.t_s[-1]) if len(trace.t_s) else 0.0)
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
        ends *= 1 + elsewhere * np.maximum(0.0, 1 - np.array(WINDOWS) / FADES)
        return cls(rise, tuple(round(float(x), 3) for x in ends), basis or f"{len(traces)} runs")

    def predict(self, subject: FirstPart) -> Prediction:
        """The whole of a run. Raises ConfigError for fewer than two readings, for readings that are no numbers or do
        not rise in time, and for a run that is shorter than its first part."""
        t_s, total_s = subject.t_s, subject.length_s
        _check(t_s, subject.power_w, total_s)
        share, now_s = subject.share, float(t_s[-1])
        part = _Part.of_readings(t_s, subject.power_w, share)
        watts, rest_s = part.power(self.rise), total_s - now_s
        outside = (
            ()
            if share >= WINDOWS[0]
            else (
                f"less than {WINDOWS[0]:.0%} of the run was seen: the interval is that of {WINDOWS[0]:.0%}, widened",
            )
        )
        wider = math.sqrt(WINDOWS[0] / share) if outside else 1.0
        half_w = wider * float(np.interp(math.log(share), np.log(WINDOWS), self.reach)) * part.scale
        seen = part.seen_j if subject.seen_j is None else subject.seen_j
        half_j = Z95 / Z90 * half_w * rest_s  # terms are the ends of 95 % intervals
        given = subject.length
        time = given if isinstance(given, Quantity) else Quantity.exact(total_s, "s", "given")
        time = time.bounded(at_least=now_s)
        length = {name: (watts * down, watts * up) for name, (down, up) in time.terms.items()}
        energy = Quantity(
            seen + watts * rest_s,
            unit="J",
            source=METHOD if rest_s > 0 else "measured",
            terms={**length, f"{FIT}/{METHOD}": (-half_j, half_j)} if rest_s > 0 else {},
            at_least=seen,
        )
        return Prediction(
            subject.name,
            energy,
            time,
            mean_power(energy, time),
            METHOD,
            self.basis,
            outside,
            {"seen": seen, "to come": watts * rest_s},
        )

    def examples(self) -> Examples[FirstPart, Trace]:
        """Made-up trainings with a warm-up, and their first parts."""
        traces = [_example(seed) for seed in range(24)]
        part = first_part(traces[0].t_s, traces[0].power_w, 100.0)
        lengths = [Quantity(s, 0.9 * s, 1.2 * s, "s") for s in (500.0, 1000.0, 2000.0)]
        subjects = [FirstPart(*part, length, name="training") for length in lengths]
        broken = Trace(traces[0].t_s, np.where(traces[0].t_s == 5.0, np.nan, traces[0].power_w))
        outside = FirstPart(*part, Quantity(90_000.0, 9_000.0, 200_000.0, "s"), name="training")
        return Examples(traces, subjects, ((), traces[:3], [*traces[:-1], broken]), outside)


SHIPPED = WarmUp(
    1.0,
    (6.535, 6.538, 6.368, 6.156, 5.313, 0.887, 0.748, 0.582, 0.379, 0.223, 0.216, 0.136, 0.117),
    "60 trainings of 5 image classifiers on an RTX 3090 and an RTX 3070 (arXiv 2307.05520)",
)
"""What benchmarks/predict_early.py fits on all of its traces."""


def mean_power(energy: Quantity, time: Quantity) -> Quantity:
    """Watts; what joules and seconds have in common (how long the run will be) cancels."""
    ratio = energy / time
    return Quantity(ratio.value, unit="W", source=energy.source, terms=ratio.terms, at_least=0.0)


def shipped() -> WarmUp:
    """The model that comes with Wattmark."""
    return SHIPPED


def _example(seed: int) -> Trace:
    """1,000 s at 1 Hz: a warm-up that now and then draws already what the rest does."""
    random = np.random.default_rng(seed)
    t = np.arange(0.0, 1001.0)
    warm = np.where(random.random(len(t)) < 0.05, 160.0, 120.0)
    return Trace(t, np.where(t < 100.0, warm, 160.0) + random.normal(0.0, 1.0, len(t)))


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

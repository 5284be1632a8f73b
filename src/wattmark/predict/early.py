"""The total of a run that goes on, from its first part: the settled part's mean, a warm-up that goes on, an interval.

:mod:`wattmark.predict.profile` finds the settled part. Early in a run that is often the settled part of a *warm-up*: the
work still waits for data, compiles, or trains few layers, and later draws more. How much more, its readings tell: a
device that waits now and then draws at times already what it will draw when it does not wait any more. So the rest of
a run of which the share ``w`` was seen is taken to draw ``m + rise (1 - w / fades) (peak - m)``: m the settled part's
mean, peak a high percentile of its readings, no rise from w = ``fades`` on, and none after a rise of the level that
was seen to end. ``rise`` is 0 to 1: a level above all that was read is not made up. Percentile, ``fades`` and ``rise`` are
those of a small grid that make the mean error of the total least, over the first 30 % of runs that have ended.

The interval is conformal (Lei et al., "Distribution-free predictive inference for regression", JASA 2018): the quantile
of the absolute errors of the logarithm of the rest's mean power, by the share that was seen (and not much less
than at neighbouring shares), widened by what it takes to hold for kinds of work that the fit has not seen. A
run that goes up and down more than those looks like a warm-up and may be none: its interval holds its own settled mean
too. How well the shipped model does on a machine that it was not fitted on is in benchmarks/predict_early.py.

Also here, by name, the methods M3 and M4 of "How to use model architecture and training environment to estimate the
energy consumption of DL training" (arXiv 2307.05520).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError
from wattmark.predict.base import Examples, Prediction
from wattmark.predict.conformal import Z90
from wattmark.predict.profile import Rule, block_powers, cumulative_j, first_part, settled_block
from wattmark.quantity import FIT, Z95, Quantity
from wattmark.statistics import Float64

WINDOWS = (0.02, 0.03, 0.05, 0.075, 0.10, 0.125, 0.15, 0.20, 0.25, 0.30, 0.40, 0.50, 0.75)
STARTUP, STARTUP_BLOCKS = 0.03, 3
"""A rise within this share of the run, or these blocks of 20, is the start of the work (importing, loading), not the end
of its warm-up."""
EARLY = 0.3
"""Up to this share of a run the error of the total decides on the form."""
PERCENTILES = (0.90, 0.95, 0.99)
"""Not the highest reading: one that is wrong must not be the level that a run is taken to reach."""
FADES = (0.10, 0.15, 0.20, 0.30, 0.40)
NARROWEST = 0.005
"""Half width of the logarithm, at least: what a sensor resolves in a run's rest."""
METHOD = "early in the run"
SETTLED_EPOCHS = 5
"""The ``w`` of M3 and M4."""
EPOCH_RULE = Rule(smallest=0.1, tolerance=0.02)
"""How the settled epoch of M3 and M4 is found. One epoch is the mean of many readings, so 2 % tells two levels apart."""
_RISES = np.linspace(0.0, 1.0, 21)


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


class Form(NamedTuple):
    """How a warm-up that is not over is taken to go on: see the top of the file. peak: which of :data:`PERCENTILES`."""

    peak: int
    fades: float
    rise: float


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A fitted model. reach: by :data:`WINDOWS`, half the width of the 90 % interval of the logarithm of the rest's mean
    power. rough: by the same, the largest deviation between settled blocks that was seen. basis: what it was fitted on."""

    form: Form
    reach: tuple[float, ...]
    rough: tuple[float, ...]
    basis: str

    @classmethod
    def fit(
        cls, traces: Sequence[Trace], basis: str = "", *, kinds: Sequence[Hashable] | None = None
    ) -> WarmUp:
        """From runs that have ended; at least 20, since fewer have no 5th and 95th percentile. kinds: of which kind of work
        each is (its network); with two or more, the interval holds for others too. Raises ConfigError."""
        for trace in traces:
            _check(*trace, float(trace.t_s[-1]) if len(trace.t_s) else 0.0)
        if len(traces) < 20:
            raise ConfigError(
                f"{len(traces)} runs do not tell a 90 % interval",
                hint="give at least 20 runs that have ended",
            )
        table = _Table.of(traces)
        everyone = np.ones(len(traces), np.bool_)
        form = table.best(everyone)
        reach = table.reach(form, everyone) * _for_other_kinds(table, kinds)
        ends = np.maximum(reach, NARROWEST)
        return cls(form, _rounded(ends), _rounded(table.roughest()), basis or f"{len(traces)} runs")

    def predict(self, subject: FirstPart) -> Prediction:
        """The whole of a run. Raises ConfigError for fewer than two readings, for readings that are no numbers or do
        not rise in time, and for a run that is shorter than its first part."""
        t_s, total_s = subject.t_s, subject.length_s
        _check(t_s, subject.power_w, total_s)
        share, now_s = subject.share, float(t_s[-1])
        part = _Part.of_readings(t_s, subject.power_w, share)
        watts, rest_s = part.power(self.form), total_s - now_s
        outside = self._outside(part)
        wider = math.sqrt(max(1.0, WINDOWS[0] / share))
        half = wider * float(np.interp(math.log(share), np.log(WINDOWS), self.reach))
        lowest_w, highest_w = watts * math.exp(-half), watts * math.exp(half)
        if outside:  # its own readings may say more of its rest than the runs that were fitted do
            lowest_w = min(lowest_w, part.mean_w * math.exp(-part.scatter))
            highest_w = max(highest_w, watts * math.exp(part.scatter))
        seen = part.seen_j if subject.seen_j is None else subject.seen_j
        scale = Z95 / Z90 * rest_s  # terms are the ends of 95 % intervals
        spread = scale * (lowest_w - watts), scale * (highest_w - watts)
        given = subject.length
        time = given if isinstance(given, Quantity) else Quantity.exact(total_s, "s", "given")
        time = time.bounded(at_least=now_s)
        length = {name: (watts * down, watts * up) for name, (down, up) in time.terms.items()}
        energy = Quantity(
            seen + watts * rest_s,
            unit="J",
            source=METHOD if rest_s > 0 else "measured",
            terms={**length, f"{FIT}/{METHOD}": spread} if rest_s > 0 else {},
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

    def _outside(self, part: _Part) -> tuple[str, ...]:
        """Why the run is unlike what was fitted, in words."""
        reasons: list[str] = []
        if part.share < WINDOWS[0]:
            least = f"{WINDOWS[0]:.0%}"
            reasons.append(f"less than {least} of the run was seen: the interval is that of {least}, widened")
        if part.rough > float(np.interp(math.log(part.share), np.log(WINDOWS), self.rough)):
            reasons.append(
                "its power goes up and down more than that of the runs that the model was fitted on"
            )
        return tuple(reasons)

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
    Form(2, 0.3, 1.0),
    (0.496, 0.4844, 0.4706, 0.4645, 0.2004, 0.12, 0.0997, 0.07, 0.0433, 0.0273, 0.0128, 0.0098, 0.0091),
    (0.2323, 0.2323, 0.1491, 0.1491, 0.1491, 0.1134, 0.082, 0.067, 0.0547, 0.0807, 0.0807, 0.0845, 0.0845),
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


def without_rise(model: WarmUp) -> WarmUp:
    """The model for work that does not wait for an accelerator: what its settled part draws is what the rest will draw."""
    return replace(model, form=model.form._replace(rise=0.0))


def _example(seed: int) -> Trace:
    """1,000 s at 1 Hz: a warm-up that now and then draws already what the rest does."""
    random = np.random.default_rng(seed)
    t = np.arange(0.0, 1001.0)
    warm = np.where(random.random(len(t)) < 0.05, 160.0, 120.0)
    return Trace(t, np.where(t < 100.0, warm, 160.0) + random.normal(0.0, 1.0, len(t)))


@dataclass(frozen=True, slots=True)
class _Part:
    """What the first part of a run says: its mean (W) where settled, its peaks (W) by :data:`PERCENTILES`, joules so far,
    share of the run, whether a rise of the level was seen to end; rough: deviation of the settled blocks over their mean;
    scatter: half width (90 %) of the logarithm of the rest's mean power, were the rest like the settled blocks."""

    mean_w: float
    peaks_w: tuple[float, ...]
    seen_j: float
    share: float
    risen: bool
    rough: float
    scatter: float

    @classmethod
    def of_readings(cls, t_s: Float64, power_w: Float64, share: float) -> _Part:
        """Readings up to now."""
        curve = cumulative_j(t_s, power_w)
        edges, watts = block_powers(t_s, curve)
        start = settled_block(watts) or 0
        mean = float(watts[start:].mean())
        risen = (
            start > STARTUP_BLOCKS
            and start / len(watts) * share >= STARTUP
            and float(watts[STARTUP_BLOCKS:start].mean()) < 0.95 * mean
        )
        peaks = np.maximum(np.quantile(power_w[t_s >= edges[start]], PERCENTILES), mean)
        seen = float(curve[-1] + power_w[0] * t_s[0])
        settled = watts[start:]
        more = len(watts) * (1 - share) / share  # blocks of this length that are to come
        rough = float(settled.std(ddof=1)) / max(mean, 1e-12) if len(settled) > 1 else 0.0
        scatter = Z90 * rough * math.sqrt(1 / len(settled) + 1 / max(more, 1.0))
        return cls(mean, tuple(peaks.tolist()), seen, share, risen, rough, scatter)

    def power(self, form: Form) -> float:
        """Mean watts of what is to come."""
        left = 0.0 if self.risen else max(0.0, 1 - self.share / form.fades)
        return self.mean_w + form.rise * left * (self.peaks_w[form.peak] - self.mean_w)


@dataclass(frozen=True, slots=True)
class _Table:
    """What the first parts of runs said and what came, (runs, windows): mean watts, watts of the rest, the rest's joules
    over the whole run's at one watt, whether risen; peaks by percentile."""

    mean_w: Float64
    peaks_w: tuple[Float64, ...]
    rest_w: Float64
    weight: Float64
    risen: NDArray[np.bool_]
    rough: Float64

    @classmethod
    def of(cls, traces: Sequence[Trace]) -> _Table:
        """Of runs that have ended."""
        parts = [
            [
                _Part.of_readings(*first_part(one.t_s, one.power_w, share * float(one.t_s[-1])), share)
                for share in WINDOWS
            ]
            for one in traces
        ]
        total_s = np.array([[float(one.t_s[-1])] for one in traces])
        total_j = np.array([[float(cumulative_j(*one)[-1] + one.power_w[0] * one.t_s[0])] for one in traces])
        seen = np.array([[part.seen_j for part in row] for row in parts])
        rest_s = total_s * (1 - np.array(WINDOWS))
        return cls(
            np.array([[part.mean_w for part in row] for row in parts]),
            tuple(
                np.array([[part.peaks_w[place] for part in row] for row in parts])
                for place in range(len(PERCENTILES))
            ),
            np.maximum(total_j - seen, 1e-12) / rest_s,
            rest_s / total_j,
            np.array([[part.risen for part in row] for row in parts], np.bool_),
            np.array([[part.rough for part in row] for row in parts]),
        )

    def power(self, form: Form) -> Float64:
        """As :meth:`_Part.power`, of all."""
        left = np.where(self.risen, 0.0, np.maximum(0.0, 1 - np.array(WINDOWS) / form.fades))
        return self.mean_w + form.rise * left * (self.peaks_w[form.peak] - self.mean_w)

    def best(self, rows: NDArray[np.bool_]) -> Form:
        """The form whose totals err least in the early windows of these runs."""
        early = np.array(WINDOWS) <= EARLY
        select = np.ix_(rows, early)

        def loss(form: Form) -> float:
            return float(np.abs((self.power(form) - self.rest_w) * self.weight)[select].mean())

        rises: list[float] = _RISES.tolist()
        places = range(len(PERCENTILES))
        return min((Form(peak, fades, rise) for peak, fades, rise in product(places, FADES, rises)), key=loss)

    def errors(self, form: Form) -> Float64:
        """Logarithms of what the rest drew over what was predicted."""
        return np.log(self.rest_w / np.maximum(self.power(form), 1e-12))

    def roughest(self) -> Float64:
        """By window, the deviation between settled blocks above which a run is unlike these. Early, where a warm-up and a
        steady run that goes up and down look alike, that of the upper quarter; later the largest."""
        early = np.array(WINDOWS) <= EARLY
        limits = np.where(early, np.quantile(self.rough, 0.75, axis=0), self.rough.max(axis=0))
        padded = np.pad(limits, 1, mode="edge")
        return np.maximum(np.maximum(padded[:-2], padded[1:-1]), padded[2:])

    def reach(self, form: Form, rows: NDArray[np.bool_]) -> Float64:
        """Half widths by window: the conformal quantile of these runs, at least the geometric mean of it and its neighbours
        (a change of level comes at another share of another run)."""
        errors = np.abs(self.errors(form)[rows])
        level = min(1.0, 0.9 * (1 + 1 / len(errors)))
        ends = np.maximum(np.quantile(errors, level, axis=0, method="higher"), NARROWEST)
        padded = np.pad(np.log(ends), 1, mode="edge")
        return np.maximum(ends, np.exp((padded[:-2] + padded[1:-1] + padded[2:]) / 3))


def _rounded(values: Float64) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)


def _for_other_kinds(table: _Table, kinds: Sequence[Hashable] | None) -> Float64:
    """By what the interval must be wider, by window, to hold 90 % of the runs of a kind that the fit did not see: one factor
    up to :data:`EARLY` and one after it, at least 1."""
    names = list(dict.fromkeys(kinds or ()))
    if len(names) < 2:
        return np.ones(len(WINDOWS))
    scores: list[Float64] = []
    for name in names:
        unseen = np.array([kind == name for kind in kinds or ()])
        form = table.best(~unseen)
        scores.append(np.abs(table.errors(form)[unseen]) / table.reach(form, ~unseen))
    size = np.concatenate(scores)
    early = np.array(WINDOWS) <= EARLY
    ratio = np.where(early, np.quantile(size[:, early], 0.9), np.quantile(size[:, ~early], 0.9))
    return np.maximum(1.0, ratio)


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


def settled_epoch(energies_j: Float64, epochs: int = SETTLED_EPOCHS, rule: Rule = EPOCH_RULE) -> int:
    """The ``s`` of M3 and M4, counted from 0: the first epoch behind the last change of level in (k,) joules of the first
    epochs. Where the level comes and goes or changes less than ``epochs`` before the end, the last epochs are the best that
    there is: what came first is not. Raises ConfigError for fewer epochs than are needed."""
    latest = len(energies_j) - epochs
    if latest < 0:
        raise ConfigError(
            f"{len(energies_j)} epochs do not hold {epochs}",
            hint="measure more epochs or take a shorter window",
        )
    block = settled_block(energies_j, rule)
    return latest if block is None else min(block, latest)


def _settled_window(energies_j: Float64, settled: int, epochs: int) -> slice:
    if settled < 0 or epochs < 1 or settled + epochs > len(energies_j):
        raise ConfigError(
            f"{len(energies_j)} epochs do not hold {epochs} from number {settled} on",
            hint="measure more epochs or take a shorter window",
        )
    return slice(settled, settled + epochs)


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

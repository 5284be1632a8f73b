"""What a window under one cap gave: its joules, from sensors and never from a model, and what was done in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from wattmark.advise.cap.curve import Window
from wattmark.errors import ConfigError, SourceError
from wattmark.quantity import REPEAT, SCATTER, Quantity, own_error, total
from wattmark.runs.comparison import run_to_run
from wattmark.statistics import difference_of_means

if TYPE_CHECKING:
    from wattmark.runs.view import RunView

LEAST_COVERAGE = 0.9
MODELLED = "modelled"


class WindowUnmeasured(SourceError):
    """The sensors gave too little of a window to decide anything from it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Work under one cap. cap_w: W that were asked for; applied_w: what the driver made of it (None: no limit). units of
    work in so many seconds, with so many J."""

    cap_w: float
    applied_w: float | None
    units: float
    seconds: float
    energy: Quantity

    @property
    def window(self) -> Window:
        """By the unit of work."""
        return Window(self.cap_w, self.seconds / self.units, self.energy.value / self.seconds)

    @property
    def unit_energy(self) -> Quantity:
        """J for a unit of work."""
        return self.energy / self.units

    def to_dict(self) -> dict[str, object]:
        """Plain data."""
        return {
            "cap_w": self.cap_w,
            "applied_w": self.applied_w,
            "units": self.units,
            "seconds": self.seconds,
            "energy_j": self.energy.as_dict(),
            "power_w": self.energy.value / self.seconds,
        }


def energy_within(
    view: RunView, start_ns: int, end_ns: int, needed: Collection[str]
) -> tuple[Quantity, dict[str, str]]:
    """J of the measured components from one moment to another, and by which method each is measured.

    needed: the components (any of them) to which the capped device belongs. Raises ConfigError where that is modelled or not
    measured at all: a model knows nothing of a cap; WindowUnmeasured where the sensors gave too little.
    """
    start, end = np.array([start_ns], np.int64), np.array([end_ns], np.int64)
    length_s = (end_ns - start_ns) / 1e9
    parts: list[Quantity] = []
    methods: dict[str, set[str]] = {}
    covered: dict[str, float] = {}
    stand_ins: dict[str, float] = {}
    counted = [curve for curve in view.curves if curve.curve.channel.counted]
    for curve in counted:
        channel = curve.curve.channel
        if channel.method == MODELLED:
            continue
        methods.setdefault(channel.component, set()).add(channel.method)
        got = curve.between(start, end)
        seconds = float(got.covered_s[0])
        if channel.stands_in_for:
            for name in channel.stands_in_for:
                stand_ins[name] = max(stand_ins.get(name, 0.0), seconds)
        else:
            covered[channel.id] = seconds
        if seconds > 0:
            parts.append(got.quantity(0, f"{channel.source} ({channel.method})"))
    if not set(needed) & set(methods):
        modelled = {one.curve.channel.component for one in counted} & set(needed)
        raise ConfigError(
            f"the joules of the {'/'.join(sorted(needed))} are {'modelled' if modelled else 'not measured'} here, "
            "and a model knows nothing of a cap: there is nothing to decide from",
            hint="see wattmark sources --fix",
        )
    for name, seconds in covered.items():
        share = min(1.0, (seconds + stand_ins.get(name, 0.0)) / length_s) if length_s > 0 else 0.0
        if share < LEAST_COVERAGE:
            raise WindowUnmeasured(
                f"{name} gave nothing for {100 * (1 - share):.0f} % of a window",
                hint="longer windows, or see wattmark health last",
            )
    energy = total(parts)
    if energy is None or energy.value <= 0:
        raise WindowUnmeasured(
            "the sensors gave no energy for a window", hint="longer windows, or see wattmark sources"
        )
    return energy, {name: " and ".join(sorted(how)) for name, how in methods.items()}


def ratios(top: Sequence[Measured], best: Sequence[Measured]) -> tuple[Quantity, Quantity]:
    """Energy and time of a unit of work in the windows ``best`` as shares of those of ``top``, with what repeats scatter by.

    What the sensors are off by is in both and cancels; of single windows the usual scatter of runs is taken.
    """
    energy = _mean([one.unit_energy for one in best]) / _mean([one.unit_energy for one in top])
    time = Quantity.exact(_seconds(best) / _seconds(top), "", "windows at two caps")
    shortest = min(one.seconds for one in (*top, *best))
    return (
        _scattered(
            energy, [one.unit_energy.value for one in top], [one.unit_energy.value for one in best], shortest
        ),
        _scattered(time, [one.window.seconds for one in top], [one.window.seconds for one in best], shortest),
    )


def _scattered(ratio: Quantity, top: Sequence[float], best: Sequence[float], seconds: float) -> Quantity:
    ratio = ratio.with_unit("").bounded(at_least=0.0)
    if max(len(top), len(best)) < 2:
        usual = 2**0.5 * run_to_run(seconds, None, of_tree=False)
        return ratio.with_error(f"{REPEAT}/{own_error()}", usual * ratio.value)
    _, half = difference_of_means(np.log(top).tolist(), np.log(best).tolist())
    return ratio.with_error(
        f"{SCATTER}/{own_error()}", ratio.value * -np.expm1(-half).item(), ratio.value * np.expm1(half).item()
    )


def _mean(parts: Sequence[Quantity]) -> Quantity:
    summed = total(parts)
    assert summed is not None, "there is at least one window"
    return summed / len(parts)


def _seconds(windows: Sequence[Measured]) -> float:
    return sum(one.window.seconds for one in windows) / len(windows)

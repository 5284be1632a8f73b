"""The prediction of a run that goes on: readings and progress in, a :class:`~wattmark.predict.base.Prediction` out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from wattmark.errors import ConfigError
from wattmark.predict.base import Prediction
from wattmark.predict.early import FirstPart, WarmUp
from wattmark.predict.live.length import length_like, length_of
from wattmark.predict.live.progress import Progress
from wattmark.quantity import Quantity

EARLY = "early"
"""The name under which these predictions are kept."""
FEWEST = 8
"""Readings before anything is said."""
MOST_POINTS = 512
_SPACING_S = 0.25


class Ongoing:
    """A run that goes on, seen so far.

    model: what predicts; earlier_s: how long runs of the same kind took; widths: by the share of a run from which on it
    holds, what the intervals are multiplied by. widened: by how much those of the last prediction were.
    """

    def __init__(
        self,
        model: WarmUp,
        name: str = "run",
        earlier_s: Sequence[float] = (),
        widths: Mapping[float, float] | None = None,
    ) -> None:
        self.model = model
        self.widths = widths or {}
        self.widened = 1.0
        self.name = name
        self.earlier_s = earlier_s
        self._spacing_s = _SPACING_S
        self._points: list[tuple[float, float]] = [(0.0, 0.0)]
        self._now = (0.0, 0.0)

    @property
    def joules(self) -> float:
        """So far."""
        return self._now[1]

    def see(self, t_s: float, energy_j: float) -> None:
        """Joules since the start at a moment. What is no number or goes back is passed over."""
        last_s, last_j = self._now
        if not (math.isfinite(t_s) and math.isfinite(energy_j)) or t_s <= last_s or energy_j < last_j:
            return
        self._now = (t_s, energy_j)
        if t_s - self._points[-1][0] >= self._spacing_s * 0.99:
            self._points.append(self._now)
            if len(self._points) > MOST_POINTS:
                self._spacing_s *= 2
                self._points = self._points[::2]

    def predict(self, progress: Progress | None, seconds: float | None = None) -> Prediction:
        """What to expect of the whole run. seconds: how long it takes, where that was said.

        Raises ConfigError, in words that say what is waited for, where nothing can be said yet.
        """
        points = np.array(
            [*self._points, self._now] if self._now[0] > self._points[-1][0] else self._points, np.float64
        )
        length, notes = self._length(progress, seconds)
        if len(points) <= FEWEST:
            raise ConfigError("a few more readings are needed")
        watts = np.diff(points[:, 1]) / np.diff(points[:, 0])
        part = FirstPart(points[1:, 0], watts, length, self.joules, self.name)
        prediction = self._with_width(self.model.predict(part))
        return replace(prediction, outside=(*prediction.outside, *notes)) if notes else prediction

    def _with_width(self, prediction: Prediction) -> Prediction:
        share = self._now[0] / prediction.time.value
        stage = max((one for one in self.widths if one <= share), default=None)
        factor = self.widened = 1.0 if stage is None else self.widths[stage]
        if factor == 1.0:
            return prediction
        return replace(
            prediction,
            energy=_wider(prediction.energy, factor),
            time=_wider(prediction.time, factor),
            power=_wider(prediction.power, factor),
            basis=f"{prediction.basis}; widths by what was scored on this machine",
        )

    def _length(
        self, progress: Progress | None, seconds: float | None
    ) -> tuple[Quantity | float, tuple[str, ...]]:
        now_s = self._now[0]
        if progress is not None and progress.known and progress.done > 0:
            return length_of(progress, now_s)
        if seconds is not None:
            return max(seconds, now_s), ()
        like = length_like(self.earlier_s, now_s)
        if like is not None:
            return like, (f"its length is taken from {len(self.earlier_s)} earlier runs of this name",)
        if progress is not None and progress.total and not progress.marks:
            raise ConfigError(f"none of {progress.total:g} {progress.unit} has ended yet")
        raise ConfigError(
            "nothing says how much there is to do",
            hint="wattmark run --epochs N, run.expect(epochs=N), or a progress bar with its total",
        )


def _wider(quantity: Quantity, factor: float) -> Quantity:
    return Quantity(
        quantity.value,
        unit=quantity.unit,
        source=quantity.source,
        terms={name: (down * factor, up * factor) for name, (down, up) in quantity.terms.items()},
        at_least=quantity.at_least,
        at_most=quantity.at_most,
    )

"""What a training will cost, from its epochs or steps so far, and whether its budget holds: as ``wattmark run --predict``.

Fed at each look with the curve since the last one. Predictions are written into the run, so that they are kept and scored.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np

from wattmark.errors import ConfigError
from wattmark.predict.base import Prediction
from wattmark.predict.early import SHIPPED, without_rise
from wattmark.predict.live.budget import Budget, budget, is_energy
from wattmark.predict.live.model import model_here, widths_here
from wattmark.predict.live.ongoing import EARLY, Ongoing
from wattmark.predict.live.progress import Progress
from wattmark.recorder import journal
from wattmark.runs.view import RunView
from wattmark.tracker.process import this_process

PERSISTS = 3
"""So many looks in a row must say that the budget will not hold."""
STOP_SHARE = 0.02
"""Before this share of the training a prediction stops nothing; joules that were spent do."""
GROWTH = 1.05
"""A prediction is written down when the share of the training has grown by this factor."""
_SPACING_S = 0.25


def energy_budget(text: str | None) -> Budget | None:
    """The budget that a word means. Raises ConfigError for what is no energy: carbon and money are for the command."""
    if text is None:
        return None
    if not is_energy(text):
        raise ConfigError(
            f"a callback's budget is an energy, not {text!r}",
            hint="50kJ or 0.5kWh; for carbon and money: wattmark run --budget",
        )
    return budget(text)


@dataclass(slots=True)
class Foresight:
    """The prediction of one training. run_id: of the run that keeps what is predicted; empty where it is a part of another.
    before_j: J of its earlier pieces, which the budget holds for as well."""

    name: str
    run_id: str
    limit: Budget | None = None
    before_j: float = 0.0
    prediction: Prediction | None = None
    over: str = ""
    """Why the budget will not hold, in words; empty while it may."""
    _ongoing: Ongoing = field(init=False)
    _written: float = 0.0
    _crossed: int = 0
    _seen_s: float = 0.0

    def __post_init__(self) -> None:
        self._ongoing = Ongoing(model_here(), self.name, widths=widths_here())

    def look(self, view: RunView, now_s: float, progress: Progress) -> Prediction | None:
        """What is to be expected now; None while nothing can be said."""
        self._see(view, now_s)
        try:
            prediction = self.prediction = self._ongoing.predict(progress)
        except ConfigError:  # too few readings, or nobody says how much there is to do
            prediction = self.prediction = None
        share = 0.0
        if prediction is not None:
            share = min(1.0, now_s / prediction.time.value)
            if self._written * GROWTH <= share < 1:
                self._written = share
                if self.run_id:
                    self._write(prediction, share, progress)
        spent = view.energy_between(0.0, now_s)
        self._weigh(prediction, share, self.before_j + (spent.value if spent else 0.0))
        return prediction

    def _see(self, view: RunView, now_s: float) -> None:
        moments = np.arange(self._seen_s + _SPACING_S, now_s, _SPACING_S)
        if not len(moments):
            return
        ends = view.record.start_ns + np.round(moments * 1e9).astype(np.int64)
        energies = list(view.between(np.full_like(ends, view.record.start_ns), ends).values())
        if not energies:
            return
        joules = np.sum([energy.value_j for energy in energies], axis=0)
        for t_s, energy_j in zip(moments.tolist(), joules.tolist(), strict=True):
            self._ongoing.see(t_s, energy_j)
        self._seen_s = float(moments[-1])
        parts = {name: quantity.value for name, quantity in view.energy_by_component.items()}
        if self._ongoing.model is SHIPPED and 2 * parts.get("gpu", 0.0) < sum(parts.values()):
            self._ongoing.model = without_rise(SHIPPED)

    def _weigh(self, prediction: Prediction | None, share: float, spent: float) -> None:
        limit = self.limit
        if limit is None or self.over:
            return
        if spent > limit.joules:
            self.over = f"over the budget of {limit}: {spent:.4g} J were spent"
            return
        low = -math.inf if prediction is None else self.before_j + prediction.energy.interval(0.9)[0]
        self._crossed = self._crossed + 1 if low > limit.joules else 0
        if self._crossed >= PERSISTS and share >= STOP_SHARE:
            self.over = f"over the budget of {limit}: at least {low:.4g} J are predicted"

    def _write(self, prediction: Prediction, share: float, progress: Progress) -> None:
        log = this_process().log
        if log is None:
            return
        words = prediction.as_dict()
        del words["subject"]
        head = {"predictor": EARLY, "share": share, "progress": progress.told()}
        log.write_json(
            journal.PREDICTION,
            {
                "run_id": self.run_id,
                "t_ns": time.monotonic_ns(),
                **head,
                "widened": self._ongoing.widened,
                **words,
            },
        )

"""Which metric says how good a trial's outcome was, which way is better, and in what steps people speak of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from wattmark.statistics import Float64

_SHARES = ("accuracy", "f1", "f1_macro", "auc", "precision", "recall", "balanced_accuracy")
UNIT_SHARES = frozenset({*_SHARES, "idle_share"})
"""Metrics that lie between 0 and 1."""
_OTHERS = ("r2", "kappa", "mcc", "bleu", "score", "quality")
_ERRORS = ("perplexity", "wer", "cer", "rmse", "mse", "mae", "error")


@dataclass(frozen=True, slots=True)
class Quality:
    """A metric of outcomes. share: it is 0..1, and differences are told in percentage points."""

    name: str
    higher_is_better: bool = True
    share: bool = True

    @property
    def sign(self) -> float:
        """1 where more is better, -1 where less is."""
        return 1.0 if self.higher_is_better else -1.0

    @property
    def step(self) -> float:
        """What a difference is counted in: 0.01 (a percentage point) for shares, else 1."""
        return 0.01 if self.share else 1.0

    @property
    def unit(self) -> str:
        """The unit of a difference in words: ``points of accuracy``, ``of wer``."""
        return f"points of {self.name}" if self.share else f"of {self.name}"


ACCURACY = Quality("accuracy")


def quality_of(design: Mapping[str, Any], values: Callable[[str], Float64]) -> Quality | None:
    """The quality that the design declares (its table ``quality``), else the first known one that some trial reports.

    values: a metric's numbers by trial, NaN where missing. None if no trial has any.
    """
    declared = design.get("quality")
    if isinstance(declared, Mapping):
        table = cast("Mapping[str, Any]", declared)
        name = str(table.get("metric"))
        return Quality(name, table.get("better", "higher") != "lower", name in _SHARES)
    for name in (*_SHARES, *_OTHERS, *_ERRORS):
        if np.isfinite(values(name)).any():
            return Quality(name, name not in _ERRORS, name in _SHARES)
    return None

"""How good the outcome of a run was: from ``run.log``, from spans, or from what the command printed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from wattmark.advise.gate.repeat import Usage
from wattmark.documents import number, numbers
from wattmark.errors import ConfigError
from wattmark.statistics import Float64, difference_of_means, t_quantile
from wattmark.studies.analysis.data.quality import Quality, quality_of
from wattmark.workloads.command import json_object

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_LOSSES = ("loss", "val_loss", "test_loss")


def reported(used: Usage) -> dict[str, float]:
    """All numbers that a run reported, by name, the last value of each: of its last line that is a JSON object, of its
    spans, of ``run.log``; the latter come first where a name is in several."""
    told: dict[str, float] = {}
    for line in used.output.splitlines():
        data = json_object(line.encode())
        if data is not None:
            told.update(numbers(data))
    if used.run is not None:
        for span in used.run.spans:
            told.update(
                {name: value for name, one in span.attrs.items() if (value := number(one)) is not None}
            )
        told.update({name: one.last for name, one in used.run.metrics.items() if one.last is not None})
    return told


def printed(used: Usage, name: str) -> float | None:
    """The last number that the command printed after a name: ``accuracy: 91.2 %``, ``acc=0.912``."""
    found = re.findall(
        rf"(?<![\w.]){re.escape(name)}[\"']?\s*[:=]?\s*({_NUMBER})\s*(%?)", used.output, re.IGNORECASE
    )
    if not found:
        return None
    value, percent = found[-1]
    return float(value) / 100 if percent else float(value)


def value_of(used: Usage, quality: Quality) -> float | None:
    """The quality of one run, None where it says none."""
    told = reported(used)
    value = told.get(quality.name, printed(used, quality.name))
    return value if value is not None and math.isfinite(value) else None


def watched(asked: str | None, used: Usage) -> Quality | None:
    """Which quality is watched: ``accuracy``, ``loss:min``, ``score:max`` as asked for, else the first known one that the
    run reports, else a loss; None where there is none. Raises ConfigError for one that the run does not report."""
    told = reported(used)

    def values(name: str) -> Float64:
        return np.array([told.get(name, math.nan)])

    if asked is None:
        known = quality_of({}, values)
        loss = next((name for name in _LOSSES if name in told), None)
        return known if known is not None or loss is None else Quality(loss, False, False)
    name, _, better = asked.partition(":")
    if better not in ("", "min", "max"):
        raise ConfigError(f"--quality {asked!r}: better is min or max", hint="--quality loss:min")
    falls = better == "min" or (
        not better and any(word in name.lower() for word in ("loss", "error", "perplexity"))
    )
    usual = quality_of({}, lambda one: np.array([1.0 if one == name else math.nan]))
    quality = Quality(name, not falls, False) if better or usual is None or falls else usual
    if value_of(used, quality) is None:
        there = ", ".join(sorted(told)) or "no number at all"
        raise ConfigError(
            f"the command reports no {name}; there is {there}",
            hint=f'run.log({name}=...), or print a last line of JSON: {{"{name}": 0.9}}',
        )
    return quality


def change(
    base: Sequence[float], lever: Sequence[float], *, paired: bool
) -> tuple[float, float, float] | None:
    """By how much a quality is other under a lever, with its 95 % interval; None where it is not known.

    paired: the n-th values have the same seed. Values that do not scatter at all have an interval without length.
    """
    if not base or not lever:
        return None
    if paired and len(base) == len(lever) > 1:
        gaps = [new - old for old, new in zip(base, lever, strict=True)]
        mean, spread = fmean(gaps), float(np.std(gaps, ddof=1))
        half = t_quantile(len(gaps) - 1) * spread / math.sqrt(len(gaps)) if spread > 0 else 0.0
        return mean, mean - half, mean + half
    if len(base) == len(lever) == 1:
        gap = lever[0] - base[0]
        return gap, gap, gap
    gap, half = difference_of_means(base, lever)
    return gap, gap - half, gap + half

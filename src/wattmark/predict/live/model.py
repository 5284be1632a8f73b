"""Which model predicts runs that go on: this machine's own, kept in the data folder, or the one that comes with Wattmark."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, cast

from wattmark.paths import data_dir
from wattmark.predict.early import PERCENTILES, SHIPPED, WINDOWS, Form, WarmUp


def model_here() -> WarmUp:
    """The model of runs that go on: this machine's own where it has learnt one, else the one that comes with Wattmark."""
    return kept_model() or SHIPPED


def model_path() -> Path:
    """Where this machine's own model is kept."""
    return Path(data_dir(), "predictors", "early.json")


def kept_model() -> WarmUp | None:
    """The model of this machine; None where there is none that can be read."""
    data = _kept()
    try:
        reach = tuple(float(one) for one in data["reach"])
        peak, fades, rise = data["form"]
        form = Form(int(peak), float(fades), float(rise))
        rough = tuple(float(one) for one in data["rough"])
        usable = len(reach) == len(rough) == len(WINDOWS) and all(0 < one < math.inf for one in reach)
        if not (usable and 0 <= form.peak < len(PERCENTILES) and 0 <= form.rise <= 1 and 0 < form.fades <= 1):
            return None
        model = WarmUp(form, reach, rough, str(data["basis"]))
        return SHIPPED if model == SHIPPED else model
    except (ValueError, KeyError, TypeError):
        return None


def widths_here() -> dict[float, float]:
    """By the share of a run from which on it holds, what this machine's intervals are multiplied by."""
    try:
        pairs = [(float(stage), float(factor)) for stage, factor in _kept()["widths"]]
    except (ValueError, KeyError, TypeError):
        return {}
    return {stage: factor for stage, factor in pairs if 0 <= stage < 1 and 0 < factor < math.inf}


def last_fit() -> tuple[int, int]:
    """On how many runs the last fit was, and when (ns since 1970); zeros where there was none."""
    data = _kept()
    try:
        return int(data["runs"]), int(data["wall_ns"])
    except (ValueError, KeyError, TypeError):
        return 0, 0


def _kept() -> dict[str, Any]:
    try:
        data = json.loads(model_path().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}

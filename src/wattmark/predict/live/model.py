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
    data = kept_model()
    return SHIPPED if data is None else data[0]


def model_path() -> Path:
    """Where this machine's own model is kept."""
    return Path(data_dir(), "predictors", "early.json")


def kept_model() -> tuple[WarmUp, int] | None:
    """The model of this machine and on how many runs it was fitted; None where there is none that can be read."""
    try:
        data = cast("dict[str, Any]", json.loads(model_path().read_text(encoding="utf-8")))
        reach = tuple(float(one) for one in data["reach"])
        peak, fades, rise = data["form"]
        form = Form(int(peak), float(fades), float(rise))
        rough = tuple(float(one) for one in data["rough"])
        usable = len(reach) == len(rough) == len(WINDOWS) and all(0 < one < math.inf for one in reach)
        if not (usable and 0 <= form.peak < len(PERCENTILES) and 0 <= form.rise <= 1 and 0 < form.fades <= 1):
            return None
        return WarmUp(form, reach, rough, str(data["basis"])), int(data["runs"])
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""What lists show of a run beside the plain columns, worked out once when the run comes into the store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from wattmark.quantity import Quantity
from wattmark.runs.record import RunRecord

_SETTINGS = ("zone", "pue")


def facts_of(record: RunRecord, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """``methods``: the counted joules by method, as ``{"value", "low", "high"}``; ``settings``: the run's zone and PUE."""
    sums: dict[str, Quantity] = {}
    for channel in (summary or {}).get("channels") or ():
        ends = (channel["energy_j"], channel["low"], channel["high"])
        if not channel["counted_in_total"] or any(end is None or not math.isfinite(end) for end in ends):
            continue
        part = Quantity(*ends)
        method = channel["method"]
        sums[method] = sums[method] + part if method in sums else part
    chosen: Mapping[str, Any] = record.extra.get("settings") or {}
    return {
        "methods": {method: part.as_dict() for method, part in sums.items()},
        "settings": {key: chosen[key] for key in _SETTINGS if chosen.get(key) is not None},
    }

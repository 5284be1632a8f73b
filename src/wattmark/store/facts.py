"""What lists show of a run beside the plain columns, worked out once when the run comes into the store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from wattmark.quantity import SCALE, Quantity, total
from wattmark.runs.record import RunRecord

_SETTINGS = ("zone", "pue")


def facts_of(record: RunRecord, summary: Mapping[str, Any] | None) -> dict[str, Any]:
    """``methods``: the counted joules by method, as ``{"value", "low", "high"}``; ``settings``: the run's zone and PUE."""
    sums: dict[str, list[Quantity]] = {}
    for channel in (summary or {}).get("channels") or ():
        ends = (channel["energy_j"], channel["low"], channel["high"])
        if not channel["counted_in_total"] or any(end is None or not math.isfinite(end) for end in ends):
            continue
        value = {"value": channel["energy_j"], "low": channel["low"], "high": channel["high"]}
        error = f"{SCALE}/{record.host or record.run_id}/{channel.get('id', channel['method'])}"
        part = Quantity.from_dict({**value, "terms": channel.get("terms")}, error=error)
        sums.setdefault(channel["method"], []).append(part)
    chosen: Mapping[str, Any] = record.extra.get("settings") or {}
    return {
        "methods": {method: whole.as_dict() for method, parts in sums.items() if (whole := total(parts))},
        "settings": {key: chosen[key] for key in _SETTINGS if chosen.get(key) is not None},
    }

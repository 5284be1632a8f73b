"""A run as the documented ``--json`` object (JSON Schema: docs/reference/run.schema.json), without its carbon.

Carbon is a later stage over unchanged joules; the surfaces that show it add ``carbon_g``.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from wattmark.quantity import Quantity
from wattmark.runs.attribution import above_idle, attributed
from wattmark.runs.view import RunView, SpanView

MAX_SPANS = 10_000
"""A JSON object for people and scripts holds at most this many spans; ``export`` has no limit."""


def summarise(view: RunView, *, spans: bool = True) -> dict[str, Any]:
    """The object: plain data, all energies in joules with their intervals, None where something is missing."""
    record = view.record
    own = attributed(view)
    idle = above_idle(view)
    warnings = [warning.as_dict() for warning in record.warnings]
    span_views = view.spans() if spans else []
    if len(span_views) > MAX_SPANS:
        warnings.append(
            {
                "code": "spans-cut",
                "message": f"{len(span_views)} spans, of which the first {MAX_SPANS} are here; `wattmark export` has all",
            }
        )
    energy: dict[str, Any] = {"total": _dict(view.energy)}
    energy.update({name: quantity.as_dict() for name, quantity in view.energy_by_component.items()})
    return {
        "run_id": record.run_id,
        "name": record.name,
        "status": record.status,
        "exit_code": record.exit_code,
        "started_at": datetime.fromtimestamp(record.started_wall_ns / 1e9, timezone.utc).isoformat(),
        "duration_s": record.duration_s,
        "host": record.host,
        "tags": dict(record.tags),
        "coverage": view.coverage,
        "energy_j": energy,
        "energy_above_idle_j": _dict(idle.energy if idle else None),
        "energy_attributed_j": _dict(own.energy if own else None),
        "rules": {
            **({"above_idle": idle.rule} if idle else {}),
            **({"attributed": own.rule} if own else {}),
        },
        "power_w": {"mean": view.mean_power_w, "peak": view.peak_power_w},
        "channels": [_channel(view, index) for index in range(len(record.curves))],
        "carbon_g": None,
        "spans": [_span(span) for span in span_views[:MAX_SPANS]],
        "warnings": warnings,
        "recorder": dict(record.recorder),
    }


def _channel(view: RunView, index: int) -> dict[str, Any]:
    curve = view.record.curves[index]
    channel = curve.channel
    energy = view.energy_by_channel.get(channel.id)
    inside = (curve.t_ns >= view.record.start_ns) & (curve.t_ns <= view.record.end_ns)
    times = curve.t_ns[inside]
    gaps = (times[1:] - times[:-1]) / 1e9
    return {
        "id": channel.id,
        "component": channel.component,
        "source": channel.source,
        "method": channel.method,
        "scope": channel.scope,
        "label": channel.label,
        "energy_j": energy.value if energy else None,
        "low": energy.low if energy else None,
        "high": energy.high if energy else None,
        "terms": energy.as_dict()["terms"] if energy else None,
        "samples": int(inside.sum()),
        "max_gap_s": float(gaps.max()) if len(gaps) else None,
        "counted_in_total": channel.counted,
        "accuracy": channel.accuracy._asdict(),
    }


def _span(span: SpanView) -> dict[str, Any]:
    return {
        "name": span.name,
        "path": span.path,
        "start_s": span.start_s,
        "duration_s": span.duration_s,
        "energy_j": _dict(span.energy),
        "counts": span.counts,
        "attrs": span.attrs,
    }


def _dict(quantity: Quantity | None) -> dict[str, Any] | None:
    return None if quantity is None else quantity.as_dict()

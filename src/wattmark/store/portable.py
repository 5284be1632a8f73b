"""A RunRecord as plain JSON for exchange: every number readable without Wattmark, nothing rounded.

``{"format": "wattmark-run", "version": 1, "runs": [{..., "summary": {...}|null}]}``, strict JSON: what is not
a finite number is null. Times are integer nanoseconds, energies integer microjoules, as in
:mod:`wattmark.runs.record`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from wattmark.runs.record import Anchor, Curve, RunRecord, RunWarning, SeriesData, Spans, Status
from wattmark.sources.base import Channel, Series

FORMAT = "wattmark-run"
VERSION = 1

_PLAIN = (
    "run_id", "name", "status", "exit_code", "started_wall_ns", "start_ns", "end_ns", "parent_id", "tags",
    "environment", "baseline_w", "recorder", "extra",
)  # fmt: skip
_SPAN_TYPES = {
    "name_ids": np.int32,
    "start_ns": np.int64,
    "end_ns": np.int64,
    "parents": np.int32,
    "pids": np.int64,
    "tids": np.int64,
    "open": np.bool_,
}


def to_plain(record: RunRecord, summary: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The run as dicts, lists, strings and finite numbers."""
    spans = record.spans
    return {
        **{name: strict(getattr(record, name)) for name in _PLAIN},
        "curves": [
            {
                "channel": strict(curve.channel.to_dict()),
                "t_ns": curve.t_ns.tolist(),
                "energy_uj": curve.energy_uj.tolist(),
                "holes": curve.holes.tolist(),
            }
            for curve in record.curves
        ],
        "series": [
            {
                "series": data.series.to_dict(),
                "t_ns": data.t_ns.tolist(),
                "values": strict(data.values.tolist()),
            }
            for data in record.series
        ],
        "spans": {
            "names": list(spans.names),
            **{name: getattr(spans, name).tolist() for name in _SPAN_TYPES},
            "details": {str(row): strict(detail) for row, detail in spans.details.items()},
        },
        "anchors": [[anchor.monotonic_ns, anchor.boottime_ns, anchor.wall_ns] for anchor in record.anchors],
        "tree_cpu": record.tree_cpu.tolist(),
        "warnings": [warning.as_dict() for warning in record.warnings],
        "summary": strict(summary),
    }


def from_plain(data: Mapping[str, Any]) -> RunRecord:
    """The inverse of :func:`to_plain`. For other data KeyError, TypeError, ValueError or OverflowError."""
    spans = data["spans"]
    columns: dict[str, Any] = {name: np.array(spans[name], kind) for name, kind in _SPAN_TYPES.items()}
    record = RunRecord(
        **{name: data[name] for name in _PLAIN},
        curves=tuple(
            Curve(
                Channel.from_dict(curve["channel"]),
                np.array(curve["t_ns"], np.int64),
                np.array(curve["energy_uj"], np.int64),
                np.reshape(np.array(curve["holes"], np.int64), (-1, 2)),
            )
            for curve in data["curves"]
        ),
        series=tuple(
            SeriesData(
                Series.from_dict(part["series"]),
                np.array(part["t_ns"], np.int64),
                np.array(part["values"], np.float32),  # null becomes NaN
            )
            for part in data["series"]
        ),
        spans=Spans(
            names=tuple(spans["names"]),
            details={int(row): detail for row, detail in spans["details"].items()},
            **columns,
        ),
        anchors=tuple(Anchor(*anchor) for anchor in data["anchors"]),
        tree_cpu=np.reshape(np.array(data["tree_cpu"], np.float64), (-1, 3)),
        warnings=tuple(RunWarning(**warning) for warning in data["warnings"]),
    )
    _check(record)
    return record


def strict(value: Any) -> Any:
    """A copy that JSON can hold: NaN and infinity become None, foreign objects their text."""
    match value:
        case None | str() | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): strict(item) for key, item in cast("Mapping[Any, Any]", value).items()}
        case list() | tuple():
            return [strict(item) for item in cast("Sequence[Any]", value)]
        case np.generic() | np.ndarray():
            return strict(cast("NDArray[Any]", value).tolist())
        case _:
            return str(value)


def storable(text: str) -> str:
    """Text that every database and file takes: NUL and what is no Unicode (see PEP 383) become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def _check(record: RunRecord) -> None:
    """What the rest of Wattmark relies on, for data that anyone may have written."""
    _demand(type(record.run_id) is type(record.name) is str, "a run's id and name are texts")
    times = (record.started_wall_ns, record.start_ns, record.end_ns)
    _demand(all(type(t) is int and abs(t) < 2**63 for t in times), "a run's times are whole nanoseconds")
    _demand(record.end_ns >= record.start_ns, "a run ends before it starts")
    _demand(record.status in get_args(Status), f"{record.status!r} is no status")
    for curve in record.curves:
        channel = f"channel {curve.channel.id}"
        _demand(len(curve.t_ns) == len(curve.energy_uj), f"{channel}: times and energies differ in number")
        forward = np.all(np.diff(curve.t_ns) > 0) and np.all(np.diff(curve.energy_uj) >= 0)
        _demand(bool(forward), f"{channel}: a curve never goes back, in time or energy")
    for data in record.series:
        _demand(
            len(data.t_ns) == len(data.values), f"series {data.series.id}: times and values differ in number"
        )
    spans, rows = record.spans, len(record.spans)
    _demand(all(len(getattr(spans, name)) == rows for name in _SPAN_TYPES), "the columns of the spans differ")
    if rows:
        named = spans.name_ids.min() >= 0 and spans.name_ids.max() < len(spans.names)
        _demand(bool(named), "a span has no name")
        nested = spans.parents.min() >= -1 and np.all(spans.parents < np.arange(rows))
        _demand(bool(nested), "a span comes before the one that encloses it")


def _demand(met: bool, message: str) -> None:
    if not met:
        raise ValueError(message)

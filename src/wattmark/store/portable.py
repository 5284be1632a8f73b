"""A RunRecord as plain JSON for exchange: every number readable without Wattmark, nothing rounded.

``{"format": "wattmark-run", "version": 1, "runs": [{..., "summary": {...}|null}]}``, strict JSON: what is not
a finite number is null. Times are integer nanoseconds, energies integer microjoules, as in
:mod:`wattmark.runs.record`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard, get_args

import numpy as np
from numpy.typing import NDArray

from wattmark.documents import is_list, is_mapping, number
from wattmark.runs.record import Anchor, Curve, Int64, Part, RunRecord, RunWarning, SeriesData, Spans, Status
from wattmark.sources.base import COMPONENTS, Channel, Method, ReadingKind, Series

FORMAT = "wattmark-run"
VERSION = 1
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
"""What the store takes as the id of a run."""
_MOST_NS = 2**62
_MOST_KW = 10**6
"""Mean power of a channel: a gigawatt, more than any site has."""

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


def to_plain(record: RunRecord, summary: Mapping[str, object] | None = None) -> dict[str, object]:
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
                **({"vague": curve.vague.tolist()} if len(curve.vague) else {}),
                **(
                    {"part": [curve.part.start_ns, curve.part.end_ns, curve.part.clock_s]}
                    if curve.part
                    else {}
                ),
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


def mended(data: object) -> tuple[dict[str, object], list[str]]:
    """A run without those of its dispensable parts that are of a wrong type, and what they are; all else as it was."""
    if not is_mapping(data):
        raise TypeError("it is no object")
    whole = dict(data)
    faults: list[str] = []
    for name, (right, what) in _PARTS.items():
        if name in whole and not right(whole[name]):
            whole[name] = None if name in ("baseline_w", "exit_code", "parent_id") else {}
            faults.append(f"{name} is no {what}")
    spans = whole.get("spans")
    if is_mapping(spans):
        columns = dict(spans)
        details = columns.get("details")
        if not _is_details(details):
            columns["details"] = {}
            whole["spans"] = columns
            faults.append("the details of its spans are no counts and attributes")
    return whole, faults


def from_plain(data: Mapping[str, Any]) -> RunRecord:
    """The inverse of :func:`to_plain`. For other data KeyError, TypeError, ValueError or OverflowError."""
    spans = data["spans"]
    columns: dict[str, Any] = {
        name: _integers(spans[name], name).astype(kind) for name, kind in _SPAN_TYPES.items()
    }
    record = RunRecord(
        **{name: data[name] for name in _PLAIN},
        curves=tuple(
            Curve(
                Channel.from_dict(curve["channel"]),
                _integers(curve["t_ns"], "t_ns"),
                _integers(curve["energy_uj"], "energy_uj"),
                *(
                    np.reshape(
                        _integers([edge for pair in curve.get(name, ()) for edge in pair], name), (-1, 2)
                    )
                    for name in ("holes", "vague")
                ),
                part=_part(curve.get("part")),
            )
            for curve in data["curves"]
        ),
        series=tuple(
            SeriesData(
                Series.from_dict(part["series"]),
                _integers(part["t_ns"], "t_ns"),
                _floats(part["values"], "values").astype(np.float32),
            )
            for part in data["series"]
        ),
        spans=Spans(
            names=tuple(spans["names"]),
            details={int(row): detail for row, detail in spans["details"].items()},
            **columns,
        ),
        anchors=tuple(Anchor(*(int(t) for t in _integers(anchor, "anchors"))) for anchor in data["anchors"]),
        tree_cpu=np.reshape(
            _floats([value for row in data["tree_cpu"] for value in row], "tree_cpu"), (-1, 3)
        ),
        warnings=tuple(RunWarning(**warning) for warning in data["warnings"]),
    )
    _check(record)
    return record


def strict(value: object) -> object:
    """A copy that JSON can hold: NaN and infinity become None, foreign objects their text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_mapping(value):
        return {str(key): strict(item) for key, item in value.items()}
    if is_list(value):
        return [strict(item) for item in value]
    if _is_array(value):
        return strict(value.tolist())
    return str(value)


def _is_array(value: object) -> TypeGuard[NDArray[np.generic]]:
    return isinstance(value, np.generic | np.ndarray)


def storable(text: str) -> str:
    """Text that every database and file takes: NUL and what is no Unicode (see PEP 383) become U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def _check(record: RunRecord) -> None:
    """What the rest of Wattmark relies on, for data that anyone may have written."""
    _demand(type(record.run_id) is type(record.name) is str, "a run's id and name are texts")
    _demand(RUN_ID.fullmatch(record.run_id) is not None, f"{record.run_id[:60]!r} is no id of a run")
    times = (record.started_wall_ns, record.start_ns, record.end_ns)
    _demand(all(type(t) is int and abs(t) < _MOST_NS for t in times), "a run's times are whole nanoseconds")
    _demand(record.end_ns >= record.start_ns, "a run ends before it starts")
    _demand(record.status in get_args(Status), f"{record.status!r} is no status")
    for curve in record.curves:
        _check_curve(curve)
    ids = [curve.channel.id for curve in record.curves]
    _demand(len(set(ids)) == len(ids), "two channels have one id")
    for data in record.series:
        series = f"series {data.series.id}"
        _demand(all(type(word) is str for word in data.series), f"{series}: its words are texts")
        _demand(len(data.t_ns) == len(data.values), f"{series}: times and values differ in number")
        _demand(_forward(data.t_ns), f"{series}: its times go back")
    for warning in record.warnings:
        _demand(type(warning.code) is type(warning.message) is str, "a warning is a code and a text")
    _check_spans(record.spans)


def _check_curve(curve: Curve) -> None:
    channel = curve.channel
    name = f"channel {channel.id}"
    words = (
        channel.id,
        channel.source,
        channel.scope,
        channel.group,
        channel.copy_of,
        channel.label,
        *channel.inside,
    )
    _demand(all(type(word) is str for word in words), f"{name}: its words are texts")
    _demand(channel.component in COMPONENTS, f"{name}: {channel.component!r} is no component")
    _demand(channel.method in get_args(Method), f"{name}: {channel.method!r} is no method")
    _demand(channel.kind in get_args(ReadingKind), f"{name}: {channel.kind!r} is no kind of reading")
    _demand(type(channel.counted) is bool, f"{name}: it is counted or not")
    accuracy = channel.accuracy._asdict()
    _demand(type(accuracy.pop("citation")) is str, f"{name}: its accuracy has a source")
    sizes = (*accuracy.values(), channel.max_power_w, channel.resolution_uj, channel.update_period_s)
    _demand(all(_is_size(size) for size in sizes), f"{name}: its sizes are finite numbers from 0")
    wrap = channel.wrap_uj
    _demand(
        wrap is None or (type(wrap) is int and 0 < wrap < 2**63), f"{name}: its range is whole microjoules"
    )
    _demand(len(curve.t_ns) == len(curve.energy_uj), f"{name}: times and energies differ in number")
    rises = _rising(curve.energy_uj)
    _demand(_forward(curve.t_ns) and rises, f"{name}: a curve never goes back, in time or energy")
    if len(curve.t_ns) > 1:
        rise, length = (int(values[-1]) - int(values[0]) for values in (curve.energy_uj, curve.t_ns))
        # µJ/ns is kW; readings that lie close together may be rounded, or one burst
        _demand(
            rise < 2**62 and rise <= max(length, 10**9) * _MOST_KW, f"{name}: its energy is beyond all bounds"
        )
    for kind, intervals in (("holes", curve.holes), ("times of unknown activity", curve.vague)):
        edges = intervals.ravel()
        _demand(
            _rising(edges) and _forward(intervals[:, 0]), f"{name}: {kind} are in order and do not overlap"
        )


def _part(told: Any) -> Part | None:
    """The time that a curve's host took part in a run over hosts."""
    if told is None:
        return None
    start_ns, end_ns = _integers(list(told)[:2], "part").tolist()
    clock_s = number(told[2])
    _demand(
        len(told) == 3 and start_ns <= end_ns and clock_s is not None and _is_size(clock_s),
        "the part of a host is a time and its clock's error",
    )
    return Part(start_ns, end_ns, clock_s or 0.0)


def _check_spans(spans: Spans) -> None:
    rows = len(spans)
    _demand(all(len(getattr(spans, name)) == rows for name in _SPAN_TYPES), "the columns of the spans differ")
    _demand(all(type(name) is str for name in spans.names), "the names of spans are texts")
    _demand(all(0 <= row < rows for row in spans.details), "a detail is of no span")
    if rows:
        named = spans.name_ids.min() >= 0 and spans.name_ids.max() < len(spans.names)
        _demand(bool(named), "a span has no name")
        nested = spans.parents.min() >= -1 and np.all(spans.parents < np.arange(rows))
        _demand(bool(nested), "a span comes before the one that encloses it")
        _demand(bool(np.all(spans.end_ns >= spans.start_ns)), "a span ends before it starts")


def _forward(times: Int64) -> bool:
    return bool(np.all(times[1:] > times[:-1])) and (not len(times) or int(np.abs(times).max()) < _MOST_NS)


def _rising(values: Int64) -> bool:
    return bool(np.all(values[1:] >= values[:-1]))


def _integers(values: Any, name: str) -> Int64:
    """(n,) int64 of a list of whole numbers, or truths; nothing else is made one."""
    listed = np.array(values)
    _demand(listed.ndim == 1, f"{name} is no list of whole numbers")
    if not listed.size:
        return np.empty(0, np.int64)
    if listed.dtype.kind not in "biu":
        raise OverflowError(f"{name} holds what is no whole number, or too large a one")
    return np.array(values, np.int64)


def _floats(values: Any, name: str) -> NDArray[np.float64]:
    """(n,) float64 of a list of numbers; null becomes NaN."""
    numbers = np.array(values, np.float64)
    _demand(numbers.ndim == 1, f"{name} is no list of numbers")
    return np.where(np.abs(numbers) < 3e38, numbers, np.nan)  # what float32 holds


def _is_size(value: object) -> bool:
    size = number(value)
    return size is not None and size >= 0


def _is_words(value: object) -> bool:
    return is_mapping(value) and all(isinstance(word, str) for word in value.values())


def _is_powers(value: object) -> bool:
    return value is None or (is_mapping(value) and all(number(watts) is not None for watts in value.values()))


def _is_details(value: object) -> bool:
    return is_mapping(value) and all(
        row.isascii() and row.isdecimal() and len(row) < 12 and is_mapping(detail)
        and all(is_mapping(part) for part in detail.values())
        for row, detail in value.items()
    )  # fmt: skip


_PARTS: dict[str, tuple[Callable[[object], bool], str]] = {
    "tags": (_is_words, "words"),
    "environment": (is_mapping, "object"),
    "recorder": (is_mapping, "object"),
    "extra": (is_mapping, "object"),
    "baseline_w": (_is_powers, "powers by component"),
    "exit_code": (lambda value: value is None or (type(value) is int and abs(value) < 2**31), "exit code"),
    "parent_id": (lambda value: value is None or isinstance(value, str), "id of a run"),
}
"""Parts that a run can be without: what is right, and what they are then."""


def _demand(met: bool, message: str) -> None:
    if not met:
        raise ValueError(message)

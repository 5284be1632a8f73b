"""A RunRecord as a header (plain data) and compressed columns, and back.

What is exact and what is rounded: time stamps of curves, holes, series and process-tree samples are rounded
to whole microseconds (a moment of at most 0.5 µs: 0.1 mJ at 200 W; where samples lie closer than that, they
keep their nanoseconds). Everything else, the energies included, comes back as it went in.

Columns that are equal are stored once, so the curves and series of one source share their time stamps.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import StoreError
from wattmark.runs.display.overview import OVERVIEW_FROM, overview_of
from wattmark.runs.energy import CurveEnergy
from wattmark.runs.record import Anchor, Curve, Float64, Int64, Part, RunRecord, RunWarning, SeriesData, Spans
from wattmark.sources.base import Channel, Series
from wattmark.store.columns import BLOCK, decode, decode_floats, encode, encode_floats

MOST_JSON_BYTES = 512 * 2**20
"""Of one header, summary or block of span details, unpacked."""
_SPAN_COLUMNS = ("name_ids", "start_ns", "end_ns", "parents", "pids", "tids", "open")


@dataclass(frozen=True, slots=True)
class Packed:
    """``header``: JSON-able. ``columns``: blocks by column name. ``overviews`` and ``overview_columns``: long curves
    in few points, worked out from the others, so that they can be drawn without being read."""

    header: dict[str, Any]
    columns: dict[str, list[bytes]]
    overviews: dict[str, Any] = field(default_factory=dict[str, Any])
    overview_columns: dict[str, list[bytes]] = field(default_factory=dict[str, "list[bytes]"])

    @property
    def size(self) -> int:
        """Bytes of all blocks."""
        every = (*self.columns.values(), *self.overview_columns.values())
        return sum(len(block) for blocks in every for block in blocks)


@dataclass(slots=True)
class _Writer:
    """Collects columns under short names, each distinct content once."""

    columns: dict[str, list[bytes]] = field(default_factory=lambda: {})
    seen: dict[bytes, str] = field(default_factory=lambda: {})

    def add(self, values: NDArray[Any], encoder: Callable[[Any], list[bytes]]) -> str:
        key = hashlib.blake2b(
            values.tobytes(), digest_size=16, person=str(values.dtype).encode()[:16]
        ).digest()
        if key not in self.seen:
            self.seen[key] = f"c{len(self.columns)}"
            self.columns[self.seen[key]] = encoder(values)
        return self.seen[key]


def pack(record: RunRecord) -> Packed:
    """The record as it is stored, tags left out (they are rows of their own)."""
    writer = _Writer()
    header = {
        **{name: getattr(record, name) for name in _PLAIN},
        "baseline_w": record.baseline_w,
        "anchors": [(a.monotonic_ns, a.boottime_ns, a.wall_ns) for a in record.anchors],
        "warnings": [warning.as_dict() for warning in record.warnings],
        "curves": [
            {
                "channel": curve.channel.to_dict(),
                "t": writer.add(_microseconds(curve.t_ns), _encode_times),
                "e": writer.add(curve.energy_uj, _units_of(curve.channel)),
                "holes": writer.add(_microseconds(curve.holes.ravel(), distinct=False), _encode_times),
                **({"vague": curve.vague.tolist()} if len(curve.vague) else {}),
                **({"part": dataclasses.astuple(curve.part)} if curve.part else {}),
            }
            for curve in record.curves
        ],
        "series": [
            {
                "series": data.series.to_dict(),
                "t": writer.add(_microseconds(data.t_ns), _encode_times),
                "v": writer.add(data.values, encode_floats),
            }
            for data in record.series
        ],
        "tree_cpu": [writer.add(column, encode_floats) for column in _split(record.tree_cpu)],
        "spans": _pack_spans(record.spans, writer),
    }
    return Packed(header, writer.columns, *_pack_overviews(record.curves))


def vague_of(described: Mapping[str, Any]) -> Int64:
    """A curve's intervals of unknown activity from its entry in the header, (m, 2)."""
    return np.reshape(np.array(described.get("vague", ()), np.int64), (-1, 2))


def part_of(described: Mapping[str, Any]) -> Part | None:
    """What a curve is of a run over hosts, from its entry in the header or in an export; None for any other run."""
    told = described.get("part")
    return None if told is None else Part(int(told[0]), int(told[1]), float(told[2]))


def unpack(
    header: Mapping[str, Any], columns: Mapping[str, Sequence[bytes]], tags: Mapping[str, str]
) -> RunRecord:
    """The inverse of :func:`pack`. Raises StoreError if something is damaged or missing."""
    try:
        times = _Memo(columns)
        return dataclasses.replace(
            unpack_plain(header, tags, unpack_spans(header["spans"], columns)),
            curves=tuple(
                Curve(
                    Channel.from_dict(curve["channel"]),
                    times[curve["t"]],
                    decode(columns[curve["e"]]),
                    np.reshape(times[curve["holes"]], (-1, 2)),
                    vague_of(curve),
                    part_of(curve),
                )
                for curve in header["curves"]
            ),
            series=tuple(
                SeriesData(
                    Series.from_dict(data["series"]),
                    times[data["t"]],
                    decode_floats(columns[data["v"]], np.float32),
                )
                for data in header["series"]
            ),
            tree_cpu=np.column_stack(
                [decode_floats(columns[name], np.float64) for name in header["tree_cpu"]]
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"a stored run is damaged ({type(error).__name__}: {error})") from error


def unpack_plain(header: Mapping[str, Any], tags: Mapping[str, str], spans: Spans) -> RunRecord:
    """The record without its curves, side series and CPU times."""
    return RunRecord(
        **{name: header[name] for name in _PLAIN},
        tags=dict(tags),
        baseline_w=header["baseline_w"],
        spans=spans,
        anchors=tuple(Anchor(*anchor) for anchor in header["anchors"]),
        warnings=tuple(RunWarning(**warning) for warning in header["warnings"]),
    )


_PLAIN = (
    "run_id", "name", "status", "exit_code", "started_wall_ns", "start_ns", "end_ns", "parent_id",
    "environment", "recorder", "extra",
)  # fmt: skip


def dump_json(data: object) -> bytes:
    """Compressed JSON. NumPy numbers and arrays become plain ones, any other foreign object its text."""
    return zlib.compress(json.dumps(data, default=_plain, separators=(",", ":")).encode("ascii"), 6)


def load_json(data: bytes) -> Any:
    """The inverse of :func:`dump_json`. Raises StoreError for damaged data, and for what unpacks beyond all bounds."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, MOST_JSON_BYTES)
        if not unpacker.eof:
            raise ValueError("it is cut off, or unpacks beyond all bounds")
        return json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise StoreError(f"a stored run is damaged ({error})") from error


def _plain(value: object) -> object:
    if isinstance(value, (np.generic, np.ndarray)):
        return cast("NDArray[Any]", value).tolist()
    return dict(cast("Mapping[Any, Any]", value)) if isinstance(value, Mapping) else str(value)


class _Memo(dict[str, Int64]):
    """Columns decoded once each; those who share one share the (read-only) array too."""

    def __init__(self, columns: Mapping[str, Sequence[bytes]]) -> None:
        super().__init__()
        self._columns = columns

    def __missing__(self, name: str) -> Int64:
        values = decode(self._columns[name])
        values.flags.writeable = False
        self[name] = values
        return values


def _pack_overviews(curves: Sequence[Curve]) -> tuple[dict[str, Any], dict[str, list[bytes]]]:
    described: dict[str, Any] = {}
    columns: dict[str, list[bytes]] = {}
    for number, curve in enumerate(curves):
        if len(curve.t_ns) < OVERVIEW_FROM:
            continue
        whole = CurveEnergy(curve)
        overview = overview_of(curve, whole)
        described[str(number)] = [len(curve.t_ns), *dataclasses.astuple(whole.facts)]
        columns[f"o{number}t"] = encode(overview.t_ns)
        columns[f"o{number}e"] = encode(overview.energy_uj)
        columns[f"o{number}l"] = encode_floats(overview.low_w)
        columns[f"o{number}h"] = encode_floats(overview.high_w)
    return described, columns


def _microseconds(t_ns: Int64, distinct: bool = True) -> Int64:
    """Rounded to whole microseconds, unless that would make two samples one."""
    rounded = (t_ns + np.int64(500)) // 1000 * 1000
    if distinct and len(t_ns) > 1 and not np.all(np.diff(rounded) > 0):
        return t_ns
    return rounded


def _split(table: Float64) -> list[Float64]:
    return [np.ascontiguousarray(np.take(table, index, axis=1)) for index in range(table.shape[1])]


def _encode_times(t_ns: Int64) -> list[bytes]:
    return encode(t_ns, (1_000.0,))


def _units_of(channel: Channel) -> Callable[[Int64], list[bytes]]:
    # Linux keeps RAPL's unit as whole nanojoules, so the counter's true step is the rounded one.
    units = {
        channel.resolution_uj,
        round(channel.resolution_uj, 3),
        float(int(channel.resolution_uj * 1e3)) / 1e3,
    }
    return lambda values: encode(values, tuple(units))


def _pack_spans(spans: Spans, writer: _Writer) -> dict[str, Any]:
    rows = np.arange(len(spans), dtype=np.int64)
    columns: dict[str, Int64] = {
        "name_ids": spans.name_ids.astype(np.int64),
        "start_ns": spans.start_ns,
        "end_ns": spans.end_ns - spans.start_ns,
        # Distances to the parent repeat, its row numbers do not; a top-level span is at distance 0.
        "parents": np.where(spans.parents < 0, 0, rows - spans.parents),
        "pids": spans.pids,
        "tids": spans.tids,
        "open": spans.open.astype(np.int64),
    }
    keys = sorted(spans.details)
    texts = [
        dump_json([spans.details[row] for row in keys[i : i + BLOCK]]) for i in range(0, len(keys), BLOCK)
    ]
    header: dict[str, Any] = {name: writer.add(columns[name], encode) for name in _SPAN_COLUMNS}
    header["names"] = list(spans.names)
    header["detail_rows"] = writer.add(np.array(keys, np.int64), encode)
    writer.columns["details"] = texts
    return header


def unpack_spans(header: Mapping[str, Any], columns: Mapping[str, Sequence[bytes]]) -> Spans:
    """The spans that :func:`pack` put away."""
    values = {name: decode(columns[header[name]]) for name in _SPAN_COLUMNS}
    rows = np.arange(len(values["start_ns"]), dtype=np.int64)
    details: dict[int, Any] = {}
    keys = decode(columns[header["detail_rows"]]).tolist()
    for part, block in enumerate(columns["details"]):
        details.update(zip(keys[part * BLOCK : (part + 1) * BLOCK], load_json(block), strict=True))
    return Spans(
        names=tuple(header["names"]),
        name_ids=values["name_ids"].astype(np.int32),
        start_ns=values["start_ns"],
        end_ns=values["start_ns"] + values["end_ns"],
        parents=np.where(values["parents"] == 0, -1, rows - values["parents"]).astype(np.int32),
        pids=values["pids"],
        tids=values["tids"],
        open=values["open"].astype(np.bool_),
        details=details,
    )

"""Runs out of the store: JSON that Wattmark reads back exactly, CSV and Parquet for other tools.

CSV and Parquet are a folder with three tables, ``runs``, ``spans`` and ``power``; several runs share them,
told apart by ``run_id``. File names are fixed or made of safe characters, never taken from a run as they
stand.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wattmark.errors import ConfigError, MissingExtra, StoreError
from wattmark.runs.record import RunRecord
from wattmark.store.portable import FORMAT, VERSION, storable, strict, to_plain
from wattmark.text import inert

Format = Literal["json", "csv", "parquet"]
Column = NDArray[Any] | list[Any]
Table = dict[str, Column]


def export(
    records: RunRecord | Sequence[RunRecord],
    path: str | os.PathLike[str],
    format: Format | None = None,
    summaries: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[str]:
    """Write runs to ``path`` and return the files written.

    ``format`` follows from the name if not given: ``.json`` or ``.json.gz`` is one self-contained file;
    ``csv`` and ``parquet`` write a folder of tables. ``summaries`` are the objects of ``show --json`` by run
    id. Raises ConfigError for an unknown format, MissingExtra without pyarrow, StoreError where nothing can
    be written.
    """
    runs = [records] if isinstance(records, RunRecord) else list(records)
    by_run = summaries or {}
    target = os.fspath(path)
    try:
        match format or _format_of(target):
            case "json":
                return [_write_json(runs, by_run, target)]
            case "csv":
                return _write_tables(runs, by_run, target, "csv", _write_csv)
            case "parquet":
                return _write_tables(runs, by_run, target, "parquet", _parquet_writer())
            case other:
                raise ConfigError(f"{other!r} is no export format", hint="json, csv or parquet")
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror or error}") from error


def export_name(record: RunRecord) -> str:
    """A file name (without suffix) for a run that is safe on every system, whatever the run is called."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", record.name).strip("-")[:48]
    run_id = re.sub(r"[^A-Za-z0-9]+", "-", record.run_id).strip("-")[:48]
    return "-".join(part for part in (words, run_id) if part) or "run"


def runs_table(runs: Iterable[RunRecord], summaries: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a run; energies in J come from the summary and are None without one."""
    rows = [_run_row(run, summaries.get(run.run_id) or {}) for run in runs]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def spans_table(run: RunRecord, summary: Mapping[str, Any] | None = None) -> Table:
    """One row a span: times in s from the run's start; energy in J where the summary lists all of them."""
    spans = run.spans
    span_summaries: Sequence[Mapping[str, Any]] = (summary or {}).get("spans") or ()
    energies = (
        [_value(span.get("energy_j")) for span in span_summaries]
        if len(span_summaries) == len(spans)
        else [None] * len(spans)
    )
    details = [spans.details.get(row, {}) for row in range(len(spans))]
    names = np.array([storable(name) for name in spans.names], object)
    return {
        "run_id": [run.run_id] * len(spans),
        "span": np.arange(len(spans)),
        "parent": spans.parents,
        "name": names[spans.name_ids].tolist() if len(spans) else [],
        "start_s": (spans.start_ns - run.start_ns) / 1e9,
        "duration_s": (spans.end_ns - spans.start_ns) / 1e9,
        "energy_j": energies,
        "pid": spans.pids,
        "tid": spans.tids,
        "open": spans.open,
        "counts": [_json(detail.get("counts", {})) for detail in details],
        "attrs": [_json(detail.get("attrs", {})) for detail in details],
    }


def power_table(run: RunRecord) -> Table:
    """One row a sample and channel: energy in J since the first sample, mean power in W since the one before.

    The power is None where it is not known: at the first sample and across a hole.
    """
    parts: list[Table] = [_power_rows(run, index) for index in range(len(run.curves))]
    names = (
        "run_id",
        "channel",
        "component",
        "method",
        "t_ns",
        "time_s",
        "time",
        "energy_uj",
        "energy_j",
        "power_w",
    )
    return {name: [value for part in parts for value in part[name]] for name in names}


def _power_rows(run: RunRecord, index: int) -> Table:
    curve = run.curves[index]
    size = len(curve.t_ns)
    power = np.full(size, np.nan)
    power[1:] = np.diff(curve.energy_uj) * 1e3 / np.diff(curve.t_ns)  # µJ/ns is kW
    for start, end in curve.holes:
        power[1:][(curve.t_ns[:-1] < end) & (curve.t_ns[1:] > start)] = np.nan
    wall = run.started_wall_ns + (curve.t_ns - run.start_ns)
    return {
        "run_id": [run.run_id] * size,
        "channel": [curve.channel.id] * size,
        "component": [curve.channel.component] * size,
        "method": [curve.channel.method] * size,
        "t_ns": curve.t_ns.tolist(),
        "time_s": ((curve.t_ns - run.start_ns) / 1e9).tolist(),
        "time": np.datetime_as_string(wall.astype("datetime64[ns]"), "us", timezone="UTC").tolist(),
        "energy_uj": curve.energy_uj.tolist(),
        "energy_j": ((curve.energy_uj - curve.energy_uj[:1]) / 1e6).tolist(),
        "power_w": [watts if math.isfinite(watts) else None for watts in power.tolist()],
    }


def _run_row(run: RunRecord, summary: Mapping[str, Any]) -> dict[str, Any]:
    energy: Mapping[str, Any] = summary.get("energy_j") or {}
    total: Mapping[str, Any] = energy.get("total") or {}
    return {
        "run_id": run.run_id,
        "name": storable(run.name),
        "status": run.status,
        "exit_code": run.exit_code,
        "host": storable(run.host),
        "started_at": datetime.fromtimestamp(run.started_wall_ns / 1e9, timezone.utc).isoformat(),
        "duration_s": run.duration_s,
        "coverage": summary.get("coverage"),
        "energy_j": total.get("value"),
        "energy_low_j": total.get("low"),
        "energy_high_j": total.get("high"),
        **{f"{part}_energy_j": _value(energy.get(part)) for part in ("cpu", "gpu", "dram", "soc", "host")},
        "carbon_g": _value(summary.get("carbon_g")),
        "tags": _json(run.tags),
        "warnings": _json([warning.as_dict() for warning in run.warnings]),
    }


def _value(quantity: Mapping[str, Any] | None) -> float | None:
    return None if quantity is None else quantity.get("value")


def _json(data: object) -> str:
    return json.dumps(strict(data), separators=(",", ":"))


def _format_of(path: str) -> str:
    name = path.removesuffix(".gz")
    return Path(name).suffix.removeprefix(".") or "json"


def _write_json(runs: Sequence[RunRecord], summaries: Mapping[str, Mapping[str, Any]], path: str) -> str:
    data = {
        "format": FORMAT,
        "version": VERSION,
        "runs": [to_plain(run, summaries.get(run.run_id)) for run in runs],
    }
    opener: Callable[..., Any] = gzip.open if path.endswith(".gz") else open
    with opener(path, "wt", encoding="utf-8") as file:
        json.dump(data, file, allow_nan=False, separators=(",", ":"))
        file.write("\n")
    return path


def _tables(
    runs: Sequence[RunRecord], summaries: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Iterator[Table]]]:
    """The three tables, each as one part a run, so that many runs need the memory of one."""
    yield "runs", iter([runs_table(runs, summaries)])
    yield "spans", (spans_table(run, summaries.get(run.run_id)) for run in runs)
    yield "power", (power_table(run) for run in runs)


def _write_tables(
    runs: Sequence[RunRecord],
    summaries: Mapping[str, Mapping[str, Any]],
    folder: str,
    suffix: str,
    write: Callable[[str, Iterator[Table]], None],
) -> list[str]:
    Path(folder).mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    for name, parts in _tables(runs, summaries):
        written.append(str(Path(folder, f"{name}.{suffix}")))
        write(written[-1], parts)
    return written


def _write_csv(path: str, parts: Iterator[Table]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for index, table in enumerate(parts):
            if index == 0:
                writer.writerow(map(inert, table))
            writer.writerows(map(inert, row) for row in zip(*table.values(), strict=True))


def _parquet_writer() -> Callable[[str, Iterator[Table]], None]:
    try:
        pa: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("pyarrow", "pandas") from error

    def write(path: str, parts: Iterator[Table]) -> None:
        types: dict[str, Any] = {
            **dict.fromkeys(("t_ns", "energy_uj", "span", "parent", "pid", "tid", "exit_code"), pa.int64()),
            **dict.fromkeys(
                ("time_s", "power_w", "start_s", "duration_s", "coverage", "carbon_g"), pa.float64()
            ),
            "open": pa.bool_(),
        }
        writer: Any = None
        for table in parts:
            kinds = [types.get(name, pa.float64() if name.endswith("_j") else pa.string()) for name in table]
            if "time" in table:
                table["time"] = np.array([text.rstrip("Z") for text in table["time"]], "datetime64[us]")
                kinds[list(table).index("time")] = pa.timestamp("us", "UTC")
            arrays = [pa.array(values, kind) for values, kind in zip(table.values(), kinds, strict=True)]
            data = pa.Table.from_arrays(arrays, names=list(table))
            writer = writer or parquet.ParquetWriter(path, data.schema, compression="zstd")
            writer.write_table(data)
        if writer is not None:
            writer.close()

    return write

"""A record for every request of every load: times, tokens, outcome and joules with their interval; JSON lines, Parquet."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError, MissingExtra
from wattmark.serving.bench import BenchResult
from wattmark.serving.figures.latency import answer_s, e2e_s, reasoning_part, tpot_s, ttft_s

Point = tuple[float, BenchResult]
"""A load (concurrency, or requests/s) and what came of it."""
PARQUET = ".parquet"
_INTEGERS = (
    "index", "conversation", "turn", "scheduled_ns", "released_ns", "sent_ns", "first_token_ns", "first_answer_ns",
    "last_token_ns", "end_ns", "wanted_input_tokens", "wanted_output_tokens", "input_tokens", "output_tokens",
    "cached_tokens", "reasoning_tokens", "status", "retries", "choices", "reasoning_chunks", "text_size",
    "answers", "images", "inputs",
)  # fmt: skip
_NUMBERS = (
    "load", "retry_after_s", "ttft_s", "answer_s", "tpot_s", "e2e_s", "reasoning_part", "energy_j", "energy_low_j",
    "energy_high_j", "audio_s",
)  # fmt: skip
_TEXTS = ("run_id", "model", "outcome", "error", "finish_reason", "usage_problem", "usage_note", "text")


def rows(points: Iterable[Point]) -> Iterator[dict[str, Any]]:
    """A plain row for every request, in the order of the loads. What is not known is None.

    ``*_ns`` are of this host's monotonic clock; latencies are in s and defined as in the summary; ``energy_j`` is the
    request's share above idle, its ends the sensor's error and that of the rule of sharing; ``in_window``: whether the
    request is one of those that the latencies are of.
    """
    for load, result in points:
        window = result.metrics.window
        whole = window is None or window.rule.startswith("whole")
        for record in result.load.records:
            energy = None if result.energy is None else result.energy.of_request(record.index)
            yield {
                "load": load,
                "run_id": result.run_id or None,
                **record.as_dict(),
                "ttft_s": ttft_s(record),
                "answer_s": answer_s(record),
                "tpot_s": tpot_s(record),
                "e2e_s": e2e_s(record),
                "reasoning_part": reasoning_part(record),
                "energy_j": None if energy is None else energy.value,
                "energy_low_j": None if energy is None else energy.low,
                "energy_high_j": None if energy is None else energy.high,
                "in_window": whole
                or (window is not None and window.start_ns <= record.scheduled_ns <= window.end_ns),
            }


def check(path: str) -> None:
    """Whether records can be written there, before a load is run for them. Raises ConfigError and MissingExtra."""
    if Path(path).suffix.lower() == PARQUET:
        _arrow()
    folder = Path(path).expanduser().parent
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}", hint="make it first")


def write(path: str, points: Sequence[Point]) -> None:
    """Write the rows: a Parquet file if the name ends so, else a JSON object a line. Raises ConfigError and MissingExtra."""
    target = Path(path).expanduser()
    try:
        if target.suffix.lower() == PARQUET:
            _write_parquet(target, points)
            return
        with target.open("w", encoding="utf-8") as file:
            for row in rows(points):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror or error}") from error


def _write_parquet(path: Path, points: Sequence[Point]) -> None:
    """A row group for each load, so that many loads need the memory of one."""
    arrow, parquet = _arrow()
    schema = arrow.schema(
        [
            *((name, arrow.int64()) for name in _INTEGERS),
            *((name, arrow.float64()) for name in _NUMBERS),
            *((name, arrow.string()) for name in _TEXTS),
            ("in_window", arrow.bool_()),
            ("chunk_ns", arrow.list_(arrow.int64())),
            ("timings", arrow.map_(arrow.string(), arrow.float64())),
        ]
    )
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for point in points:
            listed = [{**row, "timings": _pairs(row["timings"])} for row in rows([point])]
            writer.write_table(arrow.Table.from_pylist(listed, schema=schema))


def _pairs(timings: Mapping[str, float] | None) -> list[tuple[str, float]] | None:
    return [*timings.items()] if timings else None


def _arrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra("pyarrow", "pandas") from error

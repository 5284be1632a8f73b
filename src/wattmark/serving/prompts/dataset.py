"""What ``--data`` names: a file of prompts, a trace, or a data set of a hub, as workload and arrivals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError, ImportFileError
from wattmark.serving.load.arrivals import Replay
from wattmark.serving.prompts.base import Workload
from wattmark.serving.prompts.files import Asking, prompts_in
from wattmark.serving.prompts.hubs import hugging_face_rows, modelscope_rows
from wattmark.serving.prompts.rows import Skipped, rows_of
from wattmark.serving.prompts.traces import is_trace_row, trace_of

KINDS = (
    "sharegpt",
    "trace",
    "azure",
    "burstgpt",
    "mooncake",
    "jsonl",
    "json",
    "csv",
    "batch",
    "openai",
    "file",
)
TRACES = ("trace", "azure", "burstgpt", "mooncake")
HUBS = {
    "hf": hugging_face_rows,
    "huggingface": hugging_face_rows,
    "ms": modelscope_rows,
    "modelscope": modelscope_rows,
}
ROWS_TO_TELL = 20
"""Rows that are looked at to tell a trace from prompts."""
MOST_ROWS = 10_000
"""Rows asked of a hub where the load does not say how many it needs."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A workload, and when its requests come if the data tell it."""

    workload: Workload
    arrivals: Replay | None = None


def read_dataset(
    text: str, asking: Asking, *, speed: float = 1.0, most: int | None = None, once: bool = False
) -> Dataset:
    """``PATH``, ``KIND:PATH``, ``hf:OWNER/NAME[:SPLIT|:FILE]`` or ``ms:...``; of a path the form is told by what is in it.

    speed: of a trace. most: rows that the load needs at most. once: prompts are not sent again when they are used up.
    Raises ConfigError, ImportFileError, and ServerError where a hub is out of reach.
    """
    kind, colon, rest = text.partition(":")
    skipped = Skipped()
    if colon and kind in HUBS and not Path(text).exists():
        if not rest:
            raise ConfigError(f"--data {text} names no data set", hint=f"write {kind}:OWNER/NAME")
        rows, name = HUBS[kind](rest, most or MOST_ROWS, skipped), rest
    else:
        named = bool(colon) and kind in KINDS and not Path(text).exists()
        kind, path = (kind, Path(rest).expanduser()) if named else ("file", Path(text).expanduser())
        if not path.is_file():
            raise ConfigError(f"--data: there is no file {path}", hint=_hint(text))
        rows, name = rows_of(path, skipped), path.name
    first = list(islice(rows, ROWS_TO_TELL))
    if not first:
        raise ImportFileError(f"{name} holds no rows" + (f" ({skipped.first[0]})" if skipped.first else ""))
    all_rows: Iterator[tuple[str, Any]] = chain(first, rows)
    if kind in TRACES or (
        kind != "sharegpt" and asking.column is None and any(is_trace_row(row) for _, row in first)
    ):
        trace = trace_of(all_rows, name, skipped, most_rows=most)
        workload = trace.workload(seed=asking.seed, output=asking.output)
        return Dataset(workload, trace.arrivals(speed) if trace.timed else None)
    return Dataset(prompts_in(all_rows, name, asking, skipped, once=once))


def _hint(text: str) -> str:
    if (
        "/" in text
        and not text.startswith((".", "/", "~"))
        and text.count("/") == 1
        and "." not in text.partition("/")[0]
    ):
        return f"a data set of Hugging Face is hf:{text}, one of ModelScope ms:{text}"
    return "write PATH, KIND:PATH (sharegpt, trace, jsonl, csv ...), hf:OWNER/NAME or ms:OWNER/NAME"

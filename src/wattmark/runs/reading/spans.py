"""Spans of all processes of a session as one table, nested as they were in their process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wattmark.runs.reading.journals import ProcessEvents
from wattmark.runs.record import Spans


def collect_spans(
    processes: Sequence[ProcessEvents], start_ns: int, end_ns: int, not_before_ns: int | None = None
) -> Spans:
    """The spans that began in [start_ns, end_ns), sorted by start; those that never ended last until ``end_ns``.

    not_before_ns: also those that began from here on and reach into the run, cut at its start (ranks that joined a
    moment before the run was written down).
    """
    earliest_ns = start_ns if not_before_ns is None else min(start_ns, not_before_ns)
    names: dict[str, int] = {}
    columns: list[tuple[np.ndarray[Any, Any], ...]] = []
    details: dict[tuple[int, int], Mapping[str, Mapping[str, Any]]] = {}
    for number, events in enumerate(processes):
        if not events.opens:
            continue
        opens = np.array(events.opens, np.int64)
        opens = opens[(opens[:, 3] >= earliest_ns) & (opens[:, 3] < max(end_ns, start_ns + 1))]
        ends = np.array([events.closes.get(span, -1) for span in opens[:, 0].tolist()], np.int64)
        reaches = (opens[:, 3] >= start_ns) | (ends < 0) | (ends > start_ns)
        opens, ends = opens[reaches], ends[reaches]
        ids = opens[:, 0]
        name_ids = np.array(
            [
                names.setdefault(events.names.get(int(name), f"span {name}"), len(names))
                for name in opens[:, 2]
            ],
            np.int32,
        )
        process = np.full(len(ids), number, np.int64)
        pids = np.full(len(ids), events.pid, np.int64)
        columns.append((process, ids, opens[:, 1], name_ids, opens[:, 3], ends, pids, opens[:, 4]))
        wanted = set(ids.tolist())
        details.update({(number, span): found for span, found in events.details.items() if span in wanted})
    if not columns:
        return Spans.empty()
    process, ids, parents, name_ids, starts, ends, pids, tids = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    is_open = ends < 0
    starts = np.maximum(starts, start_ns)
    ends = np.where(is_open, end_ns, np.minimum(ends, end_ns))
    order = np.lexsort((ids, -ends, starts))
    keys = list(zip(process[order].tolist(), ids[order].tolist(), strict=True))
    rows = {key: row for row, key in enumerate(keys)}
    parent_rows = [
        rows.get((number, parent), -1) if parent else -1
        for number, parent in zip(process[order].tolist(), parents[order].tolist(), strict=True)
    ]
    return Spans(
        tuple(names),
        name_ids[order].astype(np.int32),
        starts[order],
        ends[order],
        np.array(parent_rows, np.int32),
        pids[order],
        tids[order],
        is_open[order],
        {rows[key]: found for key, found in details.items()},
    )

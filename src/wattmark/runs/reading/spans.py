"""Spans of all processes of a session as one table, nested as they were in their process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wattmark.runs.reading.journals import ProcessEvents, Rows
from wattmark.runs.reading.windows import Window, Windows
from wattmark.runs.record import Details, Int64, Spans


def collect_spans(
    processes: Sequence[ProcessEvents],
    start_ns: int,
    end_ns: int,
    not_before_ns: int | None = None,
    within: tuple[Window, Windows] | None = None,
) -> Spans:
    """The spans that began in [start_ns, end_ns), sorted by start; those that never ended last until ``end_ns``.

    not_before_ns: also those that began from here on and reach into the run, cut at its start (ranks that joined a
    moment before the run was written down). within: the run, among the windows of its session: spans of runs beside it
    are left out; those that were begun in no window at all belong to every run of their time.
    """
    earliest_ns = start_ns if not_before_ns is None else min(start_ns, not_before_ns)
    names: dict[str, int] = {}
    columns: list[tuple[Int64, ...]] = []
    details: dict[tuple[int, int], Details] = {}
    for number, events in enumerate(processes):
        opens = events.opens
        if not len(opens):
            continue
        chosen = (opens["t_ns"] >= earliest_ns) & (opens["t_ns"] < max(end_ns, start_ns + 1))
        if within is not None:
            chosen &= _inside(events, *within)
        opens = opens[chosen]
        ends = _ends(events, opens["span"])
        reaches = (opens["t_ns"] >= start_ns) | (ends < 0) | (ends > start_ns)
        opens, ends = opens[reaches], ends[reaches]
        ids = opens["span"].astype(np.int64)
        numbers, which = np.unique(opens["name"], return_inverse=True)
        name_numbers = [
            names.setdefault(events.names.get(int(name), f"span {name}"), len(names)) for name in numbers
        ]
        name_ids = np.array(name_numbers, np.int32)[which] if len(name_numbers) else np.empty(0, np.int32)
        columns.append(
            (
                np.full(len(ids), number, np.int64),
                ids,
                opens["parent"].astype(np.int64),
                name_ids.astype(np.int64),
                opens["t_ns"].astype(np.int64),
                ends,
                np.full(len(ids), events.pid, np.int64),
                opens["thread"].astype(np.int64),
            )
        )
        if events.details:
            wanted = set(ids.tolist()) & events.details.keys()
            details.update({(number, span): events.details[span] for span in wanted})
    if not columns:
        return Spans.empty()
    process, ids, parents, name_ids, starts, ends, pids, tids = (
        np.concatenate(parts) for parts in zip(*columns, strict=True)
    )
    is_open = ends < 0
    starts = np.maximum(starts, start_ns)
    ends = np.where(is_open, end_ns, np.minimum(ends, end_ns))
    order = np.lexsort((ids, -ends, starts))
    keys = (process << 32 | ids)[order]
    rows_of = _Rows(keys)
    parent_keys = (process << 32 | parents)[order]
    parent_rows = np.where(parents[order] > 0, rows_of(parent_keys), -1)
    detail_rows = rows_of(np.array([number << 32 | span for number, span in details], np.int64))
    return Spans(
        tuple(names),
        name_ids[order].astype(np.int32),
        starts[order],
        ends[order],
        parent_rows.astype(np.int32),
        pids[order],
        tids[order],
        is_open[order],
        dict(zip(detail_rows.tolist(), details.values(), strict=True)),
    )


class _Rows:
    """The row of each key, -1 for one that is not there."""

    def __init__(self, keys: Int64) -> None:
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]

    def __call__(self, keys: Int64) -> Int64:
        if not len(self._sorted):
            return np.full(len(keys), -1, np.int64)
        at = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        return np.where(self._sorted[at] == keys, self._order[at], -1)


def _ends(events: ProcessEvents, spans: Rows) -> Int64:
    """When each span ended, -1 for one that did not."""
    closes = events.closes
    rows = _Rows(closes["span"].astype(np.int64))(spans.astype(np.int64))
    end_ns = closes["t_ns"][rows] if len(closes) else np.full(len(rows), -1, np.int64)
    return np.where(rows >= 0, end_ns, -1).astype(np.int64)


def _inside(events: ProcessEvents, run: Window, windows: Windows) -> NDArray[np.bool_]:
    """Which spans of a process belong to a run: by the innermost window that each was begun in, if there is one."""
    opens = events.opens
    own = {int(opened.get("span") or 0): opened for opened in (*events.runs, *events.windows)}
    own.pop(0, None)
    if not own or all(_shown_in(windows, opened["run_id"], run) for opened in own.values()):
        mine = np.ones(len(opens), np.bool_)
    else:
        size = int(max(opens["span"].max(), opens["parent"].max(), max(own))) + 1
        parent = np.zeros(size, np.int64)
        parent[opens["span"]] = opens["parent"]
        # 0: not known yet, 1: in another run, 2: in this one or in none
        verdict = np.zeros(size, np.int8)
        verdict[0] = 2
        for span, opened in own.items():
            verdict[span] = 2 if _shown_in(windows, opened["run_id"], run) else 1
        for _ in range(size):  # as often as the deepest span is deep
            unknown = np.flatnonzero(verdict == 0)
            if not len(unknown):
                break
            verdict[unknown] = verdict[parent[unknown]]
            if not verdict[unknown].any():
                break
        mine = verdict[opens["span"]] != 1
    if run.events is events:
        mine &= opens["span"] != int(run.opened.get("span") or 0)
    return mine


def _shown_in(windows: Windows, run_id: str, run: Window) -> bool:
    """Whether a window is the run, lies in it, or began in it and outlasted it."""
    root = windows.root(run_id)
    return root is None or root is run or run.run_id in windows.around(run_id)

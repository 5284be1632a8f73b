"""What the spans of a run count (samples, tokens, requests), in a window, each thing once."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from wattmark.dashboard.run_cache import OneRun
from wattmark.runs.record import Float64, Int64

COUNT_RULE = (
    "Counts are those of the innermost spans that have them; a span that the window cuts counts by the share of its time "
    "that lies inside."
)

SERVED_RULE = (
    "Energy for one is the benchmark's own figure, as on the page Serving: of its steady window, idle included, without the "
    "load client and other work."
)
BRUSHED_RULE = (
    "In a part of a benchmark, energy for one is all that the machine used in it, the load client and other work too; the "
    "benchmark's own figures are those of the whole run."
)


@dataclass(frozen=True, slots=True)
class _Holders:
    """The innermost spans that count one thing."""

    start_ns: Int64
    end_ns: Int64
    value: Float64


def counts_between(run: OneRun, start_ns: int, end_ns: int) -> dict[str, tuple[float, bool]]:
    """By name: how many inside [start_ns, end_ns), and whether no span was cut for it."""
    counts: dict[str, tuple[float, bool]] = {}
    for name, holders in run.derived(_collect).items():
        length = np.maximum(holders.end_ns - holders.start_ns, 1)
        inside = np.minimum(holders.end_ns, end_ns) - np.maximum(holders.start_ns, start_ns)
        at_once = (
            (holders.end_ns == holders.start_ns)
            & (holders.start_ns >= start_ns)
            & (holders.start_ns < end_ns)
        )
        share = np.where(at_once, 1.0, np.clip(inside / length, 0.0, 1.0))
        if share.any():
            counts[name] = float((holders.value * share).sum()), bool(np.isin(share, (0.0, 1.0)).all())
    return counts


def _collect(run: OneRun) -> dict[str, _Holders]:
    spans = run.spans
    rows: defaultdict[str, dict[int, float]] = defaultdict(dict)
    for row, detail in spans.details.items():
        for name, value in detail.get("counts", {}).items():
            if np.isfinite(value):
                rows[name][row] = float(value)
    parents = spans.parents.tolist()
    holders: dict[str, _Holders] = {}
    for name, values in rows.items():
        outer: set[int] = set()
        for row in values:
            above = parents[row]
            while above >= 0 and above not in outer:
                outer.add(above)
                above = parents[above]
        inner = np.array(sorted(set(values) - outer), np.int64)
        holders[name] = _Holders(
            spans.start_ns[inner], spans.end_ns[inner], np.array([values[row] for row in inner.tolist()])
        )
    return holders

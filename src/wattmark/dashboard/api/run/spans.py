"""The spans of a run as bands over the chart and as a tree, and the side series below on the same axis."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel

from wattmark.dashboard.api.run.overview import plain
from wattmark.dashboard.api.run.power import window_ns
from wattmark.dashboard.api.schemas import Moment, RunRef, Width, numbers
from wattmark.dashboard.context import Here
from wattmark.dashboard.run_cache import OneRun
from wattmark.quantity import Quantity
from wattmark.runs.energy import Energies, edges_ns
from wattmark.runs.record import Int64, SeriesData
from wattmark.runs.view import SpanGroup, span_paths

router = APIRouter(prefix="/runs/{ref}", tags=["run"])
BANDS_MOST = 1_500
"""So many spans of a window are told one by one; of more, those that share a pixel become one band."""
PAGE_MOST = 500
GROUPS_MOST = 200


class SpanRow(BaseModel):
    """A span. row: its number in the run; children: how many it has directly; depth: 0 at the top."""

    row: int
    name: str
    depth: int
    start_s: float
    duration_s: float
    energy: Quantity | None
    counts: dict[str, float]
    attrs: dict[str, Any]
    children: int
    open: bool


class SpanPage(BaseModel):
    """Some of the children of a span, in their order. total: of all of them."""

    total: int
    spans: list[SpanRow]


class SpanGroups(BaseModel):
    """The spans of each path together, in the order of their first. paths: how many there are; of very many, the groups
    are those that took the most time."""

    groups: list[SpanGroup]
    paths: int


class Band(BaseModel):
    """A span, or several of one name beside each other that are too short to be told apart. row: of a single one."""

    name: str
    depth: int
    from_s: float
    to_s: float
    spans: int
    row: int | None


class Bands(BaseModel):
    """The spans of a window as bands, outer ones first. names: every name of the run; cut: bands were joined."""

    bands: list[Band]
    depths: int
    spans: int
    joined: bool


class SideLine(BaseModel):
    """A side series in a window: mean, lowest and highest value by column, null where there is none."""

    id: str
    label: str
    unit: str
    source: str
    mean: list[float | None]
    low: list[float | None]
    high: list[float | None]


class Sides(BaseModel):
    """All side series of a window. t_s: the middles of the columns."""

    t_s: list[float]
    lines: list[SideLine]


@router.get("/spans")
def spans(
    here: Here,
    ref: RunRef,
    parent: Annotated[int, Query(ge=-1, le=2**31 - 1, description="Row of a span; -1 for the top.")] = -1,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST)] = 200,
) -> SpanPage:
    """The children of a span with their energies, a page of them."""
    run = here.runs.get(ref)
    rows = run.derived(_Tree).children(parent)
    return SpanPage(total=len(rows), spans=_spans(run, rows[offset : offset + limit]))


@router.get("/span-groups")
def span_groups(here: Here, ref: RunRef) -> SpanGroups:
    """The spans of one path together, with the energies that the run's result has: edges of neighbours cancel."""
    return here.runs.get(ref).derived(_groups)


def _groups(run: OneRun) -> SpanGroups:
    return SpanGroups(groups=run.span_groups(GROUPS_MOST), paths=len(span_paths(run.spans)[0]))


@router.get("/span")
def span(here: Here, ref: RunRef, row: Annotated[int, Query(ge=0, le=2**31 - 1)]) -> list[SpanRow]:
    """A span and the spans around it, the outermost first; nothing where there is no such span."""
    run = here.runs.get(ref)
    chain: list[int] = []
    while 0 <= row < len(run.spans):
        chain.insert(0, row)
        row = int(run.spans.parents[row])
    return _spans(run, np.array(chain, np.int64))


@router.get("/bands")
def bands(here: Here, ref: RunRef, from_s: Moment = None, to_s: Moment = None, width: Width = 1000) -> Bands:
    """The spans of a window, to be drawn above the power."""
    run = here.runs.get(ref)
    start, end = window_ns(run, from_s, to_s)
    all_spans = run.spans
    tree = run.derived(_Tree)
    rows = np.flatnonzero((all_spans.start_ns < end) & (all_spans.end_ns >= start))
    joined = len(rows) > BANDS_MOST
    begin = run.record.start_ns
    layout: list[Band] = []
    pixel = 0 if not joined else 2 * (end - start) / width
    for (depth, name), own in _kinds(run, rows, tree.depths).items():
        for first, last in _runs_of(all_spans.start_ns[own], all_spans.end_ns[own], pixel):
            layout.append(
                Band(
                    name=all_spans.names[name],
                    depth=depth,
                    from_s=(int(all_spans.start_ns[own[first]]) - begin) / 1e9,
                    to_s=(int(all_spans.end_ns[own[first : last + 1]].max()) - begin) / 1e9,
                    spans=last + 1 - first,
                    row=int(own[first]) if first == last else None,
                )
            )
    return Bands(
        bands=layout,
        depths=int(tree.depths.max()) + 1 if len(all_spans) else 0,
        spans=len(rows),
        joined=any(band.spans > 1 for band in layout),
    )


@router.get("/series")
def series(here: Here, ref: RunRef, from_s: Moment = None, to_s: Moment = None, width: Width = 500) -> Sides:
    """Utilisation, temperature, clocks and the like; and requests in flight, where spans count requests."""
    run = here.runs.get(ref)
    start, end = window_ns(run, from_s, to_s)
    edges = edges_ns(start, end, width)
    lines = [_side(side, edges) for side in run.series]
    in_flight = _in_flight(run, edges)
    middles = (edges[:-1] + (edges[1:] - edges[:-1]) // 2 - run.record.start_ns) / 1e9
    return Sides(
        t_s=[round(value, 9) for value in middles.tolist()],
        lines=[*([in_flight] if in_flight else []), *(line for line in lines if line is not None)],
    )


class _Tree:
    """Depths and children of the spans of a run."""

    def __init__(self, run: OneRun) -> None:
        parents: list[int] = run.spans.parents.tolist()
        depths = [0] * len(parents)
        for row, parent in enumerate(parents):
            if 0 <= parent < row:
                depths[row] = depths[parent] + 1
        self.depths: Int64 = np.array(depths, np.int64)
        self.counts: Int64 = np.bincount(run.spans.parents[run.spans.parents >= 0], minlength=len(parents))
        self._by_parent: Int64 = np.argsort(run.spans.parents, kind="stable")
        self._sorted: Int64 = run.spans.parents[self._by_parent].astype(np.int64)

    def children(self, parent: int) -> Int64:
        """Rows of the children of a span, -1 for the top."""
        first, last = np.searchsorted(self._sorted, [parent, parent + 1])
        return self._by_parent[first:last]


def _spans(run: OneRun, rows: Int64) -> list[SpanRow]:
    spans = run.spans
    tree = run.derived(_Tree)
    starts, ends = spans.start_ns[rows], spans.end_ns[rows]
    whole = Energies.zeros(starts, ends)
    for part in run.parts:
        for curve in part.curves if part.counted and len(rows) else ():
            whole = whole + curve.energies(starts, ends)
    span_rows: list[SpanRow] = []
    for place, row in enumerate(rows.tolist()):
        detail = spans.details.get(row, {})
        span_rows.append(
            SpanRow(
                row=row,
                name=spans.names[int(spans.name_ids[row])],
                depth=int(tree.depths[row]),
                start_s=(int(starts[place]) - run.record.start_ns) / 1e9,
                duration_s=(int(ends[place]) - int(starts[place])) / 1e9,
                energy=run.within(whole.quantity(place)) if whole.covered_s[place] > 0 else None,
                counts={key: value for key, value in detail.get("counts", {}).items() if value - value == 0},
                attrs=plain(dict(detail.get("attrs", {}))),
                children=int(tree.counts[row]),
                open=bool(spans.open[row]),
            )
        )
    return span_rows


def _kinds(run: OneRun, rows: Int64, depths: Int64) -> dict[tuple[int, int], Int64]:
    """Rows by depth and name, in the order of depth."""
    kinds: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    names = run.spans.name_ids[rows].tolist()
    for row, name, depth in zip(rows.tolist(), names, depths[rows].tolist(), strict=True):
        kinds[depth, name].append(row)
    return {key: np.array(kinds[key], np.int64) for key in sorted(kinds)}


def _runs_of(starts: Int64, ends: Int64, pixel: float) -> list[tuple[int, int]]:
    """First and last index of each group of neighbours that are closer than a pixel and themselves shorter."""
    if not pixel:
        return [(place, place) for place in range(len(starts))]
    apart = (starts[1:] - np.maximum.accumulate(ends)[:-1]) > pixel
    long = (ends - starts) > 4 * pixel
    cut = np.flatnonzero(apart | long[1:] | long[:-1]) + 1
    bounds = [0, *cut.tolist(), len(starts)]
    return list(zip(bounds[:-1], [bound - 1 for bound in bounds[1:]], strict=True))


def _side(data: SeriesData, edges: Int64) -> SideLine | None:
    present = ~np.isnan(data.values)
    t, values = data.t_ns[present], data.values[present].astype(np.float64)
    first, last = np.searchsorted(t, [edges[0], edges[-1]])
    t, values = t[max(0, first - 1) : last + 1], values[max(0, first - 1) : last + 1]
    if not len(t):
        return None
    begins, ends = np.searchsorted(t, edges[:-1]), np.searchsorted(t, edges[1:])
    some = ends > begins
    sums = np.concatenate(([0.0], np.cumsum(values)))
    middles = (edges[:-1] + edges[1:]) / 2
    # A column without a reading shows the line between its neighbours, but nothing beyond the first and the last.
    mean = np.interp(middles, t, values, left=np.nan, right=np.nan)
    np.divide(sums[ends] - sums[begins], ends - begins, out=mean, where=some)
    low, high = mean.copy(), mean.copy()
    pairs = np.column_stack((begins, np.maximum(ends, begins + 1))).ravel()
    padded = np.append(values, [np.nan, np.nan])
    low[some] = np.fmin.reduceat(padded, pairs)[::2][some]  # pyright: ignore[reportUnknownMemberType]
    high[some] = np.fmax.reduceat(padded, pairs)[::2][some]  # pyright: ignore[reportUnknownMemberType]
    series = data.series
    return SideLine(
        id=series.id,
        label=series.label or series.id,
        unit=series.unit,
        source=series.source,
        mean=numbers(mean.tolist()),
        low=numbers(low.tolist()),
        high=numbers(high.tolist()),
    )


def _in_flight(run: OneRun, edges: Int64) -> SideLine | None:
    """How many spans that count requests were open, the mean over each column."""
    spans = run.spans
    rows = [row for row, detail in spans.details.items() if "requests" in detail.get("counts", {})]
    if not rows:
        return None
    starts, ends = np.sort(spans.start_ns[rows]), np.sort(spans.end_ns[rows])

    def open_until(sorted_ns: Int64) -> Any:
        """The time integral, up to each edge, of how many of these moments have passed, in ns."""
        sums = np.concatenate(([0.0], np.cumsum((sorted_ns - edges[0]).astype(np.float64))))
        passed = np.searchsorted(sorted_ns, edges)
        return passed * (edges - edges[0]).astype(np.float64) - sums[passed]

    mean = np.diff(open_until(starts) - open_until(ends)) / np.diff(edges)
    at = np.searchsorted(starts, edges, "right") - np.searchsorted(ends, edges, "right")
    return SideLine(
        id="requests",
        label="requests in flight",
        unit="requests",
        source="spans",
        mean=numbers(np.clip(mean, 0, None).tolist()),
        low=numbers(np.minimum(at[:-1], at[1:]).astype(float).tolist()),
        high=numbers(np.maximum(at[:-1], at[1:]).astype(float).tolist()),
    )

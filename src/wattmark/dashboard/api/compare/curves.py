"""Curves of several runs on one axis: aligned by their starts, by the start of a span, or by the share of their length."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, StringConstraints

from wattmark.dashboard.api.compare.routes import Refs
from wattmark.dashboard.api.schemas import Width, numbers
from wattmark.dashboard.context import Here
from wattmark.errors import ConfigError
from wattmark.runs.record import Float64, Int64
from wattmark.runs.view import RunView
from wattmark.workspace.totals import MEASURED

router = APIRouter(tags=["compare"])

Align = Literal["start", "share", "span"]
Component = Annotated[str, StringConstraints(pattern=r"^[a-z]{1,20}$")]


class Line(BaseModel):
    """One run. power_w: mean power of each column; energy_j: energy since the run's start at each column's end.

    Measured and modelled apart; null where nothing is known, or the run was not there. A method that the run did not use
    has no columns at all.
    """

    run: str
    name: str
    measured_w: list[float | None]
    modelled_w: list[float | None]
    measured_j: list[float | None]
    modelled_j: list[float | None]


class Curves(BaseModel):
    """x: the middles of the columns, in seconds, or in shares of each run's length. without: runs that lack the span."""

    align: Align
    x: list[float]
    unit: str
    lines: list[Line]
    without: list[str]


@router.get("/compare/curves")
def curves(
    here: Here,
    run: Refs,
    align: Align = "start",
    span: Annotated[
        str | None, Query(max_length=500, description="The name of the span to align by.")
    ] = None,
    only: Annotated[list[Component] | None, Query(max_length=10)] = None,
    width: Width = 600,
) -> Curves:
    """Power and energy of several runs in columns of one axis."""
    if align == "span" and not span:
        raise ConfigError("to align by a span its name must be given", hint="span=epoch")
    views = [here.runs.view(ref) for ref in dict.fromkeys(run)]
    origins = {view.id: _origin(view, span if align == "span" else None) for view in views}
    there = [view for view in views if origins[view.id] is not None]
    starts = {view.id: origins[view.id] or view.record.start_ns for view in there}
    first = min((view.record.start_ns - starts[view.id] for view in there), default=0)
    last = max((view.record.end_ns - starts[view.id] for view in there), default=0)
    columns = np.linspace(first, max(last, first + 1), width + 1)
    share = np.linspace(0.0, 1.0, width + 1)
    chosen = set(only) if only else None
    lines: list[Line] = []
    for view in there:
        length = max(1, view.record.end_ns - view.record.start_ns)
        edges = view.record.start_ns + share * length if align == "share" else starts[view.id] + columns
        lines.append(_line(view, edges.astype(np.int64), chosen))
    axis = share if align == "share" else columns / 1e9
    return Curves(
        align=align,
        x=[float(f"{value:.8g}") for value in (axis[1:] + axis[:-1]) / 2],
        unit="share" if align == "share" else "s",
        lines=lines,
        without=[view.id for view in views if origins[view.id] is None],
    )


def _origin(view: RunView, span: str | None) -> int | None:
    """The moment of the run that is put at zero; None where it has no such span."""
    if span is None:
        return view.record.start_ns
    spans = view.record.spans
    if span not in spans.names:
        return None
    starts = spans.start_ns[spans.name_ids == spans.names.index(span)]
    return int(starts.min()) if len(starts) else None


def _line(view: RunView, edges: Int64, only: set[str] | None) -> Line:
    measured = _columns(view, edges, MEASURED, only)
    modelled = _columns(view, edges, ("modelled",), only)
    return Line(
        run=view.id,
        name=view.name,
        measured_w=measured[0],
        modelled_w=modelled[0],
        measured_j=measured[1],
        modelled_j=modelled[1],
    )


def _columns(
    view: RunView, edges: Int64, methods: tuple[str, ...], only: set[str] | None
) -> tuple[list[float | None], list[float | None]]:
    """Watts in the columns and joules since the start at their ends; empty where the run has no such channel."""
    own = [
        curve
        for curve in view.counted
        if curve.curve.channel.method in methods and (only is None or curve.curve.channel.component in only)
    ]
    if not own:
        return [], []
    start, end = view.record.start_ns, view.record.end_ns
    cut = np.clip(edges, start, end)
    outside = cut[1:] <= cut[:-1]
    power: Float64 = np.zeros(len(edges) - 1)
    energy: Float64 = np.zeros(len(edges) - 1)
    for curve in own:
        power = power + curve.mean_power_w(cut)
        energy = energy + curve.between(np.full(len(cut) - 1, start), cut[1:]).value_j
    power[outside] = np.nan
    energy[outside] = np.nan
    return numbers(power), numbers(energy)

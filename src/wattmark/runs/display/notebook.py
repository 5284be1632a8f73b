"""A run in a notebook: its total with interval and method, and power over time as inline SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from wattmark.quantity import Quantity
from wattmark.runs.attribution import headline_of
from wattmark.runs.comparison import methods_of
from wattmark.runs.record import Float64
from wattmark.runs.view import RunView
from wattmark.units import format_duration, format_energy, format_power

_WIDTH, _HEIGHT, _BINS = 640, 110, 320
_COLOURS = {"cpu": "#0072b2", "gpu": "#d55e00", "dram": "#009e73", "soc": "#cc79a7", "host": "#8a6d00"}
"""Of the palette of Okabe and Ito (Color Universal Design, 2008), told apart by most eyes on light and dark."""
_METHODS = {"counter": "measured by a counter", "integrated": "measured by a power sensor"}


def html_of(view: RunView) -> str:
    """An HTML fragment for one run: a card with the energy that it is known by, its interval as a bar, and a small chart."""
    record = view.record
    scope, energy = headline_of(view)
    head = f"<b>{escape(record.name)}</b> · {record.status} · {format_duration(record.duration_s)}"
    total = "not measured" if energy is None else words_of(view)
    whose = " of this process tree; below, the whole machine" if scope == "tree" else ""
    lines = [f"<div>{head}</div>", f'<div style="font-size:1.4em"><b>{total}</b></div>']
    lines += [] if energy is None else [_bar(energy)]
    lines += [f"<div>{whose}{_covered(view)}</div>" if whose or _covered(view) else "", chart_of(view)]
    lines += [
        f'<div><span style="color:{_colour(component)}">■</span> {escape(component)}: {_words(quantity)}, '
        f"{escape(_method(view, component))}</div>"
        for component, quantity in view.energy_by_component.items()
    ]
    messages = dict.fromkeys(warning.message for warning in record.warnings)
    lines += [f'<div style="opacity:.75">! {escape(message)}</div>' for message in messages]
    return f'<div style="font-family:system-ui,sans-serif;max-width:{_WIDTH}px">{"".join(lines)}</div>'


def words_of(view: RunView) -> str:
    """The run in a few words: ``14.3 J [3.57, 24.1] modelled``."""
    _, energy = headline_of(view)
    kinds = {"modelled" if method == "modelled" else "measured" for method in _single_methods(view)}
    how = " and ".join(sorted(kinds))
    return "not measured" if energy is None else f"{_words(energy)} {how}".rstrip()


def _single_methods(view: RunView) -> set[str]:
    return {curve.curve.channel.method for curve in view.counted}


def _words(energy: Quantity) -> str:
    low, high = (format_energy(end, energy.value).rpartition(" ")[0] for end in (energy.low, energy.high))
    return f"{format_energy(energy.value)} [{low}, {high}]"


def _bar(energy: Quantity) -> str:
    """The interval on a scale from 0, the value as a mark."""
    scale = _WIDTH / max(energy.high, 1e-12)
    low, value, high = (max(0.0, end) * scale for end in (energy.low, energy.value, energy.high))
    label = (
        f"between {format_energy(energy.low, energy.value)} and {format_energy(energy.high, energy.value)}"
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} 12" width="100%" role="img" aria-label="{label}">'
        f'<rect width="{_WIDTH}" height="8" y="2" fill="currentColor" fill-opacity=".08"/>'
        f'<rect x="{low:.1f}" y="2" width="{high - low:.1f}" height="8" fill="#0072b2" fill-opacity=".45"/>'
        f'<rect x="{max(0.0, value - 1.5):.1f}" width="3" height="12" fill="currentColor"/></svg>'
    )


def _covered(view: RunView) -> str:
    power = view.mean_power_w
    words = "" if view.energy is None or power is None else f" {format_power(power)} on average"
    return words + (f", {view.coverage:.1%} of the time covered" if view.coverage < 0.9995 else "")


def _method(view: RunView, component: str) -> str:
    method = methods_of(view).get(component)
    if method is None:
        return "not in the total"
    return _METHODS.get(method, method)


def _colour(component: str) -> str:
    return _COLOURS.get(component, "#777777")


def chart_of(view: RunView) -> str:
    """Power over time, one line a component; a hole is a gap in the line."""
    if not view.counted or view.record.duration_s <= 0:
        return ""
    power = view.power(bins=min(_BINS, max(2, len(view.power()["t_s"]))))
    times = power.pop("t_s")
    top = max(
        (float(watts) for series in power.values() for watts in series if math.isfinite(watts)), default=0.0
    )
    if top <= 0:
        return ""
    paths = "".join(
        f'<path d="{_path(times, watts, view.record.duration_s, top)}" fill="none" stroke="{_colour(component)}" '
        f'stroke-width="1.5"><title>{escape(component)}</title></path>'
        for component, watts in power.items()
    )
    label = 'fill="currentColor" font-size="11" font-family="system-ui,sans-serif"'
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 16}" width="100%" role="img" aria-label="power over time">'
        f'<line x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}" stroke="currentColor" stroke-opacity=".4"/>{paths}'
        f'<text x="2" y="11" {label}>{format_power(top)}</text>'
        f'<text x="2" y="{_HEIGHT + 13}" {label}>0 s</text>'
        f'<text x="{_WIDTH - 2}" y="{_HEIGHT + 13}" text-anchor="end" {label}>'
        f"{format_duration(view.record.duration_s)}</text></svg>"
    )


def _path(times: Float64, watts: Float64, length_s: float, top: float) -> str:
    def points() -> Iterator[str]:
        pen = "M"
        for t_s, power in zip(times.tolist(), watts.tolist(), strict=True):
            if math.isfinite(power):
                yield f"{pen}{t_s / length_s * _WIDTH:.1f} {_HEIGHT - power / top * (_HEIGHT - 14):.1f}"
                pen = "L"
            else:
                pen = "M"

    return "".join(points())

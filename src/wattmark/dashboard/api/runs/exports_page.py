"""Runs as one HTML page that loads nothing: a table to mail or to print."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from wattmark import __version__
from wattmark.quantity import Quantity
from wattmark.report.html.markup import Html, join, tag
from wattmark.report.html.page import Section, page
from wattmark.runs.attribution import headline_of
from wattmark.runs.comparison import methods_of
from wattmark.runs.view import RunView
from wattmark.units import format_duration, format_energy, format_mass
from wattmark.workspace.runs import carbon_of

_HEAD = (
    "run",
    "name",
    "status",
    "started (UTC)",
    "time",
    "machine",
    "energy",
    "interval",
    "how",
    "carbon",
    "tags",
)


def page_of(views: Sequence[RunView]) -> Html:
    """The page of these runs."""
    title = views[0].name or views[0].id if len(views) == 1 else f"{len(views)} runs"
    table = tag(
        "table",
        tag("thead", tag("tr", (tag("th", word, scope="col") for word in _HEAD))),
        tag("tbody", (_row(view) for view in views)),
    )
    body = tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Runs")
    intro = tag("p", "Energies in joules with the interval that should hold the truth nineteen times in twenty; modelled ",
                "joules come from a model of the hardware, not from a sensor.")  # fmt: skip
    warnings = tag(
        "ul",
        (
            tag("li", f"{view.name} {view.id}: {warning.message}")
            for view in views
            for warning in view.record.warnings
        ),
    )
    sections = [Section("runs", "Runs", body), Section("warnings", "What to know", warnings)]
    return page(f"Wattmark: {title}", intro, sections, f"Wattmark {__version__}")


def _row(view: RunView) -> Html:
    record, carbon = view.record, carbon_of(view)
    scope, energy = headline_of(view)
    started = datetime.fromtimestamp(record.started_wall_ns / 1e9, timezone.utc)
    cells = (
        record.run_id,
        record.name,
        record.status,
        started.strftime("%Y-%m-%d %H:%M"),
        format_duration(record.duration_s),
        record.host,
        "not known"
        if energy is None
        else f"{format_energy(energy.value)}{' (process tree)' if scope == 'tree' else ''}",
        _ends(energy),
        ", ".join(f"{component} {method}" for component, method in methods_of(view).items()),
        "not known" if carbon is None else f"{format_mass(carbon.value)} ({carbon.zone.name})",
        " ".join(f"{key}={value}" if value else key for key, value in record.tags.items()),
    )
    return tag("tr", join(*(tag("td", cell) for cell in cells)))


def _ends(quantity: Quantity | None) -> str:
    if quantity is None:
        return ""
    low, high = (format_energy(end, quantity.value) for end in (quantity.low, quantity.high))
    return f"{low} to {high}"

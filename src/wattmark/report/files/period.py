"""The report of a period: totals, the largest groups, the trend, carbon, cost, coverage, and what changed. HTML or PDF."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from wattmark._version import __version__
from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.report.files.run_page import table
from wattmark.report.html.markup import Html, join, tag
from wattmark.report.html.page import Section, page
from wattmark.report.html.pdf import write_pdf
from wattmark.runs.totals import Totals
from wattmark.units import J_PER_KWH, format_duration, format_energy, format_mass

MOST_GROUPS = 20
_WIDTH, _HEIGHT, _FOOT = 720, 180, 22
_OTHERS = "others"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#777777")
"""Of the palette of Okabe and Ito; the last one is for all others."""


@dataclass(frozen=True, slots=True)
class Price:
    """Money for a kilowatt-hour. currency: as it is written after an amount."""

    per_kwh: float
    currency: str = ""

    def of(self, energy: Quantity) -> str:
        """What this energy cost, with its interval."""
        value, low, high = (end / J_PER_KWH * self.per_kwh for end in (energy.value, energy.low, energy.high))
        return f"{_money(value)} {self.currency} ({_money(low)} to {_money(high)})".replace("  ", " ")


def write_period(
    totals: Totals, path: str | os.PathLike[str], by: str = "project", price: Price | None = None
) -> Path:
    """The report as one file; totals with a period (``wm.totals(period="month")``) have a trend and what changed.

    by: what the groups are, for the words. Raises ConfigError for a name that ends in neither .html nor .pdf, where there
    are no runs, and where no Chromium prints the PDF.
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in (".html", ".htm", ".pdf"):
        raise ConfigError(
            f"a report cannot be written as {target.name!r}", hint="the name ends in .html or .pdf"
        )
    if not totals.all.runs:
        raise ConfigError("there are no runs to report", hint="wattmark ls shows those that are kept")
    document = period_page(totals, by, price)
    if kind == ".pdf":
        return write_pdf(document, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(document, encoding="utf-8")
    return target


def period_page(totals: Totals, by: str = "project", price: Price | None = None) -> str:
    """The document."""
    starts = sorted({part.start for part in totals.slices})
    when = "all runs" if not starts else f"periods from {starts[0].isoformat()} to {starts[-1].isoformat()}"
    sections = [
        Section("totals", "In all", _in_all(totals, price)),
        Section("groups", f"By {by}", _groups(totals, by, price)),
        Section("coverage", "What these numbers hold", _coverage(totals)),
    ]
    if len(starts) > 1:
        sections.insert(1, Section("trend", "Over time", _trend(totals, starts)))
        sections.insert(3, Section("changes", "What changed", _changes(totals, starts)))
    intro = tag("p", f"Energy and carbon by {by}, {when}.")
    return str(page("Energy report", intro, sections, f"Made by wattmark totals, version {__version__}."))


def _in_all(totals: Totals, price: Price | None) -> Html:
    whole = totals.all
    rows: list[tuple[str, str]] = [
        ("runs", f"{whole.runs:,}"),
        ("time", format_duration(whole.duration_s)),
        ("energy", "not known" if whole.energy is None else _energy(whole.energy)),
    ]
    if whole.measured is not None:
        rows.append(("of it measured", _energy(whole.measured)))
    if whole.modelled is not None:
        rows.append(("of it modelled", _energy(whole.modelled)))
    rows.append(("carbon", "not known" if whole.carbon is None else _mass(whole.carbon)))
    if price is not None and whole.energy is not None:
        rows.append(("cost", price.of(whole.energy)))
    return table(("", ""), rows, numbers=(1,))


def _groups(totals: Totals, by: str, price: Price | None) -> Html:
    whole = totals.all.energy
    head = [by, "runs", "time", "energy", "share", "carbon", *(["cost"] if price else [])]
    rows: list[tuple[str, ...]] = []
    for group in totals.groups[:MOST_GROUPS]:
        energy, carbon = group.sum.energy, group.sum.carbon
        share = (
            "" if energy is None or whole is None or not whole.value else f"{energy.value / whole.value:.1%}"
        )
        rows.append(
            (
                _name(group.key), f"{group.sum.runs:,}", format_duration(group.sum.duration_s),
                "?" if energy is None else _energy(energy), share, "?" if carbon is None else _mass(carbon),
                *(["?" if energy is None else price.of(energy)] if price else []),
            )
        )  # fmt: skip
    more = len(totals.groups) - MOST_GROUPS
    return join(
        table(head, rows, numbers=range(1, len(head))),
        tag("p", f"The {MOST_GROUPS} that used most; {more} more are in the sums.") if more > 0 else None,
    )


def _trend(totals: Totals, starts: Sequence[date]) -> Html:
    """Bars of the periods, stacked by group: the largest in colours, all others in grey."""
    largest = [group.key for group in totals.groups[: len(_COLOURS) - 1]]
    stacks: dict[date, dict[int, float]] = {start: {} for start in starts}
    for part in totals.slices:
        place = largest.index(part.key) if part.key in largest else len(_COLOURS) - 1
        stack = stacks[part.start]
        stack[place] = stack.get(place, 0.0) + part.energy.value
    top = max((sum(stack.values()) for stack in stacks.values()), default=0.0) or 1.0
    step = _WIDTH / len(starts)
    marks: list[Html] = []
    for number, (start, stack) in enumerate(stacks.items()):
        y = float(_HEIGHT - _FOOT)
        x = number * step + step * 0.15
        for place in sorted(stack):
            height = stack[place] / top * (_HEIGHT - _FOOT - 16)
            y -= height
            name = _name(largest[place]) if place < len(largest) else _OTHERS
            tip = tag("title", f"{name}, from {start.isoformat()}: {format_energy(stack[place])}")
            marks.append(
                tag(
                    "rect", tip, x=f"{x:.1f}", y=f"{y:.1f}", width=f"{step * 0.7:.1f}", height=f"{height:.1f}",
                    fill=_COLOURS[place],
                )
            )  # fmt: skip
        if len(starts) <= 16 or number % (len(starts) // 12) == 0:
            marks.append(
                tag(
                    "text", start.isoformat(), x=f"{x + step * 0.35:.1f}", y=str(_HEIGHT - 6), fill="currentColor",
                    font_size="10", text_anchor="middle",
                )
            )  # fmt: skip
    marks.append(tag("text", format_energy(top), x="2", y="11", fill="currentColor", font_size="11"))
    used = {place for stack in stacks.values() for place in stack}
    legend = (
        tag(
            "li",
            tag("span", "■ ", style=f"color:{_COLOURS[place]}"),
            _name(largest[place]) if place < len(largest) else _OTHERS,
        )
        for place in sorted(used)
    )
    alt = f"Energy by period, at most {format_energy(top)}; the table below has the last two."
    svg = tag("svg", marks, viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width="100%", role="img", aria_label=alt)
    return join(tag("figure", svg), tag("ul", legend, style="list-style:none;padding:0;columns:3"))


def _changes(totals: Totals, starts: Sequence[date]) -> Html:
    """The last period beside the one before, group by group, the largest change first."""
    before, last = starts[-2:]
    sums: dict[str | None, dict[date, float]] = {}
    for part in totals.slices:
        if part.start in (before, last):
            own = sums.setdefault(part.key, {})
            own[part.start] = own.get(part.start, 0.0) + part.energy.value
    changes = sorted(sums.items(), key=lambda pair: -abs(pair[1].get(last, 0.0) - pair[1].get(before, 0.0)))
    rows: list[tuple[str, str, str, str]] = []
    for key, own in changes[:MOST_GROUPS]:
        old, new = own.get(before, 0.0), own.get(last, 0.0)
        change = "new" if not old else "gone" if not new else f"{(new - old) / old:+.0%}"
        rows.append((_name(key), format_energy(old), format_energy(new), change))
    return table(
        ("", f"from {before.isoformat()}", f"from {last.isoformat()}", "change"), rows, numbers=(1, 2, 3)
    )


def _coverage(totals: Totals) -> Html:
    whole = totals.all
    lines = [
        f"{count} of {whole.runs} runs {words}."
        for count, words in (
            (whole.unknown, "have no energy, and are in no sum"),
            (whole.no_zone, "have no carbon, since their zone is not known"),
            (whole.overlapping, "shared time with others, and count with their share"),
            (whole.trees, "count with their process tree's energy, as other work kept the machine busy"),
        )
        if count
    ]
    return tag("ul", (tag("li", line) for line in [*lines, *totals.rules]))


def _energy(energy: Quantity) -> str:
    low, high = (format_energy(end, energy.value) for end in (energy.low, energy.high))
    return f"{format_energy(energy.value)} ({low} to {high})"


def _mass(grams: Quantity) -> str:
    return f"{format_mass(grams.value)} CO2e ({format_mass(grams.low)} to {format_mass(grams.high)})"


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 0.1 else f"{amount:.4f}"


def _name(key: str | None) -> str:
    return "(none)" if key is None else key

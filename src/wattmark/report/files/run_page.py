"""One run as a page that loads nothing: the number and what it means, power over time, spans, metrics, errors, machine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from wattmark._version import __version__
from wattmark.documents import is_mapping
from wattmark.quantity import KINDS, Quantity
from wattmark.report.files.cells import how_of
from wattmark.report.html.markup import Html, join, tag
from wattmark.report.html.page import Section, page
from wattmark.runs.display.notebook import chart_of
from wattmark.runs.metrics import Metric
from wattmark.runs.result import RunResult
from wattmark.runs.view import RunView
from wattmark.text import singular
from wattmark.units import format_duration, format_energy, format_mass, format_power, significant

_WIDTH, _HEIGHT = 320, 90


def run_page(view: RunView, run: RunResult) -> str:
    """The document. view: for the chart; run: its results."""
    energy = run.headline
    whose = "this process tree" if run.scope == "tree" else "the whole machine"
    intro = join(
        tag("p", f"{run.started_at} · {run.host or 'host not known'} · {run.run_id}"),
        tag(
            "p",
            tag("strong", "not measured" if energy is None else _words(energy)),
            f", {whose}, {how_of(run)}",
        ),
        tag("p", "tags: " + ", ".join(f"{k}={v}" if v else k for k, v in run.tags.items()))
        if run.tags
        else None,
    )
    sections = [
        Section("energy", "Energy", join(_energy(run), Html(chart_of(view)), _facts(run))),
        Section("spans", "Spans", _spans(run), absent=not run.span_groups),
        Section("metrics", "Metrics", _metrics(run.metrics.values()), absent=not run.metrics),
        Section("errors", "Where the uncertainty comes from", _errors(energy), absent=energy is None),
        Section("how", "How it was got", _channels(run)),
        Section("machine", "Machine", _machine(view)),
    ]
    kept = [section for section in sections if not section.absent]
    footer = f"Made by Wattmark {__version__}. Intervals are 95 %."
    return str(page(run.name, intro, kept, footer))


def table(head: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[int] = ()) -> Html:
    """A table; numbers: the columns that are aligned to the right."""
    classes = ["n" if place in numbers else None for place in range(len(head))]
    return tag(
        "div",
        tag(
            "table",
            tag("thead", tag("tr", (tag("th", word, scope="col", class_=c) for word, c in zip(head, classes, strict=True)))),
            tag(
                "tbody",
                (
                    tag("tr", (tag("td", _cell(cell), class_=c) for cell, c in zip(row, classes, strict=True)))
                    for row in rows
                ),
            ),
        ),
        class_="scroll", tabindex="0", role="region", aria_label="Table",
    )  # fmt: skip


def _cell(cell: object) -> str:
    return cell if isinstance(cell, str) else "" if cell is None else str(cell)


def _words(energy: Quantity) -> str:
    return f"{format_energy(energy.value)} ({_between(energy)})"


def _between(energy: Quantity) -> str:
    return f"{format_energy(energy.low, energy.value)} to {format_energy(energy.high, energy.value)}"


def _energy(run: RunResult) -> Html:
    rows = [
        (
            name,
            format_energy(part.value),
            _between(part),
            ", ".join(sorted(run.methods.get(name, frozenset()))),
        )
        for name, part in run.energy_by_component.items()
    ]
    if run.energy is not None:
        rows.append(("total", format_energy(run.energy.value), _between(run.energy), ""))
    return table(("component", "energy", "between", "how"), rows, numbers=(1, 2))


def _facts(run: RunResult) -> Html:
    lines = [f"Time {format_duration(run.duration_s)}, {run.coverage:.1%} of it covered."]
    if run.headline_power_w is not None:
        lines.append(f"Mean power {format_power(run.headline_power_w)}.")
    for share, words in ((run.above_idle, "Above idle"), (run.attributed, "Of this process tree")):
        if share is not None:
            lines.append(f"{words}: {_words(share.energy)}; {share.rule}.")
    if run.carbon is not None:
        carbon = run.carbon
        lines.append(
            f"Carbon: {format_mass(carbon.grams.value)} CO2e ({format_mass(carbon.grams.low)} to "
            f"{format_mass(carbon.grams.high)}), {carbon.zone}, {significant(carbon.intensity_g_per_kwh)} g/kWh, "
            f"{carbon.source}."
        )
    lines += dict.fromkeys(warning.message for warning in run.warnings)
    return tag("ul", (tag("li", line) for line in lines))


def _spans(run: RunResult) -> Html:
    rows: list[tuple[str, ...]] = []
    for group in run.span_groups:
        energy = group.energy
        per = [] if energy is None else [
            f"{format_energy(energy.value / count)}/{singular(name)}"
            for name, count in group.counts.items() if count > 0
        ]  # fmt: skip
        ends = ("?", "") if energy is None else (format_energy(energy.value), _between(energy))
        name = "\u2003" * group.depth + group.name
        rows.append((name, str(group.times), format_duration(group.duration_s), *ends, ", ".join(per)))
    return table(("span", "times", "time", "energy", "between", "for one"), rows, numbers=(1, 2, 3, 4))


def _metrics(metrics: Iterable[Metric]) -> Html:
    figures = (
        tag("figure", tag("figcaption", f"{metric.name}: {_last(metric)}"), _curve(metric))
        for metric in metrics
    )
    return tag("div", figures, class_="panels")


def _last(metric: Metric) -> str:
    return "no number" if metric.last is None else significant(metric.last, 4)


def _curve(metric: Metric) -> Html | None:
    points = [
        (t, value)
        for t, value in zip(metric.t_s, metric.value, strict=True)
        if value is not None and math.isfinite(t)
    ]
    if len(points) < 2:
        return None
    times, values = [t for t, _ in points], [value for _, value in points]
    low, high = min(values), max(values)
    across, up = (times[-1] - times[0]) or 1.0, (high - low) or 1.0
    line = " ".join(
        f"{(t - times[0]) / across * (_WIDTH - 8) + 4:.1f},{_HEIGHT - 6 - (value - low) / up * (_HEIGHT - 12):.1f}"
        for t, value in points
    )
    return tag(
        "svg", tag("polyline", points=line, fill="none", stroke="currentColor", stroke_width="2"),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}", width="100%", role="img",
        aria_label=f"{metric.name} over time, from {significant(low, 4)} to {significant(high, 4)}",
    )  # fmt: skip


def _errors(energy: Quantity | None) -> Html:
    rows = [
        (
            KINDS.get(kind, (kind, ""))[0],
            f"-{format_energy(below)} +{format_energy(above)}",
            KINDS.get(kind, ("", ""))[1],
        )
        for kind, below, above in ([] if energy is None else energy.budget())
    ]
    return table(("error", "", "what makes it smaller"), rows, numbers=(1,))


def _channels(run: RunResult) -> Html:
    rows: list[tuple[str, ...]] = []
    for channel in run.channels:
        energy = "?" if channel.energy is None else format_energy(channel.energy.value)
        how, counted = f"{channel.method} ({channel.source})", "yes" if channel.counted else "no"
        rows.append((channel.id, how, energy, counted, channel.accuracy.citation))
    return table(("channel", "how", "energy", "in the total", "accuracy"), rows, numbers=(2,))


def _machine(view: RunView) -> Html:
    facts = view.record.environment
    rows = [
        (
            name.replace("_", " "),
            ", ".join(f"{k} {v}" for k, v in value.items()) if is_mapping(value) else str(value),
        )
        for name, value in facts.items()
        if name != "process" and value not in (None, "", {}, [])
    ]
    return table(("fact", "value"), rows)

"""A run for people: the table of its joules, its spans, its warnings. Drawn from its results alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from rich.console import Console
from rich.text import Text

from wattmark.cli.terminal.chart import sparkline
from wattmark.cli.terminal.output import plain
from wattmark.cli.terminal.table import Table, new_table
from wattmark.quantity import KINDS, Quantity, total
from wattmark.runs.metrics import Metric
from wattmark.runs.result import RunResult
from wattmark.runs.view import SpanGroup
from wattmark.text import singular
from wattmark.units import format_duration, format_energy, format_mass, format_power, significant

SPANS_SHOWN = 20
SPARKS = 24
"""The widest course in a cell, in signs."""
STATUS_STYLES = {"completed": "green", "failed": "red", "interrupted": "yellow", "running": "cyan"}


def render_run(console: Console, run: RunResult, *, closing: bool = True) -> None:
    """The summary of one run; ``closing`` adds what it is worth to look at next."""
    render_energy(console, run)
    render_spans(console, run, SPANS_SHOWN)
    render_metrics(console, run.metrics)
    render_footer(console, run, f"more: wattmark show {run.run_id}" if closing else "")


def render_energy(console: Console, run: RunResult) -> None:
    """What the run is known by, its joules by component, and what follows from them."""
    console.print(headline(run))
    if run.scope == "tree" and run.attributed is not None and run.others_busy is not None:
        own = run.attributed
        console.print(
            f"This process tree: {format_energy(own.energy.value)}, {between(own.energy)} ({own.rule}).",
            style="bold",
            soft_wrap=True,
        )
        console.print(
            f"Other work used {run.others_busy * 100:.0f} % of the machine's CPU time: what follows is the whole machine's.",
            soft_wrap=True,
        )
    console.print(_energy_table(run))
    for line in _facts(run):
        console.print(line, soft_wrap=True)


def render_footer(console: Console, run: RunResult, more: str = "") -> None:
    """Warnings of this run; then, in one line, what is so for every run of this machine."""
    messages = [warning.message for warning in run.warnings if warning.code not in _STANDING]
    render_warnings(console, messages)
    codes = {warning.code for warning in run.warnings}
    standing: list[str] = []
    if "modelled" in codes:
        standing.append("modelled, no sensor is usable (wattmark sources)")
    if run.carbon is None and run.energy is not None:
        standing.append("no zone, so no carbon (wattmark config set zone FR)")
    line = " · ".join([*standing, *filter(None, [more])])
    if line:
        console.print(line, style="dim", soft_wrap=True)


_STANDING = ("modelled", "sensor-unusable", "by-duration")
"""Warnings that every run of a machine without sensors has; the table of joules and the footer say them."""


def headline(run: RunResult) -> Text:
    """Name, status, exit code and length."""
    status = f"{run.status} (exit code {run.exit_code})" if run.exit_code else run.status
    return Text.assemble(
        (plain(run.name), "bold"),
        "  ",
        (status, STATUS_STYLES.get(run.status, "")),
        f"  {format_duration(run.duration_s)}",
    )


def between(energy: Quantity) -> str:
    """The interval in words, in the unit of the value."""
    like = energy.value or energy.high  # nothing has no unit of its own
    return f"{format_energy(energy.low, like)} to {format_energy(energy.high, like)}"


def _energy_table(run: RunResult) -> Table:
    table = new_table(
        "",
        "energy",
        "between",
        "mean",
        "how",
        numbers=("energy", "between", "mean"),
        prose=("how",),
        spare=("mean", "how"),
    )
    counted = {channel.component for channel in run.channels if channel.counted}
    sums: dict[str, list[Quantity]] = {"measured": [], "modelled": []}
    for component, energy in run.energy_by_component.items():
        kinds = run.methods.get(component, frozenset())
        method = ", ".join(_method_words(run, component, kinds))
        if component in counted:
            sums["modelled" if "modelled" in kinds and len(kinds) == 1 else "measured"].append(energy)
        else:
            method += ", not in the total"
        _energy_row(table, component, energy, run, method)
    if all(sums.values()):
        for kind, parts in sums.items():
            part = total(parts)
            if part is not None:
                _energy_row(table, kind, part, run, "part of the total", style="italic")
    if run.energy is None:
        table.add_row("total", "not measured", "", "", "", style="bold")
    else:
        shares = " and ".join(kind for kind, parts in sums.items() if parts)
        _energy_row(table, "total", run.energy, run, shares, style="bold")
    return table


def _method_words(run: RunResult, component: str, methods: frozenset[str]) -> Iterator[str]:
    sources = {
        channel.method: channel.source
        for channel in reversed(run.channels)
        if channel.component == component and channel.method in methods
    }
    words = {
        "counter": "measured by a counter",
        "integrated": "measured by a power sensor",
        "modelled": "modelled",
    }
    by_time = component == "dram" and any(warning.code == "by-duration" for warning in run.warnings)
    for method, source in sorted(sources.items()):
        yield f"{words.get(method, method)} ({plain(source)}{', by time alone' if by_time else ''})"


def _energy_row(
    table: Table, name: str, energy: Quantity, run: RunResult, method: str, style: str = ""
) -> None:
    covered_s = run.duration_s * (1.0 if run.hosts else run.coverage)
    mean = format_power(energy.value / covered_s) if covered_s > 0 else ""
    table.add_row(name, format_energy(energy.value), between(energy), mean, method, style=style)


def _facts(run: RunResult) -> Iterator[Text | str]:
    tree = run.scope == "tree"
    if tree and run.headline_power_w is not None:
        yield f"Power of this process tree: {format_power(run.headline_power_w)} on average."
    if run.mean_power_w is not None and run.peak_power_w is not None:
        mean, peak = format_power(run.mean_power_w), format_power(run.peak_power_w)
        yield f"Power{' of the whole machine' if tree else ''}: {mean} on average, {peak} at its peak."
    if run.coverage < 0.9995:
        share = f"{run.coverage * 100:.1f} % of the time"
        yield Text(
            f"Covered: {share}; the energy of the rest is not known and not in these numbers.", "yellow"
        )
    shares = [(run.above_idle, "Above idle"), (run.attributed, "Of this process tree")]
    for share, words in shares[: 1 if tree else 2]:
        if share is not None:
            energy, rule = share.energy, f" ({share.rule})" if share.rule else ""
            yield f"{words}: {format_energy(energy.value)}, {between(energy)}{rule}."
    if run.wall is not None:
        energy = run.wall.energy
        yield f"At the plug: {format_energy(energy.value)}, {between(energy)} ({plain(run.wall.rule)})."
    if run.carbon is not None:
        grams, carbon = run.carbon.grams, run.carbon
        whose = " of this process tree" if tree else ""
        yield (
            f"Carbon{whose}: {format_mass(grams.value)} CO2e, {format_mass(grams.low)} to {format_mass(grams.high)} "
            f"({carbon.zone}, {significant(carbon.intensity_g_per_kwh)} g/kWh, {plain(carbon.source)} {carbon.year})."
        )


def render_spans(console: Console, run: RunResult, most: int) -> None:
    """The tree of spans, those of one path together; of many paths the ``most`` that cost most.

    ``each``: the joules of every span of a path, in their order. ``per``: what one of that which they counted cost.
    """
    groups = run.span_groups
    if not groups:
        return
    by_cost = sorted(groups, key=lambda group: group.energy.value if group.energy else -1.0, reverse=True)
    chosen = {group.path for group in by_cost[:most]}
    each = _each(run)
    columns = ["", "times", "time", "energy"]
    columns += ["between"]
    counted = any(group.counts for group in groups)
    columns += ["per"] if counted else []
    columns += ["each"] if each else []
    table = new_table(
        *columns,
        numbers=("times", "time", "energy", "between"),
        spare=("between", "times", "each", "time"),
        title="spans" if len(groups) <= most else f"spans: the {most} of {len(groups)} that cost most",
    )
    for group in groups:
        if group.path in chosen:
            energy = group.energy
            table.add_row(
                "  " * group.depth + plain(group.name),
                str(group.times),
                format_duration(group.duration_s),
                format_energy(energy.value) if energy else "?",
                between(energy) if energy else "",
                *([_per(group)] if counted else []),
                *([sparkline(each.get(group.path, []), SPARKS)] if each else []),
            )
    console.print(table)


def _per(group: SpanGroup) -> str:
    """``8.46 mJ/sample`` for each thing that was counted."""
    if group.energy is None:
        return ""
    energy = group.energy.value
    return ", ".join(
        f"{format_energy(energy / count)}/{plain(singular(name))}"
        for name, count in group.counts.items()
        if count > 0
    )


def _each(run: RunResult) -> dict[str, list[float]]:
    """Joules of each span of the paths that have at least three, as far as all of a path are there."""
    energies: dict[str, list[float]] = {}
    for span in run.spans:
        energies.setdefault(span.path, []).append(math.nan if span.energy is None else span.energy.value)
    times = {group.path: group.times for group in run.span_groups}
    return {path: values for path, values in energies.items() if 3 <= len(values) == times.get(path)}


def render_metrics(console: Console, metrics: Mapping[str, Metric]) -> None:
    """What the work reported: its last value, its best and worst ends, its course."""
    if not metrics:
        return
    numbers = ("last", "lowest", "highest", "times")
    table = new_table("", *numbers, "course", numbers=numbers, spare=("times", "course"), title="metrics")
    for name, metric in metrics.items():
        values = [value for value in metric.value if value is not None]
        if values:
            ends = (significant(value, 4) for value in (values[-1], min(values), max(values)))
            table.add_row(plain(name), *ends, str(len(metric.value)), sparkline(values, SPARKS))
    if table.row_count:
        console.print(table)


def render_uncertainty(console: Console, quantity: Quantity) -> None:
    """Where the uncertainty of a number comes from, the largest error first, and what would make it smaller."""
    rows = quantity.budget()
    if not rows:
        return
    table = new_table(
        "error",
        "",
        "what makes it smaller",
        numbers=("",),
        prose=("what makes it smaller", "error"),
        spare=("what makes it smaller",),
        title="where the uncertainty comes from",
    )
    for kind, below, above in rows:
        words, remedy = KINDS.get(kind, (kind, ""))
        table.add_row(words, f"-{format_energy(below)} +{format_energy(above)}", remedy)
    console.print(table)


def render_warnings(console: Console, messages: Iterable[str]) -> None:
    """What a reader must know, each thing once."""
    counted: dict[str, int] = {}
    for message in messages:
        counted[message] = counted.get(message, 0) + 1
    for message, times in counted.items():
        console.print(
            Text(f"! {plain(message)}" + (f" ({times} times)" if times > 1 else ""), "yellow"), soft_wrap=True
        )

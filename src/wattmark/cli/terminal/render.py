"""A run for people: the table of its joules, its spans, its warnings. Drawn from its results alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from wattmark.cli.terminal.output import plain
from wattmark.cli.terminal.table import Table, new_table
from wattmark.quantity import KINDS, Quantity, total
from wattmark.runs.result import RunResult
from wattmark.runs.view import SpanGroup
from wattmark.units import format_duration, format_energy, format_mass, format_power, significant

SPANS_SHOWN = 20
STATUS_STYLES = {"completed": "green", "failed": "red", "interrupted": "yellow", "running": "cyan"}


def render_run(console: Console, run: RunResult, *, closing: bool = True) -> None:
    """The summary of one run; ``closing`` adds the sentence that says how to see more."""
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
    render_spans(console, run.span_groups, SPANS_SHOWN)
    render_warnings(console, [warning.message for warning in run.warnings])
    if closing:
        console.print(f"More: wattmark show {run.run_id}", style="dim")


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
    return f"{format_energy(energy.low, energy.value)} to {format_energy(energy.high, energy.value)}"


def _energy_table(run: RunResult) -> Table:
    table = new_table(
        "", "energy", "between", "mean", "how", numbers=("energy", "between", "mean"), prose=("how",)
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
    for method, source in sorted(sources.items()):
        yield f"{words.get(method, method)} ({plain(source)})"


def _energy_row(
    table: Table, name: str, energy: Quantity, run: RunResult, method: str, style: str = ""
) -> None:
    covered_s = run.duration_s * run.coverage
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
    elif run.energy is not None:
        yield Text(
            "Carbon: the zone is not known; name it with --zone FR or `wattmark config set zone FR`.", "dim"
        )


def render_spans(console: Console, groups: Sequence[SpanGroup], most: int) -> None:
    """The tree of spans, those of one path together; of many paths the ``most`` that cost most."""
    if not groups:
        return
    by_cost = sorted(groups, key=lambda group: group.energy.value if group.energy else -1.0, reverse=True)
    chosen = {group.path for group in by_cost[:most]}
    title = "spans" if len(groups) <= most else f"spans: the {most} of {len(groups)} that cost most"
    table = new_table(
        "",
        "times",
        "duration",
        "energy",
        "between",
        numbers=("times", "duration", "energy", "between"),
        spare=("between", "times"),
        title=title,
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
            )
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

"""``wattmark show``: one run, closely."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattmark.cli.terminal.options import JsonPath, RunRef, Zone
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.documents import mapping, number
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from wattmark.quantity import Quantity
    from wattmark.runs.result import ChannelResult, RunResult, SpanResult
    from wattmark.runs.view import RunView
    from wattmark.sources.base import Accuracy

app = typer.Typer(rich_markup_mode=None)
CHART_HEIGHT = 3
CHART_WIDTH_IN_FILES = 100
"""Columns of a chart where nothing says how wide it may be."""


@app.command()
def show(
    ref: RunRef = "last",
    spans: Annotated[int, typer.Option(min=0, metavar="N", help="How many kinds of spans to show.")] = 20,
    zone: Zone = None,
    pue: Annotated[
        str | None, typer.Option(help="Power usage effectiveness of the building: 1.2, 1.1-1.3, or gcp.")
    ] = None,
    scope: Annotated[
        str | None, typer.Option(help="Whose error budget: machine, tree or wall (at the plug).")
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Show a run: power over time, joules by component and span, how they were got, and on what machine.

    \b
    Example: wattmark show last --json -
    """
    from wattmark.workspace.runs import find_run, note_of, result, store_here, wall_of

    if scope not in (None, "machine", "tree", "wall"):
        raise ConfigError(f"--scope is machine, tree or wall, not {scope!r}")

    with store_here() as store:
        view = find_run(store, ref)
        note = note_of(store, view)
    run = result(view, zone, pue)
    if scope == "wall" and run.wall is None:
        raise ConfigError(
            f"this run cannot be shown at the plug: {wall_of(view)}",
            hint="wattmark calibrate --meter readings.csv, or `wattmark config set wall default` for what servers add",
        )
    if scope == "tree" and run.attributed is None:
        raise ConfigError("the process tree's part of this run is not known")
    if not write_json(run.to_dict(), json_path):
        _render(console(), view, run, spans, scope, note)


def _render(out: Console, view: RunView, run: RunResult, spans: int, scope: str | None, note: str) -> None:
    from wattmark.cli.terminal.render import (
        render_energy,
        render_footer,
        render_metrics,
        render_spans,
        render_uncertainty,
    )

    out.print(f"{run.run_id}  {run.started_at}  {plain(run.host)}", style="dim")
    if run.tags:
        out.print(
            "tags: " + ", ".join(plain(f"{k}={v}" if v else k) for k, v in run.tags.items()), style="dim"
        )
    if note:
        out.print(f"note: {plain(note)}", soft_wrap=True)
    render_energy(out, run)
    _chart(out, view, run)
    render_spans(out, run, spans)
    render_metrics(out, run.metrics)
    figure = _figure(run, scope)
    if figure is not None:
        render_uncertainty(out, figure)
    _hosts(out, run.hosts)
    _channels(out, run.channels)
    _environment(out, view)
    render_footer(out, run)


def _figure(run: RunResult, scope: str | None) -> Quantity | None:
    """The energy whose errors are shown."""
    if scope == "wall":
        return None if run.wall is None else run.wall.energy
    if scope == "tree":
        return None if run.attributed is None else run.attributed.energy
    return run.energy if scope == "machine" else run.headline


def _chart(out: Console, view: RunView, run: RunResult) -> None:
    """Power over time, a band for each component, as wide as the terminal; below them the spans of the time."""
    from wattmark.cli.terminal.chart import HOLE, block_chart, stretched
    from wattmark.cli.terminal.output import is_piped
    from wattmark.units import format_duration, format_power

    length_s = view.record.duration_s
    if not view.counted or length_s <= 0:
        return
    width = CHART_WIDTH_IN_FILES if is_piped(out) else max(8, out.width - 11)
    gap_s = max(max(curve.usual_gap_s for curve in view.counted), length_s / 1e5)
    power = view.power(bins=max(1, min(width, int(length_s / gap_s))))
    hole = False
    for component, watts in power.items():
        if component == "t_s":
            continue
        values = stretched(watts.tolist(), width)
        numbers = [value for value in values if value == value]
        top = format_power(max(numbers, default=0.0))
        for row, line in enumerate(block_chart(values, CHART_HEIGHT)):
            label = plain(component) if row == 0 else top if row == 1 else ""
            out.print(f"{label:>9} │{line}", no_wrap=True, crop=True)
        hole = hole or len(numbers) < len(values)
    bands = span_bands(run.spans, length_s, width)
    if bands:
        out.print(f"{'spans':>9} │{plain(bands)}", no_wrap=True, crop=True)
    foot = f"0 s to {format_duration(length_s)}"
    out.print(f"{'':9} └ {foot}" + (f"   {HOLE} not covered" if hole else ""), style="dim")


def span_bands(spans: Sequence[SpanResult], length_s: float, width: int) -> str:
    """The outermost spans along a line of ``width`` signs, each with its name as far as there is room; empty for none,
    and where they are too many, or lie over each other."""
    outer = sorted((span for span in spans if span.path == span.name), key=lambda span: span.start_s)
    if not outer or len(outer) > width // 2:
        return ""
    line = [" "] * width
    free = 0
    for span in outer:
        start = int(span.start_s / length_s * width)
        end = min(width, max(start + 1, int((span.start_s + span.duration_s) / length_s * width)))
        if start < free - 1:
            return ""
        start = max(start, free)
        if start < end:
            number = span.attrs.get(span.name)  # run.span("epoch", epoch=3)
            name = span.name if number is None else f"{span.name} {number}"
            line[start:end] = f"▏{name}"[: end - start].ljust(end - start, "─")
            free = end
    return "".join(line)


def _hosts(out: Console, hosts: Sequence[Mapping[str, Any]]) -> None:
    """Each host's part of a run over several."""
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration, format_energy

    table = new_table(
        "host", "energy", "from", "to", "clock", "status", "run",
        numbers=("energy", "from", "to", "clock"), spare=("run", "clock"), title="hosts",
    )  # fmt: skip
    for host in hosts:
        energy, clock = mapping(host.get("energy_j")), mapping(host.get("clock"))
        within_s = number(clock.get("within_s"))
        table.add_row(
            plain(str(host.get("host", ""))),
            "?" if not energy else format_energy(number(energy.get("value")) or 0.0),
            *(format_duration(max(0.0, number(host.get(edge)) or 0.0)) for edge in ("start_s", "end_s")),
            "" if not within_s else f"±{format_duration(within_s)}",
            plain(str(host.get("status", ""))),
            plain(str(host.get("run_id", ""))),
        )
    if table.row_count:
        out.print(table)


def _channels(out: Console, channels: Sequence[ChannelResult]) -> None:
    """How each number was got, with its accuracy and where that is from below."""
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration, format_energy

    numbers = ("energy", "samples", "gap")
    table = new_table(
        "channel",
        "how",
        "energy",
        "samples",
        "gap",
        "total",
        numbers=numbers,
        spare=("gap", "samples"),
        title="how it was computed",
    )
    accuracies: dict[str, int] = {}
    for channel in channels:
        told = f"{accuracy_words(channel.accuracy)}: {channel.accuracy.citation}"
        table.add_row(
            f"{plain(channel.id)} ({accuracies.setdefault(told, len(accuracies) + 1)})",
            f"{channel.method} ({plain(channel.source)})",
            "?" if channel.energy is None else format_energy(channel.energy.value),
            str(channel.samples),
            "" if channel.max_gap_s is None else format_duration(channel.max_gap_s),
            "yes" if channel.counted else "no",
        )
    if accuracies:
        out.print(table)
        for told, number in accuracies.items():
            out.print(f"({number}) {plain(told)}", style="dim", soft_wrap=True)


def accuracy_words(accuracy: Accuracy) -> str:
    """``-2 % to +5 %``, and the part in watts where there is one."""
    from wattmark.units import significant

    low, high = (f"{100 * end:.3g}" for end in (accuracy.relative_low, accuracy.relative_high))
    words = f"±{low} %" if low == high else f"-{low} % to +{high} %"
    return words + (f" ±{significant(accuracy.absolute_w, 2)} W" if accuracy.absolute_w else "")


def _environment(out: Console, view: RunView) -> None:
    """What it ran on, as far as it was captured; values that are tables themselves are left to ``--json``."""
    from wattmark.cli.terminal.table import new_table

    table = new_table("fact", "value", prose=("value",), title="environment", show_header=False)
    facts = view.record.environment
    process = mapping(facts.get("process"))
    rows = {**{key: value for key, value in facts.items() if key != "process"}, **process}
    rows.pop("environment", None)
    for key, value in rows.items():
        text = _words(value)
        if text:
            table.add_row(key.replace("_", " "), plain(text))
    if table.row_count:
        out.print(table)


def _words(value: Any) -> str:
    if isinstance(value, dict):
        pairs: list[tuple[Any, Any]] = list(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        return ", ".join(f"{key} {_words(item)}" for key, item in pairs if item not in (None, "", {}, []))
    if isinstance(value, list | tuple):
        items: list[Any] = list(value)  # pyright: ignore[reportUnknownArgumentType]
        return " ".join(_words(item) for item in items)
    return "" if value is None else str(value)

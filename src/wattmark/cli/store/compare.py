"""``wattmark compare``: is the difference more than the noise?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from wattmark.cli.terminal.completion import complete_run
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json

app = typer.Typer(rich_markup_mode=None)


@app.command()
def compare(
    refs: Annotated[
        list[str],
        typer.Argument(
            metavar="A B...", help="Runs; with --by, values of name or tag.", autocompletion=complete_run
        ),
    ],
    by: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Compare groups: all completed runs of a name, or of a tag's value."
        ),
    ] = None,
    reach: Annotated[
        str | None,
        typer.Option(metavar="METRIC>=X", help="Also joules and time up to a value of a logged metric."),
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Show how runs differ from the first one, in joules, watts, time and per count, with intervals.

    Two differ if the 95 % interval of their ratio leaves out 1. What errs alike in both (the scale of one sensor)
    cancels; of repeated runs (--by name, --by TAG) their scatter counts, of single runs what one run does not show.

    \b
    Example: wattmark compare --by model resnet18 resnet50 --reach 'accuracy>=0.9'
    """
    from wattmark.workspace.comparing import compare as compare_runs

    data = compare_runs(*refs, by=by, reach=reach).to_dict()
    if not write_json(data, json_path):
        _render(data, reach)


def _render(data: dict[str, Any], reach: str | None) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.runs.comparison import TO, parts_of
    from wattmark.units import format_duration, format_energy, format_power

    shown = {
        "energy_j": ("energy", format_energy),
        "power_w": ("power", format_power),
        "duration_s": ("time", format_duration),
    }
    numbers = ("value", "difference", "%")
    table = new_table("", "value", "difference", "%", numbers=numbers, spare=("difference",))
    out = console()
    names = [row.get("group") or row["name"] for row in data["rows"]]
    for row, name in zip(data["rows"], names, strict=True):
        title = plain(name if names.count(name) == 1 else f"{name} {row['run_id']}")
        if "runs" in row:
            title += f" ({len(row['runs'])} runs, means)"
        table.add_row(title, style="bold")
        for name in [name for name in row if name.startswith(tuple(shown))]:
            quantity, words = parts_of(name)
            label, style = shown[quantity]
            value = row[name]["value"]
            gap = row["difference"].get(name) if row is not data["rows"][0] else None
            table.add_row(
                f"  {label} {plain(words)}".rstrip(),
                style(value),
                *(("", "") if gap is None else _gap_words(gap, style)),
            )
    out.print(table)
    for row, name in zip(data["rows"], names, strict=True):
        if reach is not None and not any(TO in measure for measure in row):
            out.print(f"{plain(name)}: {plain(reach)} was not reached", style="yellow", soft_wrap=True)
    for row in data["rows"][1:]:
        out.print(f"{plain(row.get('group') or row['name'])}: {row['verdict']}", style="bold", soft_wrap=True)
        for note in row["notes"]:
            out.print(f"  ! {plain(note)}", style="yellow", soft_wrap=True)


def _gap_words(gap: dict[str, Any], style: Any) -> tuple[str, str]:
    def signed(value: float) -> str:
        return ("+" if value >= 0 else "-") + style(abs(value))

    words = signed(gap["value"])
    if gap["low"] < gap["high"]:
        words += f" ({signed(gap['low'])} to {signed(gap['high'])})"
    percent = gap["percent"]
    return words, "" if percent is None else f"{percent['value']:+.1f}"

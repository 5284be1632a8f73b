"""``wattmark totals``: sums over runs, no joule counted twice."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from wattmark.cli.terminal.completion import complete_project
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.quantity import Quantity, QuantityDict
    from wattmark.runs.totals import Sum, Totals

app = typer.Typer(rich_markup_mode=None)


@app.command()
def totals(
    by: Annotated[str, typer.Option(help="project, host, name, day or tag:KEY.")] = "project",
    period: Annotated[
        str | None, typer.Option("--period", "--per", help="Sums over time as well: day, week or month.")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Only runs of this project.", autocompletion=complete_project)
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="K[=V]", help="Only runs that have this tag.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="GLOB", help="Only runs called so.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only runs that began then or later: 30d, 2026-03-01.")
    ] = None,
    timezone: Annotated[str, typer.Option(metavar="ZONE", help="Where days begin.")] = "UTC",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="A report to send: its name ends in .html or .pdf."
        ),
    ] = None,
    price: Annotated[
        float | None, typer.Option(min=0.0, help="Of a kilowatt-hour, for the report's costs.")
    ] = None,
    currency: Annotated[str, typer.Option(help="Of the price: EUR.")] = "",
    json_path: JsonPath = None,
) -> None:
    """Add up the energy and carbon of runs, by project, host, name, day or tag; overlapping runs share their time.

    \b
    Example: wattmark totals --by project --per month -o report.pdf
    """
    from wattmark.runs.totals import Period
    from wattmark.workspace.library import list_runs
    from wattmark.workspace.library import totals as add_up

    if period is not None and period not in get_args(Period):
        raise ConfigError(
            f"--period cannot be {period!r}", hint=f"it is one of {', '.join(get_args(Period))}"
        )
    if price is not None and output is None:
        raise ConfigError("--price is for a report", hint="-o report.html")
    tags = [*(tag or ()), *([] if project is None else [f"project={project}"])]
    runs = list_runs(status=("completed", "failed", "interrupted"), tag=tags, name=name, since=since)
    run_totals = add_up(runs, by=by, period=cast("Any", period), timezone=timezone)
    if output is not None:
        from wattmark.report.files.period import Price, write_period

        write_period(run_totals, output, by, None if price is None else Price(price, currency))
        if not write_json(_plain(run_totals), json_path):
            typer.echo(output)
        return
    if not write_json(_plain(run_totals), json_path):
        _render(run_totals, by)


def _plain(run_totals: Totals) -> dict[str, Any]:
    return {
        "all": _sum(run_totals.all),
        "groups": [{"key": group.key, **_sum(group.sum)} for group in run_totals.groups],
        "slices": [
            {
                "key": part.key,
                "start": part.start.isoformat(),
                **{
                    name: _quantity(getattr(part, name))
                    for name in ("energy", "measured", "modelled", "carbon")
                },
            }
            for part in run_totals.slices
        ],
        "rules": list(run_totals.rules),
    }


def _sum(part: Sum) -> dict[str, Any]:
    quantities = ("energy", "measured", "modelled", "carbon")
    counts = {key: value for key, value in asdict(part).items() if key not in quantities}
    return {**counts, **{name: _quantity(getattr(part, name)) for name in quantities}}


def _quantity(quantity: Quantity | None) -> QuantityDict | None:
    return None if quantity is None else quantity.as_dict()


def _render(run_totals: Totals, by: str) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration, format_energy, format_mass

    out = console()
    if not run_totals.all.runs:
        out.print("No runs. `wattmark run -- COMMAND` makes one.")
        return
    numbers = ("runs", "time", "energy", "modelled", "carbon")
    table = new_table(by, *numbers, numbers=numbers, spare=("time", "modelled"))
    for key, part in [*((group.key, group.sum) for group in run_totals.groups), ("all", run_totals.all)]:
        table.add_row(
            "(none)" if key is None else plain(key),
            str(part.runs),
            format_duration(part.duration_s),
            "?" if part.energy is None else format_energy(part.energy.value),
            "" if part.modelled is None else format_energy(part.modelled.value),
            "?" if part.carbon is None else format_mass(part.carbon.value),
            style="bold" if part is run_totals.all else "",
        )
    out.print(table)
    if run_totals.slices:
        over_time = new_table("from", by, "energy", "carbon", numbers=("energy", "carbon"))
        for part in run_totals.slices:
            over_time.add_row(
                part.start.isoformat(),
                "(none)" if part.key is None else plain(part.key),
                format_energy(part.energy.value),
                "?" if part.carbon is None else format_mass(part.carbon.value),
            )
        out.print(over_time)
    for count, words in (
        (run_totals.all.unknown, "without energy"),
        (run_totals.all.no_zone, "without carbon, for want of a zone"),
        (run_totals.all.overlapping, "counted with a share, for time shared with others"),
        (
            run_totals.all.trees,
            "counted with the energy of the process tree, as other work kept the machine busy",
        ),
    ):
        if count:
            out.print(f"! {count} {'run' if count == 1 else 'runs'} {words}", style="yellow")

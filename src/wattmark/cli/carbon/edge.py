"""``wattmark edge``: energy dispatch of self-powered edge sites by rules, linear programmes and learners."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, say, write_json

if TYPE_CHECKING:
    from wattmark.plan.edge.study import EdgeStudy
    from wattmark.quantity import Quantity

app = typer.Typer(rich_markup_mode=None)


@app.command()
def edge(
    weeks: Annotated[int, typer.Option(min=1, max=1000, help="Scenarios to compare on.")] = 5,
    sites: Annotated[int, typer.Option(min=1, max=100, help="Base stations with servers.")] = 4,
    days: Annotated[int, typer.Option(min=1, max=60, help="Of a scenario.")] = 7,
    updates: Annotated[int, typer.Option(min=0, help="Of each learner; 0 leaves learners out.")] = 150,
    traces: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="With solar_example.csv and load_example.csv of Vessim."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weather and learners.")] = 0,
    keep: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where learners are kept, and gone on with after a stop."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    json_path: JsonPath = None,
) -> None:
    """Compare ways to dispatch the energy of edge sites that have sun, storage, a grid connection and a generator.

    Greedy, random, model-predictive, two-stage stochastic, A2C and MAMRL, beside the bound with all known beforehand; the
    joules of training are measured.

    \b
    Example: wattmark edge --weeks 10 --updates 150 --keep learners
    """
    from wattmark.plan.edge.study import edge as ask

    answer = ask(
        weeks=weeks, sites=sites, days=days, updates=updates, traces=traces, seed=seed, folder=keep,
        tell=(lambda _: None) if quiet else say,
    )  # fmt: skip
    if not write_json(answer.as_dict(), json_path):
        _render(answer)


def _render(answer: EdgeStudy) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_energy, significant

    out = console()
    names = (
        "controller",
        "cost",
        "less than greedy",
        "not renewable",
        "less",
        "beyond the bound",
        "training",
    )
    table = new_table(*names, numbers=names[1:])
    for row in answer.rows:
        table.add_row(
            row.name,
            significant(row.cost),
            _share(row.saving),
            f"{significant(row.nonrenewable_kwh)} kWh",
            _share(row.nonrenewable_saving),
            "" if row.clairvoyant else f"{row.beyond_bound:.0%}",
            "" if row.training is None else format_energy(row.training.value),
            style="bold" if row.name == answer.recommended else "dim" if row.clairvoyant else "",
        )
    out.print(table)
    out.print(f"The cheapest that needs no foresight: {answer.recommended}.", soft_wrap=True)
    if answer.adaptation is not None:
        one = answer.adaptation
        for at, updates in enumerate(one.updates):
            out.print(
                f"new sites, after {updates} updates: {one.known[at]:+.1%} with what is known, {one.scratch[at]:+.1%} "
                "by A2C from scratch (less than greedy)",
                soft_wrap=True,
            )
    for note in answer.notes:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)


def _share(saving: Quantity | None) -> str:
    return "" if saving is None else f"{saving.value:.1%} [{saving.low:.1%}, {saving.high:.1%}]"

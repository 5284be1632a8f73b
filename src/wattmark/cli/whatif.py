"""``wattmark whatif``: a run elsewhere, on other hardware, longer, capped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.options import JsonPath, RunRef, number_or_words
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.predict import Outcome

app = typer.Typer(rich_markup_mode=None)


@app.command()
def whatif(
    ref: RunRef = "last",
    zone: Annotated[str | None, typer.Option(help="Where the power would come from: FR.")] = None,
    year: Annotated[int | None, typer.Option(help="Of the grid's carbon intensity.")] = None,
    pue: Annotated[str | None, typer.Option(help="Of the building: 1.2, 1.1-1.3, or a name.")] = None,
    hardware: Annotated[
        list[str] | None,
        typer.Option(metavar="[N x ]PART", help="Another part: 8xh100-sxm; may be repeated."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="How many in all.")] = None,
    power_cap: Annotated[float | None, typer.Option(metavar="W", help="Of every accelerator.")] = None,
    price: Annotated[str | None, typer.Option(help="Of a kilowatt-hour: 0.30, or 0.25-0.35.")] = None,
    currency: Annotated[str | None, typer.Option(help="Of the price.")] = None,
    json_path: JsonPath = None,
) -> None:
    """Predict a run's energy, time, carbon and cost elsewhere, on other hardware, longer or capped, with intervals.

    \b
    Example: wattmark whatif last --zone FR --hardware 8xh100-sxm --epochs 90
    """
    from wattmark.predict.question import what_if

    outcome = what_if(
        ref,
        zone=zone,
        year=year,
        pue=number_or_words(pue),
        hardware=hardware or None,
        epochs=epochs,
        power_cap_w=power_cap,
        price_per_kwh=number_or_words(price),
        currency=currency,
    )
    if not outcome.changed:
        raise ConfigError(
            "nothing is different", hint="say what: --zone, --hardware, --epochs, --power-cap ..."
        )
    if not write_json(outcome.as_dict(), json_path):
        _render(outcome)


def _render(outcome: Outcome) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration, format_energy, format_mass, significant

    def money(value: float) -> str:
        return significant(value)

    out = console()
    table = new_table("", "as it was", "as it would be", "between", numbers=("as it was", "as it would be"))
    before, after = outcome.original, outcome.alternative
    for label, field, style in (
        ("energy", "energy_j", format_energy),
        ("time", "duration_s", format_duration),
        ("carbon", "carbon_g", format_mass),
        ("cost", "cost", money),
    ):
        old, new = getattr(before, field), getattr(after, field)
        if old is None and new is None:
            continue
        table.add_row(
            label,
            "?" if old is None else style(old.value),
            "?" if new is None else style(new.value),
            "" if new is None else f"{style(new.low)} to {style(new.high)}",
        )
    out.print(table)
    for step in outcome.steps:
        ratio = step.energy
        words = f"x {significant(ratio.value)} [{significant(ratio.low)}, {significant(ratio.high)}] energy"
        out.print(f"{plain(step.name)}: {words}; {plain(step.source)}", soft_wrap=True)
    for reason in dict.fromkeys([*after.reasons.values(), *outcome.notes]):
        out.print(f"! {plain(reason)}", style="yellow", soft_wrap=True)

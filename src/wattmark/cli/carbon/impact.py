"""``wattmark impact``: the carbon of a run by the hour, from a grid's intensity over time."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.options import JsonPath, RunRef
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.impact.series import Signal
    from wattmark.impact.series.emitted import CarbonOverTime
    from wattmark.quantity import Quantity

app = typer.Typer(rich_markup_mode=None)


@app.command()
def impact(
    ref: RunRef = "last",
    series: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Carbon intensity of the grid over time: CSV, Parquet, or JSON as Electricity Maps, WattTime, UK Carbon "
            "Intensity or the Carbon Aware SDK answer.",
        ),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[=ADDRESS]",
            help="Who is asked for it over the network: electricitymaps, watttime, uk, entsoe, carbon-aware=..., proxy=...",
        ),
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="Whose yearly figure stands beside it, and in for gaps: FR.")
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="The place in the provider's words, where it is not the zone: CAISO_NORTH."),
    ] = None,
    pue: Annotated[
        str | None, typer.Option(help="Power usage effectiveness of the building: 1.2, 1.1-1.3, or a name.")
    ] = None,
    unit: Annotated[
        str | None, typer.Option(help="Of the series, where it does not say: g/kWh, lb/MWh ...")
    ] = None,
    signal: Annotated[
        str | None, typer.Option(help="Intensity of the grid's average kWh, or of the marginal one.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody; take what was kept of earlier answers.")
    ] = False,
    json_path: JsonPath = None,
) -> None:
    """Work out a run's carbon hour by hour: its power with the grid's intensity, exact at the edges of every step.

    \b
    Example: wattmark impact last --series grid.csv --zone DE
    Example: wattmark impact last --provider uk --zone GB
    """
    from wattmark.workspace.library import impact as ask

    answer = ask(
        ref,
        series=series,
        provider=provider,
        zone=zone,
        region=region,
        pue=pue,
        unit=unit,
        signal=_signal(signal),
        offline=offline,
    )
    if answer is None:
        raise ConfigError(f"no energy of {ref} was measured", hint="wattmark sources")
    if not write_json(answer.as_dict(), json_path):
        _render(answer)


def _signal(word: str | None) -> Signal | None:
    if word is None or word == "average" or word == "marginal":
        return word
    raise ConfigError(f"--signal is average or marginal, not {word!r}")


def _render(answer: CarbonOverTime) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration, format_energy, format_mass, significant

    out = console()
    table = new_table("hour (UTC)", "energy", "g/kWh", "CO2e", numbers=("energy", "g/kWh", "CO2e"))
    for part in answer.slices:
        table.add_row(
            f"{datetime.fromtimestamp(part.start_s, timezone.utc):%Y-%m-%d %H:%M}",
            format_energy(part.energy_j),
            "?" if part.g_per_kwh is None else significant(part.g_per_kwh),
            "?" if part.grams is None else format_mass(part.grams),
        )
    out.print(table)

    def words(grams: Quantity | None) -> str:
        return (
            "not known"
            if grams is None
            else f"{format_mass(grams.value)} [{format_mass(grams.low)}, {format_mass(grams.high)}]"
        )

    series = answer.series
    if series.starts:
        out.print(
            f"{words(answer.grams)} CO2e by the {series.signal} intensity of {plain(series.zone or series.source)}; "
            f"by the yearly figure {words(answer.yearly)}",
            soft_wrap=True,
        )
        steps = format_duration(series.step_s)
        out.print(f"{plain(series.source)}, in steps of {steps}", style="dim", soft_wrap=True)
    else:
        out.print(f"{words(answer.grams)} CO2e by the yearly figure", soft_wrap=True)
    for note in answer.notes:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)

"""``wattmark impact``: the carbon of a run by the hour, from a grid's intensity over time; runs in formats that others
ask for."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.completion import complete_run, complete_study
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.impact.series import Signal
    from wattmark.impact.series.emitted import CarbonOverTime
    from wattmark.quantity import Quantity
    from wattmark.report.disclosure import Disclosure
    from wattmark.workspace.library import RunLike

app = typer.Typer(rich_markup_mode=None)


@app.command()
def impact(
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]",
            help="Ids, their beginnings, names, last or @-1 (default: last).",
            autocompletion=complete_run,
        ),
    ] = None,
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
    price: Annotated[
        str | None,
        typer.Option(
            metavar="PRICE|FILE",
            help="Of a kWh: 0.30, 0.25-0.35, a CSV by the time of day (from,to,price,days), or times and prices.",
        ),
    ] = None,
    currency: Annotated[str, typer.Option(help="Of the prices.")] = "",
    price_per: Annotated[
        str | None, typer.Option(help="What the prices of a file are per, where it does not say: kWh or MWh.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Of a table by the time of day: Europe/Paris.")] = "UTC",
    gpu_hour: Annotated[
        str | None, typer.Option(metavar="PRICE", help="Of a rented GPU for an hour, beside the electricity.")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option(help="How many of them (default: those that were measured).")
    ] = None,
    wue: Annotated[
        str | None, typer.Option(metavar="L/KWH", help="Water that the site uses: 0.2, or 0.1-1.8.")
    ] = None,
    grid_water: Annotated[
        str | None, typer.Option(metavar="L/KWH", help="Water of generating the power: 3.1, or 1.2-6.0.")
    ] = None,
    making: Annotated[
        str | None,
        typer.Option(
            metavar="KG", help="CO2e of making a device: 1500, 1000-2000, a100, aws-p4d; its share is shown."
        ),
    ] = None,
    lifetime: Annotated[
        str | None, typer.Option(metavar="YEARS", help="For which the devices are used (default: 3-6).")
    ] = None,
    devices: Annotated[float, typer.Option(help="How many of them.")] = 1.0,
    tag: Annotated[
        list[str] | None, typer.Option(metavar="KEY[=VALUE]", help="All runs with this tag; may be repeated.")
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="All runs of this study.", autocompletion=complete_study)
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            help="For others: boamps, sci, sci-ai, ai-energy-score, ai-act, model-card, spdx, ghg, latex, md or json."
        ),
    ] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="What a format asks for and only you know: stage=training."),
    ] = None,
    per: Annotated[
        str | None, typer.Option(metavar="COUNT", help="The functional unit: requests, tokens, samples ...")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where --format is written.")
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Work out a run's carbon hour by hour: its power with the grid's intensity, exact at the edges of every step.

    Beside it water (--wue, --grid-water), money (--price, --gpu-hour) and the hardware's making (--making), if asked for.
    With --format, or for several runs: what they used in a format that others ask for; what is not known is left empty.

    \b
    Example: wattmark impact last --series grid.csv --zone DE
    Also: wattmark impact last --provider uk --zone GB --price 0.25-0.35 --currency GBP
    Also: wattmark impact --tag project=paper --zone FR --format latex
    """
    from wattmark.report.disclosure.gather import disclose
    from wattmark.workspace.impact import Costs
    from wattmark.workspace.library import impact as ask

    costs = Costs(
        price, currency, price_per, timezone, gpu_hour, gpus, wue, grid_water, making, lifetime, devices
    )
    selected = bool(tag or study or (refs and len(refs) > 1))
    if format is not None or selected:
        disclosure = disclose(
            _selection(refs, tag, study),
            format or "md",
            zone=zone,
            series=None if series is None else str(series),
            provider=provider,
            region=region,
            pue=pue,
            offline=offline,
            per=per,
            facts=_facts(fact),
            name=study,
            costs=costs,
        )
        _hand_over(disclosure, output, json_path)
        return
    if output is not None or fact or per:
        raise ConfigError("-o, --fact and --per belong to a format", hint="--format md")
    ref = refs[0] if refs else "last"

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
        costs=costs,
    )
    if answer is None:
        raise ConfigError(f"no energy of {ref} was measured", hint="wattmark sources")
    if not write_json(answer.as_dict(), json_path):
        _render(answer)


def _selection(refs: list[str] | None, tags: list[str] | None, study: str | None) -> list[RunLike]:
    from wattmark.workspace.library import list_runs

    words = [*(tags or []), *([f"study={study}"] if study else [])]
    if words and refs:
        raise ConfigError("runs are named, or selected by a tag or a study", hint="give one of them")
    return list(list_runs(tag=words)) if words else list(refs or ["last"])


def _facts(words: list[str] | None) -> dict[str, str]:
    pairs = [word.partition("=") for word in words or []]
    bad = [word for word, (_, equals, _) in zip(words or [], pairs, strict=True) if not equals]
    if bad:
        raise ConfigError(f"--fact {bad[0]!r} says nothing", hint="--fact stage=training")
    return {key.strip(): value.strip() for key, _, value in pairs}


def _hand_over(disclosure: Disclosure, output: Path | None, json_path: str | None) -> None:
    taken = write_json(disclosure.as_dict(), json_path)
    if output is not None:
        try:
            output.write_text(disclosure.text + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"-o: cannot write {output}: {error.strerror}") from error
    elif not taken:
        typer.echo(disclosure.text)
    out = console(stderr=True)
    for gap in disclosure.gaps:
        remedy = f"; {plain(gap.remedy)}" if gap.remedy else ""
        out.print(f"left empty: {plain(gap.field)}{remedy}", style="yellow", soft_wrap=True)
    for note in disclosure.notes:
        out.print(plain(note), style="dim", soft_wrap=True)


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
    for stage in answer.stages:
        out.print(f"{stage.name}: {_amount(stage.amount)}", soft_wrap=True)
        year = f", {stage.year}" if stage.year else ""
        out.print(f"  {plain(stage.formula)} ({plain(stage.source)}{year})", style="dim", soft_wrap=True)
    for note in answer.notes:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)


def _amount(quantity: Quantity) -> str:
    from wattmark.units import format_mass, format_number

    low, high = quantity.interval()
    if quantity.unit == "g":
        return f"{format_mass(quantity.value)} [{format_mass(low)}, {format_mass(high)}] CO2e"
    told = f"{format_number(quantity.value)} [{format_number(low)}, {format_number(high)}]"
    return f"{told} {plain(quantity.unit)}".rstrip()

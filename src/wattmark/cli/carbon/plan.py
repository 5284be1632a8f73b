"""``wattmark plan``: when to run a job so that it causes the least carbon."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError
from wattmark.workspace.moments import parse_age

if TYPE_CHECKING:
    from wattmark.impact.series import IntensitySeries
    from wattmark.impact.series.series import Signal
    from wattmark.plan import Plan
    from wattmark.quantity import Quantity

app = typer.Typer(rich_markup_mode=None)


@app.command(context_settings={"allow_interspersed_args": False})
def plan(
    command: Annotated[list[str] | None, typer.Argument(metavar="[-- CMD...]", help="For --for.")] = None,
    series: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[PLACE=]FILE",
            help="Carbon intensity of the grid over time: CSV, or JSON as Electricity Maps, WattTime, UK Carbon "
            "Intensity or the Carbon Aware SDK answer. May be repeated, for several places.",
        ),
    ] = None,
    zones: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="Places to choose from, in place of files.")
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(
            metavar="NAME[=ADDRESS]",
            help="Who is asked for them over the network: electricitymaps, watttime, uk, entsoe, carbon-aware=..., proxy=..."
            " (default: the setting provider, else yearly averages).",
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask nobody; take what was kept of earlier answers.")
    ] = False,
    duration: Annotated[str | None, typer.Option(help="Of the job: 4h.")] = None,
    like: Annotated[
        str | None, typer.Option(metavar="RUN", help="A past run that has its duration and energy.")
    ] = None,
    deadline: Annotated[str, typer.Option(help="The job must be done within this time: 24h.")] = "24h",
    pausable: Annotated[bool, typer.Option("--pausable", help="The job may be paused and go on.")] = False,
    checkpoint: Annotated[str, typer.Option(help="What a pause costs, as time of work: 60s.")] = "0s",
    unit: Annotated[
        str | None, typer.Option(help="Of the series, where it does not say: g/kWh, lb/MWh ...")
    ] = None,
    marginal: Annotated[
        bool,
        typer.Option("--marginal", help="By marginal intensity: of the series, or asked of the provider."),
    ] = False,
    beside: Annotated[
        list[str] | None,
        typer.Option(metavar="[PLACE=]FILE", help="A series of the other signal: average beside marginal."),
    ] = None,
    column: Annotated[str | None, typer.Option(help="Of a CSV, the one with the intensity.")] = None,
    now: Annotated[str | None, typer.Option(metavar="TIME", help="Plan as of then (ISO 8601; UTC).")] = None,
    scheduler: Annotated[
        str | None, typer.Option("--for", help="Print it for slurm, systemd, at, cron or kubernetes.")
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Find the start, and the pieces, of the least carbon before a deadline; tried at times of the series' past.

    \b
    Example: wattmark plan --series grid.csv --duration 4h --deadline 24h --pausable --for slurm -- python train.py
    """
    from wattmark.plan import plan as ask
    from wattmark.plan.handover import SCHEDULERS, handover

    if not series and zones is None:
        if provider is not None:
            raise ConfigError("which places should it be asked for?", hint="--zones FR,DE")
        raise ConfigError(
            "there is no series to plan by",
            hint="--series grid.csv, or --zones FR,DE --provider electricitymaps",
        )
    if series and (zones is not None or provider is not None):
        raise ConfigError("--series and --zones are two answers to one question", hint="give one of them")
    if scheduler is not None and scheduler not in SCHEDULERS:
        raise ConfigError(f"--for cannot be {scheduler!r}", hint=f"one of {', '.join(SCHEDULERS)}")
    if scheduler is not None and not command:
        raise ConfigError("--for needs the command", hint="put it after --")
    seconds, energy = _job(duration, like)
    places = _places(series, unit, "marginal" if marginal else None, column) if series else None
    other = _places(beside, unit, "average" if marginal else "marginal", column) if beside else None
    answer = ask(
        seconds,
        deadline=deadline,
        series=places,
        zones=[] if zones is None else zones.split(","),
        provider=provider,
        signal="marginal" if marginal and places is None else None,
        offline=offline,
        now=_moment(now),
        pausable=pausable,
        checkpoint_s=_length(checkpoint),
        energy=energy,
        beside=other,
    )
    taken = write_json(answer.as_dict(), json_path)
    if not taken:
        _render(answer)
    if scheduler is not None and command and not taken:
        typer.echo(handover(scheduler, answer.advised.starts[0], command))


def _places(
    words: list[str], unit: str | None, signal: Signal | None, column: str | None
) -> dict[str, IntensitySeries]:
    """``[PLACE=]FILE`` by place. Raises ConfigError."""
    from wattmark.impact.series import read_series

    places: dict[str, IntensitySeries] = {}
    for given in words:
        place, equals, path = given.partition("=")
        file = path if equals and not Path(given).exists() else given
        read = read_series(file, unit=unit, signal=signal, column=column)
        name = place if equals and file == path else read.zone or Path(file).name.partition(".")[0]
        if name in places:
            raise ConfigError(
                f"two series are of {name}", hint="name them: --series A=a.csv --series B=b.csv"
            )
        places[name] = read
    return places


def _job(duration: str | None, like: str | None) -> tuple[float | str, Quantity | None]:
    if like is not None:
        from wattmark.workspace.library import load

        run = load(like)
        return duration or run.duration_s, run.energy
    if duration is None:
        raise ConfigError(
            "how long is the job?", hint="--duration 4h, or --like RUN for a past run's time and energy"
        )
    return duration, None


def _length(text: str) -> float:
    return 0.0 if text.strip() in ("0", "0s", "0m", "0h") else parse_age(text).total_seconds()


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise ConfigError(f"--now {text!r} is no time", hint="2026-03-01T12:30") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _render(answer: Plan) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_mass, significant

    out = console()
    many = len({way.place for way in answer.ways}) > 1
    grams = any(way.grams is not None for way in answer.ways)
    heads = [*(["place"] if many else []), "way", "start (UTC)", "pieces", "g/kWh", "between"]
    heads += [*(["carbon"] if grams else []), "saved in the past"]
    table = new_table(*heads, numbers=("pieces", "g/kWh", "carbon"))
    for way in answer.ways:
        mean, saved = way.g_per_kwh, way.savings
        start = datetime.fromtimestamp(way.starts[0], timezone.utc)
        certain = mean.low == mean.high
        cells = [
            *([plain(way.place)] if many else []),
            re.split("[,:]", way.words)[0],  # the sentence below has all of it
            f"{start:%a %d %b %H:%M}",
            str(len(way.starts)),
            significant(mean.value),
            "" if certain else f"{significant(mean.low)} to {significant(mean.high)}",
        ]
        if grams:
            cells.append("" if way.grams is None else format_mass(way.grams.value))
        cells.append("" if saved is None else f"{saved.mean:.0%} ({saved.low:.0%} to {saved.high:.0%})")
        table.add_row(*cells, style="bold" if way is answer.advised else "")
    out.print(table)
    where = f" in {plain(answer.advised.place)}" if many else ""
    out.print(
        f"{answer.advised.words[0].upper()}{answer.advised.words[1:]}{where}: {plain(answer.why)}.",
        soft_wrap=True,
    )
    out.print(f"{answer.signal} intensity; {plain(answer.method)}", style="dim", soft_wrap=True)
    for note in answer.notes:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)
    if answer.beside is not None:
        out.print()
        words = "advises otherwise" if answer.disagrees else "advises the same"
        out.print(f"Beside it, {answer.beside.signal} intensity {words}:", style="bold")
        _render(answer.beside)

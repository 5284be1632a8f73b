"""``wattmark fleet``: what drives the carbon of many runs, or of a survey's models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError

if TYPE_CHECKING:
    from wattmark.lifecycle.fleet import Decomposition, Fleet
    from wattmark.statistics import Estimate

app = typer.Typer(rich_markup_mode=None)


@app.command()
def fleet(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE.csv]",
            help="A survey: power, time, energy, intensity, carbon, date, quality. Without it: the kept runs.",
        ),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Of runs: K or K=V; of several, all must fit.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of runs: a pattern with * and ?.")] = None,
    since: Annotated[str | None, typer.Option(help="Of runs: a date, or an age such as 30d.")] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Whose place among them is asked.")] = None,
    published: Annotated[
        bool, typer.Option("--published", help="Its place among models whose training energy was published.")
    ] = False,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND=HEADER", help="A column that is not understood by its name."),
    ] = None,
    unit: Annotated[
        list[str] | None, typer.Option(metavar="KIND=UNIT", help="A unit that a name does not say: time=min.")
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Share the variance of carbon among power, time and intensity, with intervals; trends; who stands where.

    \b
    Example: wattmark fleet survey.csv --unit time=h --run last --published
    """
    from wattmark.lifecycle.fleet.question import fleet as ask
    from wattmark.workspace.library import list_runs

    if file is not None and (tag or name or since):
        raise ConfigError("--tag, --name and --since choose runs, not rows of a file")
    if published and run is None:
        raise ConfigError("--published needs the run that is placed", hint="--run last")
    chosen = (
        file
        if file is not None
        else list_runs(tag=tag, name=name, since=since, status=("completed", "failed", "interrupted"))
    )
    answer = ask(chosen, place=run, published=published, columns=_pairs(column), units=_pairs(unit))
    if not write_json(answer.as_dict(), json_path):
        _render(answer)


def _pairs(words: list[str] | None) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words or ():
        kind, equals, value = word.partition("=")
        if not (kind and equals and value):
            raise ConfigError(f"{word!r} is not understood", hint="--column power='My column', --unit time=h")
        pairs[kind.strip()] = value.strip()
    return pairs


def _render(answer: Fleet) -> None:
    from wattmark.units import format_energy, format_mass, significant

    out = console()
    if answer.rows:
        whole = math.fsum(row.energy_j for row in answer.rows)
        grams = answer.carbon_g
        out.print(
            f"{len(answer.rows)} rows: {format_energy(whole)}, {format_mass(grams or 0.0)} CO2e",
            soft_wrap=True,
        )
    for why, count in answer.survey.left_out.items():
        out.print(f"! {count} left out: {plain(why)}", style="yellow", soft_wrap=True)
    if answer.shares is not None:
        _shares(answer.shares)
    elif answer.why:
        out.print(f"No shares: {plain(answer.why)}", soft_wrap=True)
    for trend in answer.trends:
        change = (trend.per_year.value - 1) * 100
        words = f"{change:+.0f}%" if abs(change) < 1000 else f"times {significant(trend.per_year.value)}"
        clear = "" if trend.clear else ", not clearly"
        ends = f"times {significant(trend.per_year.low or 0.0)} to {significant(trend.per_year.high or 0.0)}"
        out.print(f"{trend.of} by year: {words} ({ends}{clear})", soft_wrap=True)
    if answer.quality is not None:
        factor, ranks = answer.quality.energy_factor, answer.quality.rank_correlation
        out.print(
            f"quality: the best quarter takes {significant(factor.value)} times the energy of the worst "
            f"[{significant(factor.low or 0.0)}, {significant(factor.high or 0.0)}], rank correlation {_ends(ranks)}",
            soft_wrap=True,
        )
    if answer.standing is not None:
        one = answer.standing
        out.print(
            f"{plain(one.name)} ({format_energy(one.energy_j)}) takes more than {one.below} of {one.others} of "
            f"{answer.among} ({_percent(one.share)}); nearest: {plain(', '.join(one.nearest))}",
            soft_wrap=True,
        )
    for note in answer.survey.notes:
        out.print(f"! {plain(note)}", style="yellow", soft_wrap=True)


def _shares(shares: Decomposition) -> None:
    from wattmark.cli.terminal.table import new_table

    table = new_table(
        "of the variance of log C", "share", "in all", numbers=("share", "in all"), spare=("in all",)
    )
    for factor in shares.factors:
        table.add_row(factor, _percent(shares.own[factor]), _percent(shares.in_all[factor]))
    for (one, other), share in shares.together.items():
        table.add_row(f"{one} with {other}", _percent(share), "")
    total = sum(one.value for one in (*shares.own.values(), *shares.together.values()))
    table.add_row(
        "sum", f"{total:.0%}", f"{sum(one.value for one in shares.in_all.values()):.0%}", style="dim"
    )
    out = console()
    out.print(table)
    deviation = math.exp(math.sqrt(shares.log_variance))
    out.print(
        f"Carbon typically differs by a factor of {deviation:.3g} (one standard deviation of log C).",
        soft_wrap=True,
    )


def _percent(one: Estimate) -> str:
    low, high = (
        "?" if end is None or not math.isfinite(end) else f"{end:.0%}" for end in (one.low, one.high)
    )
    return f"{one.value:.0%} [{low}, {high}]"


def _ends(one: Estimate) -> str:
    return f"{one.value:.2f} [{one.low:.2f}, {one.high:.2f}]"

"""``wattmark health``: how far the numbers of a run can be trusted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json

if TYPE_CHECKING:
    from wattmark.runs.health import RunHealth

app = typer.Typer(rich_markup_mode=None)


@app.command()
def health(
    ref: Annotated[
        str, typer.Argument(metavar="RUN", help="An id, its beginning, a name, last or @-1.")
    ] = "last",
    json_path: JsonPath = None,
) -> None:
    """Show coverage, holes and wraps of a run's channels, sensors that disagree, and what measuring cost.

    \b
    Example: wattmark health last
    """
    from wattmark.workspace.library import health as health_of

    found = health_of(ref)
    if not write_json(_plain(found), json_path):
        _render(found)


def _plain(found: RunHealth) -> dict[str, Any]:
    return {
        **asdict(found),
        "agreements": [
            {
                **{key: getattr(one, key) for key in ("what", "first", "second", "ratio", "agrees")},
                "first_energy": one.first_energy.as_dict(),
                "second_energy": one.second_energy.as_dict(),
            }
            for one in found.agreements
        ],
    }


def _render(found: RunHealth) -> None:
    from wattmark.cli.terminal.render import render_warnings
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration

    out = console()
    out.print(
        f"{plain(found.name)}: {found.coverage:.1%} of the counted channels' time is covered", style="bold"
    )
    numbers = ("coverage", "samples", "usual gap", "longest", "wraps", "holes")
    table = new_table(
        "channel", "how", *numbers, numbers=numbers, spare=("wraps", "usual gap", "how", "samples")
    )
    for channel in found.channels:
        table.add_row(
            plain(channel.id),
            channel.method if channel.counted else f"{channel.method}, not in the total",
            f"{channel.coverage:.1%}",
            str(channel.samples),
            "" if channel.usual_gap_s is None else format_duration(channel.usual_gap_s),
            "" if channel.max_gap_s is None else format_duration(channel.max_gap_s),
            "" if channel.wraps is None else str(channel.wraps),
            str(len(channel.holes)),
        )
    out.print(table)
    for pair in found.agreements:
        ratio = "" if pair.ratio is None else f", {pair.ratio:.2f} times"
        verdict = "agree" if pair.agrees else "do not agree"
        words = f"{pair.what}: {pair.first} and {pair.second} {verdict}{ratio}"
        out.print(plain(words), style="" if pair.agrees else "yellow", soft_wrap=True)
    if found.recorder_share is not None:
        out.print(f"The recorder used {found.recorder_share:.2%} of one core.")
    for advice in found.advice:
        how = f": {advice.how}" if advice.how else ""
        out.print(plain(f"{advice.what}: {advice.why}{how}"), style="yellow", soft_wrap=True)
    render_warnings(out, [warning.message for warning in found.warnings])

"""``wattmark health``: how far the numbers of a run can be trusted."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from wattmark.cli.terminal.options import JsonPath, RunRef
from wattmark.cli.terminal.output import console, plain, write_json

if TYPE_CHECKING:
    from wattmark.runs.health import RunHealth

app = typer.Typer(rich_markup_mode=None)


@app.command()
def health(
    ref: RunRef = "last",
    json_path: JsonPath = None,
) -> None:
    """Show coverage, holes and wraps of a run's channels, sensors that disagree, and what measuring cost.

    \b
    Example: wattmark health last
    """
    from wattmark.workspace.library import health as health_of

    run_health = health_of(ref)
    if not write_json(_plain(run_health), json_path):
        _render(run_health)


def _plain(run_health: RunHealth) -> dict[str, Any]:
    return {
        **asdict(run_health),
        "agreements": [
            {
                **{key: getattr(agreement, key) for key in ("what", "first", "second", "ratio", "agrees")},
                "first_energy": agreement.first_energy.as_dict(),
                "second_energy": agreement.second_energy.as_dict(),
            }
            for agreement in run_health.agreements
        ],
    }


def _render(run_health: RunHealth) -> None:
    from wattmark.cli.terminal.render import render_warnings
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_duration

    out = console()
    out.print(
        f"{plain(run_health.name)}: {run_health.coverage:.1%} of the counted channels' time is covered",
        style="bold",
    )
    numbers = ("coverage", "samples", "usual gap", "longest", "wraps", "holes")
    table = new_table(
        "channel", "how", *numbers, numbers=numbers, spare=("wraps", "usual gap", "how", "samples")
    )
    for channel in run_health.channels:
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
    for pair in run_health.agreements:
        ratio = "" if pair.ratio is None else f", {pair.ratio:.2f} times"
        verdict = "agree" if pair.agrees else "do not agree"
        words = f"{pair.what}: {pair.first} and {pair.second} {verdict}{ratio}"
        out.print(plain(words), style="" if pair.agrees else "yellow", soft_wrap=True)
    if run_health.recorder_share is not None:
        out.print(f"The recorder used {run_health.recorder_share:.2%} of one core.")
    for advice in run_health.advice:
        how = f": {advice.how}" if advice.how else ""
        out.print(plain(f"{advice.what}: {advice.why}{how}"), style="yellow", soft_wrap=True)
    render_warnings(out, [f"{warning.code}: {warning.message}" for warning in run_health.warnings])

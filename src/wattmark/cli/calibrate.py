"""``wattmark calibrate``: the watts of the idle machine."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, say, write_json

app = typer.Typer(rich_markup_mode=None)


@app.command()
def calibrate(
    seconds: Annotated[float, typer.Option(min=1.0, max=3600.0, help="How long to measure.")] = 30.0,
    json_path: JsonPath = None,
) -> None:
    """Measure the idle machine and keep its watts by component: later runs show their energy above idle.

    End what else runs first; a warning says if the machine was busy.

    \b
    Example: wattmark calibrate --seconds 60
    """
    from wattmark.workspace.calibration import calibrate as measure_idle

    say(f"measuring the idle machine for {seconds:g} s")
    baseline = measure_idle(seconds)
    if baseline.busy:
        say(f"the machine was not idle: {baseline.busy_cores:.1f} cores were busy; the baseline is too high")
    if not write_json(baseline.to_dict(), json_path):
        _render(baseline.idle_w, baseline.methods, baseline.path)


def _render(idle: dict[str, float], methods: dict[str, str], path: str) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_power

    table = new_table("", "idle", "how", numbers=("idle",))
    for component, watts in idle.items():
        table.add_row(component, format_power(watts), methods.get(component, ""))
    out = console()
    out.print(table)
    out.print(f"kept in {path}", soft_wrap=True)

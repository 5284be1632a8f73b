"""``wattmark calibrate``: the watts of the idle machine, and what lies between its sensors and its plug."""

from __future__ import annotations

from typing import Annotated

import typer

from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, say, write_json
from wattmark.errors import ConfigError

app = typer.Typer(rich_markup_mode=None)


@app.command()
def calibrate(
    seconds: Annotated[
        float | None,
        typer.Option(min=1.0, max=7200.0, help="How long: 30 of the idle machine, 270 of its loads."),
    ] = None,
    meter: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            help="Hold the machine against a meter at its plug: a CSV file of readings, shelly://HOST, tasmota://HOST, "
            "homeassistant://HOST:8123/sensor.NAME, redfish://HOST, ipmi://HOST or snmp://HOST/OID.",
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="The run that a file's readings are of (default: all of its time)."),
    ] = None,
    load: Annotated[
        bool | None,
        typer.Option(
            "--load/--no-load",
            help="Make the machine work at several levels (default: where a meter is asked now).",
        ),
    ] = None,
    unit: Annotated[
        str | None, typer.Option("--meter-unit", metavar="UNIT", help="Of a file's values: W, kW, Wh, kWh.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="Of a file's times: Europe/Berlin.")
    ] = None,
    accuracy: Annotated[
        float | None,
        typer.Option(
            "--meter-accuracy",
            metavar="PERCENT",
            min=0.0,
            max=50.0,
            help="Of the meter (default 2; of a controller 5).",
        ),
    ] = None,
    json_path: JsonPath = None,
) -> None:
    """Measure the idle machine and keep its watts by component: later runs show their energy above idle.

    With --meter, find what lies between the sensors and the plug: later runs (and earlier ones) are shown at the plug
    too. A meter that logs to a file: wattmark calibrate --load while it logs, then --meter with the file.

    End what else runs first; a warning says if the machine was busy.

    \b
    Example: wattmark calibrate --meter shelly://192.168.1.20
    """
    if meter is not None:
        _calibrate_wall(meter, run, seconds, load, unit, timezone, accuracy, json_path)
        return
    if load:
        _load(seconds, json_path)
        return
    given = {"--run": run, "--meter-unit": unit, "--timezone": timezone, "--meter-accuracy": accuracy}
    lonely = [name for name, value in given.items() if value is not None]
    if lonely:
        raise ConfigError(
            f"{', '.join(lonely)} is of a meter's readings", hint="wattmark calibrate --meter readings.csv"
        )
    from wattmark.workspace.calibration import calibrate as measure_idle

    length_s = 30.0 if seconds is None else seconds
    say(f"measuring the idle machine for {length_s:g} s")
    baseline = measure_idle(length_s)
    if baseline.busy:
        say(f"the machine was not idle: {baseline.busy_cores:.1f} cores were busy; the baseline is too high")
    if not write_json(baseline.to_dict(), json_path):
        _render(baseline.idle_w, baseline.methods, baseline.path)


def _load(seconds: float | None, json_path: str | None) -> None:
    from wattmark.workspace.meters.calibration import LIVE_S, load_run

    run = load_run(LIVE_S if seconds is None else seconds, say)
    if not write_json(run.to_dict(), json_path):
        console().print(
            f"kept as {run.id}; now: wattmark calibrate --meter readings.csv --run {run.id}", soft_wrap=True
        )


def _calibrate_wall(
    meter: str,
    run: str | None,
    seconds: float | None,
    load: bool | None,
    unit: str | None,
    timezone: str | None,
    accuracy: float | None,
    json_path: str | None,
) -> None:
    from wattmark.units import format_power
    from wattmark.workspace.meters.calibration import LIVE_S, calibrate_wall

    model = calibrate_wall(
        meter,
        run=run,
        seconds=LIVE_S if seconds is None else seconds,
        load=load is not False,
        unit=unit,
        timezone=timezone,
        accuracy=None if accuracy is None else accuracy / 100,
        tell=say,
    )
    for note in model.notes:
        say(note)
    if write_json(model.to_dict(), json_path):
        return
    from wattmark.cli.terminal.table import new_table

    table = new_table("sensors", "at the plug", numbers=("sensors", "at the plug"))
    for share in (0.0, 0.5, 1.0):
        power_w = model.low_w + share * (model.high_w - model.low_w)
        table.add_row(format_power(power_w), format_power(model.wall_w(power_w)))
    out = console()
    out.print(table)
    out.print(
        f"plug = {model.constant_w:.2f} W + {model.slope:.3f} x W + {model.curve_per_w:.2g} x W²; "
        f"{model.levels} levels of load, "
        f"{model.seconds:.0f} s of readings of {plain(model.meter)}",
        soft_wrap=True,
    )
    out.print("kept for this machine: wattmark show RUN, and --scope wall for its errors", soft_wrap=True)


def _render(idle: dict[str, float], methods: dict[str, str], path: str) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_power

    table = new_table("", "idle", "how", numbers=("idle",))
    for component, watts in idle.items():
        table.add_row(component, format_power(watts), methods.get(component, ""))
    out = console()
    out.print(table)
    out.print(f"kept in {path}", soft_wrap=True)

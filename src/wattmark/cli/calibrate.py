"""``wattmark calibrate``: the watts of the idle machine."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Annotated

import typer

from wattmark import settings
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, say, write_json
from wattmark.errors import RecorderError
from wattmark.paths import journals_dir
from wattmark.recorder import launch, tree

if TYPE_CHECKING:
    from wattmark.recorder.launch import Session

app = typer.Typer(rich_markup_mode=None)
BUSY_CORES = 0.5
"""More than this many busy cores on average is no idle machine."""


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
    from wattmark.runs.baseline import save_baseline
    from wattmark.runs.reading.journals import read_recorder

    host = os.uname().nodename
    session = launch.start(journals_dir(), settings.recorder_settings({}))
    say(f"measuring the idle machine for {seconds:g} s")
    busy_s = tree.host_busy_s()
    began = time.monotonic()
    try:
        idle = idle_watts(session, seconds)
        lasted_s = time.monotonic() - began
    finally:
        session.stop()
    groups = read_recorder(session.folder).groups
    shutil.rmtree(session.folder, ignore_errors=True)
    methods: dict[str, str] = {
        channel.component: channel.method for group in groups for channel in group.channels if channel.counted
    }
    if not idle:
        raise RecorderError("nothing here could be measured or modelled", hint="wattmark sources says why")
    path = save_baseline(host, idle, seconds=lasted_s, methods=methods)
    now_busy_s = tree.host_busy_s()
    busy = None if busy_s is None or now_busy_s is None else (now_busy_s - busy_s) / lasted_s
    if busy is not None and busy > BUSY_CORES:
        say(f"the machine was not idle: {busy:.1f} cores were busy; the baseline is too high")
    data = {
        "host": host,
        "idle_w": idle,
        "methods": methods,
        "seconds": lasted_s,
        "busy_cores": busy,
        "path": path,
    }
    if not write_json(data, json_path):
        _render(idle, methods, path)


def idle_watts(session: Session, seconds: float) -> dict[str, float]:
    """Mean watts by component over ``seconds`` from now, counted channels only; empty if the recorder is gone."""
    try:
        session.sync()
        start = session.live.read()
        time.sleep(seconds)
        session.sync()
        end = session.live.read()
    except (OSError, ValueError):
        return {}
    length_s = (end.t_ns - start.t_ns) / 1e9
    if length_s <= 0:
        return {}
    return {
        component: (energy_j - start.by_component_j[component]) / length_s
        for component, energy_j in end.by_component_j.items()
        if component in start.by_component_j
    }


def _render(idle: dict[str, float], methods: dict[str, str], path: str) -> None:
    from wattmark.cli.terminal.table import new_table
    from wattmark.units import format_power

    table = new_table("", "idle", "how", numbers=("idle",))
    for component, watts in idle.items():
        table.add_row(component, format_power(watts), methods.get(component, ""))
    out = console()
    out.print(table)
    out.print(f"kept in {path}", soft_wrap=True)

"""``wattmark config``: the settings, where each comes from, and the user's own file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from wattmark import settings
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.workspace.configuration import keys_of, read_toml, set_setting, user_file

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Show and change settings: flags win over WATTMARK_ variables, these over [tool.wattmark] in pyproject.toml,
    that over the user's config.toml.

    \b
    Example: wattmark config set zone FR
    """


@app.command("path")
def path() -> None:
    """Print where the user's settings are kept.

    \b
    Example: wattmark config path
    """
    typer.echo(user_file())


@app.command("list")
def list_settings(json_path: JsonPath = None) -> None:
    """Show all settings with their values and where they come from.

    \b
    Example: wattmark config list --json -
    """
    values, origins = settings.load(), _origins()
    rows: list[dict[str, Any]] = [
        {"name": name, "value": values.get(name), "origin": origins.get(name), "meaning": meaning}
        for name, meaning in settings.KNOWN.items()
    ]
    if write_json(rows, json_path):
        return
    from wattmark.cli.terminal.table import new_table

    table = new_table("setting", "value", "from", "meaning", spare=("meaning", "from"))
    for row in rows:
        value = "" if row["value"] is None else _words(row["value"])
        table.add_row(row["name"], plain(value), plain(row["origin"] or "default"), row["meaning"])
    console().print(table)


@app.command("get")
def get(name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Print one setting; the exit code is 1 if it is not set.

    \b
    Example: wattmark config get zone
    """
    keys = keys_of(name)
    value: Any = settings.load()
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if value is None:
        raise typer.Exit(1)
    typer.echo(plain(_words(value)))


@app.command("set")
def set_value(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="Without a value the setting is removed.")
    ] = None,
) -> None:
    """Set one setting in the user's config.toml; comments in that file are lost.

    \b
    Example: wattmark config set options.cpu-model.tdp_w 125
    """
    set_setting(name, value)


def _origins() -> dict[str, str]:
    """Setting -> where its value comes from; the stronger place is written over the weaker one."""
    origins = dict.fromkeys(read_toml(user_file()), user_file())
    project = settings.find_pyproject(str(Path.cwd()))
    if project is not None:
        origins.update(dict.fromkeys(read_toml(project).get("tool", {}).get("wattmark", {}), project))
    for name in settings.KNOWN:
        variable = f"WATTMARK_{name.upper()}"
        if os.environ.get(variable) and name != "options":
            origins[name] = variable
    return origins


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    return json.dumps(value) if isinstance(value, dict) else str(value)

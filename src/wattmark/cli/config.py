"""``wattmark config``: the settings, where each comes from, and the user's own file."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from wattmark import settings
from wattmark.cli.terminal.options import JsonPath
from wattmark.cli.terminal.output import console, plain, write_json
from wattmark.errors import ConfigError
from wattmark.paths import data_dir

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


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
    keys = _keys(name)
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
    keys = _keys(name)
    path = user_file()
    table = _toml(path)
    inner = table
    for key in keys[:-1]:
        step: Any = inner.setdefault(key, {})
        if not isinstance(step, dict):
            raise ConfigError(f"{name}: {key} is a value, not a table")
        inner = cast("dict[str, Any]", step)
    inner.pop(keys[-1], None)
    if value is not None:
        inner[keys[-1]] = _checked(keys, value)
    new = Path(f"{path}.new")
    try:
        new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.write_text(to_toml(table), encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}",
            hint="name another data folder with WATTMARK_DATA_DIR",
        ) from error


def user_file() -> str:
    """The user's settings."""
    return str(Path(data_dir(), "config.toml"))


def to_toml(table: dict[str, Any], prefix: str = "") -> str:
    """A table of strings, numbers, truth values, lists of these and tables, as TOML."""
    lines: list[str] = []
    below: list[str] = []
    for key, value in table.items():
        name = key if _BARE_KEY.fullmatch(key) else json.dumps(key)
        if isinstance(value, dict):
            below.append(to_toml(value, f"{prefix}{name}."))  # pyright: ignore[reportUnknownArgumentType]
        else:
            lines.append(f"{name} = {json.dumps(value)}")  # which is TOML too, for these types
    head = f"[{prefix[:-1]}]\n" if prefix and lines else ""
    return head + "".join(f"{line}\n" for line in lines) + "".join(below)


def _keys(name: str) -> list[str]:
    keys = name.split(".")
    if keys[0] not in settings.KNOWN or "" in keys or (len(keys) > 1) != (keys[0] == "options"):
        known = ", ".join(sorted({*settings.KNOWN} - {"options"}))
        raise ConfigError(f"there is no setting {name!r}", hint=f"there are {known} and options.SOURCE.NAME")
    return keys


def _checked(keys: list[str], text: str) -> Any:
    """The value as it is kept: of the right kind and in range. Raises ConfigError."""
    name = keys[0]
    if name == "options":
        return _scalar(text)
    if name == "zone":
        from wattmark.impact import find_zone

        find_zone(text)
    elif name == "store":
        from wattmark.store.engine import store_url

        store_url(text)
        return settings.located_store(text, str(Path.cwd()))  # as meant here, wherever it is read
    elif name in ("period_s", "pue"):
        value = _scalar(text)
        settings.recorder_settings({name: value})
        return value
    elif name == "sources":
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _scalar(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _toml(path: str | None) -> dict[str, Any]:
    try:
        import tomllib  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        import tomli as tomllib  # pyright: ignore[reportMissingImports]
    if path is None or not Path(path).exists():
        return {}
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        raise ConfigError(
            f"{path} is not valid TOML: {error}", hint="mend the file or the line it names"
        ) from error


def _origins() -> dict[str, str]:
    """Setting -> where its value comes from; the stronger place is written over the weaker one."""
    found = dict.fromkeys(_toml(user_file()), user_file())
    project = settings.find_pyproject(str(Path.cwd()))
    if project is not None:
        found.update(dict.fromkeys(_toml(project).get("tool", {}).get("wattmark", {}), project))
    for name in settings.KNOWN:
        variable = f"WATTMARK_{name.upper()}"
        if os.environ.get(variable) and name != "options":
            found[name] = variable
    return found


def _words(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType]
    return json.dumps(value) if isinstance(value, dict) else str(value)

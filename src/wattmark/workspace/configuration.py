"""The settings as Python gives them, the user's own file, and the sources that they leave."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from wattmark import settings
from wattmark.errors import ConfigError
from wattmark.paths import data_dir
from wattmark.sources.base import Host
from wattmark.sources.discovery import Selection, discover

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings as they apply here and now: ``Settings.load().zone``. The strongest place wins, as in the commands.

    sources: names to use, None for the best ones. period_s: seconds between samples. zone, pue: where the power comes from.
    store: a file or database URL, None for the one in the data folder. options: settings of sources.
    """

    sources: tuple[str, ...] | None = None
    period_s: float = settings.DEFAULT_PERIOD_S
    zone: str | None = None
    pue: float | str | None = None
    store: str | None = None
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    others: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def load(cls) -> Settings:
        """Those of the environment, ``[tool.wattmark]`` and the user's config.toml. Raises ConfigError."""
        values = settings.load()
        names = ("sources", "period_s", "zone", "pue", "store", "options")
        given = {name: values.pop(name) for name in names if name in values}
        if "sources" in given:
            given["sources"] = tuple(given["sources"])
        return cls(**given, others=values)

    @staticmethod
    def set(name: str, value: object = None) -> None:
        """Write one setting into the user's config.toml (None removes it), as ``wattmark config set`` does.

        Raises ConfigError for a setting that does not exist, or a value that it cannot have.
        """
        if isinstance(value, list | tuple):
            value = ",".join(map(str, cast("Sequence[object]", value)))
        elif isinstance(value, bool):
            value = str(value).lower()
        set_setting(name, None if value is None else str(value))

    def to_dict(self) -> dict[str, Any]:
        """By name."""
        values = asdict(self)
        return {**values, **values.pop("others")}


def usable_sources(names: Sequence[str] | None = None) -> Selection:
    """``wm.sources()``: what can be measured here, how well, and why something cannot.

    names: judge as if these were asked for (``"!rapl"`` leaves one out). ``channels`` of the result are what a run would
    have, ``to_dict()`` the object of ``wattmark sources --json``, ``doubts`` what half a second of readings found wrong with
    some of them. Raises ConfigError for a source that does not exist.
    """
    from wattmark.recorder.choice import first_doubts

    chosen = settings.recorder_settings({"sources": list(names)} if names else {})
    host = Host.here(options=chosen.get("options"))
    selection = discover(host, chosen.get("wanted"))
    selection.doubts = first_doubts(selection, host)
    return selection


def set_setting(name: str, value: str | None) -> None:
    """Write one setting, as text, into the user's config.toml; None removes it. Raises ConfigError."""
    keys = keys_of(name)
    path = user_file()
    table = read_toml(path)
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


def keys_of(name: str) -> list[str]:
    """``"options.rapl.x"`` as its parts. Raises ConfigError for a setting that does not exist."""
    keys = name.split(".")
    if keys[0] not in settings.KNOWN or "" in keys or (len(keys) > 1) != (keys[0] == "options"):
        names = ", ".join(sorted({*settings.KNOWN} - {"options"}))
        raise ConfigError(f"there is no setting {name!r}", hint=f"there are {names} and options.SOURCE.NAME")
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


def read_toml(path: str | None) -> dict[str, Any]:
    """A TOML file as a table; empty if there is none. Raises ConfigError."""
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

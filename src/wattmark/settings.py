"""Settings, from strongest to weakest: code or flag, environment (``WATTMARK_*``), ``[tool.wattmark]`` in the nearest
pyproject.toml, the user's ``config.toml`` in the data folder, defaults.

Standard library only: measured processes read them on their way into a run, so a file is parsed only when it is there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from wattmark.errors import ConfigError
from wattmark.paths import data_dir

DEFAULT_PERIOD_S = 0.1
SECTION = b"[tool.wattmark"

KNOWN: dict[str, str] = {
    "sources": "names of sources to use (\"!name\" leaves one out), e.g. [\"rapl\", \"nvml\"]",
    "period_s": "seconds between samples, 0.001 to 10 (default 0.1)",
    "zone": "where the power comes from, for carbon: FR, US-CAL-CISO, gcp:europe-west1",
    "pue": "power usage effectiveness of the building, 1.0 or more; a stage of its own, never in the joules",
    "store": "file or database URL where runs are kept",
    "options": "a table of settings by source, e.g. options.cpu-model.tdp_w = 125",
}


def load(environ: Mapping[str, str] | None = None, folder: str | None = None) -> dict[str, Any]:
    """All settings that are set anywhere, the stronger place winning.

    Raises ConfigError for a file that cannot be parsed or a value of the wrong kind.
    """
    env = os.environ if environ is None else environ
    merged: dict[str, Any] = {}
    for path, keys in (
        (f"{data_dir(env)}/config.toml", ()),
        (find_pyproject(folder or os.getcwd()), ("tool", "wattmark")),
    ):
        merged.update(_table(path, keys))
    for name in KNOWN:
        value = env.get(f"WATTMARK_{name.upper()}")
        if value and name != "options":
            merged[name] = value
    return _checked(merged)


def recorder_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a recorder needs to know, from code (``given``) and everywhere else."""
    merged = {**load(), **{key: value for key, value in given.items() if key in KNOWN}}
    merged = _checked(merged)
    result: dict[str, Any] = {"period_s": merged.get("period_s", DEFAULT_PERIOD_S)}
    if merged.get("sources"):
        result["wanted"] = merged["sources"]
    if merged.get("options"):
        result["options"] = merged["options"]
    return result


def find_pyproject(folder: str) -> str | None:
    """The nearest pyproject.toml at or above a folder."""
    while True:
        path = os.path.join(folder, "pyproject.toml")
        if os.path.isfile(path):
            return path
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


def _table(path: str | None, keys: tuple[str, ...]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return {}
    if keys and SECTION not in data:
        return {}
    try:
        import tomllib  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        import tomli as tomllib  # pyright: ignore[reportMissingImports]
    try:
        table: Any = tomllib.loads(data.decode())  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:  # pyright: ignore[reportUnknownMemberType]
        raise ConfigError(f"{path} is not valid TOML: {error}", hint="mend the file or the line it names") from error
    for key in keys:
        table = table.get(key, {})
    unknown = [key for key in table if key not in KNOWN]
    if unknown:
        raise ConfigError(
            f"{path}: unknown setting {unknown[0]!r}", hint=f"known settings: {', '.join(sorted(KNOWN))}"
        )
    return dict(table)


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    checked = dict(values)
    sources = checked.get("sources")
    if isinstance(sources, str):
        checked["sources"] = [part.strip() for part in sources.split(",") if part.strip()]
    for name, low, high in (("period_s", 0.001, 10.0), ("pue", 1.0, 100.0)):
        if name not in checked:
            continue
        try:
            number = float(checked[name])
        except (TypeError, ValueError):
            number = float("nan")
        if not low <= number <= high:
            raise ConfigError(f"{name} must be a number between {low:g} and {high:g}, not {checked[name]!r}")
        checked[name] = number
    return checked

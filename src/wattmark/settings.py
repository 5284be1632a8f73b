"""Settings, from strongest to weakest: code or flag, environment (``WATTMARK_*``), ``[tool.wattmark]`` in the nearest
pyproject.toml, the user's ``config.toml`` in the data folder, defaults.

Standard library only: measured processes read them on their way into a run, so a file is parsed only when it is there.
"""

from __future__ import annotations

import os

from wattmark.errors import ConfigError
from wattmark.paths import data_dir

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DEFAULT_PERIOD_S = 0.1

KNOWN: dict[str, str] = {
    "sources": 'names of sources to use ("!name" leaves one out), e.g. ["rapl", "nvml"]',
    "period_s": "seconds between samples, 0.001 to 10 (default 0.1)",
    "project": "whose work runs are, for totals: the tag project of every run that has none",
    "zone": "where the power comes from, for carbon: FR, US-CAL-CISO, gcp:europe-west1",
    "pue": "power usage effectiveness of the building, from 1.0, or a range (1.1-1.3); a later stage, never in the joules",
    "provider": "who is asked for the grid's intensity by the hour: electricitymaps, watttime, uk ... (nobody, if not set)",
    "energy_unit": "how joules are shown: auto (default; J, kJ, MJ ...), J, Wh or kWh",
    "wall": "runs at the plug: calibrated (default), default (else what servers are known to add) or off",
    "store": "file or database URL where runs are kept",
    "options": "a table of settings by source, e.g. options.cpu-model.tdp_w = 125",
}
_ENERGY_UNITS = ("auto", "J", "Wh", "kWh")
_WALLS = ("calibrated", "default", "off")
_RANGES = {"period_s": (0.001, 10.0), "pue": (1.0, 100.0)}


def load(environ: Mapping[str, str] | None = None, folder: str | None = None) -> dict[str, Any]:
    """All settings that are set anywhere, the stronger place winning; ``options`` are merged one by one.

    Raises ConfigError for a file that cannot be read or parsed, a name that is not known, or a value of the wrong kind.
    """
    env = os.environ if environ is None else environ
    merged: dict[str, Any] = {}
    user_file = f"{data_dir(env)}/config.toml"
    _merge(merged, _checked(_table(user_file, ()), user_file))
    project_file = find_pyproject(folder)
    if project_file is not None:
        project = _table(project_file, ("tool", "wattmark"))
        project.pop("budgets", None)  # of tests: wattmark.integrations.pytest_plugin
        _merge(merged, _checked(project, project_file))
    for name in KNOWN:
        variable = f"WATTMARK_{name.upper()}"
        value = env.get(variable, "").strip()
        if value and name != "options":
            _merge(merged, _checked({name: value}, variable))
    return merged


def recorder_settings(given: Mapping[str, Any], loaded: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a recorder needs to know, from code (``given``, whose other keys are left out) and everywhere else (``loaded``,
    where :func:`load` was asked already).

    ``period_s`` always; ``wanted`` and ``options`` where they are set. Raises ConfigError as :func:`load` does.
    """
    merged = load() if loaded is None else dict(loaded)
    _merge(merged, _checked({key: value for key, value in given.items() if key in KNOWN}, "measure()"))
    result: dict[str, Any] = {"period_s": merged.get("period_s", DEFAULT_PERIOD_S)}
    if merged.get("sources"):
        result["wanted"] = merged["sources"]
    if merged.get("options"):
        result["options"] = merged["options"]
    return result


def find_pyproject(folder: str | None = None) -> str | None:
    """The nearest pyproject.toml at or above a folder (default: the working folder), or None.

    The search ends at the root of a git work tree and at the user's home: what lies above is of another project.
    """
    try:
        here = os.path.abspath(folder or os.getcwd())
    except OSError:  # the working folder was removed
        return None
    home = os.path.expanduser("~")
    while True:
        path = os.path.join(here, "pyproject.toml")
        if os.path.isfile(path):
            return path
        parent = os.path.dirname(here)
        if parent == here or here == home or os.path.exists(os.path.join(here, ".git")):
            return None
        here = parent


def _merge(stronger_wins: dict[str, Any], values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if name == "options":
            options = {source: dict(table) for source, table in stronger_wins.get("options", {}).items()}
            for source, table in value.items():
                options.setdefault(source, {}).update(table)
            stronger_wins["options"] = options
        else:
            stronger_wins[name] = value


def _table(path: str, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="make it readable, or remove it"
        ) from error
    if keys and not _names_a_table(data, keys[-1].encode()):
        return {}
    try:
        import tomllib  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError:
        import tomli as tomllib  # pyright: ignore[reportMissingImports]
    try:
        table: Any = tomllib.loads(data.decode())  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    except ValueError as error:  # both modules' errors are ValueErrors, as is text that is not UTF-8
        raise ConfigError(
            f"{path} is not valid TOML: {error}", hint="mend the file or the line it names"
        ) from error
    for key in keys:
        table = table.get(key, {}) if isinstance(table, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {'.'.join(keys)} must be a table, not {table!r}")
    return table  # pyright: ignore[reportUnknownVariableType]


def _names_a_table(data: bytes, name: bytes) -> bool:
    """Whether a TOML text can hold a table of this name: parsing takes milliseconds that a dependency is not worth."""
    lines = (line.lstrip(b" \t\"'") for line in data.splitlines() if name in line)
    return any(line[:1] == b"[" or (line.startswith((b"tool", name)) and b"=" in line) for line in lines)


def _checked(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values in the kinds that the rest of Wattmark takes; ``where`` they were found is part of every complaint."""
    checked = dict(values)
    for name, value in values.items():
        if name not in KNOWN:
            raise ConfigError(f"{where}: unknown setting {name!r}", hint=_hint(name))
        if name == "sources":
            checked[name] = _sources(value, where)
        elif name == "energy_unit" and value not in _ENERGY_UNITS:
            raise ConfigError(
                f"{where}: energy_unit must be one of {', '.join(_ENERGY_UNITS)}, not {value!r}",
                hint="wattmark config set energy_unit Wh",
            )
        elif name == "pue" and isinstance(value, str) and "-" in value.strip("-"):
            ends = [_number(name, end, where) for end in value.split("-", 1)]
            checked[name] = f"{min(ends):g}-{max(ends):g}"
        elif name == "wall" and value not in _WALLS:
            raise ConfigError(
                f"{where}: wall must be one of {', '.join(_WALLS)}, not {value!r}",
                hint="wattmark config set wall default",
            )
        elif name in _RANGES:
            checked[name] = _number(name, value, where)
        elif name == "options":
            if not _is_table_of_tables(value):
                raise ConfigError(
                    f"{where}: options must be a table of tables, not {value!r}",
                    hint="options.<source>.<setting> = value, e.g. options.cpu-model.tdp_w = 125",
                )
        elif not isinstance(value, str):
            raise ConfigError(f"{where}: {name} must be text, not {value!r}")
        elif name == "store" and os.path.isabs(where):
            checked[name] = located_store(value, os.path.dirname(where))
    return checked


def located_store(store: str, folder: str) -> str:
    """A store whose path, if it is relative, is meant from ``folder``: the same one from wherever it is opened."""
    scheme, path = ("sqlite:///", store[10:]) if store.startswith("sqlite:///") else ("", store)
    if not path or "://" in path:
        return store
    return f"{scheme}{os.path.join(folder, os.path.expanduser(path))}"


def _is_table_of_tables(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(table, dict) for table in value.values())  # pyright: ignore[reportUnknownVariableType]


def _sources(value: Any, where: str) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):  # pyright: ignore[reportUnknownVariableType]
        raise ConfigError(f"{where}: sources must be a list of names, not {value!r}")
    return list(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _number(name: str, value: Any, where: str) -> float:
    low, high = _RANGES[name]
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high:
        raise ConfigError(f"{where}: {name} must be a number between {low:g} and {high:g}, not {value!r}")
    return number


def _hint(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, KNOWN, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known settings: {', '.join(sorted(KNOWN))}"

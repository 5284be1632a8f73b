"""The studies that come with Wattmark, each a TOML file in ``builtin/``."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from wattmark.errors import ConfigError
from wattmark.studies.designs.design import Design, load_design, parse_design
from wattmark.workloads.registry import did_you_mean


def builtin_names() -> list[str]:
    """What there is."""
    entries = files("wattmark.studies").joinpath("builtin").iterdir()
    return sorted(entry.name.removesuffix(".toml") for entry in entries if entry.name.endswith(".toml"))


def builtin_text(name: str) -> str:
    """The TOML text of a built-in study. Raises ConfigError for one that there is not."""
    if name not in builtin_names():
        raise ConfigError(f"there is no built-in study {name!r}", hint=did_you_mean(name, builtin_names()))
    return files("wattmark.studies").joinpath("builtin", f"{name}.toml").read_text(encoding="utf-8")


def find_design(name_or_file: str, changes: Sequence[str] = ()) -> Design:
    """The design in a TOML file, or the built-in one of that name. Raises ConfigError."""
    if name_or_file.endswith(".toml") or Path(name_or_file).is_file():
        return load_design(name_or_file, changes)
    if name_or_file not in builtin_names():
        raise ConfigError(
            f"there is no study {name_or_file!r}",
            hint=f"{did_you_mean(name_or_file, builtin_names())}; or name a file that ends in .toml",
        )
    return parse_design(builtin_text(name_or_file), f"{name_or_file} (built-in)", changes)

"""Profiles kept in Wattmark's data folder, one file for each device, as JSON; a predictor is fitted of one in a moment."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError
from wattmark.paths import data_dir
from wattmark.predict.layers.calls import Call, Cost, Sample, Trace, Training, WholeSample
from wattmark.predict.layers.profiler import Chain, Profile

VERSION = 1


def folder() -> Path:
    """Where profiles are."""
    return Path(data_dir()) / "layers"


def save(profile: Profile) -> Path:
    """Keep the profile in place of the device's last one; its path."""
    folder().mkdir(parents=True, exist_ok=True)
    path = path_of(profile.device)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"version": VERSION, **asdict(profile)}) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def path_of(device: str) -> Path:
    """The file of a device."""
    return folder() / f"{_slug(device)}.json"


def load(device: str | None = None) -> Profile:
    """The profile of the device, or of the one that was profiled last. Raises ConfigError where there is none."""
    paths = sorted(folder().glob("*.json"), key=lambda path: path.stat().st_mtime)
    if device is not None:
        paths = [path for path in paths if path.stem == _slug(device)]
    if not paths:
        of = "" if device is None else f" for {device}"
        raise ConfigError(
            f"no layers were profiled{of} on this machine",
            hint="wattmark predict layers fit --budget 5min",
        )
    return read(paths[-1])


def read(path: Path) -> Profile:
    """The profile in a file. Raises ConfigError for one that is none."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != VERSION:
            raise ConfigError(
                f"{path} is of another version", hint="profile again: wattmark predict layers fit"
            )
        return Profile(
            data["device"],
            tuple(_sample(one) for one in data["layers"]),
            tuple(WholeSample(_training(one["training"]), Cost(**one["cost"]), one["error"]) for one in data["wholes"]),
            tuple(Chain(tuple(one["kinds"]), one["together_s"], one["sum_s"]) for one in data["chains"]),
            data["unsure"],
            data["seconds"],
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is no profile of layers: {error}", hint="profile again: wattmark predict layers fit"
        ) from error


def _sample(data: dict[str, Any]) -> Sample:
    return Sample(
        _call(data["call"]), {name: Cost(**cost) for name, cost in data["costs"].items()}, data["error"]
    )


def _call(data: dict[str, Any]) -> Call:
    values: dict[str, Any] = {**data, "sizes": tuple(data["sizes"])}
    return Call(**values)


def _training(data: dict[str, Any]) -> Training:
    trace: dict[str, Any] = data["trace"]
    rows: list[list[Any]] = trace["parameters"]
    values: dict[str, Any] = {
        **trace,
        "calls": tuple(_call(call) for call in trace["calls"]),
        "parameters": tuple((str(layer), int(elements)) for layer, elements in rows),
    }
    return Training(Trace(**values), data["steps"], data["optimizer"])


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")

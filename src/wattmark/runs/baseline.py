"""The idle power of a machine, by component, as last calibrated: one small JSON file per host in the data folder.

Standard library only: measured processes read it on their way into a run.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from typing import TypedDict

from wattmark.documents import is_mapping, mapping, number, numbers
from wattmark.errors import ConfigError
from wattmark.paths import data_dir
from wattmark.sources.base import COMPONENTS


class Baseline(TypedDict):
    """What was measured of an idle machine. idle_w: component -> W; measured_at: Unix s, None if it is not written down;
    methods: component -> counter, integrated or modelled."""

    idle_w: dict[str, float]
    measured_at: float | None
    seconds: float | None
    methods: dict[str, str]


def baseline_path(host: str, environ: Mapping[str, str] | None = None, folder: str = "baselines") -> str:
    """The file that holds what ``host`` was calibrated to; nothing in a host's name can lead out of its folder."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", host)[:100] or "_"
    return os.path.join(data_dir(environ), folder, f"{safe}.json")


def load_baseline(host: str, environ: Mapping[str, str] | None = None) -> Baseline | None:
    """What :func:`save_baseline` kept; None if the host was never calibrated or the file cannot be used."""
    try:
        with open(baseline_path(host, environ), encoding="utf-8") as file:
            data = mapping(json.load(file))
    except (OSError, ValueError):
        return None
    if not _usable(data.get("idle_w")):
        return None
    return {
        "idle_w": numbers(data["idle_w"]),
        "measured_at": number(data.get("measured_at")),
        "seconds": number(data.get("seconds")),
        "methods": {name: str(method) for name, method in mapping(data.get("methods")).items()},
    }


def save_baseline(
    host: str,
    idle_w: Mapping[str, float],
    *,
    seconds: float,
    methods: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Keep the idle watts of ``host`` by component, in place of what was there; the file's path.

    seconds: how long they were measured. methods: component -> counter, integrated or modelled. Raises ConfigError
    if the data folder cannot be written.
    """
    path = baseline_path(host, environ)
    data = {
        "host": host,
        "idle_w": dict(idle_w),
        "measured_at": time.time(),
        "seconds": seconds,
        "methods": dict(methods or {}),
    }
    write_calibration(path, data)
    return path


def write_calibration(path: str, data: Mapping[str, object]) -> None:
    """Put a file of a calibration in place of the one before, whole or not at all. Raises ConfigError."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
            json.dump(data, file, indent=1)
        os.replace(f"{path}.{os.getpid()}", path)
    except OSError as error:
        raise ConfigError(
            f"the calibration cannot be written: {path}: {error.strerror}",
            hint="name another data folder with WATTMARK_DATA_DIR",
        ) from error


def _usable(idle_w: object) -> bool:
    return is_mapping(idle_w) and all(
        component in COMPONENTS and (number(watts) or 0.0) >= 0 and number(watts) is not None
        for component, watts in idle_w.items()
    )

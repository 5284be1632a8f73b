"""The idle power of a machine, by component, as last calibrated: one small JSON file per host in the data folder.

Standard library only: measured processes read it on their way into a run.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from wattmark.errors import ConfigError
from wattmark.paths import data_dir
from wattmark.sources.base import COMPONENTS


def baseline_path(host: str, environ: Mapping[str, str] | None = None, folder: str = "baselines") -> str:
    """The file that holds what ``host`` was calibrated to; nothing in a host's name can lead out of its folder."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", host)[:100] or "_"
    return os.path.join(data_dir(environ), folder, f"{safe}.json")


def load_baseline(host: str, environ: Mapping[str, str] | None = None) -> dict[str, Any] | None:
    """What :func:`save_baseline` kept: ``idle_w`` (component -> W), ``measured_at`` (Unix s), ``seconds``, ``methods``.

    None if the host was never calibrated or the file cannot be used.
    """
    try:
        with open(baseline_path(host, environ), encoding="utf-8") as file:
            data: Any = json.load(file)
    except (OSError, ValueError):
        return None
    if not isinstance(data, dict) or not _usable(data.get("idle_w")):  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return None
    return data  # pyright: ignore[reportUnknownVariableType]


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


def write_calibration(path: str, data: Mapping[str, Any]) -> None:
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


def _usable(idle_w: Any) -> bool:
    return isinstance(idle_w, dict) and all(
        component in COMPONENTS and isinstance(watts, int | float) and math.isfinite(watts) and watts >= 0
        for component, watts in idle_w.items()  # pyright: ignore[reportUnknownVariableType]
    )

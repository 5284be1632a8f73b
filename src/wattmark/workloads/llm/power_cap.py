"""A power cap on the GPUs for the time of a trial, through NVML; put back as it was afterwards."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from wattmark.errors import ConfigError, SourceError
from wattmark.sources.nvml.devices import Gpu, list_gpus, visible_devices
from wattmark.sources.nvml.library import NvmlSession, ask

_HINT = "leave power_cap_w out, or run the study where it can be set"


@contextmanager
def power_cap(watts: float) -> Generator[list[str]]:
    """Every GPU that this process may use draws at most so many W within the block; gives their names.

    Raises ConfigError where there is no NVIDIA GPU, the board does not take this cap, or it may not be set (it takes root).
    """
    try:
        session = NvmlSession()
        boards = list_gpus(session)
    except SourceError as error:
        raise ConfigError(f"a power cap needs an NVIDIA GPU: {error}", hint=_HINT) from error
    chosen = {board.number for board in visible_devices(os.environ.get("CUDA_VISIBLE_DEVICES"), boards)}
    gpus = [gpu for gpu in boards if gpu.number in chosen and gpu.problem is None]
    if not gpus:
        raise ConfigError("a power cap needs an NVIDIA GPU, and there is none here", hint=_HINT)
    with ExitStack() as undo:
        for gpu in gpus:
            before = _capped(session.nvml, gpu, round(watts * 1e3))
            undo.callback(ask, session.nvml, "nvmlDeviceSetPowerManagementLimit", gpu.handle, before)
        yield [gpu.name for gpu in gpus]


def _capped(nvml: Any, gpu: Gpu, milliwatts: int) -> int:
    """Set the cap; the one before, in mW."""
    limits = ask(nvml, "nvmlDeviceGetPowerManagementLimitConstraints", gpu.handle)
    now = ask(nvml, "nvmlDeviceGetPowerManagementLimit", gpu.handle)
    if limits is None or now is None:
        raise ConfigError(f"{gpu.name} has no power cap that could be set", hint=_HINT)
    least, most = limits
    if not least <= milliwatts <= most:
        raise ConfigError(
            f"{gpu.name} cannot be capped to {milliwatts / 1e3:g} W",
            hint=f"use {least / 1e3:g} to {most / 1e3:g} W",
        )
    try:
        nvml.nvmlDeviceSetPowerManagementLimit(gpu.handle, milliwatts)
    except nvml.NVMLError as error:
        raise ConfigError(
            f"the power cap of {gpu.name} cannot be set: {error}",
            hint="it takes root (or nvidia-smi -pl as root)",
        ) from error
    return int(now)

"""Waiting for a GPU: work on a device is asynchronous, so an edge in time is only an edge in work after this."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # type checkers take it for True; importing typing takes longer than all of this
if TYPE_CHECKING:
    from typing import Any


def synchronize() -> str | None:
    """Wait for the devices of the frameworks that this process has loaded; names of those waited for, or None."""
    waited: list[str] = []
    modules: dict[str, Any] = sys.modules  # pyright: ignore[reportAssignmentType]
    torch = modules.get("torch")
    if torch is not None:
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()
            waited.append("torch.cuda")
        mps = getattr(torch, "mps", None)
        if mps is not None and torch.backends.mps.is_available():
            mps.synchronize()
            waited.append("torch.mps")
    jax = modules.get("jax")
    if jax is not None:
        jax.effects_barrier()
        for device in jax.local_devices():
            device.synchronize_all_activity() if hasattr(device, "synchronize_all_activity") else None
        waited.append("jax")
    cupy = modules.get("cupy")
    if cupy is not None:
        cupy.cuda.Device().synchronize()
        waited.append("cupy")
    return "+".join(waited) or None

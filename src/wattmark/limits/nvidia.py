"""Power limits of NVIDIA boards through NVML (``nvmlDeviceSetPowerManagementLimit``, which needs root)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from wattmark.errors import SourceError
from wattmark.limits.base import DeviceGone, LimitError, LimitFinding, MayNotCap, PowerLimit, Setting
from wattmark.sources.base import Host
from wattmark.sources.nvml.devices import Gpu, list_gpus, visible_devices
from wattmark.sources.nvml.library import NvmlSession, ask, meaning
from wattmark.sources.nvml.probe import all_asleep, driver_is_here
from wattmark.sources.sleep import is_asleep

KNOB = "limit_uw"
_GONE = {6, 15, 28}
_DENIED = 4


class NvidiaLimit(PowerLimit):
    """One board. Its setting has one knob, in µW; the session stays open: without a user the driver may forget the cap."""

    component = "gpu"

    def __init__(self, session: NvmlSession, gpu: Gpu, least_w: float, most_w: float) -> None:
        self.id, self.key, self.label = f"gpu{gpu.number}", f"nvidia/{gpu.uuid}", f"{gpu.name} ({gpu.uuid})"
        self.least_w, self.most_w = least_w, most_w
        self.lock = gpu.folder if gpu.folder and os.path.isdir(gpu.folder) else ""
        self._session, self._gpu = session, gpu

    def read(self) -> dict[str, int]:
        """See :class:`PowerLimit`."""
        return {KNOB: self._call("nvmlDeviceGetPowerManagementLimit") * 1000}

    def capped(self, old: Setting, cap_w: float) -> dict[str, int]:
        """See :class:`PowerLimit`."""
        return {KNOB: min(old[KNOB], round(cap_w * 1e6))}

    def write(self, setting: Setting) -> None:
        """See :class:`PowerLimit`."""
        self._call("nvmlDeviceSetPowerManagementLimit", round(setting[KNOB] / 1000))

    def may_set(self) -> bool:
        """See :class:`PowerLimit`."""
        return os.geteuid() == 0

    def persistent(self) -> bool | None:
        """Whether the driver stays loaded without a user and so keeps the cap; None where it does not say."""
        mode: int | None = ask(self._session.nvml, "nvmlDeviceGetPersistenceMode", self._gpu.handle)
        return None if mode is None else bool(mode)

    def close(self) -> None:
        """NVML ends with its last user."""

    def _call(self, function: str, *arguments: int) -> int:
        nvml = self._session.nvml
        try:
            value: int | None = getattr(nvml, function)(self._gpu.handle, *arguments)
        except nvml.NVMLError as error:
            code: int = error.value
            if code == _DENIED:
                raise MayNotCap(
                    f"{self.label}: this user may not set its power limit",
                    hint="run it as root, or see wattmark advise caps --permit",
                ) from error
            kind = DeviceGone if code in _GONE else LimitError
            raise kind(f"{self.label}: {meaning(code).what}", hint=meaning(code).fix) from error
        return int(value or 0)


def find_nvidia(host: Host) -> Iterator[LimitFinding]:
    """The boards that the program may use."""
    if not driver_is_here(host):
        return
    if all_asleep(host):
        yield LimitFinding(
            "NVIDIA GPUs", problem="The kernel has suspended them all; asking would wake them."
        )
        return
    try:
        session = NvmlSession()
        gpus = list_gpus(session, host.sys("bus", "pci", "devices"))
    except SourceError as error:
        yield LimitFinding("NVIDIA GPUs", problem=str(error), fix=error.hint)
        return
    chosen = host.option("nvml", "devices")
    value = host.environ.get("CUDA_VISIBLE_DEVICES") if chosen is None else str(chosen)
    value = None if chosen == "all" else value
    for number in sorted({one.number for one in visible_devices(value, gpus)}):
        gpu = gpus[number]
        if gpu.handle is None:
            yield LimitFinding(f"gpu{number}", problem=gpu.problem or "It cannot be asked.", fix=gpu.fix)
        elif gpu.folder and is_asleep(gpu.folder):
            yield LimitFinding(gpu.name, problem="The kernel has suspended it; asking would wake it.")
        else:
            yield _board(session, gpu)


def _board(session: NvmlSession, gpu: Gpu) -> LimitFinding:
    nvml: Any = session.nvml
    limits: tuple[int, int] | None = ask(nvml, "nvmlDeviceGetPowerManagementLimitConstraints", gpu.handle)
    now = ask(nvml, "nvmlDeviceGetPowerManagementLimit", gpu.handle)
    if limits is None or now is None:
        return LimitFinding(gpu.name, problem="This board or its driver has no power limit that can be set.")
    return LimitFinding(gpu.name, NvidiaLimit(session, gpu, limits[0] / 1e3, limits[1] / 1e3))

"""Which NVIDIA GPUs a program may use: the boards that NVML sees, their MIG devices, CUDA_VISIBLE_DEVICES.

Pure functions over :class:`Gpu` tuples; only :func:`list_gpus` asks NVML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wattmark.sources.nvml.library import NvmlSession, ask, meaning, source_error


class Mig(NamedTuple):
    """One MIG device: ``slices`` of the board's compute slices; instance ids as in ``MIG-GPU-.../gi/ci``."""

    uuid: str
    gpu_instance: int | None
    compute_instance: int | None
    slices: int | None
    handle: Any = None


class Gpu(NamedTuple):
    """One board as NVML counts it (PCI order). ``problem`` and ``fix`` say why it cannot be asked at all,
    ``passing`` whether that may pass by itself."""

    number: int
    uuid: str = ""
    name: str = ""
    handle: Any = None
    architecture: int | None = None
    compute_capability: tuple[int, int] | None = None
    mig_mode: bool = False
    migs: tuple[Mig, ...] = ()
    mig_slices: int | None = None
    problem: str | None = None
    fix: str | None = None
    passing: bool = False
    folder: str = ""
    """Its PCI device in sysfs, where the kernel may suspend it; empty where that is not known."""


class Visible(NamedTuple):
    """One entry of CUDA_VISIBLE_DEVICES resolved: a board by NVML index, and the MIG device meant on it."""

    number: int
    mig: int | None = None


def visible_devices(value: str | None, gpus: Sequence[Gpu]) -> list[Visible]:
    """What CUDA_VISIBLE_DEVICES lets a program see, in its order.

    None shows all boards, an empty string none. Entries are indices, GPU UUIDs or their first characters,
    MIG UUIDs, or ``MIG-GPU-<uuid>/<gpu instance>/<compute instance>``. The list ends at the first entry that
    is not valid (CUDA Programming Guide, "CUDA environment variables"). Indices are read like C's strtol, and
    a device named twice makes the whole list void (``_parse_visible_devices`` in PyTorch's torch/cuda).
    An index on a board in MIG mode means its first MIG device, the only one that CUDA enumerates then.
    """
    if value is None:
        return [Visible(gpu.number, 0 if gpu.migs else None) for gpu in gpus]
    found: list[Visible] = []
    for entry in value.split(","):
        device = _resolve(entry.strip(), gpus)
        if device is None:
            break
        if device in found:
            return []
        found.append(device)
    return found


def order_is_a_guess(environ: Mapping[str, str], value: str | None, gpus: Sequence[Gpu]) -> bool:
    """Whether an index may mean another board to CUDA than to NVML.

    NVML counts in PCI order. CUDA's default, CUDA_DEVICE_ORDER=FASTEST_FIRST, puts the board that it takes
    for the fastest first, which only matters where the boards differ.
    """
    by_index = value is not None and any(_INDEX.match(entry.strip()) for entry in value.split(","))
    in_pci_order = environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    return by_index and not in_pci_order and len({gpu.name for gpu in gpus}) > 1


_INDEX = re.compile(r"[+-]?\d+")


def _resolve(entry: str, gpus: Sequence[Gpu]) -> Visible | None:
    if entry.startswith("MIG-"):
        return _resolve_mig(entry, gpus)
    if entry.startswith("GPU-"):
        matches = [gpu for gpu in gpus if gpu.uuid.startswith(entry)]
        return Visible(matches[0].number) if len(matches) == 1 else None
    number = _INDEX.match(entry)
    if number is None or not 0 <= int(number[0]) < len(gpus):
        return None
    gpu = gpus[int(number[0])]
    return Visible(gpu.number, 0 if gpu.migs else None)


def _resolve_mig(entry: str, gpus: Sequence[Gpu]) -> Visible | None:
    matches: list[Visible] = []
    for gpu in gpus:
        for position, mig in enumerate(gpu.migs):
            old_style = f"MIG-{gpu.uuid}/{mig.gpu_instance}/{mig.compute_instance}"
            if mig.uuid.startswith(entry) or entry == old_style:
                matches.append(Visible(gpu.number, position))
    return matches[0] if len(matches) == 1 else None


def mig_share(gpu: Gpu) -> float | None:
    """The part of the compute slices that the visible MIG devices hold; None outside MIG mode."""
    slices = [mig.slices for mig in gpu.migs]
    if not gpu.mig_mode or not gpu.mig_slices or None in slices:
        return None
    return min(1.0, sum(part for part in slices if part) / gpu.mig_slices)


def list_gpus(session: NvmlSession, pci: str = "") -> list[Gpu]:
    """Every board that NVML counts; one that cannot be asked keeps its index and says why.

    pci: the folder of the PCI devices.

    Raises:
        SourceError: NVML cannot even count them.
    """
    nvml = session.nvml
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        raise source_error(error.value, "counting the NVIDIA GPUs") from error
    return [describe_gpu(nvml, index, pci) for index in range(count)]


def find_again(nvml: Any, gpu: Gpu) -> Gpu | None:
    """A board that was lost, with a handle that is good now; None while it is not there."""
    handle = ask(nvml, "nvmlDeviceGetHandleByUUID", gpu.uuid) if gpu.uuid else None
    return None if handle is None else gpu._replace(handle=handle)


def _pci_folder(nvml: Any, handle: Any, pci: str) -> str:
    """The board's folder among the PCI devices: NVML's bus id has four more zeros than the kernel's."""
    info = ask(nvml, "nvmlDeviceGetPciInfo", handle) if pci else None
    if info is None:
        return ""
    bus_id = info.busId if isinstance(info.busId, str) else info.busId.decode("ascii", "replace")
    return f"{pci}/{bus_id.lower()[-12:]}"


def describe_gpu(nvml: Any, index: int, pci: str = "") -> Gpu:
    """The board of an index, with what NVML says of it."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
    except nvml.NVMLError as error:
        known = meaning(error.value)
        passing = known.severity == "retry"
        return Gpu(index, problem=f"NVIDIA GPU {index}: {known.what}", fix=known.fix, passing=passing)
    mode = ask(nvml, "nvmlDeviceGetMigMode", handle)
    migs = _mig_devices(nvml, handle) if mode and mode[0] else ()
    return Gpu(
        index,
        uuid,
        name,
        handle,
        ask(nvml, "nvmlDeviceGetArchitecture", handle),
        ask(nvml, "nvmlDeviceGetCudaComputeCapability", handle),
        bool(mode and mode[0]),
        migs,
        ask(nvml, "nvmlDeviceGetMaxMigDeviceCount", handle) if migs else None,
        folder=_pci_folder(nvml, handle, pci),
    )


def _mig_devices(nvml: Any, board: Any) -> tuple[Mig, ...]:
    found: list[Mig] = []
    for position in range(ask(nvml, "nvmlDeviceGetMaxMigDeviceCount", board) or 0):
        handle = ask(nvml, "nvmlDeviceGetMigDeviceHandleByIndex", board, position)
        uuid = ask(nvml, "nvmlDeviceGetUUID", handle) if handle is not None else None
        if uuid is None:
            continue
        attributes = ask(nvml, "nvmlDeviceGetAttributes_v2", handle)
        found.append(
            Mig(
                uuid,
                ask(nvml, "nvmlDeviceGetGpuInstanceId", handle),
                ask(nvml, "nvmlDeviceGetComputeInstanceId", handle),
                attributes.computeInstanceSliceCount if attributes else None,
                handle,
            )
        )
    return tuple(found)

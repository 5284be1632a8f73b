"""NVIDIA GPUs through NVML and nvidia-ml-py: the energy counter where there is one, else integrated power.

``nvml`` has one channel a board, ``gpu<N>/board`` with NVML's index (PCI order). Volta and later count energy
themselves (mJ since the driver was loaded); for older boards power is integrated, and instantaneous power
rather than the one-second average where the driver has both. ``nvml-series`` has the side series and says
which processes use a GPU. CUDA_VISIBLE_DEVICES, or the option ``devices`` of ``nvml`` in the same syntax (or
"all"; its indices are NVML's), says which boards; the option ``method`` ("counter" or "power") forces one of
the two ways.

NVML knows no energy of a MIG device: such a board is measured whole, and its scope says that it is shared.

Every run imports this file, so it holds only the question whether there is a driver. The boards are in
``nvml_boards``, the choice among them in ``nvml_devices``, side series and processes in ``nvml_series``, and
the bindings in ``nvml_library``.
"""

from __future__ import annotations

import os

from wattmark.sources.base import Finding, Host, read_text
from wattmark.sources.sleep import is_asleep

NAME = "nvml"
LIBRARY = "libnvidia-ml.so.1"
LIBRARY_FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/lib/wsl/lib",
    "/usr/local/nvidia/lib64",
    "/usr/local/nvidia/lib",
    "/usr/lib/nvidia",
    "/run/opengl-driver/lib",
)
"""Debian and Ubuntu, Fedora, Arch, WSL, containers of GKE and older NVIDIA runtimes, NixOS."""


def probe(host: Host) -> list[Finding]:
    """The NVIDIA GPUs that the program may use, and why one cannot be measured; nothing without a driver."""
    if not driver_is_here(host):
        return []
    visible = host.environ.get("CUDA_VISIBLE_DEVICES")
    if visible in ("", "-1") and host.option(NAME, "devices") is None:  # common on purpose: do not wake a GPU
        problem = f'CUDA_VISIBLE_DEVICES is "{visible}", which hides all NVIDIA GPUs.'
        return [Finding(NAME, "NVIDIA GPUs", problem=problem, fix="Unset it to have the GPUs measured.")]
    if all_asleep(host):  # starting NVML would wake them
        return [
            Finding(
                NAME,
                "NVIDIA GPUs",
                problem="The kernel has suspended them all; they are not woken, and draw next to nothing.",
                left_out="asleep",
                retry=lambda: probe(host),
            )
        ]
    from wattmark.sources.nvml.boards import find

    return find(host)


def all_asleep(host: Host) -> bool:
    """Whether there are NVIDIA graphics cards and the kernel has suspended every one."""
    pci = host.sys("bus", "pci", "devices")
    try:
        names = os.listdir(pci)
    except OSError:
        return False
    boards = [
        f"{pci}/{name}"
        for name in names
        if read_text(f"{pci}/{name}/vendor") == "0x10de"
        and (read_text(f"{pci}/{name}/class") or "").startswith("0x03")
    ]
    return bool(boards) and all(is_asleep(board) for board in boards)


def driver_is_here(host: Host) -> bool:
    """Whether there is any sign of an NVIDIA driver; a dozen ``stat`` calls, nothing imported."""
    return library_path(host) is not None or devices_are_here(host)


def devices_are_here(host: Host) -> bool:
    """Whether the kernel's driver is loaded, so that programs may use GPUs (a library alone comes with many images)."""
    return any(os.path.exists(path) for path in ("/dev/nvidiactl", host.proc("driver", "nvidia")))


def library_path(host: Host) -> str | None:
    """Where the NVML library is, searched as the dynamic linker would, or None."""
    folders = [folder for folder in host.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    for folder in (*folders, *LIBRARY_FOLDERS):
        path = f"{folder}/{LIBRARY}"
        if os.path.exists(path):
            return path
    return None

"""amdgpu: AMD graphics cards and APUs through the hwmon files of their kernel driver.

https://docs.kernel.org/gpu/amdgpu/thermal.html: ``power1_average`` and ``power1_input`` (kernel 6.6 and
later; the only one on some accelerators) are µW of the SoC, and on an APU that includes the CPU. Mainline
has no energy counter here; ``energy1_input`` is used where a kernel offers it. Of the two power files the
average is taken: what is integrated should not miss what happened between two readings. A card that the kernel has
suspended is not read, since that would wake it (:mod:`wattmark.sources.sleep`).
"""

from __future__ import annotations

import os

from wattmark.sources.base import Accuracy, Channel, Component, Finding, Host, Series, read_text
from wattmark.sources.bounds import gpu_bound_w, hwmon_limits_w, processor_bound_w, threads_of_package
from wattmark.sources.hwmon import CHIP_MAX_W, Gauge, Meter, finding, numbered, with_power_beside
from wattmark.sources.sleep import is_asleep

NAME = "amdgpu"

_ACCURACY = Accuracy(
    0.10,
    0.10,
    0.0,
    "https://docs.kernel.org/gpu/amdgpu/thermal.html gives the unit but no accuracy; filtering and delay of "
    "these sensors: McDaniel et al., arXiv 2604.06056. No error bound is published: 10 % is assumed, "
    "half of it as dependent on the work",
    0.05,
    0.05,
)
_MI300A = "0x74a0"


def probe(host: Host) -> list[Finding]:
    """One finding per AMD device under ``/sys/class/drm``, in order of their cards."""
    found: list[Finding] = []
    root = host.sys("class", "drm")
    seen: set[str] = set()
    for _, card in numbered(root, "card"):
        device = f"{root}/{card}/device"
        if read_text(f"{device}/vendor") != "0x1002" or os.path.realpath(device) in seen:
            continue
        seen.add(os.path.realpath(device))
        found += _probe_card(host, device, len(seen) - 1)
    return found


def _probe_card(host: Host, device: str, index: int) -> list[Finding]:
    name = read_text(f"{device}/product_name") or f"AMD GPU {read_text(f'{device}/device') or ''}".strip()
    what = f"{name} at {os.path.basename(os.path.realpath(device))}"
    chips = numbered(f"{device}/hwmon", "hwmon")
    folder = f"{device}/hwmon/{chips[0][1]}" if chips else ""
    files = [
        file
        for file in ("energy1_input", "power1_average", "power1_input")
        if os.path.exists(f"{folder}/{file}")
    ]
    if not chips or not files:
        return [
            Finding(
                NAME,
                what,
                problem="Its kernel driver shows neither energy nor power for this device.",
                fix="Check that the amdgpu driver is loaded (lsmod | grep amdgpu) and is of a recent kernel.",
            )
        ]
    is_energy = files[0] == "energy1_input"
    component, scope = _what_it_is(device, folder)
    bound_w = gpu_bound_w(name, [] if is_asleep(device) else hwmon_limits_w(folder))
    if component == "soc":  # the limit of an APU is not its graphics' alone
        bound_w = max(bound_w or 0.0, processor_bound_w(host, threads_of_package(host)) or CHIP_MAX_W)
    channel = Channel(
        f"amdgpu{index}/{'socket' if component == 'soc' else 'package'}",
        component,
        NAME,
        "counter" if is_energy else "integrated",
        scope,
        "energy" if is_energy else "power",
        _ACCURACY,
        max_power_w=bound_w or CHIP_MAX_W,
        update_period_s=0.1,
        label=what,
    )
    gauges = (
        _gauge(index, "utilization", "%", f"{device}/gpu_busy_percent"),
        _gauge(index, "memory_used", "bytes", f"{device}/mem_info_vram_used"),
        _gauge(index, "temperature", "°C", f"{folder}/temp1_input", 1e-3),
    )
    meters = [Meter(channel, (f"{folder}/{files[0]}",))]
    return with_power_beside(finding(NAME, what, meters, gauges, 0.01, device), meters, device)


def _gauge(index: int, what: str, unit: str, path: str, factor: float = 1.0) -> Gauge:
    return Gauge(Series(f"amdgpu{index}/{what}", unit, NAME), path, factor)


def _what_it_is(device: str, folder: str) -> tuple[Component, str]:
    """``("gpu", "package")`` of a card; ``("soc", ...)`` of an APU, whose sensor sees CPU and GPU together.

    The driver does not say which it is, but only cards have ``board_info`` (drivers/gpu/drm/amd/amdgpu/
    amdgpu_device.c), only APUs have the north bridge voltage, and their ``gpu_metrics`` are of format 2 or 3
    (kgd_pp_interface.h). MI300A has neither tell and is known by its PCI id; on it the GPU outweighs the CPU,
    so that its socket is worth more than a counter of its cores: scope ``apu-socket``, not ``socket``.
    """
    if read_text(f"{device}/device") == _MI300A:
        return "soc", "apu-socket"
    if os.path.exists(f"{device}/board_info"):
        return "gpu", "package"
    if read_text(f"{folder}/in1_label") == "vddnb":
        return "soc", "socket"
    # An APU does not sleep while anything runs, and reading its metrics would wake a card.
    if not is_asleep(device) and _metrics_format(device) in (2, 3):
        return "soc", "socket"
    return "gpu", "package"


def _metrics_format(device: str) -> int | None:
    """``format_revision``, the third byte of the binary ``gpu_metrics`` table."""
    try:
        with open(f"{device}/gpu_metrics", "rb") as file:
            header = file.read(4)
    except OSError:
        return None
    return header[2] if len(header) == 4 else None

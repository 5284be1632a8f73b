"""intelgpu: Intel discrete graphics cards through the hwmon of the i915 and xe kernel drivers.

Both accumulate a 32-bit hardware counter into µJ on each reading, so that it does not wrap as long as it is
read every few minutes. i915 (Documentation/ABI/testing/sysfs-driver-intel-i915-hwmon, kernel 6.2):
``energy1_input`` is the whole device, and ``i915_gtN`` chips are its tiles. xe (sysfs-driver-intel-xe-hwmon):
``energy1_input`` is the card (6.5), ``energy2_input`` the package (6.8), labelled ``card`` and ``pkg``.
Integrated graphics have no hwmon (drivers/gpu/drm/xe/xe_hwmon.c registers it for discrete cards only). A card that the
kernel has suspended is not read, since that would wake it (:mod:`wattmark.sources.sleep`).
"""

from __future__ import annotations

import os

from wattmark.sources.base import Accuracy, Channel, Finding, Host, read_text
from wattmark.sources.bounds import gpu_bound_w, hwmon_limits_w
from wattmark.sources.hwmon import CHIP_MAX_W, Meter, finding, numbered, with_power_beside
from wattmark.sources.sleep import is_asleep

NAME = "intelgpu"

_ACCURACY = Accuracy(
    0.10,
    0.10,
    0.0,
    "Linux Documentation/ABI/testing/sysfs-driver-intel-xe-hwmon gives the unit but no accuracy, and no "
    "published validation is known to Wattmark: 10 % is assumed, half of it as dependent on the work",
    0.05,
    0.05,
)
# One step of the hardware counter with the usual energy unit of 2^-14 J (drivers/gpu/drm/i915/i915_hwmon.c).
_STEP_UJ = 1e6 / 2**14


def probe(host: Host) -> list[Finding]:
    """One finding per Intel device under ``/sys/class/drm``, in order of their cards."""
    found: list[Finding] = []
    root = host.sys("class", "drm")
    seen: set[str] = set()
    counted = 0
    for _, card in numbered(root, "card"):
        device = f"{root}/{card}/device"
        address = os.path.basename(os.path.realpath(device))
        if read_text(f"{device}/vendor") != "0x8086" or address in seen:
            continue
        seen.add(address)
        what = f"Intel GPU {read_text(f'{device}/device') or ''} at {address}"
        meters = _meters(device, counted, what)
        if meters:
            counted += 1
            found += with_power_beside(finding(NAME, what, meters, device=device), meters, device)
        else:
            found.append(
                Finding(
                    NAME,
                    what,
                    problem="It has no energy counter of its own, which is the rule for integrated graphics.",
                    fix="Nothing is lost where rapl works: the package counter of the CPU includes it.",
                )
            )
    return found


def _meters(device: str, index: int, what: str) -> list[Meter]:
    meters: list[Meter] = []
    taken: set[str] = set()
    asleep = is_asleep(device)
    for _, entry in numbered(f"{device}/hwmon", "hwmon"):
        folder = f"{device}/hwmon/{entry}"
        chip = read_text(f"{folder}/name") or ""
        for number, file in numbered(folder, "energy", "_input"):
            scope = _scope(chip, read_text(f"{folder}/energy{number}_label"), number)
            if scope not in taken:
                taken.add(scope)
                channel = Channel(
                    f"intelgpu{index}/{scope}",
                    "gpu",
                    NAME,
                    "counter",
                    scope,
                    "energy",
                    _ACCURACY,
                    max_power_w=gpu_bound_w("", [] if asleep else hwmon_limits_w(folder)) or CHIP_MAX_W,
                    resolution_uj=_STEP_UJ,
                    label=what,
                )
                meters.append(Meter(channel, (f"{folder}/{file}",)))
    inner = [meter for meter in meters if meter.channel.scope != "card"]
    if len(inner) == len(meters):
        # Without a card counter the package is the widest view; the tiles are inside it.
        widest = [meter.channel.id for meter in meters if meter.channel.scope == "package"]
    else:
        widest = [meter.channel.id for meter in meters if meter.channel.scope == "card"]
    return [
        m._replace(channel=m.channel._replace(inside=tuple(i for i in widest if i != m.channel.id)))
        for m in meters
    ]


def _scope(chip: str, label: str | None, number: int) -> str:
    if "_gt" in chip:
        return "tile" + chip.rpartition("_gt")[2]
    if label:
        return {"pkg": "package"}.get(label, label)
    return "card" if number == 1 else "package"

"""Power limits that are files of sysfs: CPU packages (powercap), AMD and Intel graphics cards (hwmon).

powercap: ``constraint_N_power_limit_uw`` of each package, of which ``long_term`` and ``short_term`` are capped both, else
bursts would run past the cap for seconds, and ``enabled`` (docs.kernel.org/power/powercap/powercap.html). Peak power is
left alone. amdgpu: ``power1_cap`` within ``power1_cap_min`` and ``power1_cap_max``
(docs.kernel.org/gpu/amdgpu/thermal.html); on some APUs ``power2_cap`` is the faster of two limits. i915 and xe:
``power1_max`` of the card, else ``power2_max`` of the package; 0 means switched off
(Documentation/ABI/testing/sysfs-driver-intel-i915-hwmon, -xe-hwmon).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

from wattmark.limits.base import (
    LEAST_SHARE,
    DeviceGone,
    LimitError,
    LimitFinding,
    PowerLimit,
    Setting,
    write_number,
)
from wattmark.sources.base import Host, read_int, read_text
from wattmark.sources.bounds import processor_tdp_w
from wattmark.sources.hwmon import numbered
from wattmark.sources.plausibility import UNLOCKED_W
from wattmark.sources.rapl.source import find_zones
from wattmark.sources.sleep import is_asleep

POWERCAP_KINDS = ("long_term", "short_term")


class FileLimit(PowerLimit):
    """knobs: name -> path; a name that ends in ``_uw`` is a power, ``enabled`` a switch."""

    def __init__(
        self,
        id: str,
        key: str,
        label: str,
        component: Literal["cpu", "gpu", "soc"],
        folder: str,
        knobs: dict[str, str],
        least_w: float,
        most_w: float,
    ) -> None:
        self.id, self.key, self.label, self.component = id, key, label, component
        self.least_w, self.most_w, self.lock = least_w, most_w, folder
        self._knobs = knobs

    def read(self) -> dict[str, int]:
        """See :class:`PowerLimit`."""
        setting: dict[str, int] = {}
        for name, path in self._knobs.items():
            value = read_int(path)
            if value is None:
                if not os.path.exists(path):
                    raise DeviceGone(f"{self.label}: {path} is not there any more")
                raise LimitError(f"{self.label}: {path} cannot be read")
            setting[name] = value
        return setting

    def capped(self, old: Setting, cap_w: float) -> dict[str, int]:
        """See :class:`PowerLimit`. What is switched off is switched on."""
        cap_uw = round(cap_w * 1e6)
        return {
            name: (min(value, cap_uw) if value > 0 else cap_uw) if name.endswith("_uw") else 1
            for name, value in old.items()
        }

    def write(self, setting: Setting) -> None:
        """See :class:`PowerLimit`. The slower limit first where it falls, last where it rises: never above the faster."""
        now = self.read()
        names = [name for name in self._knobs if name in setting]
        powers = [name for name in names if name.endswith("_uw")]
        rises = any(setting[name] > now[name] for name in powers)
        switches = [name for name in names if name not in powers]
        for name in [*(reversed(powers) if rises else powers), *switches]:
            if now[name] != setting[name]:
                write_number(self._knobs[name], setting[name])

    def may_set(self) -> bool:
        """See :class:`PowerLimit`."""
        return all(os.access(path, os.W_OK) for path in self._knobs.values())

    def close(self) -> None:
        """Nothing is open."""


def find_files(host: Host) -> Iterator[LimitFinding]:
    """CPU packages, then AMD and Intel cards."""
    yield from _packages(host)
    yield from _cards(host)


def _packages(host: Host) -> Iterator[LimitFinding]:
    zones = [
        zone for zone in find_zones(host) if zone.name.startswith("package") and zone.number.count(":") == 1
    ]
    msr = [zone for zone in zones if not zone.number.startswith("intel-rapl-mmio")]
    for place, zone in enumerate(msr or zones):  # memory-mapped registers show the same packages again
        label = f"CPU {zone.name}"
        knobs: dict[str, str] = {}
        top_w = 0.0
        for number in range(4):
            stem = f"{zone.path}/constraint_{number}"
            kind = read_text(f"{stem}_name")
            if kind in POWERCAP_KINDS and os.path.exists(f"{stem}_power_limit_uw"):
                knobs[f"{kind}_uw"] = f"{stem}_power_limit_uw"
                if kind == "long_term":
                    top_w = (read_int(f"{stem}_max_power_uw") or 0) / 1e6
        if "long_term_uw" not in knobs:
            yield LimitFinding(
                label,
                problem="Its powercap zone has no power limit (AMD processors only count energy there).",
                fix="nothing to do: this processor cannot be capped through powercap",
            )
            continue
        knobs = {f"{kind}_uw": knobs[f"{kind}_uw"] for kind in POWERCAP_KINDS if f"{kind}_uw" in knobs}
        if os.path.exists(f"{zone.path}/enabled"):
            knobs["enabled"] = f"{zone.path}/enabled"
        now_w = (read_int(knobs["long_term_uw"]) or 0) / 1e6
        known = [one for one in (top_w, now_w) if 0 < one < UNLOCKED_W]
        most_w = max(known) if known else processor_tdp_w(host)
        if not most_w:
            yield LimitFinding(
                label,
                problem="The limit is lifted and neither its largest nor the part's own power is known.",
                fix="say it: wattmark config set options.cpu-model.tdp_w 125",
            )
            continue
        yield LimitFinding(
            label,
            FileLimit(
                f"cpu{place}",
                f"powercap/{zone.number}/{zone.name}",
                label,
                "cpu",
                zone.path,
                knobs,
                LEAST_SHARE * most_w,
                most_w,
            ),
        )


def _cards(host: Host) -> Iterator[LimitFinding]:
    root = host.sys("class", "drm")
    seen: set[str] = set()
    counts = {"amdgpu": 0, "intelgpu": 0}
    for _, card in numbered(root, "card"):
        device = os.path.realpath(f"{root}/{card}/device")
        maker = {"0x1002": "amdgpu", "0x8086": "intelgpu"}.get(read_text(f"{device}/vendor") or "")
        if maker is None or device in seen:
            continue
        seen.add(device)
        number = counts[maker]
        name = read_text(f"{device}/product_name") or ("AMD GPU" if maker == "amdgpu" else "Intel GPU")
        label = f"{name} at {os.path.basename(device)}"
        if is_asleep(device):
            counts[maker] += 1
            yield LimitFinding(label, problem="The kernel has suspended it; asking would wake it.")
            continue
        for _, chip in numbered(f"{device}/hwmon", "hwmon"):
            folder = f"{device}/hwmon/{chip}"
            found = _amd(folder) if maker == "amdgpu" else _intel(folder)
            if found is None:
                continue
            knobs, least_w, most_w = found
            key = f"{maker}/{os.path.basename(device)}"
            limit = FileLimit(
                f"{maker}{number}",
                key,
                label,
                "gpu",
                folder,
                knobs,
                max(least_w, LEAST_SHARE * most_w),
                most_w,
            )
            counts[maker] += 1
            yield LimitFinding(label, limit)
            break
        else:
            if maker == "amdgpu":
                counts[maker] += 1
                yield LimitFinding(label, problem="Its driver offers no power1_cap.")


def _amd(folder: str) -> tuple[dict[str, str], float, float] | None:
    cap = read_int(f"{folder}/power1_cap")
    if cap is None:
        return None
    most = read_int(f"{folder}/power1_cap_max") or cap
    least = read_int(f"{folder}/power1_cap_min") or 0
    names = [name for name in ("power1_cap", "power2_cap") if read_int(f"{folder}/{name}") is not None]
    return {f"{name}_uw": f"{folder}/{name}" for name in names}, least / 1e6, most / 1e6


def _intel(folder: str) -> tuple[dict[str, str], float, float] | None:
    if "_gt" in (read_text(f"{folder}/name") or ""):
        return None  # a tile has no limit of its own
    for number in (1, 2):
        now = read_int(f"{folder}/power{number}_max")
        rated = read_int(f"{folder}/power{number}_rated_max")
        if now is not None and (now or rated):
            name = f"power{number}_max"
            return {f"{name}_uw": f"{folder}/{name}"}, 0.0, max(now, rated or 0) / 1e6
    return None

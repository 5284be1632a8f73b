"""What can be capped on this machine, and which of it is meant."""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.limits.base import LimitFinding, NothingToCap, PowerLimit
from wattmark.limits.files import find_files
from wattmark.limits.nvidia import find_nvidia
from wattmark.sources.base import Host


def find_limits(host: Host) -> list[LimitFinding]:
    """Every device with a power limit, and those whose limit cannot be used, with the reason; graphics cards first."""
    found = [*find_nvidia(host), *find_files(host)]
    return sorted(found, key=lambda one: one.limit is None or one.limit.component == "cpu")


def choose_limits(findings: Sequence[LimitFinding], wanted: Sequence[str] = ()) -> list[PowerLimit]:
    """The limits to set: those named (``gpu0``, ``cpu0``; ``gpu`` and ``cpu`` mean all of a kind), else all graphics cards,
    else all CPU packages.

    Raises NothingToCap where there are none, with what is in the way.
    """
    limits = [one.limit for one in findings if one.limit is not None]
    if not limits:
        why = "; ".join(f"{one.what}: {one.problem}" for one in findings)
        raise NothingToCap(
            f"nothing here can be capped: {why or 'no NVIDIA, AMD or Intel graphics card, no powercap zone'}",
            hint=next((one.fix for one in findings if one.fix), None)
            or "a cap needs an NVIDIA driver with NVML, amdgpu, i915 or xe with hwmon, or intel-rapl; not a container or "
            "virtual machine without them",
        )
    if not wanted:
        cards = [limit for limit in limits if limit.component != "cpu"]
        return cards or limits
    chosen: list[PowerLimit] = []
    for name in wanted:
        fitting = [limit for limit in limits if name in (limit.id, limit.key, limit.component)]
        if not fitting:
            raise NothingToCap(
                f"there is no {name!r} that can be capped here",
                hint=f"there is {', '.join(limit.id for limit in limits)}; see wattmark advise caps",
            )
        chosen += [limit for limit in fitting if limit not in chosen]
    return chosen


def common_range(limits: Sequence[PowerLimit]) -> tuple[float, float]:
    """The caps in W that each of some devices takes. Raises NothingToCap where there is none."""
    least, most = max(one.least_w for one in limits), min(one.most_w for one in limits)
    if least >= most:
        names = ", ".join(f"{one.id} {one.least_w:g} to {one.most_w:g} W" for one in limits)
        raise NothingToCap(f"no cap fits all of them: {names}", hint="cap one kind at a time: --device gpu0")
    return least, most

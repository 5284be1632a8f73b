"""The same work on other CPUs.

Speed lies between the ratio of the clocks (one thread) and that of cores times clocks, as far as the work filled its
cores, and :data:`GENERATION` either way for what cores and clocks do not say. Watts are those of the CPU model
(:mod:`wattmark.sources.models.cpu.curves`) for both parts at the cores that the work kept busy. With an accelerator only the
share of the time in which it waited goes with the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from wattmark.predict.hardware.accelerators import Hardware
from wattmark.predict.hardware.devices import Installed
from wattmark.predict.whatif.state import (
    State,
    Step,
    Unpredictable,
    fitted,
    geometric_mean,
    later,
    of_one_fit,
    scaled,
    span,
    step_of,
    unchanged,
)
from wattmark.quantity import Quantity
from wattmark.sources.models.cpu.curves import package_power_w
from wattmark.sources.models.cpu.names import CpuInfo, identify

GENERATION = 1.6
"""What CPUs of equal cores and clocks differ in speed, either way; an assumption, no data set at hand says it."""
WATTS = 1.5
"""How far the CPU model may be off, either way (leave-one-CPU-out errors, docs/science/cpu-model.md)."""
_VENDORS = {"Intel": "GenuineIntel", "AMD": "AuthenticAMD"}


def swap_cpus(state: State, target: Sequence[Installed]) -> tuple[State, Step] | Unpredictable:
    """The work on other CPUs, accelerators as before."""
    if len(target) != 1:
        return Unpredictable("different CPUs side by side are not predicted; choose one kind")
    if len(state.cpus) != 1:
        return Unpredictable("the run does not say on which CPU it was, or the catalogue does not have it")
    old, new = state.cpus[0], target[0]
    if old == new:
        return unchanged(state, "other CPU")
    if "cpu" not in state.by_component:
        return Unpredictable("the run has no joules of its CPU")
    speed = cpu_speed(old, new, state.busy_cores)
    if isinstance(speed, Unpredictable):
        return speed
    source = f"{old.quantity} × {old.hardware.name} to {new.quantity} × {new.hardware.name}: cores, clocks and the CPU model"
    host = _host_share(state)
    time = span(
        [share / end + 1 - share for share in host for end in (speed.low, speed.high)],
        math.sqrt(host[0] * host[1]) / speed.value + 1 - math.sqrt(host[0] * host[1]),
        "",
        source,
    )
    watts = watts_ratio(old, new, state.busy_cores)
    cpu = fitted(watts.value * time.value, watts.low * time.low, watts.high * time.high, "", source)
    changed = of_one_fit(
        source, {name: cpu if name == "cpu" else _beside(name, time) for name in state.by_component}
    )
    after = replace(
        state,
        by_component={
            n: scaled(q, changed[n], f"predicted: {source}") for n, q in state.by_component.items()
        },
        duration_s=later(state, time, source),
        cpus=(new,),
        notes=(*state.notes, "How CPUs of different generations compare is assumed, not measured."),
    )
    return after, step_of(state, "other CPU", "hardware", changed, time, source, new.hardware.url)


def cpu_speed(old: Installed, new: Installed, busy_cores: float | None) -> Quantity | Unpredictable:
    """How many times faster: from one thread (clocks) to all cores; busy_cores tells how many were of use."""
    clocks = [_ghz(one.hardware) for one in (old, new)]
    cores = [one.hardware.cores and one.hardware.cores * one.quantity for one in (old, new)]
    if clocks[0] is None or clocks[1] is None:
        missing = old if clocks[0] is None else new
        return Unpredictable(f"the clock of {missing.hardware.name} is not in the catalogue")
    if not (cores[0] and cores[1]):
        missing = old if not cores[0] else new
        return Unpredictable(f"the cores of {missing.hardware.name} are not in the catalogue")
    clock = clocks[1] / clocks[0]
    used = cores[0] if busy_cores is None else min(max(busy_cores, 1.0), cores[0])
    # Work that filled the old cores may fill the new ones; work that did not only suffers if there are fewer.
    filled = busy_cores is None or used >= 0.7 * cores[0]
    parallel = cores[1] / cores[0] if filled else min(cores[1], used) / used
    ends = [clock, clock * parallel]
    value = geometric_mean(ends)
    return Quantity(
        value, min(ends) / GENERATION, max(ends) * GENERATION, "", "cores × clock of both catalogues"
    )


def watts_ratio(old: Installed, new: Installed, busy_cores: float | None) -> Quantity:
    """Watts of the new packages over those of the old ones; busy_cores None: anything from one core to all."""
    most = float((old.hardware.cores or 1) * old.quantity)
    ends = (1.0, most) if busy_cores is None else (min(max(busy_cores, 0.05), most),)
    ratios = [_watts(new, busy) / _watts(old, busy) for busy in ends]
    value = geometric_mean(ratios)
    return Quantity(value, min(ratios) / WATTS, max(ratios) * WATTS, "", "CPU model of both parts")


def _watts(installed: Installed, busy_cores: float) -> float:
    hardware = installed.hardware
    part = identify(CpuInfo(_VENDORS.get(hardware.vendor, ""), name=hardware.aliases[0]))
    return installed.quantity * package_power_w(part, busy_cores / (part.cores * installed.quantity)).value


def _ghz(hardware: Hardware) -> float | None:
    known = [ghz for ghz in (hardware.base_ghz, hardware.turbo_ghz) if ghz]
    return sum(known) / len(known) if known else None


def _host_share(state: State) -> tuple[float, float]:
    """The share of the time that goes with the CPU's speed: all without an accelerator; else what that one leaves."""
    if not state.accelerators and "gpu" not in state.by_component:
        return 1.0, 1.0
    if state.utilisation is None:
        return 0.02, 1.0
    left = 1 - state.utilisation
    return max(0.02, left), max(0.02, left, 1.0 if left > 0.1 else left)


def _beside(name: str, time: Quantity) -> Quantity:
    if name == "gpu":
        return span(
            [1.0, time.low, time.high], (1 + time.value) / 2, "", "between the same work and the same watts"
        )
    return span([time.low, time.high], time.value, "", "goes with the time")

"""The same work on other hardware: joules *and* seconds, with intervals.

Accelerators. How much faster the target is lies between the ratio of the memory bandwidths and those of the dense
throughputs (the two roofs of the roofline model: Williams, Waterman and Patterson, CACM 52(4), 2009): which of them
binds is not known, so the interval spans them all, widened by a factor for what data sheets do not say
(:data:`ROOF_SLACK`, calibrated in benchmarks/what_if.py). The value is the geometric mean of the bandwidth's and the
mean throughput's ratio. Only the share of the time in which the device was busy becomes shorter. Whether the rest
overlaps with it is not known either, so the time spans both cases.

Power of a board is ``idle + load (TDP - idle)``: the load is what the run's mean watts say of the present board, and
is the same, within :data:`LOAD_SLACK`, on the next one. Joules that do not depend on the board go with the time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import product as combinations

from wattmark.predict.hardware.accelerators import PRECISIONS, Hardware
from wattmark.predict.hardware.devices import Installed
from wattmark.predict.whatif.state import (
    State,
    Step,
    Unpredictable,
    geometric_mean,
    later,
    scaled,
    span,
    step_of,
    unchanged,
)
from wattmark.quantity import Quantity

ROOF_SLACK = 1.3
"""Beyond the roofs, either way: with it the interval held 95 % of 2,640 pairs of measured training throughputs."""
IDLE_SHARE = Quantity(
    0.10, 0.04, 0.18, "", "idle over TDP: 4 % (RTX 3090, GAISSA traces) to 16 % (V100, Zeus traces)"
)
HOST_SLACK = 2.0
"""How many times faster or slower the host of another machine may feed its device: in the GAISSA data the small
networks take up to twice as long beside the faster GPU, whose host is slower."""
ALWAYS_BUSY = 0.95
"""A device that is busy for so much of the time waits for nothing."""
UNSEEN_LOAD = Quantity(0.65, 0.35, 0.95, "", "mean watts over TDP where no one measured them")
LOAD_SLACK = 1.6
"""Of the share of TDP above idle that the same work draws on another board, either way."""
SCALING = Quantity(
    0.96, 0.45, 1.08, "", "speed goes with count^0.96 [0.45, 1.08]: Lambda's throughputs of 2 to 8 GPUs"
)


def device_speed(source: Hardware, target: Hardware) -> Quantity | Unpredictable:
    """How many times faster the target does the same device work; above 1 is faster."""
    if source.id == target.id:
        return Quantity.exact(1.0, "", "the same device")
    if not (source.bandwidth_gb_s and target.bandwidth_gb_s):
        missing = source if not source.bandwidth_gb_s else target
        return Unpredictable(f"the memory bandwidth of {missing.name} is not published")
    bandwidth = target.bandwidth_gb_s / source.bandwidth_gb_s
    compute = [
        target.throughput[name] / source.throughput[name]
        for name in PRECISIONS[:3]
        if name in source.throughput and name in target.throughput
    ]
    if not compute:
        return Unpredictable(
            f"{source.name} and {target.name} have no throughput of the same precision published"
        )
    value = math.sqrt(bandwidth * geometric_mean(compute))
    low, high = min(bandwidth, *compute) / ROOF_SLACK, max(bandwidth, *compute) * ROOF_SLACK
    return Quantity(value, min(low, value), max(high, value), "", "roofline of both data sheets")


def count_speed(before: int, after: int) -> Quantity:
    """How many times faster ``after`` devices are than ``before``, by :data:`SCALING`."""
    if before == after:
        return Quantity.exact(1.0)
    ratio = after / before
    return span([ratio**SCALING.low, ratio**SCALING.high], ratio**SCALING.value, "", SCALING.source)


def swap_accelerators(
    state: State, target: Sequence[Installed], *, host_stays: bool = False
) -> tuple[State, Step] | Unpredictable:
    """The work on other accelerators; unknown with a reason where the model has no ground.

    host_stays: the host is known to be the same (or is changed in a step of its own); else it may be
    :data:`HOST_SLACK` times faster or slower.
    """
    if tuple(target) == state.accelerators:
        return unchanged(state, "other hardware")
    checked = _checked(state, target)
    if isinstance(checked, Unpredictable):
        return checked
    old, new = checked
    speed = device_speed(old.hardware, new.hardware)
    if isinstance(speed, Unpredictable):
        return speed
    counts = count_speed(old.quantity, new.quantity)
    faster = Quantity(speed.value * counts.value, speed.low * counts.low, speed.high * counts.high)
    board = _boards(state, old, new)
    if isinstance(board, Unpredictable):
        return board
    return _applied(state, old, new, faster, board, host_stays)


def _applied(
    state: State, old: Installed, new: Installed, faster: Quantity, board: _Boards, host_stays: bool
) -> tuple[State, Step]:
    source = f"{old.quantity} × {old.hardware.name} to {new.quantity} × {new.hardware.name}: roofline"
    hosts = (1.0,) if host_stays else (1 / HOST_SLACK, HOST_SLACK)
    cases = [
        (_time_ratio(busy, speed, host, overlapped), speed)
        for busy, speed, host, overlapped in combinations(
            board.busy, (faster.low, faster.high), hosts, (False, True)
        )
        if not overlapped or busy < ALWAYS_BUSY
    ]
    middle = math.sqrt(board.busy[0] * board.busy[-1])
    time = span([one for one, _ in cases], _time_ratio(middle, faster.value, 1.0, False), "", source)
    gpu_ratios = [
        board.energy_ratio(one, speed, factor, idle, mean_w)
        for (one, speed), factor, idle, mean_w in combinations(
            cases, (1 / LOAD_SLACK, LOAD_SLACK), (IDLE_SHARE.low, IDLE_SHARE.high), board.mean_w
        )
    ]
    usual_w = sum(board.mean_w) / len(board.mean_w)
    gpu = span(
        gpu_ratios, board.energy_ratio(time.value, faster.value, 1.0, IDLE_SHARE.value, usual_w), "", source
    )
    changed = {"gpu": gpu, **{name: _other(name, time) for name in state.by_component if name != "gpu"}}
    by_component = {
        name: scaled(quantity, changed[name], f"predicted: {changed[name].source or source}")
        for name, quantity in state.by_component.items()
    }
    after = replace(
        state,
        by_component=by_component,
        duration_s=later(state, time, source),
        accelerators=(new,),
        utilisation=None,
        notes=(*state.notes, *_notes(board, new, faster)),
    )
    return after, step_of(state, "other hardware", "hardware", changed, time, source, new.hardware.url)


def _checked(state: State, target: Sequence[Installed]) -> tuple[Installed, Installed] | Unpredictable:
    if len(target) != 1:
        return Unpredictable("different accelerators side by side are not predicted; choose one kind")
    if not state.accelerators:
        return Unpredictable(
            "the run does not say on which accelerator it was, or the catalogue does not have it"
        )
    if len(state.accelerators) != 1:
        return Unpredictable(
            "the run was on different accelerators side by side, and its work on each is not known"
        )
    joules = state.by_component.get("gpu")
    if joules is None or joules.value <= 0:
        return Unpredictable("the run has no joules of its accelerator")
    if "host" in state.by_component:
        return Unpredictable("the joules of the whole machine cannot be told apart by component")
    return state.accelerators[0], target[0]


class _Boards:
    """Watts of the present and the next boards. mean_w: of one present board; its ends where they are not known."""

    def __init__(self, old: Installed, new: Installed, mean_w: tuple[float, ...], busy: float | None) -> None:
        self.old, self.new, self.mean_w = old, new, mean_w
        self.old_tdp, self.new_tdp = old.hardware.tdp_w or 0.0, new.hardware.tdp_w or 0.0
        # A board cannot draw more than its limit while busy, so it was busy at least as long as its joules say.
        least = self._load(mean_w[0], IDLE_SHARE.value)
        self.known_busy = busy
        self.busy = (max(0.02, least), 1.0) if busy is None else (max(busy, least, 0.02),)

    def energy_ratio(
        self, time: float, speed: float, factor: float, idle_share: float, mean_w: float
    ) -> float:
        """Joules of the next boards over those of the present ones, at a ratio of times and a speed of the device.

        factor: on the load; idle_share: idle watts over TDP, of both; mean_w: of one present board.
        """
        # Load times seconds is the work; each device does its part of it, 1/speed as long.
        active = min(self._load(mean_w, idle_share) * factor / speed, time)
        watt_seconds = idle_share * self.new_tdp * time + active * (1 - idle_share) * self.new_tdp
        return self.new.quantity / self.old.quantity * watt_seconds / mean_w

    def _load(self, mean_w: float, idle_share: float) -> float:
        """Mean watts above idle as a share of what is above idle, 0 to 1."""
        idle_w = min(idle_share * self.old_tdp, 0.9 * mean_w)
        return min(1.0, (mean_w - idle_w) / (self.old_tdp - idle_w))


def _boards(state: State, old: Installed, new: Installed) -> _Boards | Unpredictable:
    for one in (old, new):
        if one.hardware.tdp_w is None:
            return Unpredictable(f"the power of {one.hardware.name} is not published")
    if state.duration_s is None:  # an imported profile without times: whatever a board may draw at work
        tdp_w = old.hardware.tdp_w or 0.0
        return _Boards(old, new, (UNSEEN_LOAD.low * tdp_w, UNSEEN_LOAD.high * tdp_w), state.utilisation)
    if state.duration_s.value <= 0:
        return Unpredictable("the run took no time")
    mean_w = state.by_component["gpu"].value / state.duration_s.value / old.quantity
    return _Boards(old, new, (mean_w,), state.utilisation)


def _time_ratio(busy: float, speed: float, host: float, overlapped: bool) -> float:
    """New seconds over old: the device's share becomes shorter; the host's goes on beside it or after it.

    host: how many times longer the host takes.
    """
    return max(host, busy / speed) if overlapped else (1 - busy) * host + busy / speed


def _other(name: str, time: Quantity) -> Quantity:
    """Components that stay: memory goes with the time; the CPU's joules between its work (the same) and the time."""
    if name == "cpu":
        middle = (1 + time.value) / 2
        return span([1.0, time.low, time.high], middle, "", "CPU: between the same work and the same watts")
    return span([time.low, time.high], time.value, "", "goes with the time")


def _notes(board: _Boards, new: Installed, faster: Quantity) -> list[str]:
    found: list[str] = []
    if board.known_busy is None:
        found.append(
            "How long the accelerator was busy was not recorded, so the time spans from what its watts allow to always."
        )
    elif board.known_busy >= ALWAYS_BUSY and faster.value > 1:
        found.append("The host is taken to keep up with the faster accelerator.")
    if board.old.quantity != new.quantity:
        found.append(f"Of several devices: {SCALING.source}.")
    if new.hardware.memory_gb is not None:
        found.append(f"Whether the work fits into {new.hardware.memory_gb:g} GB a device is not checked.")
    return found

"""The same work on other hardware: joules *and* seconds, with intervals.

Accelerators. How much faster the target is lies between the ratio of the memory bandwidths and those of the dense
throughputs (the two roofs of the roofline model: Williams, Waterman and Patterson, CACM 52(4), 2009): which of them
binds is not known, so the interval spans them all, widened by a factor for what data sheets do not say
(:data:`ROOF_SLACK`, calibrated in benchmarks/what_if.py). The value is the geometric mean of the bandwidth's and the
mean throughput's ratio. Work gets less of it than data sheets promise: its :data:`REALISED` power.

Only the share of the time in which the device was busy becomes shorter. NVML's utilisation is no such share (it counts
any kernel, however few watts it draws), so the share is the watts above idle over those between idle and TDP; what
utilisation says is an upper end. Whether the rest overlaps with it is not known either.

Power of a board is ``idle + load (TDP - idle)``: the load is what the run's mean watts say of the present board, and
is the same on the next one, but for what each year of newer boards adds (:data:`LOAD_PER_YEAR`: newer ones draw
more of their TDP for the same work). Joules that do not depend on the board go with the time.

The widths are conformal (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005): quantiles of
``|ln(truth / value)|`` over measured pairs of one kind of work (:data:`WIDTHS`), within what is physically possible.
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
    Work,
    geometric_mean,
    later,
    of_one_fit,
    scaled,
    span,
    step_of,
    unchanged,
)
from wattmark.quantity import Quantity

ROOF_SLACK = 1.3
"""Beyond the roofs, either way: with it the interval held 95 % of 2,640 pairs of measured training throughputs."""
REALISED = 0.8
"""ln(speed of work) over ln(speed of data sheets), A100 to H100 (ML.ENERGY) and four training GPUs (Zeus)."""
LOAD_PER_YEAR = 0.03
"""ln of the load for each year between the boards' releases, same pairs: newer boards came out 20 to 34 % too frugal."""
IDLE_SHARE = Quantity(
    0.14,
    0.04,
    0.19,
    "",
    "idle over TDP: 4 % (RTX 3090, GAISSA traces) to 19 % (A100, Power Hungry Processing)",
)
HOST_SLACK = 2.0
"""How many times faster or slower the host of another machine may feed its device: in the GAISSA data the small
networks take up to twice as long beside the faster GPU, whose host is slower."""
ALWAYS_BUSY = 0.95
"""A device that is busy for so much of the time waits for nothing."""
UNSEEN_LOAD = Quantity(0.65, 0.35, 0.95, "", "mean watts over TDP where no one measured them")
WIDTHS: dict[Work, tuple[float, float]] = {
    "serving": (0.45, 0.45),
    "training": (1.15, 0.69),
    "": (1.15, 0.69),
}
"""Half widths of ln(seconds) and ln(joules) by kind of work. Training and unknown work: the 95 % quantile of 182 Zeus
pairs on different hosts; serving: twice that of 252 ML.ENERGY pairs, since they are of two boards only
(benchmarks/what_if.py)."""
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
    board = _boards(state, old, new)
    if isinstance(board, Unpredictable):
        return board
    return _applied(state, old, new, _Speeds(speed, counts), board, host_stays)


def _applied(
    state: State, old: Installed, new: Installed, speeds: _Speeds, board: _Boards, host_stays: bool
) -> tuple[State, Step]:
    source = f"{old.quantity} × {old.hardware.name} to {new.quantity} × {new.hardware.name}: roofline"
    faster = speeds.work
    hosts = (1.0,) if host_stays else (1 / HOST_SLACK, HOST_SLACK)
    cases = [
        _time_ratio(busy, speed, host, overlapped)
        for busy, speed, host, overlapped in combinations(
            board.busy, (faster.low, faster.high), hosts, (False, True)
        )
        if not overlapped or (busy < ALWAYS_BUSY and (board.known_busy or 0.0) < ALWAYS_BUSY)
    ]
    seconds_width, joules_width = (math.hypot(width, speeds.counts_width) for width in WIDTHS[state.work])
    # A training's kernels keep their device busy at few watts too (small networks), so utilisation has a say there.
    usual = (
        math.sqrt(board.load * board.busy[1]) if state.work == "training" and board.known_busy else board.load
    )
    value = _time_ratio(usual, faster.value, 1.0, False)
    factor = math.exp(seconds_width)
    low, high = max(min(cases), value / factor), min(max(cases), value * factor)
    time = Quantity(value, min(low, value), max(high, value), "", source)
    generation = math.exp(LOAD_PER_YEAR * ((new.hardware.year or 0) - (old.hardware.year or 0)))
    if new.hardware.year is None or old.hardware.year is None:
        generation = 1.0
    ratios = [board.energy_ratio(time.value, faster.value, generation, mean_w) for mean_w in board.mean_w]
    middle = sum(ratios) / len(ratios)
    factor = math.exp(joules_width)
    least, most = board.energy_bounds(time)
    gpu_value = min(middle, most)
    gpu = Quantity(
        gpu_value,
        min(gpu_value, max(least, min(ratios) / factor)),
        max(gpu_value, min(most, max(ratios) * factor)),
        "",
        source,
    )
    changed = {"gpu": gpu, **{name: _other(name, time) for name in state.by_component if name != "gpu"}}
    changed = of_one_fit(source, changed)
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


class _Speeds:
    """How much faster the work is: of one device by its data sheet, of their number, and of both as work realises them."""

    def __init__(self, device: Quantity, counts: Quantity) -> None:
        value = device.value**REALISED
        low, high = min(device.low, value), max(device.high, value)
        self.work = Quantity(value * counts.value, low * counts.low, high * counts.high)
        self.counts_width = math.log(counts.high / counts.low) / 2


class _Boards:
    """Watts of the present and the next boards. mean_w: of one present board; its ends where they are not known."""

    def __init__(self, old: Installed, new: Installed, mean_w: tuple[float, ...], busy: float | None) -> None:
        self.old, self.new, self.mean_w = old, new, mean_w
        self.old_tdp, self.new_tdp = old.hardware.tdp_w or 0.0, new.hardware.tdp_w or 0.0
        self.known_busy = busy
        usual_w = sum(mean_w) / len(mean_w)
        self.load = max(0.02, self._load(usual_w, IDLE_SHARE.value))
        # A board cannot draw more than its limit while busy, so it was busy at least as long as its joules say.
        least = max(0.02, self._load(mean_w[0], IDLE_SHARE.value if busy is not None else IDLE_SHARE.high))
        self.busy = (least, max(least, self.load, 1.0 if busy is None else busy))

    def energy_ratio(self, time: float, speed: float, factor: float, mean_w: float) -> float:
        """Joules of the next boards over those of the present ones, at a ratio of times and a speed of the device.

        factor: on the load; mean_w: of one present board.
        """
        # Load times seconds is the work; each device does its part of it, 1/speed as long.
        idle = IDLE_SHARE.value
        active = min(self._load(mean_w, idle) * factor / speed, time)
        watt_seconds = idle * self.new_tdp * time + active * (1 - idle) * self.new_tdp
        # A board that draws less than the usual idle watts has fewer of them there too.
        usual_w = idle * self.old_tdp + self._load(mean_w, idle) * (1 - idle) * self.old_tdp
        return self.new.quantity / self.old.quantity * watt_seconds / usual_w

    def energy_bounds(self, time: Quantity) -> tuple[float, float]:
        """What the next boards draw at least (idle) and at most (their limit), over the joules of the present ones."""
        scale = self.new.quantity / self.old.quantity * self.new_tdp
        least = IDLE_SHARE.low * time.low * scale / self.mean_w[-1] / 2
        return least, time.high * scale / self.mean_w[0]

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
        found.append("How long the accelerator was busy was not recorded, so its watts alone tell.")
    elif board.known_busy >= ALWAYS_BUSY and faster.value > 1:
        found.append("The host is taken to keep up with the faster accelerator.")
    if board.old.quantity != new.quantity:
        found.append(f"Of several devices: {SCALING.source}.")
    if new.hardware.memory_gb is not None:
        found.append(f"Whether the work fits into {new.hardware.memory_gb:g} GB a device is not checked.")
    return found

"""A power cap on the accelerators: how much longer the work takes, and the joules it saves.

Below the watts that a board would draw, a cap slows its clocks. How much, the power traces of Zeus tell (You, Chung
and Chowdhury, Zeus, NSDI 2023: trainings under limits from 100 W up on V100, A40, P100 and RTX 6000, some 500 epochs).
With ``x = ln(watts without the cap / cap)`` time grows as ``ln(time ratio) = 0.95 x^1.5``; nearly all lie between
``0.32 x^2 - 0.1`` and ``2 x + 0.12``, the upper end where a board near its lowest limit loses most of its clock. It
then draws 0.9 [0.75, 1.15] of the cap. A cap above what the board draws changes nothing. benchmarks/what_if.py counts
how often this holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from wattmark.predict.hardware.devices import Installed
from wattmark.predict.whatif.state import State, Step, Unpredictable, of_one_fit, scaled, span, step_of
from wattmark.quantity import Quantity

SOURCE = "Zeus power traces (NSDI 2023): V100, A40, P100, RTX 6000"
ZEUS_URL = "https://www.usenix.org/conference/nsdi23/presentation/you"
PEAK = 1.3
"""Boards that draw less than a cap in the mean, but not by this factor, still have peaks that it cuts."""
KEPT = Quantity(0.90, 0.75, 1.15, "", "mean watts over the cap where it binds, same traces")
NOISE = Quantity(1.0, 0.905, 1.095, "", "epochs of the same work under caps that do not bind, same traces")


def cap_step(state: State, cap_w: float) -> tuple[State, Step] | Unpredictable:
    """The work with every accelerator's power limit set to ``cap_w`` watts."""
    if "gpu" not in state.by_component or state.by_component["gpu"].value <= 0:
        return Unpredictable("the run has no joules of an accelerator that could be capped")
    if state.duration_s is None or state.duration_s.value <= 0:
        return Unpredictable("the run's duration is not known")
    count = sum(one.quantity for one in state.accelerators)
    if not count:
        return Unpredictable(
            "the run does not say on which accelerator it was, or the catalogue does not have it"
        )
    refused = _refused(state.accelerators, cap_w)
    if refused is not None:
        return refused
    busy = 1.0 if state.utilisation is None else max(state.utilisation, 0.05)
    mean_w = state.by_component["gpu"].value / state.duration_s.value / count
    limit_w = min((one.hardware.tdp_w or math.inf) for one in state.accelerators)
    # While busy it draws more than in the mean: as its utilisation says, and no more than its limit.
    time, gpu = capped(mean_w, min(mean_w / busy, max(limit_w, mean_w)), busy, cap_w)
    source = f"cap of {cap_w:g} W on boards that drew {mean_w:.0f} W: {SOURCE}"
    changed = {
        name: gpu if name == "gpu" else span([1.0, time.low, time.high], (1 + time.value) / 2, "", "time")
        for name in state.by_component
    }
    changed = of_one_fit(SOURCE, changed)
    before = state.energy_j
    assert before is not None
    after = replace(
        state,
        by_component={
            n: scaled(q, changed[n], f"predicted: {source}") for n, q in state.by_component.items()
        },
        duration_s=scaled(state.duration_s, time, f"predicted: {source}"),
    )
    return after, step_of(state, "power cap", "power_cap_w", changed, time, source, ZEUS_URL)


def capped(mean_w: float, busy_w: float, busy: float, cap_w: float) -> tuple[Quantity, Quantity]:
    """Ratios of seconds and of joules of boards that draw ``mean_w``, and ``busy_w`` in the ``busy`` share of the time."""
    rest_w = max(0.0, mean_w - busy * busy_w)
    slower = slowdown(busy_w, cap_w)
    value, low, high = ((1 - busy) + busy * end for end in (slower.value, slower.low, slower.high))
    time = Quantity(value, low, high, "", SOURCE)
    if busy_w <= cap_w:
        return time, Quantity(
            1.0, NOISE.low * (KEPT.value if cap_w < PEAK * busy_w else 1.0), NOISE.high, "", SOURCE
        )
    watts = [min(busy_w * NOISE.high, cap_w * share) for share in (KEPT.value, KEPT.low, KEPT.high)]
    joules = [
        (busy * end * watt + rest_w) / mean_w
        for end, watt in zip((slower.value, slower.low, slower.high), watts, strict=True)
    ]
    return time, span(joules, joules[0], "", SOURCE)


def slowdown(watts: float, cap_w: float) -> Quantity:
    """How many times longer the work of a board takes that would draw ``watts`` without the cap."""
    if watts <= cap_w:
        return Quantity(1.0, NOISE.low, NOISE.high)
    x = math.log(watts / cap_w)
    value = math.exp(0.95 * x**1.5)
    return Quantity(
        value, min(value, max(NOISE.low, math.exp(0.32 * x * x - 0.1))), max(value, math.exp(2 * x + 0.12))
    )


def _refused(installed: Sequence[Installed], cap_w: float) -> Unpredictable | None:
    for one in installed:
        hardware = one.hardware
        top = hardware.cap_max_w or hardware.tdp_w
        if hardware.cap_min_w is not None and cap_w < hardware.cap_min_w:
            return Unpredictable(f"{hardware.name} cannot be capped below {hardware.cap_min_w:g} W")
        if top is not None and cap_w > top:
            return Unpredictable(f"{hardware.name} cannot draw more than {top:g} W anyway")
    return None

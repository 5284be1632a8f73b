"""A power cap on the accelerators: how much longer the work takes, and the joules it saves.

Below the watts that a board would draw, a cap slows its clocks. In 3 published power traces of training (Zeus: You,
Chung and Chowdhury, NSDI 2023; power limits from 100 W on four GPUs) time grows slowly at first and steeply near the
lowest limits: ``ln(time ratio) = k x^2`` with ``x = ln(watts without the cap / cap)`` and k from 0.2 to 2.2. A cap
above what the board draws changes nothing. The board draws about its cap; near the lowest limit it cannot keep it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from wattmark.predict.answers import Unknown, span
from wattmark.predict.devices import Installed
from wattmark.predict.state import State, Step, scaled
from wattmark.quantity import Quantity

SLOWDOWN = Quantity(0.9, 0.2, 2.2, "", "Zeus traces (NSDI 2023): V100, A40, P100, RTX 6000")
KEPT = Quantity(0.97, 0.88, 1.2, "", "mean watts over the cap, same traces")
ZEUS_URL = "https://www.usenix.org/conference/nsdi23/presentation/you"
_NO_CHANGE = Quantity(1.0, 0.97, 1.05)


def cap_step(state: State, cap_w: float) -> tuple[State, Step] | Unknown:
    """The work with every accelerator's power limit set to ``cap_w`` watts."""
    if "gpu" not in state.by_component or state.by_component["gpu"].value <= 0:
        return Unknown("the run has no joules of an accelerator that could be capped")
    if state.duration_s is None or state.duration_s.value <= 0:
        return Unknown("the run's duration is not known")
    count = sum(one.quantity for one in state.accelerators)
    if not count:
        return Unknown("the run does not say on which accelerator it was, or the catalogue does not have it")
    refused = _refused(state.accelerators, cap_w)
    if refused is not None:
        return refused
    busy = 1.0 if state.utilisation is None else max(state.utilisation, 0.05)
    mean_w = state.by_component["gpu"].value / state.duration_s.value / count
    limit_w = min((one.hardware.tdp_w or math.inf) for one in state.accelerators)
    # While busy it draws more than in the mean; how much more, only its utilisation tells, its TDP bounds it.
    busy_w = min(mean_w / busy, limit_w)
    time, watts = capped(mean_w, busy_w, limit_w, cap_w)
    source = f"cap of {cap_w:g} W on boards that drew {mean_w:.0f} W: {SLOWDOWN.source}"
    gpu = span([time.low * watts.high, time.high * watts.low, time.low * watts.low, time.high * watts.high],
               time.value * watts.value, "", source)  # fmt: skip
    changed = {
        name: gpu if name == "gpu" else span([1.0, time.low, time.high], (1 + time.value) / 2, "", "time")
        for name in state.by_component
    }
    before = state.energy_j
    assert before is not None
    after = replace(
        state,
        by_component={
            n: scaled(q, changed[n], f"predicted: {source}") for n, q in state.by_component.items()
        },
        duration_s=scaled(state.duration_s, time, f"predicted: {source}"),
    )
    shares = {n: q.value / before.value for n, q in state.by_component.items()}
    energy = Quantity(
        sum(shares[n] * r.value for n, r in changed.items()),
        sum(shares[n] * r.low for n, r in changed.items()),
        sum(shares[n] * r.high for n, r in changed.items()),
        "",
        source,
    )
    return after, Step("power cap", "power_cap_w", energy, time, source, ZEUS_URL)


def capped(mean_w: float, busy_w: float, limit_w: float, cap_w: float) -> tuple[Quantity, Quantity]:
    """Ratios of time and of mean watts under a cap, of boards that draw ``mean_w``, and ``busy_w`` while busy."""
    likely, most = _excess(busy_w, cap_w), _excess(min(limit_w, 1.3 * busy_w), cap_w)
    least = _excess(mean_w, cap_w)
    time = Quantity(
        math.exp(SLOWDOWN.value * likely**2),
        _NO_CHANGE.low * math.exp(SLOWDOWN.low * least**2),
        _NO_CHANGE.high * math.exp(SLOWDOWN.high * most**2),
    )
    held = cap_w / mean_w
    if likely == 0 and least == 0:
        watts = Quantity(1.0, _NO_CHANGE.low if most == 0 else min(1.0, held * KEPT.low), _NO_CHANGE.high)
    else:
        value = min(1.0, held * KEPT.value)
        watts = Quantity(
            value,
            min(value, held * KEPT.low * mean_w / max(busy_w, mean_w)),
            max(value, min(1.05, held * KEPT.high)),
        )
    return time, watts  # fmt: skip


def _excess(watts: float, cap_w: float) -> float:
    return math.log(watts / cap_w) if watts > cap_w else 0.0


def _refused(installed: Sequence[Installed], cap_w: float) -> Unknown | None:
    for one in installed:
        hardware = one.hardware
        top = hardware.cap_max_w or hardware.tdp_w
        if hardware.cap_min_w is not None and cap_w < hardware.cap_min_w:
            return Unknown(f"{hardware.name} cannot be capped below {hardware.cap_min_w:g} W")
        if top is not None and cap_w > top:
            return Unknown(f"{hardware.name} cannot draw more than {top:g} W anyway")
    return None

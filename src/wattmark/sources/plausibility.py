"""What a reading can be: the bounds that every channel of every source is held against. Pure rules, standard library only.

From above: :func:`package_bound_w` for what a processor can draw, from its limits or its size. From below:
:func:`floor_w` and :func:`busy_floor_w`, which no such device goes below while it runs, so that a sensor that reads 0
is not taken for a machine that draws nothing. In time: :func:`standstill_s`, how long a counter may stand still. How a
counter's steps are judged is in :mod:`wattmark.recorder.unwrap`; :data:`FINDINGS` names everything that may be found.
"""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.sources.base import Channel, Component

PACKAGE_BASE_W, PACKAGE_W_A_THREAD = 200.0, 30.0
"""No package draws more than this in all: overclocked desktop parts reach about 25 W a thread (400 W of 16), the largest
servers 3 W (500 W of 192 cores); memory on the package and integrated graphics are in the first term."""
LIMIT_FACTOR, TDP_FACTOR, GPU_LIMIT_FACTOR = 4.0, 6.0, 2.0
"""Limits hold on average: turbo peaks are about twice the first one, and this leaves as much again. Desktop boards that
lift the limits let a part draw 4.3 times its thermal design power (i9-14900, 65 W), those of laptops 3.7 times (15 W, PL2
55 W). A graphics card's limit is held within a tenth of a second."""
LEAST_BOUND_W, LEAST_PART_W = 150.0, 60.0
"""A limit may be set far below what the part can draw for a moment; a part that is known can draw this all the same."""
UNLOCKED_W = 4_000.0
"""Boards that lift the limit write 4,095 W: it says nothing of the part."""

_FLOOR_W: dict[Component, float] = {"cpu": 0.02, "soc": 0.02, "host": 0.3, "gpu": 0.1, "dram": 0.0}
"""Below idle, whatever the device: a package in its deepest sleep while something still reads its sensor draws tens of
milliwatts, a single-board computer without a screen 0.4 W, a mobile GPU that is not suspended more than 0.5 W."""
BUSY_CPU_W = 0.1
"""What a busy logical CPU adds at the least: small cores at their lowest clock take 0.1 to 0.3 W (Cortex-A53, Gracemont)."""
BUSY_GPU_W = 2.0
"""What a GPU that runs a kernel all the time draws at the least; mobile parts at their lowest clock take 3 W and more."""

STILL_PERIODS = 10
STILL_S = 1.0


def package_bound_w(threads: int, limits_w: Sequence[float] = (), tdp_w: float | None = None) -> float | None:
    """The most that a processor package of ``threads`` logical CPUs can draw, in watts; None if nothing is known.

    ``limits_w`` are its power limits (powercap's constraints), ``tdp_w`` is its thermal design power where the exact part
    is known. The lowest of these bounds holds, since all are generous.
    """
    limit_w = max((one for one in limits_w if 0 < one < UNLOCKED_W), default=None)
    bounds = [] if limit_w is None else [max(LIMIT_FACTOR * limit_w, LEAST_BOUND_W)]
    if tdp_w:
        bounds.append(max(TDP_FACTOR * tdp_w, LEAST_PART_W))
    if threads > 0:
        bounds.append(PACKAGE_BASE_W + PACKAGE_W_A_THREAD * threads)
    return min(bounds, default=None)


def floor_w(channel: Channel) -> float:
    """Watts that the channel's device draws at the least while it runs; a reading below is doubted.

    0 where nothing can be said: models, replays, rails (one may be off, and a current sensor has an offset), what is
    inside another channel.
    """
    whole = (
        not channel.inside and "rail" not in channel.scope and not channel.scope.startswith("unidentified")
    )
    return (
        _FLOOR_W[channel.component]
        if whole and channel.method != "modelled" and channel.source != "replay"
        else 0.0
    )


def busy_floor_w(channel: Channel, busy_cpus: float) -> float:
    """:func:`floor_w` of a channel that holds all the CPUs of the machine, of which ``busy_cpus`` were busy on average."""
    least = floor_w(channel)
    return least + BUSY_CPU_W * busy_cpus if least and channel.component in ("cpu", "soc", "host") else least


def standstill_s(channel: Channel, period_s: float) -> float:
    """How long a counter of a device that runs may show the same value, read every ``period_s`` seconds.

    A counter of coarse steps (a plug that counts watt-hours) may stand for one step at its device's least power.
    """
    step_s = 2e-6 * channel.resolution_uj / max(floor_w(channel), 0.1)
    return max(STILL_S, STILL_PERIODS * channel.update_period_s, 2.5 * period_s, step_s)


AGREEMENT_S, SHORT_AGREEMENT_S = 3.0, 1.0
"""A counter is held against the power of its device over so many seconds at a time, or the whole of less ..."""
DISAGREEMENT, SHORT_DISAGREEMENT = 2.0, 3.0
"""... and doubted beyond this factor: readings a tenth of a second apart of a load that changes err by less."""


def contradicts(counter: Channel, counter_uj: float, power_uj: Sequence[float], seconds: float) -> bool:
    """Whether a counter's step of some ``seconds`` cannot be, beside the integral of its own device's power sensor.

    power_uj: that integral for the same time and for as long a time somewhat earlier and later, since power sensors lag.
    """
    factor = DISAGREEMENT if seconds >= AGREEMENT_S else SHORT_DISAGREEMENT
    slack_uj = 2 * counter.resolution_uj
    return factor * (counter_uj + slack_uj) < min(power_uj) or counter_uj - slack_uj > factor * max(power_uj)


def agreement_s(witness: Channel, least_s: float = AGREEMENT_S) -> float:
    """Over how many seconds a counter and a power sensor of its device can be compared at the least."""
    return max(least_s, 5 * witness.update_period_s)


FINDINGS: dict[str, str] = {
    "blip": "A counter left its line for a moment and came back; what it said meanwhile is dropped, no energy is lost.",
    "catch_up": "A counter stood still and caught up at once; its energy is spread evenly over that time.",
    "refused_jump": "A counter stepped further than its device can; the step is not counted.",
    "out_of_range": "A counter read a number that it cannot hold; the reading is not counted.",
    "reset": "A counter began anew; what was used in between is a hole.",
    "ambiguous_gap": "A counter was not read for so long that it may have wrapped twice; that time is a hole.",
    "refused_power": "A sensor read a power that cannot be; the reading is not counted.",
    "below_idle": "A sensor read less than any such device draws; that time is a hole, or falls to the model.",
    "stuck": "A counter stood still while its device ran; that time is a hole, or falls to the model.",
    "contradicted": "A counter and the power sensor of its device differ by far more than they can; the sensor stands in.",
    "unconfirmed": "The first or last step of a counter is unlike all others, and nothing confirms it; it is not counted.",
    "silent": "A sensor gave nothing that can be believed; something else stands in for it, or its energy is missing.",
    "stand-in": "Another sensor or a model stands in for one that gave nothing.",
    "device-unmeasured": "A device that the program may use is not measured, so it is missing from the total.",
    "asleep": "A graphics card is suspended by the kernel; it is not woken to be read, and counts as next to nothing.",
    "device-lost": "A device could be read no longer; it is tried again.",
    "device-back": "A device that was lost is measured again; what it used meanwhile is a hole.",
    "device-later": "A device could not be read when the run began, and is measured from later on.",
    "zone-unused": "An energy counter that counts is not used, since it is not clear what it holds.",
    "utilisation-unknown": "The kernel's CPU times do not add up; the CPU's energy lies between idle and full load.",
}
"""The stable codes of what may be found about a sensor (warnings of a run), each with what it means."""

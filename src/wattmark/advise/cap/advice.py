"""What a search for a cap has found, as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wattmark.advise.cap.choice import Goal
from wattmark.advise.cap.curve import CapCurve
from wattmark.advise.cap.measured import Measured
from wattmark.quantity import Quantity

Basis = Literal["measured", "predicted", "untried"]


@dataclass(frozen=True, slots=True)
class CapAdvice:
    """devices: what is capped (all alike, each to ``cap_w``). caps_w: that can be set; the last is what was in force before.

    basis: ``measured`` in windows; ``predicted`` by a model, where nothing may be set; ``untried`` where nothing can be said
    without trying. cap_w: the best, None where there is none. energy, time: shares of those without the cap, for a unit of
    work. met: whether the slow-down that was allowed was kept, None where none was asked for. applied: it was set; kept: it
    still is. exit_code: of the command that ran on, else 0.
    """

    devices: tuple[str, ...]
    labels: tuple[str, ...]
    caps_w: tuple[float, ...]
    goal: Goal
    method: str
    basis: Basis
    cap_w: float | None
    energy: Quantity | None
    time: Quantity | None
    unit: str = "run"
    windows: tuple[Measured, ...] = ()
    methods: dict[str, str] = field(default_factory=dict[str, str])
    met: bool | None = None
    applied: bool = False
    kept: bool = False
    interrupted: bool = False
    notes: tuple[str, ...] = ()
    exit_code: int = 0
    run_id: str | None = None

    @property
    def curve(self) -> CapCurve | None:
        """Time and energy against the cap, through the windows."""
        caps = {one.cap_w for one in self.windows}
        return CapCurve([one.window for one in self.windows]) if len(caps) > 1 else None

    @property
    def words(self) -> str:
        """The answer in a line."""
        if self.cap_w is None:
            return (
                "no cap was found"
                if self.basis != "untried"
                else "nothing can be said of caps without trying them"
            )
        where = f"{self.cap_w:g} W" + (" each" if len(self.devices) > 1 else "")
        if self.energy is None or self.time is None:
            return f"best cap: {where}"
        if self.cap_w == self.caps_w[-1]:
            return f"no cap below {where} is better"
        saved = (1 - self.energy.value) * 100
        if self.basis == "measured" and self.energy.low < 1 < self.energy.high:
            gain = "energy not clearly less"
        else:
            gain = f"{saved:.1f} % less energy [{(1 - self.energy.high) * 100:.1f}, {(1 - self.energy.low) * 100:.1f}]"
        slower = (self.time.value - 1) * 100
        tail = f"{slower:.1f} % slower [{(self.time.low - 1) * 100:.1f}, {(self.time.high - 1) * 100:.1f}]"
        said = "" if self.basis == "measured" else ", predicted and not tried"
        return f"best cap: {where} of {self.caps_w[-1]:g} W: {gain}, {tail} a {self.unit}{said}"

    def to_dict(self) -> dict[str, object]:
        """Plain data: the ``--json`` object."""
        goal = self.goal
        return {
            "devices": [
                {"id": one, "label": label} for one, label in zip(self.devices, self.labels, strict=True)
            ],
            "caps_w": list(self.caps_w),
            "goal": {
                "delay": goal.delay,
                "eta": goal.eta,
                "slowdown": goal.slowdown,
                "energy_j": goal.energy_j,
            },
            "method": self.method,
            "basis": self.basis,
            "cap_w": self.cap_w,
            "energy_ratio": self.energy and self.energy.as_dict(),
            "time_ratio": self.time and self.time.as_dict(),
            "unit": self.unit,
            "measured_by": self.methods,
            "windows": [one.to_dict() for one in self.windows],
            "slowdown_kept": self.met,
            "applied": self.applied,
            "kept": self.kept,
            "interrupted": self.interrupted,
            "notes": list(self.notes),
            "exit_code": self.exit_code,
            "run_id": self.run_id,
            "words": self.words,
        }


def grid(least_w: float, most_w: float, count: int = 13) -> tuple[float, ...]:
    """Caps from the least to the largest, evenly, at whole watts (multiples of 5 W where steps are larger than that)."""
    step = (most_w - least_w) / max(1, count - 1)
    whole = 5.0 if step >= 5 else 1.0 if step >= 1 else 0.125
    inner = [round((least_w + place * step) / whole) * whole for place in range(1, count - 1)]
    first = -(-least_w // whole) * whole
    return tuple(sorted({first, *(one for one in inner if first < one < most_w), most_w}))

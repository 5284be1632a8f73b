"""What a meter at the plug would say of a run: a later stage over unchanged joules, with errors of its own.

Between the sensors of a machine and its plug lie parts that no sensor reads (fans, disks, board, memory) and a power
supply, whose losses grow with the load faster than in proportion. Over a run of T seconds with the counted power P(t)

    E_wall = a T + b E + c Q,   E = the integral of P, Q = the integral of P squared,

which is a constant, a slope and the quadratic loss of a converter. ``wattmark calibrate --meter`` fits a, b and c of a
machine.

Errors: a scale, a curve or an offset of the sensors is in b, c and a already, so these cancel; the character of the
work stays, times the slope. New are those of the fit (``wall/HOST/...``: shared by all runs under one calibration),
what a kind of work may differ from the fit (``wall/rest/...``), and the meter's own scale (``meter/...``).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np

from wattmark.quantity import CURVE, METER, OFFSET, SCALE, WALL, Quantity
from wattmark.runs.baseline import baseline_path, write_calibration
from wattmark.runs.energy import edges_ns
from wattmark.runs.error_names import work_of
from wattmark.runs.record import Float64, Int64
from wattmark.runs.view import RunView

_FOLDER = "walls"
SQUARES_OVER_S = 1.0
"""Powers are averaged over this time before they are squared: a supply and a meter see no faster ones."""
_BEYOND = 0.2
"""Of what lies beyond the calibrated range of power, the error's share of its watts: judgement, not data."""

Kind = Literal["calibrated", "default"]

SERVER_SLOPE = (1.05, 1.46, 2.67)
"""Watts at the plug of a server per watt of its CPUs and memory: lower end, value, upper end.

tools/fit_wall.py, 768 SPECpower_ssj2008 results since 2012 (spec.org/power_ssj2008; collected by ccf-coefficients
b0032d9) over the modelled watts of their parts; of those that can be, idle and full, the median and the 97.5th
percentile. The lower end is the best supply.
"""
DESKTOP_SLOPE, DESKTOP_REST_W = (1.05, 1.2, 1.6), (10.0, 38.0, 80.0)
"""The same of a desktop beside the watts of its board: two machines with both readings
(wattmark.sources.models.cpu.curves)."""
_DESKTOP_CPU = re.compile(
    r"Core\(TM\)|Intel\(R\) Core|Ryzen|Threadripper|Pentium|Celeron|Apple", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class WallModel:
    """a (W), b, c (1/W) of a machine; ``errors``: independent errors of the three, each with all of them at its 95 % end.

    meter: what it was held against, meter_share: how far that may be off as a whole, as a share. rest_w: by how many
    watts a kind of work may lie beside the fit (95 %). ends: of a default, how far slope and constant may be below and
    above. low_w, high_w: mean powers that were seen, by the sensors. channels: ids of the counted channels, with their
    methods. measured_at: Unix s. lag_s: how far the meter's clock was behind; notes: what was odd about its readings.
    """

    host: str
    kind: Kind
    constant_w: float
    slope: float
    curve_per_w: float
    errors: tuple[tuple[float, float, float], ...]
    meter: str
    meter_share: float = 0.0
    rest_w: float = 0.0
    low_w: float = 0.0
    high_w: float = math.inf
    channels: tuple[str, ...] = ()
    measured_at: float = 0.0
    seconds: float = 0.0
    levels: int = 0
    lag_s: float = 0.0
    notes: tuple[str, ...] = ()
    ends: tuple[tuple[str, float, float], ...] = ()

    def wall_w(self, power_w: float) -> float:
        """Watts at the plug at a steady power of the counted components."""
        return self.constant_w + self.slope * power_w + self.curve_per_w * power_w * power_w

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as it is kept."""
        data = asdict(self)
        return {**data, "high_w": None if math.isinf(self.high_w) else self.high_w}


@dataclass(frozen=True, slots=True)
class WallResult:
    """A run at the plug: J, in words how it was taken, and by which calibration (``calibrated`` or ``default``)."""

    energy: Quantity
    rule: str
    kind: Kind
    meter: str

    def to_dict(self) -> dict[str, Any]:
        """The object ``wall``."""
        return {
            "scope": "wall",
            "energy_j": self.energy.as_dict(),
            "kind": self.kind,
            "meter": self.meter,
            "rule": self.rule,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WallResult:
        """The inverse of :meth:`to_dict`."""
        return cls(
            Quantity.from_dict(data["energy_j"], "J", "at the plug"),
            data["rule"],
            data["kind"],
            data["meter"],
        )


def channels_of(view: RunView) -> tuple[str, ...]:
    """The counted channels of a run with their methods, which a calibration must have had too."""
    channels = (curve.curve.channel for curve in view.counted)
    return tuple(sorted(f"{one.id} ({one.method})" for one in channels if not one.stands_in_for))


def squared_energy(view: RunView, start_ns: int | None = None, end_ns: int | None = None) -> float:
    """The integral of the squared counted power over the covered time of a run or a part of it, in W2 s."""
    start = view.record.start_ns if start_ns is None else start_ns
    end = view.record.end_ns if end_ns is None else end_ns
    bins = int(np.clip((end - start) / 1e9 / SQUARES_OVER_S, 1, 200_000))
    edges = edges_ns(start, max(end, start + 1), bins)
    return float(np.nansum(counted_power(view, edges) ** 2 * np.diff(edges) / 1e9))


def counted_power(view: RunView, edges: Int64) -> Float64:
    """The power of all counted channels between consecutive edges, (k - 1,) W; NaN where one of them is not covered."""
    powers = {curve.curve.channel: curve.mean_power_w(edges) for curve in view.counted}
    sums = np.zeros(len(edges) - 1)
    for channel, power in powers.items():
        if not channel.stands_in_for:
            for other, instead in powers.items():
                if channel.id in other.stands_in_for:
                    power = np.where(np.isnan(power), instead, power)
            sums = sums + power
    return sums if powers else np.full(len(edges) - 1, np.nan)


def at_plug(view: RunView, model: WallModel) -> WallResult | str:
    """The run at the plug, or in words why it cannot be said."""
    energy = view.energy
    if energy is None:
        return "nothing was measured"
    seconds = view.record.duration_s * view.coverage
    if seconds <= 0:
        return "nothing of it is covered"
    if any(
        curve.curve.channel.component == "host" or curve.curve.channel.scope == "host-share"
        for curve in view.counted
    ):
        return "what was counted is the whole machine already"
    mine = channels_of(view)
    if model.channels and mine != model.channels:
        return (
            f"the calibration was of {', '.join(model.channels)}; this run counted {', '.join(mine)}: "
            "calibrate with the sources that the run used"
        )
    squares = squared_energy(view)
    amounts = np.array([seconds, energy.value, squares])
    value = float(amounts @ (model.constant_w, model.slope, model.curve_per_w))
    if value < energy.value * 0.5:
        return f"the calibration gives {value:.0f} J at the plug for {energy.value:.0f} J of its parts: calibrate again"
    mean_w = energy.value / seconds
    marginal = model.slope + 2 * model.curve_per_w * squares / max(energy.value, 1e-300)
    own = energy.without(SCALE, CURVE, OFFSET) if model.kind == "calibrated" else energy
    result = own * max(marginal, 0.0)
    result = Quantity(value, source=f"at the plug ({model.kind})", terms=result.terms, at_least=0.0)
    stamp = f"{model.host}/{model.measured_at:.0f}"
    for name, below, above in model.ends:
        share = energy.value if name == "slope" else seconds
        result = result.with_error(f"{WALL}/default/{name}", below * share, above * share)
    for place, error in enumerate(model.errors):
        result = result.with_error(f"{WALL}/{stamp}/{place}", float(amounts @ error))
    if model.rest_w:
        result = result.with_error(f"{WALL}/rest/{stamp}/{work_of(view.record)}", model.rest_w * seconds)
    beyond_w = max(model.low_w - mean_w, mean_w - model.high_w, 0.0)
    note = ""
    if beyond_w > 0.02 * mean_w:
        result = result.with_error(f"{WALL}/beyond/{stamp}", _BEYOND * model.slope * beyond_w * seconds)
        note = f"; its {mean_w:.0f} W are outside of the calibrated {model.low_w:.0f} to {model.high_w:.0f} W"
    if model.meter_share:
        result = result.with_error(f"{METER}/{model.meter}", model.meter_share * value)
    curve = f" + {model.curve_per_w:.2g} x W²" if model.curve_per_w else ""
    by = f"calibrated against {model.meter}" if model.kind == "calibrated" else model.meter
    rule = (
        f"whole machine: {model.constant_w:.1f} W + {model.slope:.3f} x the counted power{curve}, {by}{note}"
    )
    return WallResult(result, rule, model.kind, model.meter)


def default_wall(view: RunView) -> WallModel:
    """What machines of this kind are known to add, where none was calibrated: wide, and of servers without accelerators
    in the main."""
    facts = view.record.environment.get("cpu")
    name = (
        str(cast("Mapping[str, Any]", facts).get("model", ""))
        if isinstance(facts, Mapping)
        else str(facts or "")
    )
    low, slope, high = SERVER_SLOPE
    constant, ends = 0.0, (("slope", slope - low, high - slope),)
    kind = "servers"
    if _DESKTOP_CPU.search(name):
        low, slope, high = DESKTOP_SLOPE
        least, constant, most = DESKTOP_REST_W
        ends = (("slope", slope - low, high - slope), ("constant", constant - least, most - constant))
        kind = "desktops"
    words = f"what {kind} are known to add, not measured here"
    return WallModel(view.record.host, "default", constant, slope, 0.0, (), words, ends=ends)


def save_wall(model: WallModel) -> str:
    """Keep the calibration of its host in place of the one before; the file's path. Raises ConfigError."""
    path = baseline_path(model.host, folder=_FOLDER)
    write_calibration(path, model.to_dict())
    return path


def load_wall(host: str) -> WallModel | None:
    """The calibration of a host against a meter; None if there is none, or its file cannot be used."""
    try:
        with open(baseline_path(host, folder=_FOLDER), encoding="utf-8") as file:
            data = cast("dict[str, Any]", json.load(file))
        data["high_w"] = math.inf if data["high_w"] is None else data["high_w"]
        for name in ("channels", "notes", "ends"):
            data[name] = tuple(data[name])
        data["errors"] = tuple((float(a), float(b), float(c)) for a, b, c in data["errors"])
        model = WallModel(**data)
        numbers = (model.constant_w, model.slope, model.curve_per_w, model.rest_w, model.meter_share)
        return model if all(math.isfinite(number) for number in numbers) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None

"""What serving cost: joules per token and per request, with and without idle, by component, measured and modelled apart.

*Without idle* is what attribution gave the requests. *With idle* is all that was measured in the window, the idle pot and
what no one owns included, over the same requests: what they cost on this machine at this load. Carbon and money are
worked out from the joules by functions and prices that the caller gives; the joules are never changed by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wattmark.quantity import Quantity, total
from wattmark.runs.record import Float64
from wattmark.serving.energy.attribution import (
    IntervalEnergy,
    RequestColumns,
    Shares,
    Spread,
    TokenWeights,
    attribute,
)
from wattmark.serving.energy.costs import TokenCosts, fit_costs
from wattmark.statistics import Estimate, percentile, resampled_mean
from wattmark.units import J_PER_KWH

PERCENTILES = (5, 25, 50, 75, 90, 95, 99)
FEWEST_FOR_TAILS = 5
"""A percentile needs this many requests beyond it; with fewer it is None."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one pot of energy over the requests; None where there is nothing to divide by.

    energy_j: J. j_per_token: J per token of prompt and answer. j_per_output_token, j_per_request, j_per_1000_requests: J.
    tokens_per_j: output tokens per J. energy_delay_j_s: J per request times mean seconds per request (Gonzalez and
    Horowitz 1996). gco2e_per_1000_requests: g. money_per_1000_requests: in the user's currency.
    """

    energy_j: Quantity
    j_per_token: Quantity | None
    j_per_output_token: Quantity | None
    j_per_request: Quantity | None
    j_per_1000_requests: Quantity | None
    tokens_per_j: Quantity | None
    energy_delay_j_s: Quantity | None
    gco2e_per_1000_requests: Quantity | None
    money_per_1000_requests: Quantity | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {name: _dict(getattr(self, name)) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class ComponentEnergy:
    """One component's energy, shared: measured = requests + idle + unattributed, all in J. idle: None without a baseline."""

    component: str
    method: str
    measured: Quantity
    requests: Quantity
    idle: Quantity | None
    unattributed: Quantity
    weights: TokenWeights
    costs: TokenCosts

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "method": self.method,
            "measured_j": self.measured.as_dict(),
            "requests_j": self.requests.as_dict(),
            "idle_j": _dict(self.idle),
            "unattributed_j": self.unattributed.as_dict(),
            "rule": self.weights.rule,
            "costs": self.costs.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class ServingEnergy:
    """A window of serving, accounted for.

    measured_j, modelled_j: energy of components with a sensor, and of those without; None where there are none.
    idle_share: idle part of all energy, 0 to 1, None without a baseline for every component. request_j: (n,) J of each
    request, idle_share_j: (n,) J of the idle pot that spreading gave it. mean_request_j and percentiles are of
    ``request_j``. covered: share of the requests' tokens that fall into measured time.
    """

    requests: int
    input_tokens: int
    output_tokens: int
    duration_s: float
    components: tuple[ComponentEnergy, ...]
    measured_j: Quantity | None
    modelled_j: Quantity | None
    without_idle: Figures | None
    with_idle: Figures | None
    idle_share: float | None
    mean_request_j: Quantity | None
    percentiles_j: dict[int, Quantity | None]
    request_j: Float64
    idle_share_j: Float64
    spread: Spread
    covered: float | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``; the columns per request are left to exports."""
        return {
            "requests": self.requests,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "duration_s": self.duration_s,
            "measured_j": _dict(self.measured_j),
            "modelled_j": _dict(self.modelled_j),
            "without_idle": self.without_idle.as_dict() if self.without_idle else None,
            "with_idle": self.with_idle.as_dict() if self.with_idle else None,
            "idle_share": self.idle_share,
            "request_j": {
                "mean": _dict(self.mean_request_j),
                **{f"p{at}": _dict(quantity) for at, quantity in self.percentiles_j.items()},
            },
            "components": {part.component: part.as_dict() for part in self.components},
            "spread": self.spread,
            "covered": self.covered,
            "notes": list(self.notes),
        }


def account(
    requests: RequestColumns,
    energies: Sequence[IntervalEnergy],
    *,
    spread: Spread = "none",
    weights: TokenWeights | None = None,
    grams: Callable[[Quantity], Quantity | None] | None = None,
    money_per_kwh: float | None = None,
    seed: int = 0,
) -> ServingEnergy:
    """Account for a window of serving.

    energies: of :func:`~wattmark.serving.energy.attribution.component_energies`. weights: None fits costs to each component
    and weighs by them. grams: CO2e of an energy (``lambda energy: carbon(energy, "DE").grams``), PUE its business.
    money_per_kwh: price of a kilowatt-hour, in any currency.
    """
    parts: list[tuple[ComponentEnergy, Shares]] = []
    for energy in energies:
        costs = fit_costs(requests, energy, on_w=energy.idle_w, seed=seed)
        weight = weights or costs.weights
        shares = attribute(requests, energy, weight, spread)
        parts.append((_component(shares, weight, costs), shares))
    components = tuple(part for part, _ in parts)
    request_j = sum((shares.request_j for _, shares in parts), np.zeros(len(requests)))
    own = total([part.requests for part in components])
    everything = total([part.measured for part in components])
    idle = [part.idle for part in components if part.idle is not None]
    covered = [float(shares.covered.mean()) for _, shares in parts if len(requests)]
    per_request = _PerRequest(requests, grams, money_per_kwh)
    return ServingEnergy(
        len(requests),
        int(requests.input_tokens.sum()),
        int(requests.output_tokens.sum()),
        max(
            (float(part.energy.edges_ns[-1] - part.energy.edges_ns[0]) / 1e9 for _, part in parts),
            default=0.0,
        ),
        components,
        total([part.measured for part in components if part.method != "modelled"]),
        total([part.measured for part in components if part.method == "modelled"]),
        per_request.figures(own),
        per_request.figures(everything),
        _idle_share(idle, everything) if len(idle) == len(components) else None,
        _mean(request_j, own, seed),
        {at: _percentile(request_j, at, own) for at in PERCENTILES},
        request_j,
        sum((shares.idle_share_j for _, shares in parts), np.zeros(len(requests))),
        spread,
        min(covered) if covered else None,
        _notes(components, covered),
    )


def _component(shares: Shares, weights: TokenWeights, costs: TokenCosts) -> ComponentEnergy:
    energy = shares.energy
    measured = energy.total or Quantity.exact(shares.measured_j, "J", energy.component)
    low, high = _relative(measured)

    def part(value: float) -> Quantity:
        return Quantity(value, value * low, value * high, "J", measured.source)

    return ComponentEnergy(
        energy.component,
        energy.method,
        measured,
        part(float(shares.request_j.sum())),
        None if shares.idle_j is None else part(shares.idle_j),
        part(shares.unattributed_j),
        weights,
        costs,
    )


@dataclass(frozen=True, slots=True)
class _PerRequest:
    requests: RequestColumns
    grams: Callable[[Quantity], Quantity | None] | None
    money_per_kwh: float | None

    def figures(self, energy: Quantity | None) -> Figures | None:
        """Energy over what was done with it."""
        if energy is None:
            return None
        requests = self.requests
        count = len(requests)
        outputs = int(requests.output_tokens.sum())
        each = _over(energy, count, "J/request")
        thousand = None if each is None else (each * 1_000).with_unit("J")
        sent_ns = requests.start_ns if requests.sent_ns is None else requests.sent_ns
        mean_s = float((requests.end_ns - sent_ns).mean()) / 1e9 if count else 0.0
        return Figures(
            energy,
            _over(energy, outputs + int(requests.input_tokens.sum()), "J/token"),
            _over(energy, outputs, "J/token"),
            each,
            thousand,
            _tokens_per_j(outputs, energy),
            None if each is None else (each * mean_s).with_unit("J s"),
            self.grams(thousand) if self.grams and thousand else None,
            None
            if self.money_per_kwh is None or thousand is None
            else self._money(thousand, self.money_per_kwh),
        )

    @staticmethod
    def _money(energy: Quantity, per_kwh: float) -> Quantity:
        return (energy * (per_kwh / J_PER_KWH)).with_unit("money")


def _over(energy: Quantity, count: int, unit: str) -> Quantity | None:
    return (energy / count).with_unit(unit) if count else None


def _tokens_per_j(tokens: int, energy: Quantity) -> Quantity | None:
    """None where the energy may be nothing: the quotient has no upper end then."""
    if energy.low <= 0:
        return None
    return Quantity(
        tokens / energy.value, tokens / energy.high, tokens / energy.low, "token/J", energy.source
    )


def _idle_share(idle: list[Quantity], everything: Quantity | None) -> float | None:
    return (
        None
        if everything is None or everything.value <= 0
        else sum(part.value for part in idle) / everything.value
    )


def _mean(request_j: Float64, own: Quantity | None, seed: int) -> Quantity | None:
    """The mean with what chance in the choice of requests (bootstrap) and the sensor leave open."""
    if own is None or not len(request_j):
        return None
    return _widened(resampled_mean(request_j, seed=seed), own)


def _percentile(request_j: Float64, at: int, own: Quantity | None) -> Quantity | None:
    """A percentile with the order statistics that hold it 19 times in 20, and what the sensor leaves open."""
    share = at / 100
    if own is None or len(request_j) * min(share, 1 - share) < FEWEST_FOR_TAILS:
        return None
    return _widened(percentile(request_j, at), own)


def _widened(sample: Estimate, own: Quantity) -> Quantity:
    down, up = _relative(own)
    low, high = (sample.value if end is None else end for end in (sample.low, sample.high))
    return Quantity(sample.value, low * down, high * up, "J", own.source)


def _relative(energy: Quantity) -> tuple[float, float]:
    """Ends of the interval as parts of the value; errors of a sensor are shared by all that it measures."""
    return (energy.low / energy.value, energy.high / energy.value) if energy.value > 0 else (1.0, 1.0)


def _notes(components: tuple[ComponentEnergy, ...], covered: list[float]) -> tuple[str, ...]:
    notes = [f"{part.component}: {note}" for part in components for note in part.costs.notes]
    modelled = [part.component for part in components if part.method == "modelled"]
    if modelled:
        notes.append(f"modelled, no sensor: {', '.join(modelled)}")
    unknown = [part.component for part in components if part.idle is None]
    if unknown:
        notes.append(f"idle watts not known, so requests share all energy: {', '.join(unknown)}")
    if covered and min(covered) < 0.99:
        notes.append(
            f"{min(covered):.0%} of the requests' tokens fall into measured time; their energy is that part"
        )
    return tuple(notes)


def _dict(quantity: Quantity | None) -> dict[str, float] | None:
    return None if quantity is None else quantity.as_dict()

"""What serving cost: joules per token and per request, with and without idle, by component, measured and modelled apart.

*Without idle* is what attribution gave the requests. *With idle* is all that was measured in the window, the idle pot and
what no one owns included, over the same requests: what they cost on this machine at this load. Carbon and money are
worked out from the joules by functions and prices that the caller gives; the joules are never changed by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattmark.quantity import SCATTER, SHARE, Quantity, QuantityDict, own_error, total
from wattmark.runs.record import Float64
from wattmark.serving.energy.attribution import (
    EQUAL_WEIGHTS,
    UNKNOWN_NS,
    IntervalEnergy,
    RequestColumns,
    Shares,
    Spread,
    TokenWeights,
    attribute,
    shares_inside,
    work_in,
)
from wattmark.serving.energy.costs import TokenCosts, earlier, fit_costs
from wattmark.statistics import Estimate, percentile, resampled_mean, t_quantile

PERCENTILES = (5, 25, 50, 75, 90, 95, 99)
FEWEST_FOR_TAILS = 5
"""A percentile needs this many requests beyond it; with fewer it is None."""


FEWEST_FOR_SCATTER = 20
"""Answers below which the scatter of a load cannot be told."""
LEAST_BLOCKS, MOST_BLOCKS = 5, 20


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one pot of energy over the requests; None where there is nothing to divide by.

    energy_j: J. j_per_token: J per token of prompt and answer. j_per_output_token, j_per_request, j_per_1000_requests: J.
    j_per_unit: J per image, per second of sound and the like, by name. tokens_per_j: output tokens per J.
    energy_delay_j_s: J per request times mean seconds per request (Gonzalez and Horowitz 1996).
    gco2e_per_1000_requests: g. money_per_1000_requests: in the user's currency; both also per million output tokens.
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
    gco2e_per_1m_tokens: Quantity | None = None
    money_per_1m_tokens: Quantity | None = None
    j_per_unit: Mapping[str, Quantity] = field(default_factory=dict[str, Quantity])

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        data: dict[str, Any] = {
            name: _dict(getattr(self, name)) for name in self.__slots__ if name != "j_per_unit"
        }
        return {**data, "j_per_unit": {name: each.as_dict() for name, each in self.j_per_unit.items()}}


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
    ``request_j``. covered: share of the requests' tokens that fall into measured time. requests: answers in the
    window, whole or in part. counted: answers whose token counts the server told; tokens and J/token are of those,
    J/request of all. given_up_j: of work for requests that failed or were given up, in no figure per request or
    token; None if there were none. scatter_known: whether the intervals hold the scatter of the load beside the
    sensor's error. reasoning_j: of ``without_idle``'s joules, what reasoning took, by the costs of tokens; reasoning_share:
    the same as a share, 0 to 1; both None where no answer tells what of it is reasoning. request_error: how far the rule of
    sharing may be off for one request, downwards and upwards, as shares of its joules.
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
    counted: int = 0
    given_up_j: Quantity | None = None
    scatter_known: bool = False
    reasoning_j: Quantity | None = None
    reasoning_share: float | None = None
    request_error: tuple[float, float] = (0.0, 0.0)

    def of_request(self, joules: float) -> Quantity:
        """The joules of one request with the error of the sensor and that of the rule by which they were shared."""
        below, above = self.request_error
        own = total([part.requests for part in self.components])
        whole = Quantity.exact(joules) if own is None or own.value <= 0 else own * (joules / own.value)
        return whole.with_error(f"{SHARE}/{own_error()}", joules * below, joules * above).bounded(0.0)

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
            "counted": self.counted,
            "given_up_j": _dict(self.given_up_j),
            "scatter_known": self.scatter_known,
            "reasoning_j": _dict(self.reasoning_j),
            "reasoning_share": self.reasoning_share,
            "request_error": list(self.request_error),
            "notes": list(self.notes),
        }


def account(
    requests: RequestColumns,
    energies: Sequence[IntervalEnergy],
    *,
    spread: Spread = "none",
    weights: TokenWeights | None = None,
    costs: Mapping[str, TokenCosts] | None = None,
    listed: Float64 | None = None,
    grams: Callable[[Quantity], Quantity | None] | None = None,
    money: Callable[[Quantity], Quantity | None] | None = None,
    seed: int = 0,
) -> ServingEnergy:
    """Account for a window of serving.

    energies: of :func:`~wattmark.serving.energy.attribution.component_energies`. weights: None fits costs to each component
    and weighs by them. costs: fitted already, by component (to a longer window). listed: joules of the requests that
    mean and percentiles are of; None takes those that lie whole in the window. A request that only reaches into the
    window counts by the part of its work that does. grams: CO2e of an energy (``lambda energy: carbon(energy,
    "DE").grams``), PUE its business. money: the bill for an energy, likewise (:func:`~wattmark.impact.cost_at`).
    """
    parts: list[tuple[ComponentEnergy, Shares]] = []
    for energy in energies:
        cost = (costs or {}).get(energy.component) or fit_costs(
            requests, energy, on_w=energy.idle_w, seed=seed
        )
        weight = weights or cost.weights
        shares = attribute(requests, earlier(energy, cost.lag_s), weight, spread)
        parts.append((_component(shares, weight, cost), shares))
    components = tuple(part for part, _ in parts)
    request_j = sum((shares.request_j for _, shares in parts), np.zeros(len(requests)))
    own = total([part.requests for part in components])
    everything = total([part.measured for part in components])
    idle = [part.idle for part in components if part.idle is not None]
    work = _Work.of(requests, energies, request_j)
    # In a window of a longer load, requests that only reach into it are measured in part by choice, not by a gap.
    seen = np.ones(len(requests), np.bool_) if costs is None else work.worth > 0.999
    covered = [float(shares.covered[seen].mean()) for _, shares in parts if seen.any()]
    without_idle, with_idle = _Pricing(grams, money), _Pricing(grams, money)
    answered_own = None if own is None else own * work.answered_share
    inside = request_j[work.answered & (work.worth > 0.999)] if listed is None else listed
    reasoning_share = _reasoning_share(requests, parts)
    return ServingEnergy(
        int((work.answered & (work.worth > 0)).sum()),
        round(work.input_tokens),
        round(work.output_tokens),
        max(
            (float(part.energy.edges_ns[-1] - part.energy.edges_ns[0]) / 1e9 for _, part in parts),
            default=0.0,
        ),
        components,
        total([part.measured for part in components if part.method != "modelled"]),
        total([part.measured for part in components if part.method == "modelled"]),
        without_idle.figures(answered_own, work, 1.0),
        with_idle.figures(everything, work, work.answered_share),
        _idle_share(idle, everything) if len(idle) == len(components) else None,
        _mean(inside, own, seed),
        {at: _percentile(inside, at, own) for at in PERCENTILES},
        request_j,
        sum((shares.idle_share_j for _, shares in parts), np.zeros(len(requests))),
        spread,
        min(covered) if covered else None,
        _notes(components, covered, work),
        int(requests.all_counted.sum()),
        None if own is None or work.answered.all() else own * (1 - work.answered_share),
        work.scatter_known,
        None if answered_own is None or reasoning_share is None else answered_own * reasoning_share,
        reasoning_share,
        _request_error(components, starts_told=requests.starts_told),
    )


def _reasoning_share(
    requests: RequestColumns, parts: Sequence[tuple[ComponentEnergy, Shares]]
) -> float | None:
    """What reasoning took of the joules of answers that tell what of them is reasoning, 0 to 1."""
    thought = whole = 0.0
    for part, shares in parts:
        share = part.weights.reasoning_of(requests)
        known = requests.all_answered & np.isfinite(share)
        thought += float((shares.request_j * share)[known].sum())
        whole += float(shares.request_j[known].sum())
    return thought / whole if whole > 0 else None


def _request_error(components: Sequence[ComponentEnergy], *, starts_told: bool) -> tuple[float, float]:
    """That of the components together, each by its joules."""
    whole = sum(part.requests.value for part in components)
    if whole <= 0:
        return 0.0, 0.0
    parts = [
        (part.requests.value / whole, part.costs.request_error(starts_told=starts_told))
        for part in components
    ]
    return sum(share * below for share, (below, _) in parts), sum(
        share * above for share, (_, above) in parts
    )


def _component(shares: Shares, weights: TokenWeights, costs: TokenCosts) -> ComponentEnergy:
    energy = shares.energy
    measured = energy.total or Quantity.exact(shares.measured_j, "J", energy.component)

    def part(value: float) -> Quantity:
        if measured.value <= 0:
            return Quantity.exact(value, "J", measured.source)
        return measured * (value / measured.value)

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
class _Work:
    """What was done in the window.

    answered: (n,) bool. worth: (n,) the part of each request's work that falls into the window, 0 to 1. requests: answers
    in all, each by its part. input_tokens, output_tokens: of answers with counts, those in the window.
    units: of other things, in the
    window. answered_share: joules of answered requests over those of all; counted_share: of answers with counts
    over those of
    answers. token_scatter, request_scatter: relative half widths of joules per output token and per request.
    """

    answered: NDArray[np.bool_]
    worth: Float64
    requests: float
    input_tokens: float
    output_tokens: float
    answered_share: float
    counted_share: float
    mean_s: float
    token_scatter: float | None
    request_scatter: float | None
    units: Mapping[str, float]

    @classmethod
    def of(cls, requests: RequestColumns, energies: Sequence[IntervalEnergy], request_j: Float64) -> _Work:
        """Of the requests, in the window that the energies cover."""
        answered, counted = requests.all_answered, requests.all_counted
        if energies and len(requests):
            start, end = int(energies[0].edges_ns[0]), int(energies[0].edges_ns[-1])
            prefill, decode = shares_inside(requests, start, end)
            first = requests.first_token_ns
            first_in = np.where(first == UNKNOWN_NS, prefill, (first >= start) & (first <= end))
        else:
            prefill = decode = first_in = np.ones(len(requests))
        worth = (prefill + decode) / 2
        outputs = np.minimum(requests.output_tokens, 1) * first_in + requests.decode_tokens * decode
        sent_ns = requests.start_ns if requests.sent_ns is None else requests.sent_ns
        delays = (requests.end_ns - sent_ns)[answered]
        tokens, each = _scatter(requests, energies, float(delays.mean()) if len(delays) else 0.0)
        return cls(
            answered,
            worth,
            float(worth[answered].sum()),
            float((requests.input_tokens * prefill)[counted].sum()),
            float(outputs[counted].sum()),
            _part(request_j[answered], request_j),
            _part(request_j[counted], request_j[answered]),
            float(delays.mean()) / 1e9 if len(delays) else 0.0,
            tokens,
            each,
            {
                name: float((values * worth)[answered].sum())
                for name, values in (requests.units or {}).items()
            },
        )

    @property
    def scatter_known(self) -> bool:
        """Whether the intervals hold the scatter of the load."""
        return self.request_scatter is not None


def _part(some: Float64, whole: Float64) -> float:
    return float(some.sum() / whole.sum()) if whole.sum() > 0 else 1.0


def _scatter(
    requests: RequestColumns, energies: Sequence[IntervalEnergy], delay_ns: float
) -> tuple[float | None, float | None]:
    """Relative half widths of joules over output tokens, and over requests, that the load's own scatter gives; None where
    the window is too short to tell.

    Ratio estimate over consecutive blocks of time (batch means; Law and Kelton, Simulation Modeling and Analysis, 3rd ed.,
    9.5.3, with the variance of a ratio of Cochran, Sampling Techniques, 6.5): blocks are about as long as a request
    lasts, so that they are nearly independent, and at least five and at most twenty.
    """
    answered = requests.all_answered
    if not energies or answered.sum() < FEWEST_FOR_SCATTER:
        return None, None
    start, end = int(energies[0].edges_ns[0]), int(energies[0].edges_ns[-1])
    blocks = int(np.clip((end - start) / max(delay_ns, 1.0), LEAST_BLOCKS, MOST_BLOCKS))
    edges = np.linspace(start, end, blocks + 1).astype(np.int64)
    if (np.diff(edges) <= 0).any():
        return None, None
    joules = np.zeros(blocks)
    for energy in energies:
        running = np.concatenate(([0.0], np.cumsum(energy.energy_j)))
        joules += np.diff(np.interp(edges, energy.edges_ns, running))
    zero = np.zeros(len(requests))
    decode = np.where(requests.decode_tokens > 0, 0.5, 0.0)
    outputs = work_in(
        requests,
        edges,
        np.where(requests.all_counted, np.minimum(requests.output_tokens, 1), zero),
        np.where(requests.all_counted, requests.decode_tokens, zero),
    )
    worth = work_in(requests, edges, np.where(answered, 1 - decode, zero), np.where(answered, decode, zero))
    return _ratio_scatter(joules, outputs), _ratio_scatter(joules, worth)


def _ratio_scatter(joules: Float64, work: Float64) -> float | None:
    """Relative half width of the ratio of two sums over blocks (k,)."""
    if work.sum() <= 0 or joules.sum() <= 0:
        return None
    count = len(work)
    left = joules - joules.sum() / work.sum() * work
    error = float(np.sqrt((left**2).sum() / (count - 1) / count)) / float(joules.mean())
    return t_quantile(count - 1) * error


@dataclass(frozen=True, slots=True)
class _Pricing:
    grams: Callable[[Quantity], Quantity | None] | None
    money: Callable[[Quantity], Quantity | None] | None

    def figures(self, energy: Quantity | None, work: _Work, answered_share: float) -> Figures | None:
        """Energy over what was done with it: per request over all answers, per token over those with counts."""
        if energy is None:
            return None
        answers = energy * answered_share
        counted = answers * work.counted_share
        each = _over(answers, work.requests, "J/request", work.request_scatter)
        thousand = None if each is None else (each * 1_000).with_unit("J")
        per_output = _over(counted, work.output_tokens, "J/token", work.token_scatter)
        million = None if per_output is None else (per_output * 1e6).with_unit("J")
        return Figures(
            energy,
            _over(counted, work.output_tokens + work.input_tokens, "J/token", work.token_scatter),
            per_output,
            each,
            thousand,
            _tokens_per_j(per_output),
            None if each is None else (each * work.mean_s).with_unit("J s"),
            self._grams(thousand),
            self._money(thousand),
            self._grams(million),
            self._money(million),
            {
                name: per_unit
                for name, number in work.units.items()
                if (per_unit := _over(answers, number, f"J/{name}", work.request_scatter)) is not None
            },
        )

    def _grams(self, energy: Quantity | None) -> Quantity | None:
        return self.grams(energy) if self.grams and energy is not None else None

    def _money(self, energy: Quantity | None) -> Quantity | None:
        return self.money(energy) if self.money and energy is not None else None


def _over(energy: Quantity, count: float, unit: str, scatter: float | None) -> Quantity | None:
    if count <= 0:
        return None
    each = (energy / count).with_unit(unit)
    return each.with_error(f"{SCATTER}/{own_error()}", each.value * scatter) if scatter else each


def _tokens_per_j(each: Quantity | None) -> Quantity | None:
    """None where the energy may be nothing: the quotient has no upper end then."""
    if each is None or each.low <= 0:
        return None
    return (1.0 / each).with_unit("token/J").with_source(each.source)


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
    if own.value <= 0:
        return Quantity.exact(sample.value, "J", own.source)
    low, high = (sample.value if end is None else end for end in (sample.low, sample.high))
    whole = own * (sample.value / own.value)
    if high <= low:
        return whole
    return whole.with_error(f"{SCATTER}/{own_error()}", sample.value - low, high - sample.value)


def _notes(components: tuple[ComponentEnergy, ...], covered: list[float], work: _Work) -> tuple[str, ...]:
    notes = [f"{part.component}: {note}" for part in components for note in part.costs.notes]
    modelled = [part.component for part in components if part.method == "modelled"]
    if modelled:
        notes.append(f"modelled, no sensor: {', '.join(modelled)}")
    unknown = [part.component for part in components if part.idle is None]
    if unknown:
        notes.append(f"idle watts not known, so requests share all energy: {', '.join(unknown)}")
    alike = [part.component for part in components if part.weights is EQUAL_WEIGHTS]
    if alike and len(work.answered) > 1:
        notes.append(
            f"{', '.join(alike)}: every token weighs alike, so joules of single requests may be half or twice theirs "
            f"where a "
            "decode token costs more than one of a prompt"
        )
    if covered and min(covered) < 0.99:
        notes.append(
            f"{min(covered):.0%} of the requests' tokens fall into measured time; their energy is that part"
        )
    return tuple(notes)


def _dict(quantity: Quantity | None) -> QuantityDict | None:
    return None if quantity is None else quantity.as_dict()

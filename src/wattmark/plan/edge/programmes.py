"""Linear programmes of the same sites, by HiGHS (scipy): with all known beforehand (a bound that nobody can pass), and step
by step with a forecast (model-predictive control) or with several possible futures (two stages: what is done now is the
same in all of them; J. R. Birge and F. Louveaux, Introduction to Stochastic Programming, 2nd edition, 2011, 2.4).
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from wattmark.errors import ConfigError, MissingExtra
from wattmark.plan.edge.rules import Action, Outcome
from wattmark.plan.edge.scenario import DAY, STEP_S, Scenario
from wattmark.plan.edge.simulator import EdgeGrid, Site
from wattmark.plan.forecast import season
from wattmark.statistics import Float64, Int64
from wattmark.units import J_PER_KWH

_FLOWS = ("charged", "drawn", "sent", "received", "grid", "generator", "curtailed", "stored")


def bound(scenario: Scenario, site: Site | None = None) -> Outcome:
    """The least cost with everything known beforehand; of that solution the energy that is not renewable."""
    own = site or Site()
    part = slice(scenario.past, None)
    demand, renewable, price = scenario.demand[part], scenario.renewable[part], scenario.price[part]
    stored = np.full(scenario.sites, own.capacity_j * own.begin)
    flows, cost = solve([(renewable, demand, price)], stored, own, tied=False)
    kwh = {name: float(flows[name].sum()) / J_PER_KWH for name in ("grid", "generator", "curtailed")}
    return Outcome(cost, kwh["generator"] + own.grid_nonrenewable * kwh["grid"], kwh["curtailed"])


def solve(
    futures: list[tuple[Float64, Float64, Float64]], stored: Float64, site: Site, *, tied: bool = True
) -> tuple[dict[str, Float64], float]:
    """The flows of least mean cost over equally likely futures (renewable and demand (steps, sites) J, price (steps,)), each
    (futures, steps, sites) J, and that cost. tied: what the storage does in the first step is the same in all of them.

    Raises MissingExtra without scipy, ConfigError where there is no solution.
    """
    optimize, sparse = _scipy()
    count, (steps, sites) = len(futures), futures[0][0].shape
    kinds = len(_FLOWS)
    size = count * steps * sites

    order: Int64 = np.arange(size, dtype=np.int64).reshape((count, steps, sites))

    def at(kind: str) -> Int64:
        return order + _FLOWS.index(kind) * size

    costs = np.zeros(kinds * size)
    price = np.stack([one[2] for one in futures])[:, :, None] / J_PER_KWH / count
    costs[at("grid")] = np.broadcast_to(price, (count, steps, sites))
    costs[at("generator")] = site.generator_price / J_PER_KWH / count
    for kind in ("charged", "drawn"):
        costs[at(kind)] = site.wear_price / J_PER_KWH / count
    scale = J_PER_KWH  # numbers near one for the solver
    upper = np.full(kinds * size, np.inf)
    upper[at("charged")], upper[at("drawn")] = site.charge_j / scale, site.discharge_j / scale
    upper[at("grid")], upper[at("stored")] = site.grid_j / scale, site.capacity_j / scale
    net = np.stack([one[1] - one[0] for one in futures]) / scale
    rows: list[Any] = []
    columns: list[Any] = []
    values: list[Any] = []
    right: list[Float64] = []

    def equations(parts: list[tuple[Any, float]], equal: Any) -> None:
        first = sum(len(one) for one in right)
        number = first + np.arange(np.size(equal))
        for column, value in parts:
            flat = np.ravel(column)
            rows.append(np.repeat(number, len(flat) // len(number)))
            columns.append(flat)
            values.append(np.full(len(flat), value))
        right.append(np.ravel(np.asarray(equal, np.float64)))

    equations(
        [(at("drawn"), 1 - site.discharge_loss), (at("received"), 1.0), (at("grid"), 1.0), (at("generator"), 1.0),
         (at("charged"), -1.0), (at("sent"), -1.0), (at("curtailed"), -1.0)],
        net,
    )  # fmt: skip
    charge, drawn, level = at("charged"), at("drawn"), at("stored")
    keeps = 1 - site.charge_loss
    first = np.broadcast_to(stored * (1 - site.leak) / scale, (count, sites))
    equations([(level[:, 0], 1.0), (charge[:, 0], -keeps), (drawn[:, 0], 1.0)], first)
    if steps > 1:
        equations(
            [
                (level[:, 1:], 1.0),
                (level[:, :-1], -(1 - site.leak)),
                (charge[:, 1:], -keeps),
                (drawn[:, 1:], 1.0),
            ],
            np.zeros((count, steps - 1, sites)),
        )
    equations([(at("received"), 1.0), (at("sent"), -(1 - site.line_loss))], np.zeros((count, steps)))
    if tied and count > 1:
        for kind in (charge, drawn):
            equations(
                [(kind[1:, 0], 1.0), (np.repeat(kind[:1, 0], count - 1, axis=0), -1.0)],
                np.zeros((count - 1, sites)),
            )
    matrix = sparse.csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(sum(len(one) for one in right), kinds * size),
    )
    found = optimize.linprog(
        costs * scale, A_eq=matrix, b_eq=np.concatenate(right), bounds=np.column_stack((np.zeros(len(upper)), upper)),
        method="highs",
    )  # fmt: skip
    if not found.success:
        raise ConfigError(f"the linear programme has no solution: {found.message}")
    return {kind: np.asarray(found.x[at(kind)] * scale, np.float64) for kind in _FLOWS}, float(found.fun)


class Rolling:
    """At every step: solve the time ahead, do the first step, look again. futures: 1 is the forecast alone (model-predictive
    control), more are the forecast with errors it made in the past (two-stage)."""

    def __init__(self, *, futures: int = 1, ahead: int = DAY, seed: int = 0) -> None:
        self._futures, self._ahead = futures, ahead
        self._rng = np.random.default_rng(seed)

    def __call__(self, grid: EdgeGrid) -> Action:
        """The action of the step that begins, of each scenario."""
        pairs = [self._of(grid, row) for row in range(len(grid.scenarios))]
        return np.stack([battery for battery, _ in pairs]), np.stack([share for _, share in pairs])

    def _of(self, grid: EdgeGrid, row: int) -> tuple[Float64, Float64]:
        scenario, site = grid.scenarios[row], grid.site
        ahead = min(self._ahead, grid.steps - grid.at)
        futures = [
            tuple(part[:ahead] for part in one)
            for one in possible(scenario, scenario.past + grid.at, self._ahead, self._futures, self._rng)
        ]
        flows, _ = solve([(one[0], one[1], one[2]) for one in futures], grid.stored[row], site)
        into: Float64 = flows["charged"][0, 0] / max(site.charge_j, 1e-9)
        out: Float64 = flows["drawn"][0, 0] / max(site.discharge_j, 1e-9)
        return np.where(into >= out, into, -out).astype(np.float64), np.ones(len(into))


def possible(
    scenario: Scenario, at: int, ahead: int, count: int, rng: np.random.Generator
) -> list[tuple[Float64, Float64, Float64]]:
    """What may come after step ``at``, which is known: the seasonal forecast of each site's sun and demand and of the price,
    and from the second on what it missed by at times of the past."""
    series = np.column_stack((scenario.renewable, scenario.demand, scenario.price))
    past = series[max(0, at - 14 * DAY) : at + 1]
    mean = _forecast(past, ahead)
    futures: list[tuple[Float64, Float64, Float64]] = []
    for number in range(count):
        path = mean
        if number:
            latest = len(past) - ahead
            moment = int(rng.integers(min(2 * DAY, latest - 1), latest)) if latest > 2 * DAY else 0
            if moment:
                path = mean + (past[moment : moment + ahead - 1] - _forecast(past[:moment], ahead))
            path = np.maximum(path, 0.0)
        whole = np.vstack((series[at], np.maximum(path, 0.0)))
        sites = scenario.sites
        futures.append((whole[:, :sites], whole[:, sites : 2 * sites], whole[:, -1]))
    return futures


def _forecast(past: Float64, ahead: int) -> Float64:
    """(ahead - 1, columns) after the last row of ``past``."""
    columns = [
        season(past[:, column], STEP_S).ahead(float(past[-1, column]), ahead - 1)
        for column in range(past.shape[1])
    ]
    return np.maximum(np.column_stack(columns), 0.0)


def _scipy() -> tuple[Any, Any]:
    try:
        return importlib.import_module("scipy.optimize"), importlib.import_module("scipy.sparse")
    except ImportError as error:
        raise MissingExtra("scipy", "study") from error

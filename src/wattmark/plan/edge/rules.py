"""Controllers without foresight, and what all controllers are: a function of the grid as it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wattmark.plan.edge.scenario import Scenario
from wattmark.plan.edge.simulator import EdgeGrid, Site
from wattmark.statistics import Float64
from wattmark.units import J_PER_KWH

Action = tuple[Float64, Float64]
"""Set points of the storage and shares of the surplus, each (batch, sites)."""
Controller = Callable[[EdgeGrid], Action]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one scenario: money, kWh that were not renewable, and kWh curtailed."""

    cost: float
    nonrenewable_kwh: float
    curtailed_kwh: float


def self_consumption(grid: EdgeGrid) -> Float64:
    """Set points that charge what is left over and discharge what is lacking, (batch, sites)."""
    renewable, demand, _ = grid.now()
    net = renewable - demand
    site = grid.site
    into = net / max(site.charge_j, 1e-9)
    out = net / max(site.discharge_j * (1 - site.discharge_loss), 1e-9)
    return np.clip(np.where(net > 0, into, out), -1.0, 1.0)


def greedy(grid: EdgeGrid) -> Action:
    """Use one's own first, store what is left, give the rest."""
    battery = self_consumption(grid)
    return battery, np.ones_like(battery)


def random_controller(seed: int) -> Controller:
    """Anything at any time."""
    rng = np.random.default_rng(seed)

    def act(grid: EdgeGrid) -> Action:
        return rng.uniform(-1, 1, grid.stored.shape), rng.random(grid.stored.shape)

    return act


def simulate(
    scenario: Scenario, controller: Controller, site: Site | None = None, *, sharing: bool = True
) -> Outcome:
    """A scenario run through by a controller."""
    grid = EdgeGrid([scenario], site, sharing=sharing)
    cost = nonrenewable = curtailed = 0.0
    while not grid.over:
        flows = grid.step(*controller(grid))
        cost += float(flows.cost.sum())
        nonrenewable += float(flows.nonrenewable.sum())
        curtailed += float(flows.curtailed.sum())
    return Outcome(cost, nonrenewable / J_PER_KWH, curtailed / J_PER_KWH)

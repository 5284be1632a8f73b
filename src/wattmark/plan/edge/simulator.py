"""Sites with sun, storage, a grid connection and a generator, that may give one another what they have left.

In every step, of every site, exactly (all energies are multiples of 2^-20 J):
``renewable + discharged + received + grid + generator = demand + charged + sent + curtailed``; of the storage
``stored' = stored + charged - charge loss - drawn - leak`` with ``discharged = drawn - discharge loss``; and of all sites
``received = sent - line loss``. Demand is always met: beyond the grid connection by the generator, which is not renewable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wattmark.errors import ConfigError
from wattmark.plan.edge.scenario import Scenario, exact
from wattmark.statistics import Float64
from wattmark.units import J_PER_KWH

WH = 3_600.0


@dataclass(frozen=True, slots=True)
class Site:
    """capacity_j: of the storage; charge_j, discharge_j: at most in a step; grid_j: of the connection in a step. Losses are
    shares; leak: of what is stored, a step. generator_price, wear_price: per kWh generated, and moved through the storage.
    grid_nonrenewable: the share of the grid's energy that is not renewable."""

    capacity_j: float = 3_000.0 * WH
    charge_j: float = 900.0 * WH
    discharge_j: float = 900.0 * WH
    charge_loss: float = 0.05
    discharge_loss: float = 0.05
    leak: float = 0.0005
    grid_j: float = 420.0 * WH
    line_loss: float = 0.08
    generator_price: float = 0.60
    wear_price: float = 0.01
    grid_nonrenewable: float = 0.6
    begin: float = 0.5

    def __post_init__(self) -> None:
        for name in ("charge_loss", "discharge_loss", "leak", "line_loss", "grid_nonrenewable", "begin"):
            if not 0 <= getattr(self, name) <= 1 or (name.endswith("loss") and getattr(self, name) == 1):
                raise ConfigError(f"a site's {name} is a share, not {getattr(self, name)}")
        for name in ("capacity_j", "charge_j", "discharge_j", "grid_j", "generator_price", "wear_price"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ConfigError(f"a site's {name} is 0 or more, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Flows:
    """J of one step by site, (..., sites); cost in money."""

    renewable: Float64
    demand: Float64
    charged: Float64
    charge_loss: Float64
    drawn: Float64
    discharged: Float64
    leak: Float64
    sent: Float64
    received: Float64
    grid: Float64
    generator: Float64
    curtailed: Float64
    cost: Float64
    nonrenewable: Float64

    def imbalance(self) -> Float64:
        """What came in less what went out, J by site: nothing."""
        came = self.renewable + self.discharged + self.received + self.grid + self.generator
        return came - (self.demand + self.charged + self.sent + self.curtailed)


class EdgeGrid:
    """Some scenarios at once, (batch,), of the same number of sites and steps; one step after the other."""

    def __init__(self, scenarios: list[Scenario], site: Site | None = None, *, sharing: bool = True) -> None:
        if not scenarios or len({(one.sites, one.steps, one.past) for one in scenarios}) != 1:
            raise ConfigError("scenarios that are run together have as many sites and steps")
        self.scenarios, self.site, self.sharing = scenarios, site or Site(), sharing
        self.renewable = np.stack([one.renewable for one in scenarios])
        self.demand = np.stack([one.demand for one in scenarios])
        self.price = np.stack([one.price for one in scenarios])
        self.past, self.steps = scenarios[0].past, scenarios[0].steps
        self.reset()

    def reset(self) -> None:
        """Back to the first step, storage as it begins."""
        shape = (len(self.scenarios), self.scenarios[0].sites)
        self.stored = np.full(shape, float(exact(np.array(self.site.capacity_j * self.site.begin))))
        self.at = 0

    @property
    def over(self) -> bool:
        """Whether there is no step left."""
        return self.at >= self.steps

    def now(self) -> tuple[Float64, Float64, Float64]:
        """Renewable and demand (batch, sites) J, and price (batch,), of the step that begins."""
        at = self.past + self.at
        return self.renewable[:, at], self.demand[:, at], self.price[:, at]

    def step(self, battery: Float64, share: Float64) -> Flows:
        """battery: (batch, sites) -1..1, discharge (below 0) or charge as a share of the most in a step; what there is no
        room or no energy for is not done. share: (batch, sites) 0..1 of a surplus that others may have."""
        if self.over:
            raise ConfigError("the scenario is over", hint="reset()")
        site = self.site
        renewable, demand, price = self.now()
        wish = np.clip(np.nan_to_num(battery), -1.0, 1.0)
        leak = exact(self.stored * site.leak)
        left = self.stored - leak
        keeps = 1 - site.charge_loss
        room = np.maximum(site.capacity_j - left, 0.0)
        charged = np.where(wish > 0, np.minimum(wish * site.charge_j, room / keeps), 0.0)
        # only as much is charged as the site has or can buy without its generator
        charged = exact(np.minimum(charged, np.maximum(renewable + site.grid_j - demand, 0.0)))
        charge_loss = exact(charged * site.charge_loss)
        drawn = np.where(wish < 0, np.minimum(-wish * site.discharge_j, left), 0.0)
        drawn = np.minimum(exact(drawn), np.floor(left * 2.0**20) / 2.0**20)
        discharged = drawn - exact(drawn * site.discharge_loss)
        net = renewable + discharged - demand - charged
        surplus, lack = np.maximum(net, 0.0), np.maximum(-net, 0.0)
        offer = surplus * (np.clip(np.nan_to_num(share), 0.0, 1.0) if self.sharing else 0.0)
        arrives = 1 - site.line_loss
        moved = np.minimum(offer.sum(axis=1) * arrives, lack.sum(axis=1))[:, None]
        received = np.minimum(exact(moved * _part(lack)), lack)
        sent = np.minimum(exact(received.sum(axis=1, keepdims=True) / arrives * _part(offer)), surplus)
        lack = lack - received
        grid = np.minimum(lack, float(exact(np.array(site.grid_j))))
        generator = lack - grid
        curtailed = surplus - sent
        money = grid * price[:, None] + generator * site.generator_price + (charged + drawn) * site.wear_price
        self.stored = left + charged - charge_loss - drawn
        self.at += 1
        return Flows(
            renewable, demand, charged, charge_loss, drawn, discharged, leak, sent, received, grid, generator, curtailed,
            money / J_PER_KWH, generator + grid * site.grid_nonrenewable,
        )  # fmt: skip


def _part(values: Float64) -> Float64:
    """Each one's share of the row's sum; nothing of nothing."""
    whole = values.sum(axis=1, keepdims=True)
    return np.divide(values, whole, out=np.zeros_like(values), where=whole > 0)

"""Controllers that learn: one actor-critic for all sites together, and local actor-critics under a recurrent meta-agent.

The second is multi-agent meta-reinforcement learning (MAMRL) after M. S. Munir et al., arXiv 2002.08567: every site has an
actor and a critic of its own, a Markov model of its consumption and generation; a long short-term memory sees each site's
observation, last action and last cost, is shared by all of them, and what it learns is what a new site begins with. Both
learn by advantage actor-critic (V. Mnih et al., Asynchronous Methods for Deep Reinforcement Learning, 2016) with
generalised advantages (J. Schulman et al., 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from wattmark.errors import ConfigError, MissingExtra
from wattmark.plan.edge.rules import Action, greedy, self_consumption
from wattmark.plan.edge.scenario import DAY, Scenario
from wattmark.plan.edge.simulator import EdgeGrid, Flows, Site
from wattmark.statistics import Float64
from wattmark.units import J_PER_KWH

MODES = ("use one's own", "hold", "charge from the grid", "half")
"""What an agent chooses among; the set point follows from the site's state."""
WATCHED = 11
"""Numbers that a site sees of itself."""
FORMAT = 1
STORED_PRICE = 0.25
"""What a stored kWh is worth while it learns: about what it saves later, between the cheap and the dear price."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a learner is trained. batch: scenarios at once; updates: of its parameters; steps: of a scenario."""

    updates: int = 150
    batch: int = 12
    steps: int = 3 * DAY
    hidden: int = 32
    rate: float = 4e-3
    discount: float = 0.97
    smoothing: float = 0.95
    entropy: float = 0.01


def observation(grid: EdgeGrid) -> Float64:
    """What each site sees, (batch, sites, WATCHED): its storage, sun, demand, the price, the hour, what the others lack, and
    yesterday's sun and demand of the hours to come."""
    renewable, demand, price = grid.now()
    site, at = grid.site, grid.past + grid.at
    hour = (at % DAY) / DAY * 2 * np.pi
    net = renewable - demand
    most = max(site.grid_j, 1.0)
    shape = net.shape
    before = slice(max(0, at - DAY + 1), at - DAY + 7)
    sun, need = grid.renewable[:, before].mean(axis=1), grid.demand[:, before].mean(axis=1)
    columns = [
        grid.stored / max(site.capacity_j, 1.0),
        renewable / most,
        demand / most,
        np.broadcast_to(price[:, None], shape) * 3,
        np.full(shape, np.sin(hour)),
        np.full(shape, np.cos(hour)),
        np.broadcast_to(net.mean(axis=1, keepdims=True) / most, shape),
        sun / most,
        need / most,
        net / most,
        np.full(shape, 1.0),
    ]
    return np.stack(columns, axis=-1)


def action_of(grid: EdgeGrid, mode: np.ndarray) -> Action:
    """Set points and shares of the modes (batch, sites)."""
    own = self_consumption(grid)
    battery = np.select(
        [mode == 0, mode == 1, mode == 2], [own, np.zeros_like(own), np.ones_like(own)], own / 2
    )
    return battery, np.ones_like(battery)


class Learner:
    """An actor-critic over sites. central: one actor for all sites together, without memory; else local ones under a
    recurrent meta-agent. The same seed gives the same learner."""

    def __init__(self, sites: int, plan: Plan | None = None, *, central: bool = False, seed: int = 0) -> None:
        torch = _torch()
        torch.manual_seed(seed)
        self.sites, self.plan, self.central, self.seed = sites, plan or Plan(), central, seed
        hidden, modes = self.plan.hidden, len(MODES)
        nn = torch.nn
        if central:
            self.net = nn.ModuleDict(
                {
                    "body": nn.Sequential(
                        nn.Linear(sites * WATCHED, 2 * hidden),
                        nn.Tanh(),
                        nn.Linear(2 * hidden, 2 * hidden),
                        nn.Tanh(),
                    ),
                    "actor": nn.Linear(2 * hidden, sites * modes),
                    "critic": nn.Linear(2 * hidden, 1),
                }
            )
            heads = [self.net["actor"]]
        else:
            self.net = nn.ModuleDict(
                {
                    "meta": nn.LSTMCell(WATCHED + modes + 1, hidden),
                    "actors": nn.ModuleList([nn.Linear(hidden + WATCHED, modes) for _ in range(sites)]),
                    "critics": nn.ModuleList([nn.Linear(hidden + WATCHED, 1) for _ in range(sites)]),
                }
            )
            heads = list(self.net["actors"])
        with torch.no_grad():
            for head in heads:  # it begins near what greedy does
                head.weight.mul_(0.1)
                head.bias.zero_()
                head.bias[::modes] = 1.5
        self._optimiser = torch.optim.Adam(self.net.parameters(), lr=self.plan.rate)
        self._level, self._spread = 0.0, 0.0
        self.done = 0
        self.history: list[float] = []

    def train(
        self,
        scenarios: Callable[[int], list[Scenario]],
        site: Site | None = None,
        *,
        updates: int | None = None,
        tell: Callable[[int, float], None] = lambda _, __: None,
        checkpoint: Path | None = None,
    ) -> None:
        """Go on learning to ``updates`` in all. scenarios: of the n-th update; checkpoint: where to keep it now and then."""
        target = self.plan.updates if updates is None else updates
        while self.done < target:
            cost = self._update(scenarios(self.done), site)
            self.done += 1
            self.history.append(cost)
            tell(self.done, cost)
            if checkpoint is not None and (self.done % 25 == 0 or self.done == target):
                self.save(checkpoint)

    def controller(self, *, sample: bool = False) -> Callable[[EdgeGrid], Action]:
        """What it has learned, as a controller of one run through scenarios (it remembers)."""
        torch = _torch()
        memory: dict[str, Any] = {}

        def act(grid: EdgeGrid) -> Action:
            if grid.at == 0:
                memory.clear()
            with torch.no_grad():
                logits, _, memory["state"] = self._forward(
                    observation(grid), memory.get("before"), memory.get("state")
                )
                mode = (
                    torch.distributions.Categorical(logits=logits).sample() if sample else logits.argmax(-1)
                )
            chosen = mode.numpy()
            memory["before"] = (chosen, None)
            return action_of(grid, chosen)

        return act

    def for_new_sites(self, sites: int, seed: int = 0) -> Learner:
        """A learner for sites that it has not seen: what is shared as it is, local parts as the mean of the known ones."""
        if self.central:
            raise ConfigError("a central learner is for its own sites only", hint="train one from scratch")
        torch = _torch()
        other = Learner(sites, self.plan, seed=seed)
        other.net["meta"].load_state_dict(self.net["meta"].state_dict())
        with torch.no_grad():
            for kind in ("actors", "critics"):
                for name in ("weight", "bias"):
                    mean = torch.stack([getattr(one, name) for one in self.net[kind]]).mean(0)
                    for one in other.net[kind]:
                        getattr(one, name).copy_(mean)
        return other

    def save(self, path: Path) -> None:
        """Keep parameters and the optimiser's state; written beside and moved, so that a kill leaves the old one."""
        torch = _torch()
        beside = path.with_suffix(".part")
        torch.save(
            {
                "format": FORMAT, "plan": asdict(self.plan), "sites": self.sites, "central": self.central, "seed": self.seed,
                "net": self.net.state_dict(), "optimiser": self._optimiser.state_dict(), "done": self.done,
                "history": self.history,
                "worth": [self._level, self._spread], "random": torch.get_rng_state(),
            },
            beside,
        )  # fmt: skip
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> Learner:
        """The inverse of :meth:`save`. Raises ConfigError for a file that is none."""
        torch = _torch()
        try:
            data = torch.load(path, weights_only=True)
            learner = cls(data["sites"], Plan(**data["plan"]), central=data["central"], seed=data["seed"])
            learner.net.load_state_dict(data["net"])
            learner._optimiser.load_state_dict(data["optimiser"])
            learner.done, learner.history = data["done"], list(data["history"])
            learner._level, learner._spread = data["worth"]
            torch.set_rng_state(data["random"])
        except (OSError, KeyError, TypeError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
            raise ConfigError(
                f"{path} is no learner that was kept", hint="remove it and train again"
            ) from error
        return learner

    def _forward(self, seen: Float64, before: Any, state: Any) -> tuple[Any, Any, Any]:
        """Logits (batch, sites, modes), values (batch, sites), and the memory."""
        torch = _torch()
        watched = torch.as_tensor(seen, dtype=torch.float32)
        batch, sites, _ = watched.shape
        if self.central:
            body = self.net["body"](watched.reshape(batch, -1))
            value = self.net["critic"](body).expand(batch, sites)
            return self.net["actor"](body).reshape(batch, sites, len(MODES)), value, None
        last = torch.zeros(batch, sites, len(MODES) + 1)
        if before is not None:
            mode, cost = before
            last.scatter_(2, torch.as_tensor(mode)[..., None], 1.0)
            if cost is not None:
                last[..., -1] = torch.as_tensor(cost, dtype=torch.float32)
        hidden, cell = self.net["meta"](torch.cat((watched, last), -1).reshape(batch * sites, -1), state)
        both = torch.cat((hidden.reshape(batch, sites, -1), watched), -1)
        logits = torch.stack([actor(both[:, at]) for at, actor in enumerate(self.net["actors"])], 1)
        values = torch.stack([critic(both[:, at])[:, 0] for at, critic in enumerate(self.net["critics"])], 1)
        return logits, values, (hidden, cell)

    def _update(self, scenarios: list[Scenario], site: Site | None) -> float:
        torch = _torch()
        grid, beside = EdgeGrid(scenarios, site), EdgeGrid(scenarios, site)
        logs: list[Any] = []
        values: list[Any] = []
        entropies: list[Any] = []
        rewards: list[Float64] = []
        before, state, money = None, None, 0.0
        while not grid.over:
            logits, value, state = self._forward(observation(grid), before, state)
            law = torch.distributions.Categorical(logits=logits)
            mode = law.sample()
            worth, theirs = _stored_worth(grid), _stored_worth(beside)
            flows = grid.step(*action_of(grid, mode.numpy()))
            # less what the greedy rule gets under the same sun: no action changes that, so only noise is taken away
            reward = _reward(flows, grid, worth) - _reward(beside.step(*greedy(beside)), beside, theirs)
            logs.append(law.log_prob(mode))
            entropies.append(law.entropy())
            values.append(value)
            rewards.append(reward)
            money += float(flows.cost.sum())
            before = (mode.numpy(), None)
        plan = self.plan
        level, wide = self._level, self._spread or 1.0
        detached = torch.stack(values).detach().numpy() * wide + level
        advantage, later = np.zeros_like(detached), np.zeros_like(detached[0])
        following = np.zeros_like(detached[0])
        for at in range(len(rewards) - 1, -1, -1):
            error = rewards[at] + plan.discount * following - detached[at]
            later = error + plan.discount * plan.smoothing * later
            advantage[at], following = later, detached[at]
        worth = advantage + detached
        keep = 0.9 if self._spread else 0.0  # critics learn values about zero, whatever the money is
        self._level = keep * self._level + (1 - keep) * float(worth.mean())
        self._spread = keep * self._spread + (1 - keep) * max(float(worth.std()), 1e-6)
        goal = torch.as_tensor((worth - self._level) / self._spread, dtype=torch.float32)
        weight = torch.as_tensor(
            (advantage - advantage.mean()) / (advantage.std() + 1e-8), dtype=torch.float32
        )
        loss = (
            -(torch.stack(logs) * weight).mean()
            + 0.5 * ((torch.stack(values) - goal) ** 2).mean()
            - plan.entropy * torch.stack(entropies).mean()
        )
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self._optimiser.step()
        return money / len(scenarios)


def _stored_worth(grid: EdgeGrid) -> Float64:
    return grid.stored / J_PER_KWH * STORED_PRICE


def _reward(flows: Flows, grid: EdgeGrid, worth_before: Float64) -> Float64:
    """What a step saved, by site, half of it of all together; what is stored has a worth, so that keeping it is no loss
    (a potential, which does not change what is best: A. Ng et al., 1999)."""
    own = -flows.cost + (_stored_worth(grid) - worth_before)
    return 10.0 * (0.5 * own + 0.5 * own.mean(axis=1, keepdims=True))


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("torch", "study") from error
    return torch

"""The sites as environments of other people's learners: PettingZoo's parallel API (an agent for each site), and Gymnasium's
with one agent for all sites. Both packages are an extra (``wattmark[edge]``)."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from wattmark.errors import MissingExtra
from wattmark.plan.edge.learning import WATCHED, observation
from wattmark.plan.edge.scenario import DAY, Scenario, synthetic
from wattmark.plan.edge.simulator import EdgeGrid, Site


def parallel_env(
    scenario: Scenario | None = None, site: Site | None = None, *, sites: int = 4, steps: int = 3 * DAY
) -> Any:
    """A ``pettingzoo.ParallelEnv``. Each site acts with its set point (-1..1) and the share of its surplus that others
    may have (0..1); its reward is its cost, negative. Without a scenario every reset makes up another one from its seed.

    Raises MissingExtra.
    """
    pettingzoo, spaces = _package("pettingzoo"), _package("gymnasium").spaces

    class EdgeSites(pettingzoo.ParallelEnv):  # pyright: ignore[reportUntypedBaseClass]
        metadata: dict[str, Any] = {"name": "wattmark_edge_v0", "render_modes": []}  # noqa: RUF012 - as the API has it

        def __init__(self) -> None:
            count = sites if scenario is None else scenario.sites
            self.possible_agents = [f"site_{at}" for at in range(count)]
            self.agents: list[str] = []
            self.render_mode = None
            seen, act = _spaces(spaces, 1)
            self._spaces = {agent: (seen(), act()) for agent in self.possible_agents}
            self._rng = np.random.default_rng()
            self.grid: EdgeGrid | None = None

        def observation_space(self, agent: str) -> Any:
            return self._spaces[agent][0]

        def action_space(self, agent: str) -> Any:
            return self._spaces[agent][1]

        def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            if seed is not None:
                self._rng = np.random.default_rng(seed)
            self.agents = list(self.possible_agents)
            self.grid = _grid(scenario, site, len(self.agents), steps, self._rng)
            return self._seen(), {agent: {} for agent in self.agents}

        def step(self, actions: dict[str, Any]) -> Any:
            if not self.agents or self.grid is None:
                return {}, {}, {}, {}, {}
            table = np.stack([np.asarray(actions[agent], np.float64) for agent in self.agents])
            flows = self.grid.step(table[None, :, 0], table[None, :, 1])
            over = self.grid.over
            agents = self.agents
            rewards = {agent: -float(flows.cost[0, at]) for at, agent in enumerate(agents)}
            seen = self._seen()
            ended = dict.fromkeys(agents, False)
            cut = dict.fromkeys(agents, over)
            infos = {
                agent: {
                    "nonrenewable_j": float(flows.nonrenewable[0, at]),
                    "curtailed_j": float(flows.curtailed[0, at]),
                }
                for at, agent in enumerate(agents)
            }
            if over:
                self.agents = []
            return seen, rewards, ended, cut, infos

        def render(self) -> None:
            """Nothing is drawn."""

        def close(self) -> None:
            """Nothing is open."""

        def _seen(self) -> dict[str, Any]:
            assert self.grid is not None
            table = _watched(self.grid)
            return {agent: table[at] for at, agent in enumerate(self.possible_agents)}

    return EdgeSites()


def single_env(
    scenario: Scenario | None = None, site: Site | None = None, *, sites: int = 4, steps: int = 3 * DAY
) -> Any:
    """A ``gymnasium.Env`` with one agent for all sites: actions (2 sites,), set points first; reward: minus the cost of all.

    Raises MissingExtra.
    """
    gymnasium = _package("gymnasium")

    class EdgeSite(gymnasium.Env):  # pyright: ignore[reportUntypedBaseClass]
        metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as the API has it

        def __init__(self) -> None:
            self._count = sites if scenario is None else scenario.sites
            seen, act = _spaces(gymnasium.spaces, self._count)
            self.observation_space, self.action_space = seen(), act()
            self.grid: EdgeGrid | None = None

        def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            gymnasium.Env.reset(self, seed=seed)
            self.grid = _grid(scenario, site, self._count, steps, self.np_random)
            return _watched(self.grid).ravel(), {}

        def step(self, action: Any) -> Any:
            assert self.grid is not None, "reset() first"
            table = np.asarray(action, np.float64).reshape(2, self._count)
            flows = self.grid.step(table[None, 0], table[None, 1])
            info = {"nonrenewable_j": float(flows.nonrenewable.sum())}
            return _watched(self.grid).ravel(), -float(flows.cost.sum()), False, self.grid.over, info

    return EdgeSite()


def _spaces(spaces: Any, count: int) -> tuple[Any, Any]:
    low, high = np.tile([[-1.0], [0.0]], (1, count)).ravel(), np.ones(2 * count)
    return (
        lambda: spaces.Box(-np.inf, np.inf, (count * WATCHED,), np.float32),
        lambda: spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32),
    )


def _grid(scenario: Scenario | None, site: Site | None, sites: int, steps: int, rng: Any) -> EdgeGrid:
    own = scenario or synthetic(int(rng.integers(0, 2**31)), sites=sites, steps=steps)
    return EdgeGrid([own], site)


def _watched(grid: EdgeGrid) -> Any:
    """(sites, WATCHED); after the last step what was seen before it."""
    if grid.over:
        grid.at -= 1
        table = observation(grid)[0]
        grid.at += 1
    else:
        table = observation(grid)[0]
    return table.astype(np.float32)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtra(name, "edge") from error

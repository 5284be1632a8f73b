"""One way to dispatch the energy of edge sites as the workload of a study: what it saves, and the joules of learning and of
deciding."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wattmark.errors import ConfigError, MissingExtra
from wattmark.paths import data_dir
from wattmark.plan.edge.learning import Learner, Plan
from wattmark.plan.edge.programmes import Rolling, bound
from wattmark.plan.edge.rules import Controller, greedy, random_controller, simulate
from wattmark.plan.edge.scenario import DAY, Scenario, from_traces, synthetic
from wattmark.plan.edge.study import TRAINING_SEEDS
from wattmark.workloads.registry import Config, Factor, SpanMaker

_LEARNERS = {"mamrl": False, "a2c": True}
"""Name -> whether one network decides for all sites."""


class EdgeWorkload:
    """A controller on weeks of its own seed."""

    factors: Mapping[str, Factor] = {
        "controller": Factor(
            "forecast",
            "who decides",
            choices=("greedy", "alone", "random", "forecast", "two-stage", "a2c", "mamrl"),
        ),
        "sites": Factor(4, "base stations with servers"),
        "weeks": Factor(2, "scenarios to compare on"),
        "days": Factor(7, "of a scenario"),
        "updates": Factor(90, "of a learner"),
        "traces": Factor(
            None, "a folder with solar_example.csv and load_example.csv; made up by seed without"
        ),
        "seed": Factor(0, "of weather and of learners"),
    }

    def warm_up(self, config: Config) -> None:
        """Load what is used. Raises MissingExtra without torch or scipy, ConfigError for what cannot be simulated."""
        for name, most in (("sites", 100), ("weeks", 1_000), ("days", 60), ("updates", 100_000)):
            if not 1 <= int(config[name]) <= most:
                raise ConfigError(f"{name} must be from 1 to {most:,}, not {config[name]}")
        for package in ("torch", "scipy") if config["controller"] in _LEARNERS else ("scipy",):
            if find_spec(package) is None:
                raise MissingExtra(package, "study")
        bound(synthetic(0, sites=2, steps=3))

    def run(self, config: Config, span: SpanMaker) -> dict[str, Any]:
        """``cost`` and ``nonrenewable_kwh`` a scenario; ``saved`` and ``nonrenewable_saved`` against greedy on the same;
        ``beyond_bound``: how much dearer than with all known beforehand.

        A learner is kept while it learns and goes on where an earlier trial was stopped.
        """
        sites, days, seed = int(config["sites"]), int(config["days"]), int(config["seed"])
        name = str(config["controller"])
        weeks = [
            _scenario(1_000 * seed + week, sites, days * DAY, config["traces"])
            for week in range(int(config["weeks"]))
        ]
        if name in _LEARNERS:
            updates = int(config["updates"])
            with span("learn", updates=updates):
                decide = _learned(_LEARNERS[name], sites, seed, updates).controller
        else:
            decide = _MADE[name](seed)
        with span("decide", weeks=len(weeks), steps=len(weeks) * days * DAY):
            own = [simulate(week, decide(), sharing=name != "alone") for week in weeks]
        least = math.fsum(bound(week).cost for week in weeks)
        base = [simulate(week, greedy) for week in weeks]
        cost, other = (math.fsum(one.cost for one in part) for part in (own, base))
        dirty, other_dirty = (math.fsum(one.nonrenewable_kwh for one in part) for part in (own, base))
        return {
            "cost": cost / len(weeks),
            "nonrenewable_kwh": dirty / len(weeks),
            "saved": 1 - cost / other if other > 0 else 0.0,
            "nonrenewable_saved": 1 - dirty / other_dirty if other_dirty > 0 else 0.0,
            "beyond_bound": cost / least - 1 if least > 0 else 0.0,
        }


_MADE: Mapping[str, Callable[[int], Callable[[], Controller]]] = {
    "greedy": lambda _: lambda: greedy,
    "alone": lambda _: lambda: greedy,
    "random": lambda seed: lambda: random_controller(seed),
    "forecast": lambda _: lambda: Rolling(),
    "two-stage": lambda seed: lambda: Rolling(futures=4, ahead=18, seed=seed),
}


def _scenario(seed: int, sites: int, steps: int, traces: object) -> Scenario:
    if traces is None:
        return synthetic(seed, sites=sites, steps=steps)
    return from_traces(str(traces), seed, sites=sites, steps=steps)


def _learned(central: bool, sites: int, seed: int, updates: int) -> Learner:
    """Trained on weather of other seeds than any comparison has; kept as it learns, and gone on with unless it is done."""
    path = Path(data_dir()) / "edge-learners" / f"{'a2c' if central else 'mamrl'}-{sites}-{seed}-{updates}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    learner = Learner.load(path) if path.exists() else Learner(sites, central=central, seed=seed)
    plan: Plan = learner.plan

    def scenarios(update: int) -> list[Scenario]:
        first = TRAINING_SEEDS + (seed * 100_003 + update) * plan.batch
        return [synthetic(first + at, sites=sites, steps=plan.steps) for at in range(plan.batch)]

    learner.train(scenarios, updates=updates, checkpoint=path)
    path.unlink(missing_ok=True)  # another trial of the same measures its own learning
    return learner

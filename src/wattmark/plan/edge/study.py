"""``wm.edge()``: every controller on the same weeks, the bound beside them, and the joules that training took."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wattmark.errors import ConfigError
from wattmark.plan.edge.learning import Learner, Plan
from wattmark.plan.edge.programmes import Rolling, bound
from wattmark.plan.edge.rules import Controller, Outcome, greedy, random_controller, simulate
from wattmark.plan.edge.scenario import DAY, Scenario, from_traces, synthetic
from wattmark.plan.edge.simulator import Site
from wattmark.quantity import Quantity
from wattmark.statistics import mean_interval

BOUND = "all known beforehand"
GREEDY, ALONE, RANDOM = "greedy", "greedy, no sharing", "random"
FORECAST, TWO_STAGE = "forecast (MPC)", "two-stage stochastic"
A2C, MAMRL = "A2C, one agent", "MAMRL"
TRAINING_SEEDS = 1_000_000
"""Scenarios of training have seeds from here on, those of the comparison begin with 0: none is both."""
_NEW = 500_000


@dataclass(frozen=True, slots=True)
class Row:
    """One controller. cost, nonrenewable_kwh: means over the weeks. saving, nonrenewable_saving: against greedy, week by
    week. beyond_bound: how much more it costs than with all known beforehand. training: J, None where there is none or it
    was not measured."""

    name: str
    cost: float
    nonrenewable_kwh: float
    saving: Quantity | None
    nonrenewable_saving: Quantity | None
    beyond_bound: float
    training: Quantity | None = None
    clairvoyant: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "name": self.name,
            "cost": self.cost,
            "nonrenewable_kwh": self.nonrenewable_kwh,
            "saving": None if self.saving is None else self.saving.as_dict(),
            "nonrenewable_saving": None
            if self.nonrenewable_saving is None
            else self.nonrenewable_saving.as_dict(),
            "beyond_bound": self.beyond_bound,
            "training_j": None if self.training is None else self.training.as_dict(),
            "clairvoyant": self.clairvoyant,
        }


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Learning on sites that were not seen: cost against greedy after so many updates, of a learner that begins with what
    the others know and of one that begins with nothing."""

    updates: tuple[int, ...]
    known: tuple[float, ...]
    scratch: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class EdgeStudy:
    """rows: by cost. weeks, sites: of the comparison. source: of the scenarios. recommended: the cheapest that needs no
    foresight. learning: cost of each update by learner. notes: what one should know."""

    rows: tuple[Row, ...]
    weeks: int
    sites: int
    source: str
    recommended: str
    learning: dict[str, tuple[float, ...]]
    adaptation: Adaptation | None
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        adapted = self.adaptation
        return {
            "rows": [row.as_dict() for row in self.rows],
            "weeks": self.weeks,
            "sites": self.sites,
            "source": self.source,
            "recommended": self.recommended,
            "learning": {name: list(costs) for name, costs in self.learning.items()},
            "adaptation": None
            if adapted is None
            else {
                "updates": list(adapted.updates),
                "known": list(adapted.known),
                "scratch": list(adapted.scratch),
            },
            "notes": list(self.notes),
        }


def edge(
    *,
    weeks: int = 5,
    sites: int = 4,
    days: int = 7,
    updates: int = 150,
    traces: str | Path | None = None,
    seed: int = 0,
    site: Site | None = None,
    plan: Plan | None = None,
    folder: str | Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> EdgeStudy:
    """Dispatch of energy at self-powered edge sites by rules, linear programmes and learners, on the same weeks.

    weeks: how many scenarios of ``days`` days. updates: of each learner; 0 leaves learners out. traces: a folder with
    ``solar_example.csv`` and ``load_example.csv`` to compare on; else weather made up by seed. Learners train on other
    seeds, by ``plan``. folder: where learners are kept and gone on with. tell: hears what is going on.

    Raises ConfigError, MissingExtra.
    """
    if not (1 <= weeks <= 1_000 and 1 <= sites <= 100 and 1 <= days <= 60 and 0 <= updates <= 100_000):
        raise ConfigError("1 to 1,000 weeks, 1 to 100 sites, 1 to 60 days, 0 to 100,000 updates")
    scenarios = [_scenario(seed + week, sites, days * DAY, traces) for week in range(weeks)]
    made: list[tuple[str, Callable[[], Controller], bool]] = [
        (GREEDY, lambda: greedy, True),
        (ALONE, lambda: greedy, False),
        (RANDOM, lambda: random_controller(seed), True),
        (FORECAST, lambda: Rolling(), True),
        (TWO_STAGE, lambda: Rolling(futures=4, ahead=18, seed=seed), True),
    ]
    learners: dict[str, Learner] = {}
    training: dict[str, Quantity | None] = {}
    for name, central in ((MAMRL, False), (A2C, True)) if updates else ():
        learners[name], training[name] = _trained(
            name, central, sites, updates, seed, site, plan, folder, tell
        )
        made.append((name, learners[name].controller, True))
    outcomes: dict[str, list[Outcome]] = {}
    for name, make, sharing in made:
        tell(f"{name} ...")
        outcomes[name] = [simulate(one, make(), site, sharing=sharing) for one in scenarios]
    tell(f"{BOUND} ...")
    outcomes[BOUND] = [bound(one, site) for one in scenarios]
    rows = sorted((_row(name, outcomes, training.get(name)) for name in outcomes), key=lambda row: row.cost)
    best = next(row for row in rows if not row.clairvoyant)
    adapted = None
    if updates:
        tell("sites that were not seen ...")
        adapted = _adapted(learners[MAMRL], sites, updates, seed, site)
    notes = ["money and joules of a simulation: a site of yours has other panels, storage and prices"]
    if weeks < 10:
        notes.append(f"{weeks} weeks are few: intervals of savings are wide")
    return EdgeStudy(
        tuple(rows), weeks, sites, scenarios[0].name.partition(",")[0].partition(" ")[0], best.name,
        {name: tuple(one.history) for name, one in learners.items()}, adapted, tuple(notes),
    )  # fmt: skip


def _scenario(seed: int, sites: int, steps: int, traces: str | Path | None) -> Scenario:
    return (
        synthetic(seed, sites=sites, steps=steps)
        if traces is None
        else from_traces(traces, seed, sites=sites, steps=steps)
    )


def _row(name: str, outcomes: dict[str, list[Outcome]], training: Quantity | None) -> Row:
    own, base, least = outcomes[name], outcomes[GREEDY], outcomes[BOUND]
    cost, other = (np.array([one.cost for one in part]) for part in (own, base))
    dirty, other_dirty = (np.array([one.nonrenewable_kwh for one in part]) for part in (own, base))
    known = math.fsum(one.cost for one in least)
    return Row(
        name,
        float(cost.mean()),
        float(dirty.mean()),
        None if name == GREEDY else mean_interval(1 - cost / np.maximum(other, 1e-12), signed=True),
        None if name == GREEDY else mean_interval(1 - dirty / np.maximum(other_dirty, 1e-12), signed=True),
        float(cost.sum()) / known - 1 if known > 0 else math.inf,
        training,
        name == BOUND,
    )


def _trained(
    name: str,
    central: bool,
    sites: int,
    updates: int,
    seed: int,
    site: Site | None,
    wished: Plan | None,
    folder: str | Path | None,
    tell: Callable[[str], None],
) -> tuple[Learner, Quantity | None]:
    """A learner, gone on with where it is kept, and the joules of this training as Wattmark measured them."""
    from wattmark.tracker.measure import measure

    path = None if folder is None else Path(folder) / f"{'a2c' if central else 'mamrl'}-{sites}-{seed}.pt"
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    learner = (
        Learner.load(path)
        if path is not None and path.exists()
        else Learner(sites, wished, central=central, seed=seed)
    )
    if learner.done >= updates:
        return learner, None
    plan = learner.plan

    def scenarios(update: int) -> list[Scenario]:
        first = TRAINING_SEEDS + (seed * 100_003 + update) * plan.batch
        return [synthetic(first + at, sites=sites, steps=plan.steps) for at in range(plan.batch)]

    def said(done: int, cost: float) -> None:
        if done % 10 == 0 or done == updates:
            tell(f"{name} learns: {done} of {updates}")

    with measure(f"edge {name}", tags={"stage": "training", "model": name}) as run:
        learner.train(scenarios, site, updates=updates, tell=said, checkpoint=path)
    return learner, run.energy


def _adapted(learner: Learner, sites: int, updates: int, seed: int, site: Site | None) -> Adaptation:
    """On two new sites more than it knows: with what is known, and an A2C from scratch."""
    plan = learner.plan
    count = sites + 2
    looks = tuple(sorted({0, max(1, updates // 30), max(2, updates // 10)}))
    tests = [synthetic(_NEW + seed * 100 + at, sites=count, steps=3 * DAY) for at in range(3)]
    base = math.fsum(simulate(one, greedy, site).cost for one in tests)

    def scenarios(update: int) -> list[Scenario]:
        first = _NEW + 50_000 + update * plan.batch
        return [synthetic(first + at, sites=count, steps=plan.steps) for at in range(plan.batch)]

    def course(one: Learner) -> tuple[float, ...]:
        costs: list[float] = []
        for look in looks:
            one.train(scenarios, site, updates=look)
            costs.append(1 - math.fsum(simulate(test, one.controller(), site).cost for test in tests) / base)
        return tuple(costs)

    known, scratch = learner.for_new_sites(count, seed), Learner(count, plan, central=True, seed=seed)
    return Adaptation(looks, course(known), course(scratch))

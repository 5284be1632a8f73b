"""What happens to the sites: sun, demand of compute and network, and the price of the grid; from traces, or made up by seed.

Energies are J a step. A scenario begins with ``past`` steps that are known to everybody, from which forecasts are made.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wattmark.errors import ConfigError
from wattmark.statistics import Float64

STEP_S = 3_600.0
DAY = 24
PAST = 14 * DAY
SOLAR_PEAK_W, LOAD_PEAK_W, NETWORK_W = 900.0, 650.0, 120.0
"""Of one site: peak of its panels, of its servers, and what its radio draws always."""
CHEAP, DEAR = 0.15, 0.34
"""Prices of the grid per kWh by night and by day (a two-part tariff; unit of money)."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """renewable, compute, network: (past + steps, sites) J a step; price: (past + steps,) per kWh. past: how many steps are
    history."""

    renewable: Float64
    compute: Float64
    network: Float64
    price: Float64
    past: int = PAST
    name: str = "synthetic"

    @property
    def demand(self) -> Float64:
        """J a step of compute and network together, (past + steps, sites)."""
        return self.compute + self.network

    @property
    def sites(self) -> int:
        """How many."""
        return self.renewable.shape[1]

    @property
    def steps(self) -> int:
        """How many after the past."""
        return len(self.price) - self.past


def exact(energy: Float64) -> Float64:
    """Energies on a grid of 2^-20 J: sums and differences of such numbers, to 8 GJ, have no rounding."""
    return np.rint(energy * 2.0**20) / 2.0**20


def synthetic(seed: int, *, sites: int = 4, steps: int = 7 * DAY, past: int = PAST) -> Scenario:
    """A clear-sky half sine under clouds (a first-order autoregression by site and by region), demand by the hour with a
    Markov chain of busy and quiet spells, and a tariff by day and night with noise. The same seed gives the same."""
    rng = np.random.default_rng(seed)
    count = past + steps
    hour = np.arange(count) % DAY
    day_length = rng.uniform(10.0, 15.0)
    clear = np.clip(np.sin((hour - 12 + day_length / 2) / day_length * np.pi), 0.0, None)
    clear[(hour < 12 - day_length / 2) | (hour > 12 + day_length / 2)] = 0.0
    region = _walk(rng, count, 1, 0.94)
    own = _walk(rng, count, sites, 0.8)
    sky = 1 / (1 + np.exp(-(0.6 + 1.3 * region + 0.7 * own)))
    size = rng.uniform(0.5, 1.6, sites)
    renewable = SOLAR_PEAK_W * size * clear[:, None] * sky
    busy = np.zeros((count, sites))
    state = rng.random(sites) < 0.4
    for at in range(count):
        change = rng.random(sites) < np.where(state, 0.18, 0.12)
        state = state ^ change
        busy[at] = state
    shape = 0.45 + 0.3 * np.sin((hour - 10) / DAY * 2 * np.pi)
    noise = rng.normal(0, 0.05, (count, sites))
    load = np.clip(shape[:, None] * rng.uniform(0.7, 1.3, sites) + 0.35 * busy + noise, 0.05, 1)
    network = NETWORK_W * (1 + 0.3 * np.sin((hour - 12) / DAY * 2 * np.pi))[:, None] * np.ones(sites)
    price = np.where((hour >= 7) & (hour < 22), DEAR, CHEAP) * np.exp(rng.normal(0, 0.08, count))
    return Scenario(
        exact(renewable * STEP_S),
        exact(LOAD_PEAK_W * load * STEP_S),
        exact(network * STEP_S),
        price,
        past,
        f"seed {seed}",
    )


def from_traces(
    folder: str | Path, seed: int, *, sites: int = 4, steps: int = 7 * DAY, past: int = PAST
) -> Scenario:
    """Real sun and load: ``solar_example.csv`` (shares of the peak by city, every five minutes) and ``load_example.csv``
    (shares of the peak of machines, every hour) as the Vessim project ships them (MIT). seed: which cities and machines, and
    where the weeks begin.

    Raises ConfigError for files that are not these.
    """
    rng = np.random.default_rng(seed)
    sun, load = _table(Path(folder) / "solar_example.csv"), _table(Path(folder) / "load_example.csv")
    whole = len(sun) // 12
    sun = sun[: whole * 12].reshape(whole, 12, -1).mean(axis=1)
    count = past + steps
    spare = min(len(sun), len(load)) - count
    if spare < 0:
        raise ConfigError(
            f"the traces have {min(len(sun), len(load))} hours, fewer than {count}", hint="fewer steps"
        )
    start = int(rng.integers(0, spare // DAY + 1)) * DAY
    cities = rng.choice(sun.shape[1], sites, replace=sites > sun.shape[1])
    machines = rng.choice(load.shape[1], sites, replace=sites > load.shape[1])
    size = rng.uniform(0.5, 1.6, sites)
    part = slice(start, start + count)
    hour = np.arange(count) % DAY
    network = NETWORK_W * (1 + 0.3 * np.sin((hour - 12) / DAY * 2 * np.pi))[:, None] * np.ones(sites)
    price = np.where((hour >= 7) & (hour < 22), DEAR, CHEAP) * np.exp(rng.normal(0, 0.08, count))
    return Scenario(
        exact(SOLAR_PEAK_W * size * sun[part][:, cities] * STEP_S),
        exact(LOAD_PEAK_W * load[part][:, machines] * STEP_S),
        exact(network * STEP_S),
        price,
        past,
        f"traces, seed {seed}",
    )


def _walk(rng: np.random.Generator, count: int, width: int, keep: float) -> Float64:
    noise = rng.standard_normal((count, width)) * math.sqrt(1 - keep**2)
    walk = np.empty((count, width))
    state = rng.standard_normal(width)
    for at in range(count):
        state = keep * state + noise[at]
        walk[at] = state
    return walk


def _table(path: Path) -> Float64:
    """All columns but the first (time), (rows, columns)."""
    try:
        with path.open(encoding="utf-8") as file:
            rows = list(csv.reader(file))
        table = np.array([[float(cell) for cell in row[1:]] for row in rows[1:] if row], np.float64)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no table of numbers: {error}") from error
    if table.ndim != 2 or not table.size or not np.isfinite(table).all():
        raise ConfigError(f"{path} is no table of numbers")
    return table

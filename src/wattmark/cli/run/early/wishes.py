"""What ``wattmark run`` is asked to predict and to keep within, checked before the command starts."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wattmark.predict.live.budget import Budget

GRACE_S = 30.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """epochs: how many there will be. budget: to warn of. stop: to end the command over it; grace_s: how long it has."""

    epochs: float | None = None
    budget: Budget | None = None
    stop: bool = False
    grace_s: float = GRACE_S


def wishes_of(options: argparse.Namespace) -> Wishes:
    """The options of ``wattmark run``. Raises ConfigError for a budget that cannot be."""
    return Wishes(
        options.epochs,
        None if options.budget is None else _budget(options),
        options.stop_over_budget,
        GRACE_S if options.grace is None else options.grace,
    )


def _budget(options: argparse.Namespace) -> Budget:
    from wattmark.predict.live.budget import budget, is_carbon, is_energy

    if is_energy(options.budget):
        return budget(options.budget)
    import os

    from wattmark.impact import intensity_of
    from wattmark.impact.pue import as_pue
    from wattmark.workspace.runs import place_for

    given = {"zone": options.zone, "pue": options.pue}
    place, ratio = place_for(os.uname().nodename, given)
    grid = (
        intensity_of(place.zone).g_per_kwh.value if place is not None and is_carbon(options.budget) else None
    )
    return budget(options.budget, g_per_kwh=grid, price_per_kwh=options.price, pue=as_pue(ratio).ratio.value)

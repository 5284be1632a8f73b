"""A network's joules by layer: forward, backward and optimizer end to end, as predicted."""

from __future__ import annotations

from collections.abc import Sequence

from wattmark.predict.layers.calls import PHASES, Cost, LayerCost
from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import stacks
from wattmark.report.drawing.marks import Drawing, Part
from wattmark.report.drawing.style import SERIES
from wattmark.report.figures.training import MOST_ROWS, scale_for

REST = "all others"


def layer_costs(rows: Sequence[LayerCost], steps: int) -> Drawing:
    """One bar a layer in the order of the forward pass; the layers that cost least are one bar where there are many."""
    costly = [row for row in rows if row.phases]
    if len(costly) > MOST_ROWS:
        ranked = sorted(costly, key=lambda row: -row.total.joules)
        kept, rest = ranked[: MOST_ROWS - 1], ranked[MOST_ROWS - 1 :]
        together = {phase: sum((row.phases.get(phase, Cost()) for row in rest), Cost()) for phase in PHASES}
        costly = [row for row in costly if row in kept] + [LayerCost(REST, (), together)]
    joules = [row.total.joules * steps for row in costly]
    scale = scale_for(joules, "J")
    parts = [
        Part(
            phase,
            [
                scale.to(Quantity.exact(row.phases[phase].joules * steps, "J", "predicted")) if phase in row.phases else None
                for row in costly
            ],
            SERIES[place],
            [1.0] * len(costly),
        )
        for place, phase in enumerate(PHASES)
    ]  # fmt: skip
    return stacks(
        [row.layer or "whole network" for row in costly], parts, f"energy ({scale.unit}), predicted"
    )

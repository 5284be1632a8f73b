"""The table of a study of tasks: joules, watt-hours, carbon and money of a thousand inferences, and how good they were."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from wattmark.predict.whatif.rates import Rates
from wattmark.quantity import Quantity
from wattmark.report.html.markup import Html, join, tag
from wattmark.studies.analysis.tasks import (
    PER,
    SpecificAgainstGeneral,
    TaskCost,
    against_general,
    rated,
)
from wattmark.units import J_PER_WH, format_energy, format_number, significant

Show = Callable[[float], str]


def task_table(costs: Sequence[TaskCost], rates: Rates | None = None) -> Html:
    """One row for each cell. rates: where the electricity comes from and what it costs; without them the notes say so."""
    stars = {id(cost): count for cost, count in rated(costs)}
    known_rates = rates is not None and rates.intensity is not None
    priced = rates is not None and rates.price is not None
    heads = (
        "task", "model", "batch", f"J per {PER:,}", f"Wh per {PER:,}",
        *((f"g CO2e per {PER:,}",) if known_rates else ()), *((f"money per {PER:,}",) if priced else ()),
        "J per unit in", "J per unit out", "idle", "inferences/s", "quality", "chance", "stars",
    )  # fmt: skip
    head = tag(
        "tr",
        (tag("th", name, scope="col", class_=None if name in ("task", "model") else "n") for name in heads),
    )
    table = tag(
        "table",
        tag("caption", f"What {PER:,} inferences cost, with 95 % intervals", class_="sr"),
        tag("thead", head),
        tag("tbody", (_row(cost, rates, stars.get(id(cost))) for cost in costs)),
    )
    notes = [
        "Joules are those of the rounds of inferences, idle included; what loading and warming up took is not in them.",
        None
        if known_rates
        else "Carbon is not known: no place is given (wattmark study report NAME --zone FR).",
        None
        if priced
        else "Money is not known: no price is given (wattmark study report NAME --price 0.30).",
        *(
            [
                "The idle share is not known, since other work kept the machine busy: the joules are the process tree's."
            ]
            if costs and all(cost.idle_share is None for cost in costs)
            else []
        ),
        _stars_words(costs),
    ]
    below = [cost for cost in costs if cost.above_chance is False]
    if below:
        names = "; ".join(f"{cost.task}, {cost.model}" for cost in below)
        notes.append(f"Not above chance by more than the inputs' interval: {names}.")
    return join(
        tag("div", table, class_="scroll tall", tabindex="0", role="region", aria_label="Costs of tasks"),
        tag("p", " ".join(note for note in notes if note), class_="lead"),
        _against(against_general(costs)),
    )


def _row(cost: TaskCost, rates: Rates | None, stars: int | None) -> Html:
    energy = cost.energy
    impacts: list[Html] = []
    if rates is not None and rates.intensity is not None:
        carbon = rates.carbon(energy)
        impacts.append(_cell(carbon.grams if carbon is not None else None, format_number))
    if rates is not None and rates.price is not None:
        money = rates.cost(energy)
        unit = f" {money.unit}" if money is not None and money.unit else ""
        impacts.append(_cell(money, format_number, unit))
    weights = tag(
        "small", "random weights" if cost.random else "general" if cost.general else "", class_="inline"
    )
    batch = (
        "–" if cost.batch is None else f"{cost.batch:g}" + (" (best)" if cost.batch_asked == "best" else "")
    )
    return tag(
        "tr",
        tag("th", cost.task, scope="row"),
        tag("td", cost.model, " ", weights),
        tag("td", batch, class_="n"),
        _cell(energy, format_energy),
        _cell(None if energy is None else energy * (1 / J_PER_WH), format_number),
        join(impacts),
        _cell(cost.per_input, format_energy, f"/{cost.input_unit}"),
        _cell(cost.per_output, format_energy, f"/{cost.output_unit}"),
        tag("td", "–" if cost.idle_share is None else f"{100 * cost.idle_share:.0f} %", class_="n"),
        tag("td", "–" if cost.inferences_per_s is None else significant(cost.inferences_per_s), class_="n"),
        _cell(cost.quality, lambda value: f"{value:.2f}", f" {cost.metric}"),
        tag("td", "–" if cost.chance is None else f"{cost.chance:.2f}", class_="n"),
        tag("td", "–" if stars is None else f"{stars} of 5", class_="n"),
    )


def _cell(quantity: Quantity | None, show: Show, after: str = "") -> Html:
    if quantity is None:
        return tag("td", tag("span", "–", aria_label="not known"), class_="n")
    interval = None
    if quantity.high > quantity.low:
        interval = tag("small", f"{_written(show, quantity.low)} to {_written(show, quantity.high)}")
    return tag("td", f"{show(quantity.value)}{after}", interval, class_="n")


def _written(show: Show, value: float) -> str:
    return show(value) if value else "0"


def _stars_words(costs: Sequence[TaskCost]) -> str:
    if not rated(costs):
        return ""
    by_gpu = {cost.gpu is not None for cost in costs if cost.energy is not None}
    of = "all energy, since not all of them have a GPU's" if by_gpu == {False} else "the GPUs' energy"
    if len(by_gpu) > 1:
        of += " where all of a task have it, else by all energy"
    return (
        f"Stars compare the models of one task and batch on this machine by {of}: the range from the least to the most is "
        "cut into five equal parts, the lowest of which has five stars (the rule of the AI Energy Score)."
    )


def _against(found: Sequence[SpecificAgainstGeneral]) -> Html | None:
    if not found:
        return None
    head = tag(
        "tr",
        (
            tag("th", name, scope="col", class_=kind)
            for name, kind in (
                ("task", None), ("made for the task", None), ("general", None), ("times the energy", "n"),
                ("training pays after", "n"), ("quality, specific", "n"), ("quality, general", "n"),
            )
        ),
    )  # fmt: skip
    rows = (
        tag(
            "tr",
            tag("th", one.task, scope="row"),
            tag("td", one.specific.model),
            tag("td", one.general.model),
            _cell(one.ratio, significant),
            _pays(one),
            _cell(one.specific.quality, lambda value: f"{value:.2f}"),
            _cell(one.general.quality, lambda value: f"{value:.2f}"),
        )
        for one in found
    )
    table = tag(
        "table",
        tag("caption", "Specific and general models", class_="sr"),
        tag("thead", head),
        tag("tbody", rows),
    )
    return join(
        tag("h3", "Made for the task, or made for everything"),
        tag(
            "p",
            "The same inputs in the same order through both; what errs alike in both joules cancels in the ratio. The "
            "training that was measured here is that of the head alone: what the encoder and the general model were "
            "trained with is in neither.",
            _shorter(found),
        ),
        tag(
            "div",
            table,
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label="Specific and general models",
        ),
    )


def _shorter(found: Sequence[SpecificAgainstGeneral]) -> str:
    """What answered fewer inputs than the model beside it, since its time was over."""
    said = {
        f"{few.task}, {few.model}: the first {few.scored:.0f} of {many.scored:.0f}"
        for one in found
        for few, many in ((one.specific, one.general), (one.general, one.specific))
        if few.scored is not None and many.scored is not None and few.scored < many.scored
    }
    return f" Not all inputs were answered by {'; '.join(sorted(said))}." if said else ""


def _pays(one: SpecificAgainstGeneral) -> Html:
    if one.pays_after is None:
        return tag("td", "–", class_="n")
    if one.pays_after.high < 1:
        return tag("td", "the first inference", class_="n")
    return _cell(one.pays_after, lambda value: f"{max(1, math.ceil(value)):,}", " inferences")

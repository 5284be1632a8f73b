"""Serving runs for the page: every ``wattmark llm bench`` with the figures that serving studies have as well."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query

from wattmark.dashboard.api.studies.answers import cheapest_of, quantity, told_apart
from wattmark.dashboard.api.studies.routes import Limits, Metric
from wattmark.dashboard.api.studies.schemas import Cell, Cheapest, Level
from wattmark.dashboard.context import Context, Here
from wattmark.documents import is_mapping, mapping, number
from wattmark.quantity import REPEAT, Quantity
from wattmark.runs.comparison import run_to_run
from wattmark.runs.differences import Difference, of_quantities
from wattmark.store.summaries import RunSummary

router = APIRouter(prefix="/serving", tags=["serving"])


@dataclass(frozen=True, slots=True)
class Benches:
    """The newest benches, each as a cell of one run, its label the run's name. common: by metric, what all err by alike, in
    words."""

    cells: tuple[Cell, ...]
    started_at: dict[str, str]
    common: dict[str, str]


Limit = Annotated[int, Query(ge=1, le=500)]


@router.get("/benches")
def benches(here: Here, limit: Limit = 100) -> Benches:
    """Runs of ``wattmark llm bench`` with energy, latency and load, newest first."""
    pairs = _stored(here, limit)
    cells, common = told_apart([cell for _, cell in pairs])
    return Benches(
        cells=cells,
        started_at={run.run_id: run.started_at.isoformat() for run, _ in pairs},
        common=common,
    )


@router.get("/benches/cheapest")
def benches_cheapest(here: Here, cost: Metric, limits: Limits = "", limit: Limit = 100) -> Cheapest:
    """The bench that cost least within limits, and those that may cost as little."""
    from wattmark.studies.analysis.choice import Candidate, cheapest, parse_limits

    pairs = _stored(here, limit)

    def difference(first: int, second: int) -> Difference:
        first_cost, other = (_once(*pairs[place], cost) for place in (first, second))
        return of_quantities(first_cost, other)

    candidates = [Candidate(cell.label, cell.metrics) for _, cell in pairs]
    return cheapest_of(cheapest(candidates, cost, parse_limits(limits), difference))


def _once(run: RunSummary, cell: Cell, cost: str) -> Quantity:
    """With the scatter that one run does not show."""
    once = cell.metrics[cost]
    share = run_to_run(run.duration_s, None, of_tree=False)
    return once.with_error(f"{REPEAT}/{run.run_id}", once.value * share)


def _stored(here: Context, limit: int) -> list[tuple[RunSummary, Cell]]:
    cells: list[tuple[RunSummary, Cell]] = []
    for run in here.store.summaries(tag="kind=serving", limit=limit):
        data = mapping(here.store.part(run.run_id).record.extra.get("serving"))
        if data:
            cells.append((run, _cell(run, data)))
    return cells


def _cell(run: RunSummary, data: Mapping[str, object]) -> Cell:
    server, energy = mapping(data.get("server")), mapping(data.get("energy"))
    load = next((name for name in ("rate", "concurrency") if name in run.tags), None)
    levels: dict[str, Level] = {"model": str(server.get("model", ""))}
    if load is not None:
        levels[load] = _level(run.tags[load])
    measured, modelled = (
        number(mapping(energy.get(name)).get("value")) for name in ("measured_j", "modelled_j")
    )
    split_j = (measured or 0.0) + (modelled or 0.0)
    return Cell(
        label=f"{run.name} ({run.run_id[-8:]})",
        factors=levels,
        trials=(run.run_id,),
        completed=1,
        metrics=dict(_metrics(data)),
        modelled=(modelled or 0.0) / split_j if split_j > 0 else None,
        command=_command(server, levels),
        verdict="",
        own={},
    )


def _metrics(data: Mapping[str, object]) -> Iterator[tuple[str, Quantity]]:
    """The names are those of the trials of a serving study (``studies.llm_trial.figures``)."""
    metrics, energy = mapping(data.get("metrics")), mapping(data.get("energy"))
    numbers: dict[str, tuple[object, str]] = {
        "requests_per_s": (metrics.get("requests_per_s"), "1/s"),
        "output_tokens_per_s": (metrics.get("output_tokens_per_s"), "1/s"),
        "goodput": (metrics.get("goodput_per_s"), "1/s"),
        "in_flight": (metrics.get("mean_in_flight"), ""),
        "idle_share": (energy.get("idle_share"), ""),
    }
    for name in ("ttft", "tpot", "e2e"):
        for at, value in mapping(mapping(metrics.get(f"{name}_s")).get("percentiles")).items():
            numbers[f"{name}_p{at}_s"] = (value, "s")
    for part, end in (("with_idle", ""), ("without_idle", "_own")):
        costs = mapping(energy.get(part))
        numbers[f"j_per_token{end}"] = (costs.get("j_per_output_token"), "J")
        numbers[f"j_per_request{end}"] = (costs.get("j_per_request"), "J")
    for at in ("p5", "p25", "p50", "p75", "p90", "p95", "p99"):
        numbers[f"request_j_{at}"] = (mapping(energy.get("request_j")).get(at), "J")
    for name, (value, unit) in numbers.items():
        figure = _quantity(value, unit)
        if figure is not None:
            yield name, figure


def _quantity(entry: object, unit: str) -> Quantity | None:
    """A number, a value with its error terms, or one with its ends; an end that is not known is left at the value."""
    if is_mapping(entry):
        if is_mapping(entry.get("terms")):
            return Quantity.from_dict(entry, unit)
        value, low, high = (number(entry.get(key)) for key in ("value", "low", "high"))
        return quantity(value, low, high, unit)
    return quantity(number(entry), None, None, unit)


def _command(server: Mapping[str, object], levels: Mapping[str, object]) -> str:
    where = server.get("model") if server.get("local") else server.get("url") or server.get("base_url")
    words = ["wattmark", "llm", "bench", str(where)]
    for name, level in levels.items():
        if name != "model":
            words += [f"--{name}", f"{level:g}" if isinstance(level, float) else str(level)]
    return shlex.join(words)


def _level(text: str) -> float | str:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if math.isfinite(value) else text

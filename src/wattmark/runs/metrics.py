"""Numbers that the work reported while it ran (a loss, an accuracy): each with its moment, and its step if it said one.

A record keeps them under ``extra["metrics"]``: ``{name: {"t_s": [...], "step": [...], "value": [...]}}``, t_s from the run's
start, a step or a value that is none (not given, not finite) as None.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

from wattmark.documents import is_mapping, items, mapping
from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.runs.record import RunRecord

KEY = "metrics"
SERVED = {"requests": "j_per_request", "output_tokens": "j_per_output_token"}
"""Of a benchmark of a model server: what its spans count, and the figure that says what one of it cost."""
_TARGET = re.compile(r"\s*(?P<metric>.+?)\s*(?P<way>>=|<=|=)\s*(?P<value>[^<>=]+?)\s*")
Columns = dict[str, list[float | None]]
"""``t_s``, ``step`` and ``value`` of one metric."""


class Report(TypedDict):
    """Numbers that the work reported at a moment."""

    run_id: str
    t_ns: int
    step: float | None
    values: dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric in time, oldest first. t_s: seconds from the run's start."""

    name: str
    t_s: tuple[float, ...]
    step: tuple[int | float | None, ...]
    value: tuple[float | None, ...]

    @classmethod
    def of(cls, name: str, series: Mapping[str, object]) -> Metric:
        """The inverse of :meth:`as_dict`."""
        times = tuple(math.nan if t_s is None else t_s for t_s in _column(series["t_s"]))
        return cls(name, times, _column(series["step"]), _column(series["value"]))

    def as_dict(self) -> Columns:
        """As ``--json`` shows it."""
        return {"t_s": list(self.t_s), "step": list(self.step), "value": list(self.value)}

    @property
    def last(self) -> float | None:
        """The last value that is a number, or None."""
        return next((value for value in reversed(self.value) if value is not None), None)


@dataclass(frozen=True, slots=True)
class Target:
    """A value that a metric should have reached. way: ``>=``, ``<=``, or ``=`` for the way that it went.

    Nothing is interpolated: between two logged values no one knows when the value was there.
    """

    metric: str
    way: Literal[">=", "<=", "="]
    value: float

    def __str__(self) -> str:
        return f"{self.metric}{self.way}{self.value:g}"

    def reached_s(self, metric: Metric) -> float | None:
        """Seconds from the run's start to the first value that is as wanted; None if there is none."""
        values = [
            (t_s, value) for t_s, value in zip(metric.t_s, metric.value, strict=True) if value is not None
        ]
        upward = self.way == ">=" or (self.way == "=" and bool(values) and values[0][1] <= self.value)
        return next(
            (t_s for t_s, value in values if (value >= self.value if upward else value <= self.value)), None
        )


def parse_target(text: str) -> Target:
    """``"accuracy>=0.95"``, ``"loss<=0.3"`` or ``"accuracy=0.95"``. Raises ConfigError for anything else."""
    match = _TARGET.fullmatch(text)
    try:
        value = math.nan if match is None else float(match["value"])
    except ValueError:
        value = math.nan
    if match is None or not math.isfinite(value):
        raise ConfigError(f"{text!r} is no value to reach", hint="accuracy>=0.95, loss<=0.3 or accuracy=0.95")
    ways: dict[str, Literal[">=", "<=", "="]] = {">=": ">=", "<=": "<=", "=": "="}
    return Target(match["metric"], ways[match["way"]], value)


def metrics_of(record: RunRecord) -> dict[str, Metric]:
    """The metrics that a run reported, by name."""
    columns = mapping(record.extra.get(KEY))
    return {name: Metric.of(name, series) for name, series in columns.items() if is_mapping(series)}


def series_of(events: Iterable[Report], start_ns: int, end_ns: int) -> dict[str, Columns]:
    """The events (``t_ns``, ``step``, ``values``) of a run as a record keeps them."""
    series: dict[str, Columns] = {}
    for event in sorted(events, key=lambda event: event["t_ns"]):
        if not start_ns <= event["t_ns"] <= end_ns:
            continue
        for name, value in event["values"].items():
            columns = series.setdefault(name, {"t_s": [], "step": [], "value": []})
            columns["t_s"].append((event["t_ns"] - start_ns) / 1e9)
            columns["step"].append(event["step"])
            columns["value"].append(value if value is not None and math.isfinite(value) else None)
    return series


def part_of(record: RunRecord, from_s: float, to_s: float) -> dict[str, Columns]:
    """The metrics of a part of a run, their times from the start of the part."""
    series: dict[str, Columns] = {}
    for metric in metrics_of(record).values():
        rows = [row for row, t_s in enumerate(metric.t_s) if from_s <= t_s <= to_s]
        if rows:
            series[metric.name] = {
                "t_s": [metric.t_s[row] - from_s for row in rows],
                "step": [metric.step[row] for row in rows],
                "value": [metric.value[row] for row in rows],
            }
    return series


def served_costs(record: RunRecord) -> dict[str, Quantity]:
    """Joules for one request and for one output token of a benchmark of a model server, idle included, as every surface
    tells them: of its steady window, without the load client and other work. Empty for any other run."""
    energy = mapping(mapping(record.extra.get("serving")).get("energy"))
    costs = mapping(energy.get("with_idle"))
    pairs = ((name, costs.get(field)) for name, field in SERVED.items())
    return {name: Quantity.from_dict(cost, f"J/{name}") for name, cost in pairs if is_mapping(cost)}


def _column(values: object) -> tuple[float | None, ...]:
    return tuple(value if isinstance(value, int | float) else None for value in items(values))

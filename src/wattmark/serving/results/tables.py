"""The loads of a sweep as a table: plain columns, CSV, Markdown."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from wattmark.quantity import Quantity
from wattmark.serving.bench import BenchResult
from wattmark.serving.energy.accounting import Figures
from wattmark.serving.figures.latency import Distribution
from wattmark.serving.figures.server_view import ServerView
from wattmark.serving.results.requests import Point
from wattmark.text import clean, inert
from wattmark.units import format_duration, format_energy, significant

_COSTS = {
    "j_per_request": "j_per_request",
    "j_per_output_token": "j_per_output_token",
    "gco2e_per_1m_output_tokens": "gco2e_per_1m_tokens",
    "money_per_1m_output_tokens": "money_per_1m_tokens",
}
_LATENCIES = ("ttft_s", "answer_s", "tpot_s", "itl_s", "e2e_s")


def columns(kind: str, points: Sequence[Point]) -> dict[str, list[Any]]:
    """A row for each load, as columns of one length; kind: ``concurrency`` or ``rate``. None: not known.

    Units are in the names; ``*_low`` and ``*_high`` are ends of 95 % intervals; ``own_*`` are without idle; ``server_*``
    what the server said of itself.
    """
    table: dict[str, list[Any]] = {}
    for row in (_row(kind, load, result) for load, result in points):
        for name, value in row.items():
            table.setdefault(name, []).append(value)
    return table


def to_csv(kind: str, points: Sequence[Point]) -> str:
    """The columns as CSV; cells that a spreadsheet would take for formulas are made text."""
    table = columns(kind, points)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(map(inert, table))
    writer.writerows(map(inert, row) for row in zip(*table.values(), strict=True))
    return out.getvalue()


def to_markdown(kind: str, points: Sequence[Point], lead: Sequence[str] = ()) -> str:
    """What people read of it: a table with a row for each load, below what server and load it is of."""
    result = points[-1][1]
    lines = [f"# {_cell(result.server.get('description', 'A load'))}", ""]
    lines += [*(_cell(line) for line in lead), *([""] if lead else [])]
    heads = [name for name, _ in SHOWN]
    heads[0] = kind
    shown = [[text(load, result) for _, text in SHOWN] for load, result in points]
    kept = [place for place in range(len(heads)) if any(row[place] for row in shown)]
    lines.append("| " + " | ".join(heads[place] for place in kept) + " |")
    lines.append("|" + "---:|" * len(kept))
    lines += ["| " + " | ".join(_cell(row[place]) for place in kept) + " |" for row in shown]
    warnings = dict.fromkeys(warning for _, result in points for warning in result.warnings)
    lines += ["", *(f"- {_cell(warning)}" for warning in warnings)] if warnings else []
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text that stays within its cell and is no markup."""
    plain = " ".join(clean(text).split())
    return "".join("\\" + sign if sign in "|\\`*_<>[]#" else sign for sign in plain)


def _row(kind: str, load: float, result: BenchResult) -> dict[str, Any]:
    metrics, serving = result.metrics, result.serving
    row: dict[str, Any] = {
        kind: load,
        "run_id": result.run_id or None,
        "model": result.load.model,
        "server": result.server.get("description"),
        "answers": metrics.ok,
        "failed": result.load.failed,
        "good": metrics.good,
        "goodput_per_s": metrics.goodput_per_s,
        "requests_per_s": metrics.requests_per_s,
        "output_tokens_per_s": metrics.output_tokens_per_s,
        "in_flight": metrics.mean_in_flight,
        "reasoning_share": metrics.reasoning_share,
    }
    for name in _LATENCIES:
        latency: Distribution | None = getattr(metrics, name)
        row[f"{name.removesuffix('_s')}_mean_s"] = None if latency is None else latency.mean.value
        for percent in (50, 95, 99):
            row[f"{name.removesuffix('_s')}_p{percent}_s"] = (
                None if latency is None else latency.percentiles[percent].value
            )
    for prefix, figures in (
        ("", serving.with_idle if serving else None),
        ("own_", serving.without_idle if serving else None),
    ):
        for name, field in _COSTS.items():
            quantity: Quantity | None = None if figures is None else getattr(figures, field)
            row[f"{prefix}{name}"] = None if quantity is None else quantity.value
            row[f"{prefix}{name}_low"] = None if quantity is None else quantity.low
            row[f"{prefix}{name}_high"] = None if quantity is None else quantity.high
    row["idle_share"] = serving.idle_share if serving else None
    row["modelled"] = None if serving is None else serving.modelled_j is not None
    row["reasoning_energy_share"] = serving.reasoning_share if serving else None
    row |= _server_columns(result.view)
    row["zone"], row["price_per_kwh"] = result.place.zone, result.place.price_per_kwh
    return row


def _server_columns(view: ServerView | None) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name in ("running", "waiting", "kv_cache"):
        gauge = None if view is None else view.gauges.get(name)
        row[f"server_{name}_mean"] = None if gauge is None else gauge.mean
        row[f"server_{name}_most"] = None if gauge is None else gauge.most
    for name in ("ttft", "queue"):
        latency = None if view is None else view.latencies.get(name)
        row[f"server_{name}_mean_s"] = None if latency is None else latency.mean_s
        at = None if latency is None else latency.percentiles.get(95)
        row[f"server_{name}_p95_s"] = None if at is None else at.value
    return row


def _figures(result: BenchResult) -> Figures | None:
    return None if result.serving is None else result.serving.with_idle


def _p95(latency: Distribution | None) -> str:
    return "" if latency is None else format_duration(latency.percentiles[95].value)


def _between(value: Quantity | None) -> str:
    if value is None:
        return ""
    low, high = (format_energy(end, value.value) for end in (value.low, value.high))
    return f"{format_energy(value.value)} ({low} to {high})"


def _number(value: float | None) -> str:
    return "" if value is None else significant(value)


def _limits(result: BenchResult) -> str:
    metrics = result.metrics
    return f"{metrics.good} of {metrics.judged}" if metrics.good is not None and metrics.judged else ""


SHOWN: tuple[tuple[str, Callable[[float, BenchResult], str]], ...] = (
    ("load", lambda load, _: f"{load:g}"),
    ("requests/s", lambda _, result: _number(result.metrics.requests_per_s)),
    ("tokens/s", lambda _, result: _number(result.metrics.output_tokens_per_s)),
    ("TTFT p95", lambda _, result: _p95(result.metrics.ttft_s)),
    ("TPOT p95", lambda _, result: _p95(result.metrics.tpot_s)),
    ("within limits", lambda _, result: _limits(result)),
    ("J/request", lambda _, result: _between(figures.j_per_request if (figures := _figures(result)) else None)),
    ("J/token", lambda _, result: _between(figures.j_per_output_token if (figures := _figures(result)) else None)),
    (
        "idle",
        lambda _, result: (
            f"{result.serving.idle_share:.0%}"
            if result.serving is not None and result.serving.idle_share is not None
            else ""
        ),
    ),
)  # fmt: skip
"""What people see of a load: the head of a column, and its cell."""

"""Load tests for people: latencies, joules by component, joules per request and token, and a row per load of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rich.console import Console

from wattmark.cli.llm.results import answer
from wattmark.cli.terminal.output import plain
from wattmark.cli.terminal.table import new_table
from wattmark.quantity import Quantity
from wattmark.serving.bench import BenchResult
from wattmark.serving.energy.accounting import Figures
from wattmark.serving.figures.latency import Distribution
from wattmark.serving.figures.server_view import ServerLatency
from wattmark.serving.loads import LoadResults
from wattmark.statistics import Estimate
from wattmark.units import format_duration, format_energy, format_mass, format_number, significant

if TYPE_CHECKING:
    from wattmark.cli.terminal.table import Table

_HOW = {
    "counter": "counter",
    "integrated": "power sensor",
    "modelled": "modelled",
}
_PERCENTILES = (50, 95, 99)


def render(out: Console, outcome: LoadResults) -> None:
    """All of it; of a sweep the table of its loads and what its last load had to say."""
    last = outcome.results[-1]
    out.print(plain(last.server["description"]), style="bold", soft_wrap=True)
    if outcome.many:
        _sweep(out, outcome)
    else:
        _one(out, last)
    for warning in last.warnings:
        out.print(f"! {plain(warning)}", style="yellow", soft_wrap=True)
    ids = [result.run_id for result in outcome.results if result.run_id]
    if ids:
        out.print(f"More: wattmark show {ids[-1]}", style="dim")


def _one(out: Console, result: BenchResult) -> None:
    for line in _load_lines(result):
        out.print(line, soft_wrap=True)
    out.print(_latencies(result))
    for line in (*_reasoning_lines(result), *_server_lines(result)):
        out.print(line, soft_wrap=True)
    serving = result.serving
    if serving is None:
        out.print("energy: not measured")
        return
    out.print(_components(result))
    out.print(_costs(result))
    for line in _energy_lines(result):
        out.print(line, soft_wrap=True)


def _load_lines(result: BenchResult) -> Iterator[str]:
    load, metrics = result.load, result.metrics
    failed = ", ".join(
        f"{count} {name.replace('_', ' ')}" for name, count in load.counts.items() if name != "ok"
    )
    ended = "; ended early by Ctrl-C" if load.interrupted else ""
    yield f"{load.arrivals}; {load.workload}: {load.counts['ok']} answers{f', {failed}' if failed else ''}{ended}"
    for outcome, error in load.errors.items():
        yield f"{load.counts[outcome]} {outcome.replace('_', ' ')}: {plain(error)}"
    if metrics.requests_per_s is not None:
        tokens = (
            f", {metrics.output_tokens_per_s:,.0f} tokens/s"
            if metrics.output_tokens_per_s
            else f", {metrics.input_tokens_per_s:,.0f} input tokens/s"
            if metrics.input_tokens_per_s
            else ""
        )
        flight = (
            "" if metrics.mean_in_flight is None else f", {metrics.mean_in_flight:.1f} in flight on average"
        )
        yield f"{significant(metrics.requests_per_s)} requests/s{tokens}{flight}"
    for name, part in result.by_model.items():
        each = "" if part.mean_j is None else f", {format_energy(part.mean_j)} an answer"
        yield f"{plain(name)}: {part.ok} answers of {part.requests}, {part.output_tokens:,} tokens{each}"
    if metrics.good is not None and metrics.judged is not None and (metrics.ok or metrics.failed):
        goodput = (
            "" if metrics.goodput_per_s is None else f", {significant(metrics.goodput_per_s)} good requests/s"
        )
        against = f", {metrics.failed} failed ones among them" if metrics.failed else ""
        yield f"{metrics.good} of {metrics.judged} requests{against} meet the limits{goodput}"
        unjudged = metrics.ok + metrics.failed - metrics.judged
        if unjudged:
            yield f"{unjudged} answers cannot be judged by them (not streamed, or of one token)"


def _latencies(result: BenchResult) -> Table:
    metrics = result.metrics
    heads = [f"p{percent}" for percent in _PERCENTILES]
    table = new_table("latency", "mean", *heads, numbers=("mean", *heads))
    thinks = bool(metrics.reasoning_share)
    rows: tuple[tuple[str, Distribution | None, str], ...] = (
        ("to the first token", metrics.ttft_s, "ttft"),
        ("to the answer, after reasoning", metrics.answer_s if thinks else None, ""),
        ("per token after it", metrics.tpot_s, "tpot"),
        ("between chunks", metrics.itl_s, "itl"),
        ("whole answer", metrics.e2e_s, "e2e"),
    )
    told: Mapping[str, ServerLatency] = {}
    if result.view is not None:
        told = result.view.latencies
    for name, latency, key in rows:
        if latency is not None:
            values = [latency.mean, *(latency.percentiles[percent] for percent in _PERCENTILES)]
            table.add_row(name, *(_seconds(value) for value in values))
        if key in told:
            table.add_row("  the server's own", *_own(told[key]), style="dim")
    for key, name in (("queue", "in the server's queue"), ("prefill", "prefill"), ("decode", "decode")):
        if key in told:
            table.add_row(f"{name}, the server's own", *_own(told[key]), style="dim")
    return table


def _own(latency: ServerLatency) -> Iterator[str]:
    """Mean and percentiles by the server's own histogram."""
    yield format_duration(latency.mean_s)
    for percent in _PERCENTILES:
        value = latency.percentiles.get(percent)
        yield "" if value is None else _bucket(value)


def _bucket(value: Estimate) -> str:
    """Of a histogram: what lies beyond its last bound is only known to be more."""
    return f"> {format_duration(value.value)}" if value.high is None else format_duration(value.value)


def _reasoning_lines(result: BenchResult) -> Iterator[str]:
    metrics = result.metrics
    if not metrics.reasoning_share:
        return
    energy = result.serving.reasoning_share if result.serving else None
    joules = "" if energy is None else f", {energy:.0%} of the joules above idle (by the costs of tokens)"
    yield f"reasoning: {metrics.reasoning_share:.0%} of the output tokens{joules}"
    if metrics.reasoned_only:
        yield f"{metrics.reasoned_only} answers ended before they had left their reasoning"


def _server_lines(result: BenchResult) -> Iterator[str]:
    view = result.view
    if view is None or not view.gauges:
        return
    parts: list[str] = []
    for name, words in (("running", "running"), ("waiting", "waiting")):
        gauge = view.gauges.get(name)
        if gauge is not None:
            parts.append(f"{gauge.mean:.1f} requests {words} (at most {gauge.most:.0f})")
    cache = view.gauges.get("kv_cache")
    if cache is not None:
        parts.append(f"cache {cache.mean:.0%} full (at most {cache.most:.0%})")
    if view.counted.get("preemptions"):
        parts.append(f"{view.counted['preemptions']:.0f} preempted")
    yield f"the server itself: {', '.join(parts)}"


def _seconds(value: Estimate) -> str:
    return format_duration(value.value)


def _components(result: BenchResult) -> Table:
    parts = result.serving.components if result.serving else ()
    told_apart = any(part.idle is not None for part in parts)  # without idle watts there is only the whole
    columns = ("serving", "idle", "no one's", "all") if told_apart else ("energy",)
    table = new_table("", *columns, "how", numbers=columns)
    for part in parts:
        shown = (part.requests, part.idle, part.unattributed) if part.idle is not None else (None, None, None)
        cells = (*shown, part.measured) if told_apart else (part.measured,)
        table.add_row(
            part.component, *(_energy(energy) for energy in cells), _HOW.get(part.method, part.method)
        )
    return table


def _costs(result: BenchResult) -> Table:
    serving = result.serving
    has_idle = serving is not None and serving.idle_share is not None
    columns = ("with idle", "without idle") if has_idle else ("with idle",)
    table = new_table("", *columns, numbers=columns)
    if serving is not None:
        figures = (serving.with_idle, serving.without_idle) if has_idle else (serving.with_idle,)
        for row, name in (
            ("request", "j_per_request"),
            ("output token", "j_per_output_token"),
            ("any token", "j_per_token"),
        ):
            if name == "j_per_token" and any(
                costs and "input token" in costs.j_per_unit for costs in figures
            ):
                continue  # it is the same
            if row == "request" or any(getattr(costs, name, None) is not None for costs in figures):
                table.add_row(row, *(_between(getattr(costs, name, None)) for costs in figures))
        for unit in figures[0].j_per_unit if figures[0] is not None else ():
            table.add_row(
                unit, *(_between(None if costs is None else costs.j_per_unit.get(unit)) for costs in figures)
            )
    return table


def _energy_lines(result: BenchResult) -> Iterator[str]:
    energy, serving = result.energy, result.serving
    if energy is None or serving is None:
        return
    whole = energy.whole
    if whole is not None and energy.window != "whole" and whole.with_idle is not None:
        each = _energy(whole.with_idle.j_per_request)
        token = _energy(whole.with_idle.j_per_output_token)
        yield (
            f"figures of {serving.requests} answers in {format_duration(serving.duration_s)} of "
            f"{format_duration(whole.duration_s)} ({energy.window}); the whole load: {each}/request"
            + (f", {token}/output token" if token else "")
        )
    else:
        yield f"figures of all {serving.requests} answers, ramp and drain included"
    below, above = serving.request_error
    off = f"±{above:.0%}" if below == above else f"-{below:.0%} to +{above:.0%}"
    for rule in dict.fromkeys(part.weights.rule for part in serving.components):
        yield f"shared among requests: {rule}; nineteen in twenty are within {off}"
    if serving.idle_share is not None:
        rule = "" if result.idle is None else f" (idle: {result.idle.rule})"
        yield f"idle is {serving.idle_share:.0%} of the energy{rule}"
    if result.power is not None:
        yield f"power of {plain(result.power.where)}"
    for name, part in (("the load client", energy.client_j), ("other work on this machine", energy.others_j)):
        if part is not None and part.value > 0:
            yield f"{name} used {format_energy(part.value)} beside it, not in these figures"
    with_idle = serving.with_idle
    if with_idle is None:
        return
    for what, grams, money in (
        ("1,000 requests", with_idle.gco2e_per_1000_requests, with_idle.money_per_1000_requests),
        ("a million output tokens", with_idle.gco2e_per_1m_tokens, with_idle.money_per_1m_tokens),
    ):
        parts = [f"{format_mass(grams.value)} CO2e"] if grams is not None else []
        parts += [f"{format_number(money.value)} in your currency"] if money is not None else []
        if parts:
            yield f"{what}: {', '.join(parts)}, idle included"


def _sweep(out: Console, outcome: LoadResults) -> None:
    kind = outcome.ask.kind
    figures = [_with_idle(result) for result in outcome.results]
    carbon = any(one is not None and one.gco2e_per_1m_tokens is not None for one in figures)
    money = any(one is not None and one.money_per_1m_tokens is not None for one in figures)
    columns = [
        kind, "requests/s", "tokens/s", "TTFT p95", "J/request", "J/token", "idle",
        *(["good"] if outcome.ask.limited else []), *(["CO2e/M tokens"] if carbon else []),
        *(["money/M tokens"] if money else []),
    ]  # fmt: skip
    spare = ("money/M tokens", "CO2e/M tokens", "idle", "requests/s")
    table = new_table(*columns, numbers=columns, spare=spare)
    for load, result in outcome.points:
        metrics, serving, with_idle = result.metrics, result.serving, _with_idle(result)
        cells = [
            f"{load:.4g}{' ◂ knee' if load == outcome.knee else ''}",
            _number(metrics.requests_per_s),
            _number(metrics.output_tokens_per_s),
            _p95(metrics.ttft_s),
            _energy(with_idle.j_per_request if with_idle else None),
            _energy(with_idle.j_per_output_token if with_idle else None),
            "" if serving is None or serving.idle_share is None else f"{serving.idle_share:.0%}",
        ]
        if outcome.ask.limited:
            cells.append(_good(result))
        if carbon:
            grams = with_idle.gco2e_per_1m_tokens if with_idle else None
            cells.append("" if grams is None else format_mass(grams.value))
        if money:
            price = with_idle.money_per_1m_tokens if with_idle else None
            cells.append("" if price is None else format_number(price.value))
        table.add_row(*cells)
    out.print(table)
    methods = {
        part.component: part.method
        for result in outcome.results
        if result.serving
        for part in result.serving.components
    }
    for method in dict.fromkeys(methods.values()):
        names = ", ".join(component for component, own in methods.items() if own == method)
        out.print(f"{names}: {_HOW.get(method, method)}")
    failed = sum(result.load.failed for result in outcome.results)
    if failed:
        out.print(f"{failed} requests failed", style="red")
    if outcome.saturated:
        out.print("saturated: two loads in a row brought no more work")
    for line in answer(outcome):
        out.print(line, style="bold", soft_wrap=True)


def _with_idle(result: BenchResult) -> Figures | None:
    return None if result.serving is None else result.serving.with_idle


def _good(result: BenchResult) -> str:
    metrics = result.metrics
    return f"{(metrics.good or 0) / metrics.judged:.0%}" if metrics.judged else ""


def _number(value: float | None) -> str:
    return "" if value is None else significant(value)


def _p95(latency: Distribution | None) -> str:
    return "" if latency is None else format_duration(latency.percentiles[95].value)


def _energy(value: Quantity | None) -> str:
    return "" if value is None else format_energy(value.value)


def _between(value: Quantity | None) -> str:
    if value is None:
        return ""
    low, high = (format_energy(end, value.value) for end in (value.low, value.high))
    return f"{format_energy(value.value)} ({low} to {high})"

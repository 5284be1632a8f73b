"""A run for people: the table of its joules, its spans, its warnings. Drawn from the object of ``--json`` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from wattmark.cli.terminal.output import plain
from wattmark.cli.terminal.table import Table, new_table
from wattmark.quantity import Quantity, total
from wattmark.units import format_duration, format_energy, format_mass, format_power, significant

SPANS_SHOWN = 20
STATUS_STYLES = {"completed": "green", "failed": "red", "interrupted": "yellow", "running": "cyan"}
_Data = Mapping[str, Any]


def render_run(console: Console, data: _Data, *, closing: bool = True) -> None:
    """The summary of one run; ``closing`` adds the sentence that says how to see more."""
    console.print(headline(data))
    console.print(_energy_table(data))
    for line in _facts(data):
        console.print(line, soft_wrap=True)
    render_spans(console, data["spans"], SPANS_SHOWN)
    render_warnings(console, data["warnings"])
    if closing:
        console.print(f"More: wattmark show {data['run_id']}", style="dim")


def headline(data: _Data) -> Text:
    """Name, status, exit code and length."""
    status = data["status"]
    if data["exit_code"]:
        status += f" (exit code {data['exit_code']})"
    return Text.assemble(
        (plain(data["name"]), "bold"),
        "  ",
        (status, STATUS_STYLES.get(data["status"], "")),
        f"  {format_duration(data['duration_s'])}",
    )


def between(low: float, high: float) -> str:
    """The interval in words."""
    return f"{format_energy(low)} to {format_energy(high)}"


def methods(data: _Data) -> dict[str, set[str]]:
    """Component -> methods of its counted channels (of all its channels if none is counted)."""
    found: dict[str, set[str]] = {}
    for counted in (True, False):
        for channel in data["channels"]:
            if channel["counted_in_total"] is counted and (counted or channel["component"] not in found):
                found.setdefault(channel["component"], set()).add(channel["method"])
    return found


def _energy_table(data: _Data) -> Table:
    table = new_table(
        "", "energy", "between", "mean", "how", numbers=("energy", "between", "mean"), prose=("how",)
    )
    counted = {channel["component"] for channel in data["channels"] if channel["counted_in_total"]}
    sums: dict[str, list[Quantity]] = {"measured": [], "modelled": []}
    for component, energy in data["energy_j"].items():
        if component == "total" or energy is None:
            continue
        kinds = methods(data).get(component, set())
        how = ", ".join(_how(data, component, kinds))
        if component in counted:
            sums["modelled" if kinds == {"modelled"} else "measured"].append(Quantity.from_dict(energy))
        else:
            how += ", not in the total"
        _energy_row(table, component, energy, data, how)
    if all(sums.values()):
        for kind, parts in sums.items():
            part = total(parts)
            if part is not None:
                _energy_row(table, kind, part.as_dict(), data, "part of the total", style="italic")
    if data["energy_j"]["total"] is None:
        table.add_row("total", "not measured", "", "", "", style="bold")
    else:
        share = " and ".join(kind for kind, parts in sums.items() if parts)
        _energy_row(table, "total", data["energy_j"]["total"], data, share, style="bold")
    return table


def _how(data: _Data, component: str, kinds: set[str]) -> Iterator[str]:
    sources = {
        channel["method"]: channel["source"]
        for channel in reversed(data["channels"])
        if channel["component"] == component and channel["method"] in kinds
    }
    words = {
        "counter": "measured by a counter",
        "integrated": "measured by a power sensor",
        "modelled": "modelled",
    }
    for method, source in sorted(sources.items()):
        yield f"{words.get(method, method)} ({plain(source)})"


def _energy_row(table: Table, name: str, energy: _Data, data: _Data, how: str, style: str = "") -> None:
    covered_s = data["duration_s"] * data["coverage"]
    mean = format_power(energy["value"] / covered_s) if covered_s > 0 else ""
    table.add_row(
        name, format_energy(energy["value"]), between(energy["low"], energy["high"]), mean, how, style=style
    )


def _facts(data: _Data) -> Iterator[Text | str]:
    power = data["power_w"]
    if power["mean"] is not None and power["peak"] is not None:
        yield f"Power: {format_power(power['mean'])} on average, {format_power(power['peak'])} at its peak."
    if data["coverage"] < 0.9995:
        share = f"{data['coverage'] * 100:.1f} % of the time"
        yield Text(
            f"Covered: {share}; the energy of the rest is not known and not in these numbers.", "yellow"
        )
    rules = data.get("rules", {})
    for key, rule, words in (
        ("energy_above_idle_j", "above_idle", "Above idle"),
        ("energy_attributed_j", "attributed", "Of this process tree"),
    ):
        energy = data[key]
        if energy is not None:
            said = f" ({rules[rule]})" if rule in rules else ""
            yield f"{words}: {format_energy(energy['value'])}, {between(energy['low'], energy['high'])}{said}."
    carbon = data["carbon_g"]
    if carbon is not None:
        yield (
            f"Carbon: {format_mass(carbon['value'])} CO2e, {format_mass(carbon['low'])} to "
            f"{format_mass(carbon['high'])} ({carbon['zone']}, {significant(carbon['intensity_g_per_kwh'])} g/kWh, "
            f"{plain(carbon['source'])} {carbon['year']})."
        )
    elif data["energy_j"]["total"] is not None:
        yield Text(
            "Carbon: the zone is not known; name it with --zone FR or `wattmark config set zone FR`.", "dim"
        )


@dataclass
class _Node:
    path: str
    name: str
    depth: int
    times: int = 0
    seconds: float = 0.0
    energy: Quantity | None = None


def render_spans(console: Console, spans: Sequence[_Data], most: int) -> None:
    """The tree of spans, those of one path together; of many paths the ``most`` that cost most."""
    nodes: dict[str, _Node] = {}
    for span in spans:
        path = span["path"]
        node = nodes.setdefault(path, _Node(path, span["name"], path.count("/") - span["name"].count("/")))
        node.times += 1
        node.seconds += span["duration_s"]
        if span["energy_j"] is not None:
            part = Quantity.from_dict(span["energy_j"])
            node.energy = part if node.energy is None else node.energy + part
    if not nodes:
        return
    by_cost = sorted(
        nodes.values(), key=lambda node: node.energy.value if node.energy else -1.0, reverse=True
    )
    chosen = {node.path for node in by_cost[:most]}
    title = "spans" if len(nodes) <= most else f"spans: the {most} of {len(nodes)} that cost most"
    table = new_table(
        "",
        "times",
        "duration",
        "energy",
        "between",
        numbers=("times", "duration", "energy", "between"),
        spare=("between", "times"),
        title=title,
    )
    for node in nodes.values():
        if node.path in chosen:
            energy = node.energy
            table.add_row(
                "  " * node.depth + plain(node.name),
                str(node.times),
                format_duration(node.seconds),
                format_energy(energy.value) if energy else "?",
                between(energy.low, energy.high) if energy else "",
            )
    console.print(table)


def render_warnings(console: Console, warnings: Sequence[_Data]) -> None:
    """What a reader must know, each thing once."""
    counted: dict[str, int] = {}
    for warning in warnings:
        counted[warning["message"]] = counted.get(warning["message"], 0) + 1
    for message, times in counted.items():
        console.print(
            Text(f"! {plain(message)}" + (f" ({times} times)" if times > 1 else ""), "yellow"), soft_wrap=True
        )

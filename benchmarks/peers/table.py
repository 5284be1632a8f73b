"""From raw values to one table: medians, the targets of the project, and whether they are met."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

Raw = dict[str, Any]


class Cell(NamedTuple):
    """``value`` is judged (smaller is better unless the row says otherwise), ``text`` is shown."""

    value: float | None
    text: str


class Row(NamedTuple):
    """``meets`` judges Wattmark's cell; rows without it are for information."""

    title: str
    target: str
    cell: Callable[[Raw, str], Cell | None]
    meets: Callable[[float], bool] | None


def _mid(values: list[float], scale: float = 1.0, form: str = "{:.3g}", unit: str = "") -> Cell:
    value = median(values) * scale
    return Cell(value, form.format(value) + unit)


def _import(raw: Raw, tool: str) -> Cell | None:
    values = _values(raw, "import", tool).get("seconds")
    return _mid(values, 1e3, unit=" ms") if values else None


def _import_api(raw: Raw, tool: str) -> Cell | None:
    """For a package whose names are imported on first use: with the one that measures."""
    values = _values(raw, "import", tool).get("api_seconds")
    return _mid(values, 1e3, unit=" ms") if values else None


def _start(raw: Raw, tool: str) -> Cell | None:
    values = _values(raw, "start", tool).get("seconds")
    return _mid(values, 1e3, unit=" ms") if values else None


def _window(raw: Raw, tool: str) -> Cell | None:
    rounds = [values for values in _values(raw, "windows", tool).get("window_s", []) if values]
    return _mid([median(values) for values in rounds], 1e3, unit=" ms") if rounds else None


def _span(raw: Raw, tool: str) -> Cell | None:
    values = [value for value in _values(raw, "windows", tool).get("span_s", []) if value is not None]
    return _mid(values, 1e6, unit=" µs") if values else None


def _idle(
    key: str, suffix: str = "", above: bool = False, unit: str = ""
) -> Callable[[Raw, str], Cell | None]:
    def cell(raw: Raw, tool: str) -> Cell | None:
        values = _values(raw, "idle", tool + suffix).get(key)
        if not values:
            return None
        bare = median(_values(raw, "idle", "nothing")[key]) if above else 0.0
        return _mid([value - bare for value in values], form="{:.2f}" if not above else "{:.1f}", unit=unit)

    return cell


def slowdown(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Median of with/without - 1 in per cent, with a 95 % bootstrap interval of that median."""
    ratios = [(a / b - 1) * 100 for a, b in pairs]
    chance = random.Random(1)
    medians = sorted(median(chance.choices(ratios, k=len(ratios))) for _ in range(2000))
    return median(ratios), medians[49], medians[1949]


def _loop(key: str) -> Callable[[Raw, str], Cell | None]:
    def cell(raw: Raw, tool: str) -> Cell | None:
        values = _values(raw, "loops", tool)
        if not values.get("with"):
            return None
        pairs = [(a[key], b[key]) for a, b in zip(values["with"], values["without"], strict=True)]
        middle, low, high = slowdown(pairs)
        # judged: how far the interval stays from "no slowdown"; 0 where it holds it
        return Cell(max(0.0, low), f"{middle:+.1f} % [{low:+.1f}, {high:+.1f}]")

    return cell


def _gil_wait(raw: Raw, tool: str) -> Cell | None:
    values = _values(raw, "loops", tool)
    if not values.get("with"):
        return None

    def waits(side: str) -> list[float]:
        return [(1 - run["gil_thread_s"] / run["gil_s"]) * 100 for run in values[side]]

    added = [a - b for a, b in zip(waits("with"), waits("without"), strict=True)]
    return _mid(added, form="{:+.2f}", unit=" %")


def _error(scenario: str) -> Callable[[Raw, str], Cell | None]:
    def cell(raw: Raw, tool: str) -> Cell | None:
        values = _values(raw, "correctness", tool, scenario)
        errors = [error for error in values.get("error_pct", []) if error is not None]
        if "error" in values or not values:
            return None
        if not errors:
            return Cell(None, "no number")
        worst = max(errors, key=abs)
        note = "" if not values.get("holds_truth") else (" ✓" if all(values["holds_truth"]) else " ✗")
        return Cell(abs(worst), f"{worst:+.3g} %{note}")

    return cell


def _kill(name: str) -> Callable[[Raw, str], Cell | None]:
    def cell(raw: Raw, tool: str) -> Cell | None:
        got = _values(raw, "kill", tool).get(name)
        if not got or "error" in got:
            return None
        lost = got.get("lost_s")
        marks = [
            "nothing saved"
            if lost is None
            else f"{max(0.0, lost):.2f} s lost"
            if lost > -0.1
            else f"{-lost:.1f} s too much"
        ]
        marks += [f"{got['orphans']} orphans"] if got["orphans"] else []
        marks += ["hangs"] if got["hangs"] else []
        bad = lost is None or got["orphans"] or got["hangs"]
        return Cell(99.0 if bad else abs(lost), ", ".join(marks))

    return cell


def _gil_rate(rate: str) -> Callable[[Raw, str], Cell | None]:
    def cell(raw: Raw, tool: str) -> Cell | None:
        runs = _values(raw, "gil", tool).get(rate)
        return _mid([run["on_schedule"] * 100 for run in runs], form="{:.0f}", unit=" %") if runs else None

    return cell


def _values(raw: Raw, trial: str, tool: str, part: str | None = None) -> dict[str, Any]:
    found = raw.get(trial, {})
    if part is not None:
        found = found.get(part, {})
    return found.get(tool, {})


def _below(limit: float) -> Callable[[float], bool]:
    return lambda value: value < limit


ROWS = [
    Row("import", "< 15 ms", _import, _below(15)),
    Row("import with the name that measures", "", _import_api, None),
    Row("start + stop, fresh process", "< 60 ms", _start, _below(60)),
    Row("a further window, same process", "< 0.1 ms", _window, _below(0.1)),
    Row("a span", "< 5 µs", _span, _below(5)),
    Row("CPU at 10 Hz, s a minute", "< 0.1", _idle("cpu_s_per_min"), _below(0.1)),
    Row("CPU at 100 Hz, s a minute", "< 0.6", _idle("cpu_s_per_min", " at 100 Hz"), _below(0.6)),
    Row("memory added, all processes", "< 20 MB", _idle("pss_mb", above=True, unit=" MB"), _below(20)),
    Row("slowdown of a GIL-bound loop", "not distinguishable from none", _loop("gil_s"), lambda v: v == 0),
    Row("waiting of that loop, added", "0", _gil_wait, None),
    Row("slowdown of a BLAS-bound loop", "not distinguishable from none", _loop("blas_s"), lambda v: v == 0),
    Row("error, constant 50 W", "< 0.1 %", _error("constant"), _below(0.1)),
    Row("error, 10/90 W square wave of 1 s", "< 0.1 %", _error("square"), _below(0.1)),
    Row("error, bursts of 200 W", "< 0.1 %", _error("bursts"), _below(0.1)),
    Row("error, two packages, core, DRAM, psys", "< 0.1 %", _error("two-packages"), _below(0.1)),
    Row("error, 0.3 s block (worst)", "< 1 %, interval says so", _error("0.3 s block"), _below(1)),
    Row("error, across a wrap", "< 0.1 %", _error("wrap"), _below(0.1)),
    Row("error, wrap 30 ms before the end", "< 0.1 %", _error("wrap 30 ms before the end"), _below(0.1)),
    Row("after Ctrl-C", "≤ 1 s lost, no orphans", _kill("Ctrl-C"), lambda v: v <= 1),
    Row("after SIGTERM", "≤ 1 s lost, no orphans", _kill("SIGTERM"), lambda v: v <= 1),
    Row("after SIGKILL", "≤ 1 s lost, no orphans", _kill("SIGKILL"), lambda v: v <= 1),
    Row("samples on schedule, GIL held, 10 Hz", "", _gil_rate("10 Hz"), None),
    Row("samples on schedule, GIL held, 100 Hz", "≥ 97 %", _gil_rate("100 Hz"), lambda v: v >= 97),
    Row("samples on schedule, GIL held, 1000 Hz", "", _gil_rate("1000 Hz"), None),
]
HIGHER_IS_BETTER = "samples on schedule"
OWN = "Wattmark"


def judge(raw: Raw) -> dict[str, bool | None]:
    """Row by row, whether Wattmark meets the target; None where it was not measured."""
    verdicts: dict[str, bool | None] = {}
    for row in ROWS:
        if row.meets is not None:
            cell = row.cell(raw, OWN)
            verdicts[row.title] = None if cell is None or cell.value is None else row.meets(cell.value)
    return verdicts


def ratio(raw: Raw, row: Row, tools: dict[str, dict[str, Any]]) -> str:
    """The best peer's value over Wattmark's: above 1, Wattmark is ahead.

    A tool that takes no samples, or fewer than asked for, is not compared in what sampling costs.
    """
    if (
        row.meets is None
        or "slowdown" in row.title
        or "after" in row.title
        or row.title.startswith(HIGHER_IS_BETTER)
    ):
        return ""
    own = row.cell(raw, OWN)
    costs = row.title.startswith(("start", "CPU", "memory"))
    rivals = [name for name, found in tools.items() if found["samples_as_asked"] or not costs]
    peers = {
        name: cell for name in rivals if name != OWN and "floor" not in name and (cell := row.cell(raw, name))
    }
    peers = {name: cell for name, cell in peers.items() if cell.value is not None}
    if own is None or not own.value or not peers:
        return ""
    best = min(peers, key=lambda name: peers[name].value or 0.0)
    return f"{(peers[best].value or 0.0) / own.value:.2g}x {best}"


def render(report: dict[str, Any]) -> str:
    """The whole result as Markdown."""
    raw, machine = report["results"], report["machine"]
    tools = report["tools"]
    lines = [
        "# Wattmark beside other tools",
        "",
        f"Measured {report['date']} in {report['minutes']:.0f} minutes on {machine['cpu']}, {machine['cores']} cores, "
        f"Linux {machine['kernel']}, Python {machine['python']}, load {machine['load_before']} before and "
        f"{machine['load_after']} after" + (", **quick run**" if report["quick"] else "") + ".",
        "How each is measured, and what cannot be compared: [../README.md](../README.md). Raw values: "
        f"[{report['file']}]({report['file']}). Medians, of errors the worst; ✓ or ✗: the stated interval holds the truth "
        "or not.",
        "",
        "| | target | " + " | ".join(tools) + " | met | best peer / Wattmark |",
        "|---" * (len(tools) + 4) + "|",
    ]
    verdicts = judge(raw)
    words = {True: "yes", False: "**no**", None: ""}
    for row in ROWS:
        cells = [row.cell(raw, name) for name in tools]
        texts = [cell.text if cell else "" for cell in cells]
        if any(texts):
            verdict = words[verdicts.get(row.title)]
            lines.append(
                f"| {row.title} | {row.target} | {' | '.join(texts)} | {verdict} | {ratio(raw, row, tools)} |"
            )
    lines += ["", "## Versions", ""]
    lines += [
        f"- {name} {found['version']}: {found['state']}; {found['settings']}"
        for name, found in report["tools"].items()
    ]
    broken = [f"- {where}: {message}" for where, message in errors(raw)]
    if broken:
        lines += ["", "## What failed", "", *broken]
    return "\n".join(lines) + "\n"


def errors(value: Any, where: str = "") -> list[tuple[str, str]]:
    """Every failure in the results: where (trial / tool ...) and the tool's last words."""
    if not isinstance(value, dict):
        return []
    found = [(where, str(value["error"]))] if isinstance(value.get("error"), str) else []
    if isinstance(value.get("note"), str):
        found.append((where, value["note"]))
    for key, inner in value.items():
        found += errors(inner, f"{where} / {key}" if where else str(key))
    return found

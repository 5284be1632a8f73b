"""Draws the pictures of docs/extend/how-it-is-built.md: ``python docs/make_map.py``, after a package has come or gone.

``layers()``, ``joule()`` and ``request()`` give the SVGs; tests/test_layers.py holds the committed ones against them.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src/wattmark"
WIDTH = 860
STYLE = """
.page { fill: #ffffff } .box { fill: #f3f6f4; stroke: #5f7a6c } .file { fill: #fbf3df; stroke: #9a7b2f }
text { font: 14px system-ui, sans-serif; fill: #1d2420 } .small { font-size: 12px; fill: #4c5751 }
.name { font-weight: 600 } .way { stroke: #5f7a6c; fill: none; stroke-width: 1.5 } .head { fill: #5f7a6c }
@media (prefers-color-scheme: dark) {
.page { fill: #14181a } .box { fill: #20282b; stroke: #7fa08f } .file { fill: #332c1a; stroke: #c7a651 }
text { fill: #e8eeea } .small { fill: #b4c0ba } .way { stroke: #7fa08f } .head { fill: #7fa08f } }
"""
GROUND = "errors, units, quantity, statistics, text, paths, settings, redact"
PURPOSES = {
    "sources": "where joules come from: sensors, and models where there are none",
    "recorder": "a small process that samples sources and appends to a journal",
    "runs": "the record: curves, spans, energies of intervals, results; reading of journals",
    "tracker": "what a measured process loads: measure, span, log",
    "limits": "power caps: set by a keeper, always put back",
    "impact": "carbon, worked out afterwards from joules that stay as they are",
    "store": "runs kept and queried; import and export",
    "workspace": "the one door to the runs",
    "anatomy": "what a model is made of",
    "reasoning": "tasks with checkable answers, and small networks trained on them",
    "serving": "load on model servers, and whose joules",
    "workloads": "things that burn energy on purpose",
    "studies": "designed experiments: designs, execution, analysis",
    "predict": "the same run elsewhere, longer, or with other settings",
    "advise": "gates, caps, levers tried",
    "plan": "when and where to run",
    "lifecycle": "a model from its data to its use; whole fleets",
    "agent": "one for each node",
    "report": "tables, figures, one HTML file",
    "dashboard": "an HTTP API and the built page",
    "integrations": "other people's frameworks",
    "cli": "commands; each has its function in Python",
}
Box = tuple[str, str, str]
"""Class, name, what it says below the name."""
JOULE: tuple[tuple[Box, ...], ...] = (
    (
        ("box", "a sensor's reading", "RaplSource.read: raw µJ that wrap"),
        ("box", "plausible?", "CounterCurve.feed: wrap, reset, blip, hole"),
        ("box", "the sample", "Group.read: cumulative µJ at a time"),
    ),
    (("file", "the journal", "SegmentWriter: checksummed records in the run's folder"),),
    (
        ("box", "read back", "SessionData: columns, holes, spans"),
        ("box", "the curve", "CurveEnergy: E(t) of one channel"),
        ("box", "an interval", "between: E(b) - E(a), edges, coverage"),
    ),
    (
        ("box", "error terms", "ErrorNames: what numbers share"),
        ("box", "Quantity", "value, terms, unit; the interval follows"),
        ("box", "RunResult", "summarise: the one result of a run"),
    ),
    (("file", "the store", "Store.add: blocks of curves and spans, and the result"),),
    (
        ("box", "terminal, Python", "render_run, Run"),
        ("box", "page, API", "run routes, OpenAPI"),
        ("box", "report, files", "StudyData.mean, bars, export"),
    ),
)
REQUEST: tuple[tuple[Box, ...], ...] = (
    (
        ("box", "arrivals", "OpenLoop, ClosedLoop, Replay: when"),
        ("box", "prompts", "Synthetic, files, traces: what"),
        ("box", "Engine", "sends a turn, on time, late or not"),
    ),
    (
        ("box", "the wire", "Pool, Connection, EventStream"),
        ("box", "Exchange", "chunks, usage, outcome; never a guess"),
        ("box", "RequestRecord", "sent, first token, chunks, tokens"),
    ),
    (
        ("box", "the steady window", "steady_window: without ramp and drain"),
        ("box", "the server's joules", "Owner, CpuMeter: less client and others"),
        ("box", "above idle", "Idle: a pot of its own"),
    ),
    (
        ("box", "costs of tokens", "fit_costs: J a prefill, J a decode token"),
        ("box", "attribute", "each interval shared by tokens worked on"),
        ("box", "account", "J/token, J/request, with and without idle"),
    ),
    (("file", "BenchResult", "figures with intervals, kept with the run as extra['serving']"),),
)


def levels() -> list[tuple[str, ...]]:
    """The layers of tests/test_layers.py, of those packages that are there."""
    tree = ast.parse((ROOT / "tests/test_layers.py").read_text(encoding="utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "LAYERS"
    )
    named: tuple[tuple[str, ...], ...] = ast.literal_eval(value)
    return [row for row in named if any((PACKAGE / name).is_dir() or _is_module(name) for name in row)]


def layers() -> str:
    """Every layer as a row, the ground first; a row imports from those above it."""
    parts: list[str] = []
    for row, names in enumerate(levels()):
        y = 12 + 34 * row
        ground = len(names) > 1
        name, purpose = ("the ground", GROUND) if ground else (names[0], PURPOSES[names[0]])
        parts.append(
            f'<rect class="{"file" if ground else "box"}" x="12" y="{y}" width="790" height="28" rx="4"/>'
        )
        parts.append(_text(26, y + 19, name, "name"))
        parts.append(_text(160, y + 19, purpose, "small"))
    height = 12 + 34 * len(levels()) + 6
    parts.append(_arrow((828, height - 16), (828, 16)))
    parts.append(
        f'<text class="small" transform="translate(848 {height // 2}) rotate(-90)" text-anchor="middle">imports from</text>'
    )
    return _svg(height, parts, "Layers of the package, each imports from those above it")


def joule() -> str:
    """How a joule flows, from a sensor to what people see."""
    return _flow(JOULE, "How a joule flows")


def request() -> str:
    """How a request becomes joules per token."""
    return _flow(REQUEST, "How a request becomes joules per token")


def _flow(rows: Sequence[Sequence[Box]], title: str) -> str:
    """Rows of boxes, from left to right and on to the next row; the boxes of the last row stand beside each other."""
    parts: list[str] = []
    height, gap = 52, 30
    left = [_middles(row)[0] for row in rows]
    right = [_middles(row)[-1] for row in rows]
    for number, row in enumerate(rows):
        y = 12 + number * (height + gap)
        wide = _width(row)
        last = number == len(rows) - 1
        for (kind, name, words), middle in zip(row, _middles(row), strict=True):
            x = middle - wide / 2
            parts.append(
                f'<rect class="{kind}" x="{x:g}" y="{y}" width="{wide:g}" height="{height}" rx="4"/>'
                + _text(middle, y + 21, name, "name", "middle")
                + _text(middle, y + 40, words, "small", "middle")
            )
            if last:
                above = right[number - 1] if len(row) == 1 else middle
                parts.append(_arrow((above, y - gap + 1), (above, y - 3)))
            elif middle != left[number]:
                parts.append(_arrow((x - 23, y + height / 2), (x - 3, y + height / 2)))
        if number and not last:
            start, end, turn = right[number - 1], left[number], y - gap / 2
            if len(row) == 1:
                end = start
            elif len(rows[number - 1]) == 1:
                start = end
            parts.append(_arrow((start, y - gap + 1), (start, turn), (end, turn), (end, y - 3)))
    return _svg(12 + len(rows) * (height + gap) - gap + 12, parts, title)


def _width(row: Sequence[Box]) -> float:
    return (WIDTH - 24 - 24 * (len(row) - 1)) / len(row)


def _middles(row: Sequence[Box]) -> list[float]:
    return [12 + _width(row) / 2 + place * (_width(row) + 24) for place in range(len(row))]


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text, quote=False)}</text>'
    )


def _arrow(*points: tuple[float, float]) -> str:
    way = " L".join(f"{x:g} {y:g}" for x, y in points)
    return f'<path class="way" marker-end="url(#head)" d="M{way}"/>'


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{title}">\n'
        f"<style>{STYLE}</style>\n"
        '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="6" refY="4" orient="auto">'
        '<path class="head" d="M0 0 L8 4 L0 8 Z"/></marker></defs>\n'
        f'<rect class="page" width="{WIDTH}" height="{height:g}" rx="6"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _is_module(name: str) -> bool:
    return (PACKAGE / f"{name}.py").is_file()


PICTURES = {"map-layers.svg": layers, "map-joule.svg": joule, "map-request.svg": request}

if __name__ == "__main__":
    for file, draw in PICTURES.items():
        (ROOT / "docs/_static" / file).write_text(draw(), encoding="utf-8")

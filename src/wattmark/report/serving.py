"""The loads of a model server as one HTML file: what a token cost and how long answers took, by load."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from datetime import datetime, timezone

from wattmark._version import __version__
from wattmark.quantity import Quantity
from wattmark.report.drawing.charts import lines
from wattmark.report.drawing.marks import Drawing, Line
from wattmark.report.figures.training import Figure, Panel, scaled
from wattmark.report.html.markup import Html, join, tag
from wattmark.report.html.page import Section, figure_section, page
from wattmark.serving.bench import BenchResult
from wattmark.serving.results.requests import Point
from wattmark.serving.results.tables import SHOWN, columns
from wattmark.text import clean

_AXES = {"concurrency": "requests at a time", "rate": "requests/s asked for"}
_INTERVALS = "Bands and ranges are 95 % intervals: the sensor's error and the scatter of the load."


def serving_page(kind: str, points: Sequence[Point], lead: Sequence[str] = ()) -> str:
    """One self-contained page of all loads; kind: ``concurrency`` or ``rate``; lead: what they come to, in sentences.

    Charts need two loads and matplotlib; without it the page says so and has its tables.
    """
    result = points[-1][1]
    title = clean(result.server.get("description") or result.load.url)
    warnings = dict.fromkeys(warning for _, one in points for warning in one.warnings)
    sections = [
        Section("results", "Results", join(tag("p", _INTERVALS), _table(kind, points))),
        *_charts(kind, points),
        *(
            (Section("warnings", "To beware of", tag("ul", (tag("li", warning) for warning in warnings))),)
            if warnings
            else ()
        ),
        Section("all", "Every figure", _everything(kind, points)),
    ]
    intro = join(
        *(tag("p", line, class_="lead") for line in lead),
        tag("p", f"{result.load.workload}; {_loads(points)}. Joules include idle, unless a name says own."),
    )
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return page(title, intro, sections, f"Written by Wattmark {__version__} on {now}.")


def _loads(points: Sequence[Point]) -> str:
    return f"{len(points)} loads" if len(points) > 1 else points[0][1].load.arrivals


def _table(kind: str, points: Sequence[Point]) -> Html:
    heads = [kind, *(name for name, _ in SHOWN[1:])]
    cells = [[text(load, result) for _, text in SHOWN] for load, result in points]
    kept = [place for place in range(len(heads)) if any(row[place] for row in cells)]
    return _grid([heads[place] for place in kept], [[row[place] for place in kept] for row in cells])


def _everything(kind: str, points: Sequence[Point]) -> Html:
    """Every column of the CSV as a row, the loads side by side."""
    table = columns(kind, points)
    known = {name: column for name, column in table.items() if any(cell is not None for cell in column)}
    rows = [[name, *map(_shown, column)] for name, column in known.items() if name != kind]
    return _grid([kind, *(f"{load:g}" for load, _ in points)], rows)


def _shown(cell: object) -> str:
    if cell is None:
        return ""
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    head = tag("thead", tag("tr", (tag("th", name, scope="col") for name in heads)))
    body = tag(
        "tbody",
        (
            tag("tr", tag("th", row[0], scope="row"), (tag("td", cell, class_="n") for cell in row[1:]))
            for row in rows
        ),
    )
    return tag(
        "div", tag("table", head, body), class_="scroll", tabindex="0", role="region", aria_label="Table"
    )


def _charts(kind: str, points: Sequence[Point]) -> list[Section]:
    if len(points) < 2:
        return []
    if importlib.util.find_spec("matplotlib") is None:
        return [
            Section("charts", "Charts", tag("p", "Not drawn: pip install 'wattmark[report]' for charts."))
        ]
    found: list[Section] = []
    for key, title, unit, value in _CHARTS:
        known = [(load, value(result)) for load, result in points]
        shown = [(load, quantity) for load, quantity in known if quantity is not None]
        if len(shown) < 2:
            continue
        quantities, shown_unit = scaled([quantity for _, quantity in shown], unit)
        panel = Panel(
            key,
            title,
            f"A line: {title.lower()}, by load",
            _line(kind, shown, quantities, shown_unit, points),
        )
        found.append(Section(key, title, figure_section(Figure(key, title, "", [panel]))))  # fmt: skip
    return found


def _line(
    kind: str,
    shown: Sequence[tuple[float, Quantity]],
    quantities: Sequence[Quantity | None],
    unit: str,
    points: Sequence[Point],
) -> Callable[[], Drawing]:
    ends = [quantity for quantity in quantities if quantity is not None]
    modelled = all(result.serving is not None and result.serving.measured_j is None for _, result in points)

    def draw() -> Drawing:
        line = Line(
            "",
            [load for load, _ in shown],
            ends,
            1.0 if modelled and unit.endswith("J") else None,
        )
        log = "x" if len(shown) > 2 and all(load > 0 for load, _ in shown) else ""
        return lines([line], _AXES.get(kind, kind), unit, log=log, zero=True)

    return draw


def _cost(name: str) -> Callable[[BenchResult], Quantity | None]:
    def value(result: BenchResult) -> Quantity | None:
        figures = None if result.serving is None else result.serving.with_idle
        return None if figures is None else getattr(figures, name)

    return value


def _p95(name: str) -> Callable[[BenchResult], Quantity | None]:
    def value(result: BenchResult) -> Quantity | None:
        latency = getattr(result.metrics, name)
        at = None if latency is None else latency.percentiles[95]
        return None if at is None else Quantity(at.value, at.low, at.high, "s")

    return value


def _rate(result: BenchResult) -> Quantity | None:
    rate = result.metrics.output_tokens_per_s
    return None if rate is None else Quantity.exact(rate, "tokens/s")


_CHARTS: tuple[tuple[str, str, str, Callable[[BenchResult], Quantity | None]], ...] = (
    ("token", "Energy of an output token", "J", _cost("j_per_output_token")),
    ("request", "Energy of a request", "J", _cost("j_per_request")),
    ("throughput", "Output tokens a second", "tokens/s", _rate),
    ("ttft", "Time to the first token, p95", "s", _p95("ttft_s")),
    ("tpot", "Time per token after it, p95", "s", _p95("tpot_s")),
)
